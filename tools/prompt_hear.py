"""Listens to a rendered prompt and says how far it is from its text: a check without ears, not a judgement of beauty."""

import hashlib
import re
from pathlib import Path

import numpy as np

# The listener is told the language and style only ("plain"), and then the words of a 120 centre ("hinted"), because
# whisper-base otherwise writes another word of the same sound (异常 -> 一场). The plain transcript is kept as well and
# compared by sound, so a hint cannot hide a sentence that is spoken badly.
HINTS = {
    ("zh", False): "以下是普通话的句子，使用简体中文。",
    ("zh", True): "120急救中心的电话录音：调度员、幺二号坐席、急救电话、按顺序接听、连接异常、接通医生、回拨、挂机、畅通。",
    ("en", False): None,
    ("en", True): None,
}
SAME = str.maketrans("您她它座零〇一幺两二三四五六七八九", "你他他坐0011223456789")
ENGLISH_NUMBERS = "zero one two three four five six seven eight nine ten".split()


def hint_id(language: str) -> str:
    """A transcript in the manifest is kept while the file and the hint are the same."""
    code = "en" if language.startswith("en") else "zh"
    return hashlib.sha256(repr((HINTS[code, False], HINTS[code, True])).encode()).hexdigest()[:8]


def normal(text: str, language: str) -> str:
    """Punctuation, spaces, case and the way a number is written do not count; 您=你, 她=它=他, 座=坐."""
    if language.startswith("en"):
        text = text.lower().replace("center", "centre")
        for value, word in enumerate(ENGLISH_NUMBERS):
            text = re.sub(rf"\b{word}\b", str(value), text)
        return re.sub(r"[^a-z0-9]", "", text)
    text = text.replace("十", "10").translate(SAME)
    return re.sub(r"[^\u4e00-\u9fff0-9a-z]", "", text.lower())


def sounds(text: str, language: str) -> list[str]:
    """Syllables without tone; 幺 counts as one. In English, the letters."""
    if language.startswith("en"):
        return list(normal(text, language))
    from pypinyin import lazy_pinyin

    digits = "零一二三四五六七八九"
    text = "".join(digits[int(c)] if c.isdigit() else c for c in normal(text.replace("十", "石"), language))
    return ["yi" if syllable in ("yao", "yi") else syllable for syllable in lazy_pinyin(text)]


def cer(expected: str, heard: str, language: str) -> float:
    return distance(normal(expected, language), normal(heard, language))


def sound_error(expected: str, heard: str, language: str) -> float:
    return distance(sounds(expected, language), sounds(heard, language))


def distance(a, b) -> float:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return round(row[-1] / max(1, len(a)), 3)


class Whisper:
    def __init__(self, weights: Path, threads: int):
        from faster_whisper import WhisperModel

        folder = str(weights / "whisper-base")
        self.model = WhisperModel(folder, compute_type="int8", cpu_threads=threads, local_files_only=True)

    def hear(self, audio_8k: np.ndarray, language: str, hinted: bool) -> str:
        import soxr

        code = "en" if language.startswith("en") else "zh"
        audio = soxr.resample(audio_8k, 8000, 16000, quality="VHQ").astype(np.float32)
        segments, _ = self.model.transcribe(
            np.concatenate([np.zeros(3200, np.float32), audio, np.zeros(4800, np.float32)]),
            language=code,
            beam_size=5,
            temperature=[0.0],
            initial_prompt=HINTS[code, hinted],
            condition_on_previous_text=False,
        )
        return "".join(segment.text for segment in segments).strip()
