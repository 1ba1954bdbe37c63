"""From a sentence to speech: readings, phonemes, Kokoro, and where each part of the sentence lies in the audio.

Chinese: jieba words -> pypinyin -> the phoneme table of misaki. English: the misaki lexicon, word by word.
No espeak, no rule-based guessing: a word without a known reading is an error, and a `[readings]` table in the data
file gives it one. Runs at render time only.
"""

import importlib.util
import json
import re
from pathlib import Path

import numpy as np

RATE = 24000
SAMPLES_PER_FRAME = 600
LEADS = RATE * 25 // 1000  # measured: a sound begins about 25 ms before the model's phoneme does
PUNCTUATION = {"，": ", ", "、": ", ", "。": ". ", "！": "! ", "？": "? ", "：": ": ", "；": "; "}
DURATIONS = "/encoder/Clip_output_0"


class Readings:
    """Phonemes of a text; `readings` maps a word to pinyin ("hang2 hao4") or, in English, to phonemes."""

    def __init__(self, weights: Path, language: str, readings: dict[str, str]):
        self.english = language.startswith("en")
        self.readings = readings
        if self.english:
            gold = json.loads((weights / "us_gold.json").read_text("utf-8"))
            silver = json.loads((weights / "us_silver.json").read_text("utf-8"))
            self.lexicon = silver | gold
            return
        import jieba
        import pypinyin

        jieba.setLogLevel(60)
        self.jieba, self.pypinyin = jieba, pypinyin
        spec = importlib.util.spec_from_file_location("transcription", weights / "misaki" / "transcription.py")
        self.table = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.table)
        for word in readings:
            jieba.add_word(word, freq=10**8)

    def phonemes(self, text: str) -> str:
        return (self._english(text) if self.english else self._chinese(text)).strip()

    def pinyin(self, word: str) -> list[str]:
        if word in self.readings:
            return self.readings[word].split()
        return self.pypinyin.lazy_pinyin(word, style=self.pypinyin.Style.TONE3, neutral_tone_with_five=True)

    def _chinese(self, text: str) -> str:
        for mark, plain in PUNCTUATION.items():
            text = text.replace(mark, plain)
        out = []
        for run in re.findall("[\u4e00-\u9fff]+|[^\u4e00-\u9fff]+", text):
            if not "\u4e00" <= run[0] <= "\u9fff":
                out.append(run)
                continue
            words = self.jieba.lcut(run)
            out.append(" ".join("".join(map(self._syllable, self.pinyin(word))) for word in words))
        return "".join(out)

    def _syllable(self, pinyin: str) -> str:
        text = "".join(self.table.pinyin_to_ipa(pinyin)[0])
        for contour, arrow in (("˧˩˧", "↓"), ("˧˥", "↗"), ("˥˩", "↘"), ("˥", "→")):
            text = text.replace(contour, arrow)
        text = text.replace("\u027b\u0329", "ɨ").replace("\u0279\u0329", "ɨ")
        return text.replace("\u032f", "")

    def _english(self, text: str) -> str:
        out = []
        for token in re.findall(r"[A-Za-z']+|[,.!?;:]|\s+|-", text):
            if not token[0].isalpha():
                out.append(" " if token.isspace() or token == "-" else token)
                continue
            found = self.readings.get(token.lower()) or self.lexicon.get(token) or self.lexicon.get(token.lower())
            if isinstance(found, dict):
                found = found["DEFAULT"]
            if not found:
                raise KeyError(f"no reading for {token!r}: add it to [readings]")
            out.append(found)
        return re.sub("ði (?=[ˈˌ]?[^aeiouæɑɐɔəɛɜɪʊʌᵻAIOWY])", "ðə ", "".join(out))


class Kokoro:
    def __init__(self, weights: Path, threads: int):
        import onnx
        import onnxruntime

        self.weights = weights
        self.vocab = json.loads((weights / "vocab.json").read_text("utf-8"))
        model = onnx.load(weights / "kokoro.onnx")
        # The length of each phoneme is inside the model; as an output it tells where a number can be cut out.
        model.graph.output.append(onnx.helper.make_tensor_value_info(DURATIONS, onnx.TensorProto.FLOAT, None))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])

    def style(self, voice: str, tokens: int) -> np.ndarray:
        table = np.fromfile(self.weights / "voices" / f"{voice}.bin", np.float32).reshape(-1, 1, 256)
        return table[min(tokens, len(table)) - 1]

    def speak(self, parts: list[str], voice: str, speed: float) -> tuple[np.ndarray, list[int]]:
        """`parts` are phonemes of one sentence; returns the audio and the sample where each part but the first begins."""
        glue = ["" if after[0] in ",.!?;:" else " " for after in parts[1:]]
        text = parts[0] + "".join(g + part for g, part in zip(glue, parts[1:]))
        unknown = set(text) - set(self.vocab)
        if unknown:
            raise ValueError(f"phonemes not in the model: {sorted(unknown)} of {text}")
        tokens = [0, *(self.vocab[c] for c in text), 0]
        audio, durations = self.session.run(
            ["audio", DURATIONS],
            {
                "tokens": np.array([tokens], np.int64),
                "style": self.style(voice, len(tokens) - 2),
                "speed": np.array([speed], np.float32),
            },
        )
        audio, ends = np.ravel(audio), np.cumsum(np.ravel(durations)) * SAMPLES_PER_FRAME
        if abs(ends[-1] - len(audio)) > 2 * SAMPLES_PER_FRAME:
            raise ValueError(f"alignment lost: {ends[-1]} samples planned, {len(audio)} spoken")
        cuts, at = [], 0
        for part, space in zip(parts, glue):
            at += len(part)  # the last token of this part, counting the leading pad
            cuts.append(int(ends[at]) - LEADS)
            at += len(space)
        return audio, cuts
