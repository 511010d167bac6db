"""An audio clip's tempo and key, with honest confidences; numpy and scipy only.

Tempo: spectral flux over mel-like bands, 100 times a second; its autocorrelation, summed over one to four beats, under
a broad preference for about 115 bpm. Key: peaks of long spectra on the octave's circle, retuned to the clip itself,
read by the profiles of `engine.listen.key`.

Conventions: mono float32 at `RATE` = 22050 Hz; tempo in quarter notes per minute.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft

from engine.listen.key import KeyGuess, profile2key

Floats = NDArray[np.float64]
Audio = NDArray[np.float32]

RATE = 22050
FLUX_HOP, FLUX_SIZE = 220, 1024
FLUX_RATE = RATE / FLUX_HOP
LOW_BPM, HIGH_BPM = 50.0, 220.0
CENTRE_BPM, SPREAD_OCTAVES = 115.0, 0.9
BEATS = 4
LEAST_SECONDS = 3.0
KEY_SIZE, KEY_HOP = 8192, 4096
KEY_LOW_HZ, KEY_HIGH_HZ = 65.0, 2100.0
STEPS = 36
SILENT = 1e-4


@dataclass(frozen=True)
class TempoGuess:
    """`bpm` None where there is no pulse; `confidence` 0-1, halved where another reading is as strong; `alternatives`:
    other readings (bpm, strength as a share of the best one's), half and double among them."""

    bpm: float | None
    confidence: float
    alternatives: tuple[tuple[float, float], ...] = ()


def sound2tempo(mono: Audio) -> TempoGuess:
    """Tempo of a clip at `RATE`. Less than three seconds, silence and steady noise have none."""
    if len(mono) < LEAST_SECONDS * RATE or float(np.abs(mono).max(initial=0.0)) < SILENT:
        return TempoGuess(None, 0.0)
    flux = _flux(mono)
    flux = np.maximum(flux - _local_mean(flux, round(FLUX_RATE)), 0.0)
    if flux.std() < 1e-9:
        return TempoGuess(None, 0.0)
    centred = flux - flux.mean()
    spectrum = rfft(centred, 2 * len(centred))
    lags = irfft(np.abs(spectrum) ** 2)[: len(centred)]
    lags /= lags[0] * np.maximum(1.0 - np.arange(len(lags)) / len(lags), 0.2)
    bpm = np.exp(np.linspace(np.log(LOW_BPM), np.log(HIGH_BPM), 1500))
    period = 60.0 * FLUX_RATE / bpm
    strength = np.zeros(len(bpm))
    total = 0.0
    for beat in range(1, BEATS + 1):
        inside = period * beat < len(lags) - 2
        strength += np.where(inside, np.interp(period * beat, np.arange(len(lags)), lags), 0.0) / beat**0.5
        total += 1.0 / beat**0.5
    strength = np.maximum(strength / total, 0.0)
    weighted = strength * np.exp(-0.5 * (np.log2(bpm / CENTRE_BPM) / SPREAD_OCTAVES) ** 2)
    best = int(weighted.argmax())
    if weighted[best] <= 0:
        return TempoGuess(None, 0.0)
    exact = _refine(lags, float(bpm[best]))
    others, rival = [], 0.0
    for factor in (0.5, 2.0, 2.0 / 3.0, 1.5):
        at = exact * factor
        if LOW_BPM <= at <= HIGH_BPM:
            others.append((round(at, 2), round(float(np.interp(at, bpm, strength) / max(strength[best], 1e-9)), 3)))
            rival = max(rival, float(np.interp(at, bpm, weighted)))
    others.sort(key=lambda item: -item[1])
    beats_heard = len(mono) / RATE * exact / 60.0
    clear = float(weighted[best]) / (float(weighted[best]) + rival)
    confidence = min(1.0, float(strength[best]) * 1.6) * min(1.0, beats_heard / 16.0) * clear
    return TempoGuess(round(exact, 2), round(confidence, 3), tuple(others))


def sound2key(mono: Audio) -> KeyGuess:
    """Key of a clip at `RATE`; noise and silence get a confidence near 0."""
    circle, frames, tonal = _circle(mono)
    if frames == 0 or circle.sum() <= 0:
        return profile2key(np.zeros(12), 0.0)
    angle = np.angle(np.sum(circle * np.exp(2j * np.pi * np.arange(STEPS) * 12 / STEPS)))
    offset = round(angle / (2 * np.pi) * STEPS / 12)
    chroma = np.roll(circle, -offset)
    near = chroma.reshape(12, 3)
    profile = near[:, 0] + 0.5 * near[:, 1] + 0.5 * np.roll(near[:, 2], 1)
    profile = np.maximum(profile - 0.7 * np.median(profile), 0.0)
    guess = profile2key(profile, min(12.0 + frames * 0.5, 40.0) * tonal)
    return KeyGuess(guess.key, guess.confidence * tonal, guess.ranking)


def _flux(mono: Audio) -> Floats:
    """[frames] sum over bands of the growth of log energy, `FLUX_RATE` times a second."""
    frames = np.lib.stride_tricks.sliding_window_view(mono, FLUX_SIZE)[::FLUX_HOP]
    frequency = np.arange(FLUX_SIZE // 2 + 1) * RATE / FLUX_SIZE
    edges = np.geomspace(40.0, 10000.0, 33)
    band = np.clip(np.searchsorted(edges, frequency) - 1, 0, 31)
    matrix = np.zeros((len(frequency), 32), np.float32)
    matrix[np.arange(len(frequency)), band] = 1.0
    window = np.hanning(FLUX_SIZE).astype(np.float32)
    level = np.concatenate(
        [np.abs(rfft(frames[i : i + 1024] * window, axis=1)) @ matrix for i in range(0, len(frames), 1024)]
    )
    logs = np.log1p(level / (float(np.percentile(level, 90)) * 0.05 + 1e-6))
    growth = np.maximum(logs[2:] - logs[:-2], 0.0).sum(axis=1)
    return np.asarray(np.concatenate([[0.0], growth, [0.0]]), dtype=float)


def _local_mean(values: Floats, width: int) -> Floats:
    width = min(width, len(values))
    return np.asarray(np.convolve(values, np.ones(width) / width, mode="same"))


def _refine(lags: Floats, bpm: float) -> float:
    """Tempo from the highest autocorrelation peak near each of up to sixteen beats, the longest that still agrees."""
    period = 60.0 * FLUX_RATE / bpm
    beat = 1
    while beat <= 16 and beat * period < len(lags) * 0.6 - 4:
        centre, reach = beat * period, max(2, round(0.06 * period))
        low = max(1, round(centre) - reach)
        window = lags[low : round(centre) + reach + 1]
        at = int(window.argmax()) + low
        if low < at < low + len(window) - 1:
            a, b, c = lags[at - 1], lags[at], lags[at + 1]
            period = (at + 0.5 * (a - c) / min(a - 2 * b + c, -1e-12)) / beat
        beat *= 2
    return 60.0 * FLUX_RATE / period


def _circle(mono: Audio) -> tuple[Floats, int, float]:
    """([STEPS] spectral peaks on the octave's circle, step 0 is C; frames that sound; how tonal they are, 0-1)."""
    out = np.zeros(STEPS)
    if len(mono) < KEY_SIZE or float(np.abs(mono).max(initial=0.0)) < SILENT:
        return out, 0, 0.0
    frames = np.lib.stride_tricks.sliding_window_view(mono, KEY_SIZE)[::KEY_HOP]
    frequency = np.arange(KEY_SIZE // 2 + 1) * RATE / KEY_SIZE
    used = np.flatnonzero((frequency >= KEY_LOW_HZ) & (frequency <= KEY_HIGH_HZ))
    window = np.hanning(KEY_SIZE).astype(np.float32)
    count, tonal = 0, []
    for i in range(0, len(frames), 256):
        level = np.abs(rfft(frames[i : i + 256] * window, axis=1)).astype(float)[:, used[0] - 1 : used[-1] + 2]
        sounding = level.max(axis=1) > SILENT * KEY_SIZE / 8
        level = level[sounding]
        count += len(level)
        if not len(level):
            continue
        middle = level[:, 1:-1]
        peak = (
            (middle >= level[:, :-2])
            & (middle > level[:, 2:])
            & (middle > 8.0 * np.median(level, axis=1, keepdims=True))
        )
        a, b, c = np.log(level[:, :-2] + 1e-9), np.log(middle + 1e-9), np.log(level[:, 2:] + 1e-9)
        shift = np.clip(0.5 * (a - c) / np.minimum(a - 2 * b + c, -1e-9), -0.5, 0.5)
        exact = frequency[used] + shift * RATE / KEY_SIZE
        step = np.round(STEPS * np.log2(exact / 440.0) + STEPS * 9 / 12).astype(int) % STEPS
        strength = np.where(peak, np.sqrt(middle / level.max(axis=1, keepdims=True)), 0.0)
        np.add.at(out, step.ravel(), strength.ravel())
        energy = middle**2
        wide = peak | np.roll(peak, 1, axis=1) | np.roll(peak, -1, axis=1)
        tonal.append((energy * wide).sum(axis=1) / np.maximum(energy.sum(axis=1), 1e-12))
    share = float(np.mean(np.concatenate(tonal))) if tonal else 0.0
    return out, count, float(np.clip((share - 0.25) / 0.45, 0.0, 1.0))
