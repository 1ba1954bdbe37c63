#!/usr/bin/env python3
"""Renders the stored announcements, callers and seats of Firstring into 8 kHz WAV files and checks them by ear of a model.

    tools/render_prompts.py --cache DIR fetch                  get the pinned voices and models into DIR (about 1 GB)
    tools/render_prompts.py --cache DIR render [FOLDER] [ID]   render a folder of prompts/ (all by default), or one id (digit_* works)
    tools/render_prompts.py --cache DIR check  [FOLDER]        transcribe every file and write prompts/manifest.json

The WAV files are committed; the engine, the tests and the CI never run this.
"""

import argparse
import fnmatch
import hashlib
import json
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import prompt_fetch

ROOT = Path(__file__).resolve().parent.parent
PROMPTS = ROOT / "prompts"
FOLDERS = {"zh-CN": "prompts.toml", "en": "prompts.toml", "callers": "callers.toml", "seats": "seats.toml"}
FOLDERS_OF_ANNOUNCEMENTS = ("zh-CN", "en")
MANIFEST = PROMPTS / "manifest.json"
CER_MAX = 0.10
MARKS = "，。、：；？！,.:;?!"
LICENCE = "text: Apache-2.0, Firstring; voice: Kokoro-82M weights, Apache-2.0"


@dataclass
class Clip:
    """One file: what it says, and which sentence it is cut from (`before` and `after` are empty for a whole sentence)."""

    id: str
    text: str
    spoken: str
    before: str
    after: str
    voice: str
    speed: float
    lead_ms: int
    tail_ms: int


class Folder:
    """One folder of prompts/ and its data file."""

    def __init__(self, name: str):
        self.name = name
        self.path = PROMPTS / name
        self.data = tomllib.loads((self.path / FOLDERS[name]).read_text("utf-8"))
        self.language = self.data["language"]

    def clips(self) -> list[Clip]:
        out = []
        for entry in self.data.get("prompt", []):
            out += self._parts(entry) if entry.get("parts") else [self._clip(entry)]
        for family in self.data.get("family", []):
            before, after = family["carrier"].split("{n}")
            for number, text in enumerate(family["texts"], family["first"]):
                out.append(self._cut(family, f"{family['id']}_{number}", text, before, text, after))
        return out

    def _clip(self, entry: dict) -> Clip:
        spoken = entry.get("spoken", entry["text"])
        tail = entry.get("tail_ms", self.data["tail_ms"])
        lead = entry.get("lead_ms", self.data["lead_ms"])
        return Clip(entry["id"], entry["text"], spoken, "", "", entry["voice"], self._speed(entry), lead, tail)

    def _parts(self, entry: dict) -> list[Clip]:
        text = entry["text"].split("{n}")
        spoken = entry.get("spoken", entry["text"]).split("{n}")
        sample = entry["sample"]
        out = []
        if spoken[0]:
            clip = self._cut(entry, f"{entry['id']}.1", text[0], "", spoken[0], sample + spoken[1])
            clip.lead_ms = self.data["lead_ms"]
            out.append(clip)
        clip = self._cut(entry, f"{entry['id']}.2", text[1], spoken[0] + sample, spoken[1], "")
        clip.tail_ms = self.data["tail_ms"]
        return [*out, clip]

    def _cut(self, entry: dict, name: str, text: str, before: str, spoken: str, after: str) -> Clip:
        """A mark at a border stays with the part before it: the cut lies in the pause after it, never in a word."""
        lead = tail = 0
        while before and spoken.strip()[0] in MARKS:
            before, spoken, lead = before + spoken.strip()[0], spoken.strip()[1:].lstrip(), self.data["pause_ms"]
        while after and after[0] in MARKS:
            spoken, after = spoken + after[0], after[1:].lstrip()
        if after and text.strip()[-1] in MARKS:
            tail = self.data["pause_ms"]
        lead, tail = entry.get("lead_ms", lead), entry.get("tail_ms", tail)
        return Clip(name, text, spoken, before, after, entry["voice"], self._speed(entry), lead, tail)

    def _speed(self, entry: dict) -> float:
        return entry.get("speed", self.data.get("speed", 1.0))


