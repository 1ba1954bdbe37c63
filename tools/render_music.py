#!/usr/bin/env python3
"""Computes the hold music, prompts/music/hold.wav: our own 48 s piece, no sample of others. Needs numpy only.

    tools/render_music.py

Sixteen bars in D at 80 beats a minute: a plucked arpeggio, a slow pad under it, a few melody notes in the second half.
Every tail that runs past the end is folded onto the beginning, so the file loops without a seam. Notes lie between
180 Hz and 1.6 kHz, which a telephone carries, and each has overtones: nothing sounds like a dial or a busy tone.
The same numbers give the same file on every machine (no chance, no clock).
"""

from pathlib import Path

import numpy as np

import prompt_audio as audio

RATE = audio.RATE
BEAT = 0.75
BARS = 16
LENGTH = int(BARS * 4 * BEAT * RATE)
TARGET_DBFS = -26.0

# MIDI notes of each bar, low to high
D9, BM7, GM9, ASUS = (50, 57, 61, 64, 66), (47, 57, 62, 66, 69), (55, 59, 62, 66, 69), (57, 62, 64, 67, 71)
FSM7, EM9, GM7, A7 = (54, 57, 61, 64, 69), (52, 59, 62, 66, 67), (55, 59, 62, 66, 71), (57, 61, 64, 67, 69)
CHORDS = [D9, BM7, GM9, ASUS, FSM7, BM7, EM9, A7, D9, GM7, FSM7, BM7, GM9, EM9, ASUS, A7]
ORDERS = [(0, 2, 3, 4, 3, 2, 1, 3), (0, 1, 3, 2, 4, 3, 2, 1)]
# (bar, beat, note, beats)
MELODY = [
    (4, 0, 76, 2), (4, 2, 73, 2), (5, 0, 74, 3), (6, 1, 71, 1), (6, 2, 74, 2), (7, 0, 73, 3),
    (8, 2, 78, 2), (9, 0, 79, 1.5), (9, 2, 78, 1), (9, 3, 76, 1), (10, 0, 76, 2), (10, 2, 73, 2), (11, 0, 74, 3),
    (12, 1, 71, 1), (12, 2, 74, 1), (12, 3, 76, 1), (13, 0, 78, 2), (13, 2, 74, 2), (14, 0, 76, 3), (15, 1, 73, 2),
]  # fmt: skip


def hertz(note: int) -> float:
    return 440.0 * 2 ** ((note - 69) / 12)


def pluck(note: int, seconds: float, brightness: float) -> np.ndarray:
    """A string: overtones fade faster the higher they are; the slight stretch makes it wood and not an organ."""
    t = np.arange(int(seconds * RATE)) / RATE
    out = np.zeros_like(t)
    for k in range(1, 9):
        f = hertz(note) * k * np.sqrt(1 + 0.0004 * k * k)
        if f < 3300:
            out += brightness ** (k - 1) / k**0.5 * np.exp(-t * (1.6 + 0.9 * k)) * np.sin(2 * np.pi * f * t + 0.7 * k)
    attack = np.minimum(1.0, t / 0.006)
    release = np.minimum(1.0, (seconds - t) / 0.05)
    return out * attack * release


def pad(note: int, seconds: float) -> np.ndarray:
    """Two voices a hair apart that swell and leave."""
    t = np.arange(int(seconds * RATE)) / RATE
    shape = np.sin(np.pi * t / seconds) ** 1.5
    out = np.zeros_like(t)
    for detune in (-0.6, 0.6):
        for k, level in ((1, 1.0), (2, 0.35), (3, 0.12)):
            out += level * np.sin(2 * np.pi * (hertz(note) + detune) * k * t)
    return out * shape


def add(track: np.ndarray, sound: np.ndarray, beat: float, level: float) -> None:
    start = int(beat * BEAT * RATE)
    np.add.at(track, (start + np.arange(len(sound))) % len(track), level * sound)


def compose() -> np.ndarray:
    track = np.zeros(LENGTH)
    for bar, chord in enumerate(CHORDS):
        order = ORDERS[bar % 2]
        for step in range(8):
            accent = 1.0 if step == 0 else 0.72 if step == 4 else 0.55
            note = chord[order[step]]
            add(track, pluck(note if note > 53 else note + 12, 2.6, 0.5), bar * 4 + step / 2, accent)
        for note in chord[1:4]:
            add(track, pad(note + 12 if note < 57 else note, 5 * BEAT), bar * 4 - 0.5, 0.085)
    for bar, beat, note, beats in MELODY:
        add(track, pluck(note, beats * BEAT + 1.2, 0.35), bar * 4 + beat, 0.9)
    echo = np.roll(track, int(0.75 * BEAT * RATE)) * 0.22 + np.roll(track, int(1.5 * BEAT * RATE)) * 0.1
    return track + echo


def main() -> None:
    track = compose()
    spectrum = np.fft.rfft(track)  # circular, so the filter has no edge either
    f = np.fft.rfftfreq(LENGTH, 1 / RATE)
    spectrum *= 1 / (1 + (140 / np.maximum(f, 1)) ** 8) / (1 + (f / 3400) ** 12)
    track = np.fft.irfft(spectrum, LENGTH)
    track *= 10 ** (TARGET_DBFS / 20) / np.sqrt(np.mean(track**2))
    path = Path(__file__).resolve().parent.parent / "prompts" / "music" / "hold.wav"
    audio.write_wav(path, track)
    step = np.max(np.abs(np.diff(track)))
    print(f"{path.name}: {LENGTH / RATE:.0f} s, peak {audio.dbfs(np.max(np.abs(track))):.1f} dBFS,")
    print(f"seam {abs(track[0] - track[-1]):.5f}, largest step inside {step:.5f}")


if __name__ == "__main__":
    main()
