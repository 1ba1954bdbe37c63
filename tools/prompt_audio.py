"""Audio arithmetic of the prompts: telephone band, loudness, trimming, WAV. Pure numpy; knows no speech model."""

import wave
from pathlib import Path

import numpy as np

RATE = 8000
PEAK_MAX = 10 ** (-1.5 / 20)  # head room for codecs


def dbfs(value: float) -> float:
    return float(20 * np.log10(max(value, 1e-9)))


def frames(audio: np.ndarray, rate: int, ms: int = 20) -> np.ndarray:
    size = rate * ms // 1000
    count = max(1, len(audio) // size)
    padded = np.zeros(count * size)
    padded[: min(len(audio), count * size)] = audio[: count * size]
    return np.mean(padded.reshape(count, size) ** 2, axis=1)


def active_dbfs(audio: np.ndarray, rate: int = RATE) -> float:
    """RMS over the frames that hold speech: above -60 dBFS and at most 20 dB under the mean of those."""
    power = frames(audio, rate)
    loud = power[power > 1e-6]
    if not len(loud):
        return -120.0
    speech = loud[loud > np.mean(loud) / 100]
    return dbfs(np.sqrt(np.mean(speech)))


def limit(audio: np.ndarray, rate: int, peak: float = PEAK_MAX) -> np.ndarray:
    """Look-ahead limiter, 4 ms window: the gain falls smoothly before a peak, so nothing is clipped."""
    need = np.minimum(1.0, peak / np.maximum(np.abs(audio), 1e-9))
    half = max(1, rate * 4 // 1000)
    padded = np.pad(need, half, constant_values=1.0)
    lowest = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1).min(axis=1)
    window = np.hanning(2 * half + 3)[1:-1]
    smooth = np.convolve(np.pad(lowest, half, mode="edge"), window / window.sum(), mode="valid")
    return audio * np.minimum(smooth, need)


def highpass(audio: np.ndarray, rate: int, hz: float = 90.0) -> np.ndarray:
    """A windowed-sinc high pass with linear phase: no rumble and no offset, no shift in time."""
    half = rate // 20
    n = np.arange(-half, half + 1)
    low = 2 * hz / rate * np.sinc(2 * hz / rate * n) * np.blackman(2 * half + 1)
    kernel = -low / low.sum()
    kernel[half] += 1.0
    size = 1 << (len(audio) + len(kernel) - 1).bit_length()
    out = np.fft.irfft(np.fft.rfft(audio, size) * np.fft.rfft(kernel, size), size)
    return out[half : half + len(audio)]


def to_telephone(audio: np.ndarray, rate: int) -> np.ndarray:
    import soxr

    return highpass(soxr.resample(audio.astype(np.float64), rate, RATE, quality="VHQ"), RATE)


def loudness_gain(audio: np.ndarray, target_dbfs: float) -> np.ndarray:
    """Two rounds, because the limiter takes a little back."""
    for _ in range(2):
        audio = limit(audio * 10 ** ((target_dbfs - active_dbfs(audio)) / 20), RATE)
    return audio


def speech_bounds(audio: np.ndarray, rate: int = RATE, floor_db: float = -54.0) -> tuple[int, int]:
    """First and last sample that belong to speech, with 50 ms kept on each side for soft consonants."""
    power = frames(audio, rate, 10)
    hot = np.flatnonzero(power > 10 ** (floor_db / 10))
    if not len(hot):
        return 0, len(audio)
    step = rate // 100
    return max(0, (hot[0] - 5) * step), min(len(audio), (hot[-1] + 6) * step)


def quiet_point(audio: np.ndarray, at: int, reach_ms: int = 30, rate: int = RATE) -> int:
    """The quietest 5 ms near `at`: where a cut is heard least."""
    size, reach = rate // 200, rate * reach_ms // 1000
    starts = range(max(0, at - reach), max(1, min(len(audio) - size, at + reach)))
    return min(starts, key=lambda s: (np.sum(audio[s : s + size] ** 2), abs(s - at)), default=at) + size // 2


def fade(audio: np.ndarray, ms: int = 4, rate: int = RATE) -> np.ndarray:
    n = min(rate * ms // 1000, len(audio) // 2)
    out = audio.copy()
    ramp = 0.5 - 0.5 * np.cos(np.linspace(0, np.pi, n))
    out[:n] *= ramp
    out[len(out) - n :] *= ramp[::-1]
    return out


def with_silence(audio: np.ndarray, lead_ms: int, tail_ms: int, rate: int = RATE) -> np.ndarray:
    return np.concatenate([np.zeros(rate * lead_ms // 1000), audio, np.zeros(rate * tail_ms // 1000)])


def write_wav(path: Path, audio: np.ndarray, rate: int = RATE) -> None:
    if np.max(np.abs(audio)) >= 1.0:
        raise ValueError(f"{path.name}: would clip")
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.round(audio * 32767).astype("<i2").tobytes())


def read_wav(path: Path) -> np.ndarray:
    with wave.open(str(path), "rb") as file:
        shape = (file.getnchannels(), file.getsampwidth(), file.getframerate())
        if shape != (1, 2, RATE):
            raise ValueError(f"{path.name}: expected mono, 16 bit, {RATE} Hz, got {shape}")
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32767.0