def render(folder: Folder, kokoro, only: str | None) -> None:
    import prompt_audio as audio
    import prompt_voice

    readings = prompt_voice.Readings(kokoro.weights, folder.language, folder.data.get("readings", {}))
    for clip in folder.clips():
        if only and not fnmatch.fnmatch(clip.id, only):
            continue
        sentence = [part for part in (clip.before, clip.spoken, clip.after) if part.strip()]
        parts = [readings.phonemes(part) for part in sentence]
        speech, cuts = kokoro.speak(parts, clip.voice, clip.speed)
        sound = audio.to_telephone(speech, prompt_voice.RATE)
        sound = audio.loudness_gain(sound, folder.data["loudness_dbfs"])
        borders = ([clip.before] if clip.before else []) + ([clip.spoken] if clip.after else [])
        reach = [80 if b.strip()[-1] in "。." else 45 if b.strip()[-1] in MARKS else 12 for b in borders]
        cuts = [audio.quiet_point(sound, c * audio.RATE // prompt_voice.RATE, r) for c, r in zip(cuts, reach)]
        sound = sound[cuts[0] if clip.before else 0 : cuts[-1] if clip.after else len(sound)]
        start, end = audio.speech_bounds(sound, floor_db=-54.0 if len(parts) == 1 else -46.0)
        at_word = (clip.before and clip.before[-1] not in MARKS, clip.after and clip.spoken[-1] not in MARKS)
        start, end = 0 if at_word[0] else start, len(sound) if at_word[1] else end
        sound = sound[start:end]
        if clip.before and clip.after:  # a number is the word that matters: as loud as its sentence, however it falls
            sound = audio.loudness_gain(sound, folder.data["loudness_dbfs"])
        sound = audio.with_silence(audio.fade(sound), clip.lead_ms, clip.tail_ms)
        audio.write_wav(folder.path / f"{clip.id}.wav", sound)
        print(f"{folder.name}/{clip.id}: {len(sound) / audio.RATE:.2f} s  {' '.join(parts)}", flush=True)


def expand(files: list[str], value: str) -> list[str]:
    """`digit_{n}...` stands for one clip per digit of the value, `number_{n}` for one clip."""
    out = []
    for name in files:
        if name.endswith("..."):
            out += [name.removesuffix("...").replace("{n}", digit) for digit in value]
        else:
            out.append(name.replace("{n}", value))
    return out


def scores(spoken: str, hinted: str, plain: str, language: str) -> dict:
    import prompt_hear

    return {
        "transcript": hinted,
        "cer": prompt_hear.cer(spoken, hinted, language),
        "sound_error": prompt_hear.sound_error(spoken, hinted, language),
        "transcript_plain": plain,
        "sound_error_plain": prompt_hear.sound_error(spoken, plain, language),
    }


def describe(folder: Folder, clip: Clip, whisper, old: dict) -> dict:
    import prompt_audio as audio
    import prompt_hear

    path = folder.path / f"{clip.id}.wav"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    cut = bool(clip.before or clip.after)
    entry = {
        "id": clip.id,
        "file": f"{folder.name}/{path.name}",
        "language": folder.language,
        "text": clip.text,
        "spoken": clip.spoken,
        "voice": f"kokoro/{clip.voice}",
        "speed": clip.speed,
    }
    sound = audio.read_wav(path)
    entry["duration_ms"] = len(sound) * 1000 // audio.RATE
    entry["lead_ms"], entry["tail_ms"] = clip.lead_ms, clip.tail_ms
    entry["loudness_dbfs"] = round(audio.active_dbfs(sound), 1)
    entry["peak_dbfs"] = round(audio.dbfs(max(abs(sound))), 1)
    entry["sha256"] = digest
    entry["licence"] = LICENCE
    known = old.get(entry["file"], {})
    if known.get("sha256") == digest and known.get("heard_with") == prompt_hear.hint_id(folder.language):
        heard = (known["transcript"], known["transcript_plain"])
    else:
        heard = (whisper.hear(sound, folder.language, True), whisper.hear(sound, folder.language, False))
    entry["heard_with"] = prompt_hear.hint_id(folder.language)
    entry |= scores(clip.spoken, *heard, folder.language)
    entry["checked_by"] = "sentence" if cut else "file"
    return entry


def check_sentences(folder: Folder, whisper) -> list[dict]:
    import numpy
    import prompt_audio as audio

    spoken = {clip.id: clip.spoken for clip in folder.clips()}
    join = " " if folder.language.startswith("en") else ""
    out = []
    for rule in folder.data.get("check", []):
        for value in rule["values"]:
            names = expand(rule["files"], value)
            sound = numpy.concatenate([audio.read_wav(folder.path / f"{name}.wav") for name in names])
            text = join.join(spoken[name].strip() for name in names)
            heard = (whisper.hear(sound, folder.language, True), whisper.hear(sound, folder.language, False))
            out.append({"folder": folder.name, "files": names, "spoken": text} | scores(text, *heard, folder.language))
            show(out[-1], "+".join(names))
    return out


def plain_file(path: Path) -> dict:
    """A file that holds no speech: hold music."""
    import prompt_audio as audio

    sound = audio.read_wav(path)
    return {
        "id": path.stem,
        "file": f"{path.parent.name}/{path.name}",
        "language": None,
        "text": "",
        "spoken": "",
        "voice": None,
        "duration_ms": len(sound) * 1000 // audio.RATE,
        "loudness_dbfs": round(audio.active_dbfs(sound), 1),
        "peak_dbfs": round(audio.dbfs(max(abs(sound))), 1),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "licence": "Apache-2.0, Firstring; computed by tools/render_music.py, no sample of others",
        "transcript": None,
        "cer": None,
        "checked_by": "none",
    }


def show(entry: dict, name: str) -> None:
    heard = f"{entry['transcript']} | {entry['transcript_plain']}"
    print(f"{entry['cer']:.3f} {entry['sound_error_plain']:.3f} {name}: {heard}", flush=True)


def check(names: list[str], whisper) -> int:
    old = json.loads(MANIFEST.read_text("utf-8")) if MANIFEST.exists() else {"files": [], "sentences": []}
    known = {entry["file"]: entry for entry in old["files"]}
    files, sentences, sequences = [], [], {}
    for name in FOLDERS:
        if not (PROMPTS / name / FOLDERS[name]).exists():
            continue
        folder = Folder(name)
        sequences[name] = {p["id"]: p.get("sequence", [p["id"]]) for p in folder.data.get("prompt", [])}
        if name not in names:
            files += [entry for entry in old["files"] if entry["file"].startswith(f"{name}/")]
            sentences += [s for s in old["sentences"] if s["folder"] == name]
            continue
        for clip in folder.clips():
            files.append(describe(folder, clip, whisper, known))
            show(files[-1], f"{files[-1]['file']} {files[-1]['duration_ms']} ms")
        sentences += check_sentences(folder, whisper)
    files += [plain_file(path) for path in sorted((PROMPTS / "music").glob("*.wav"))]
    worst = [f for f in files if f["checked_by"] == "file" and f["cer"] >= CER_MAX and f["file"].startswith(("zh-CN/", "en/"))]
    worst += [s for s in sentences if min(s["sound_error"], s["sound_error_plain"]) >= CER_MAX]
    manifest = {
        "about": "Made by tools/render_prompts.py check. A centre may replace any file; then its line here no longer applies.",
        "format": "WAV, PCM 16 bit, mono, 8000 Hz",
        "voices": {"model": "Kokoro-82M v1.0 int8 ONNX", "sha256": prompt_fetch.KOKORO_SHA256, "licence": "Apache-2.0"},
        "listener": {
            "model": "whisper-base",
            "by": "faster-whisper 1.2.1, int8, beam 5, temperature 0",
            "transcript": "heard with the words of a 120 centre as a hint; cer compares its characters with `spoken`",
            "transcript_plain": "heard without a hint; sound_error_plain compares its syllables without tone (English: letters)",
            "input": "the 8 kHz file as committed",
            "counts_as_equal": "punctuation, case, spaces, digits and number words, 您=你, 她=它=他, 座席=坐席",
            "limit": f"cer < {CER_MAX} for every announcement; for sentences put together sound_error < {CER_MAX} in one listening",
        },
        "required_ids": list(sequences.get("zh-CN", {})),
        "sequences": sequences,
        "files": files,
        "sentences": sentences,
    }
    MANIFEST.write_text(json.dumps(manifest, ensure_ascii=False, indent=1) + "\n", "utf-8")
    folders = [FOLDERS_OF_ANNOUNCEMENTS[0], *(n for n in FOLDERS_OF_ANNOUNCEMENTS[1:] if n in sequences)]
    for name in folders:
        have = {entry["file"] for entry in files}
        wanted = {part for seq in sequences[name].values() for part in seq if "{" not in part}
        missing = [part for part in sorted(wanted) if f"{name}/{part}.wav" not in have]
        if missing or list(sequences[name]) != manifest["required_ids"]:
            sys.exit(f"{name}: missing {missing}, or the ids are not those of {folders[0]}")
    for entry in worst:
        print("over the limit:", entry.get("file") or "+".join(entry["files"]), entry["cer"], entry["transcript"])
    return 1 if worst else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="a folder outside the tree for packages and weights")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("verb", choices=["fetch", "render", "check"])
    parser.add_argument("folder", nargs="?", choices=list(FOLDERS))
    parser.add_argument("id", nargs="?")
    args = parser.parse_args()
    cache = args.cache.resolve()
    if cache.is_relative_to(ROOT):
        parser.error("--cache must lie outside the tree")
    prompt_fetch.enter(cache)
    weights = cache / "weights"
    names = [args.folder] if args.folder else [n for n in FOLDERS if (PROMPTS / n / FOLDERS[n]).exists()]
    if args.verb == "render":
        import prompt_voice

        kokoro = prompt_voice.Kokoro(weights, args.threads)
        for name in names:
            render(Folder(name), kokoro, args.id)
    if args.verb == "check":
        import prompt_hear

        return check(names, prompt_hear.Whisper(weights, args.threads))
    return 0


if __name__ == "__main__":
    sys.exit(main())
