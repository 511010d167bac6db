"""How loud a clip is and how its loudness moves.

Loudness: ITU-R BS.1770-4 (K weighting, blocks of 0.4 s, two gates); its range: EBU Tech 3342 (3 s, 10th to 95th
percentile); true peak: four times oversampled around the highest samples.

Conventions: LUFS, LU, dB; blocks are float32 [samples, 1 or 2] at one rate. What a clip is too short or too silent for
is None.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.signal import resample_poly, sosfilt

from engine.listen.onsets import Audio, Floats

STEP_SECONDS = 0.1
MOMENT, SHORT_TERM = 4, 30
"""Steps of a block of loudness (0.4 s) and of its range (3 s)."""
ABSOLUTE_GATE = -70.0
SILENT = 1e-6
AROUND = 64
"""Samples either side of a peak that are oversampled."""


@dataclass(frozen=True)
class Dynamics:
    """`lufs` integrated; `range_lu` loudness range; `crest_db` highest sample beside the RMS; `peak_dbfs` highest
    sample; `true_peak_dbfs` highest between samples."""

    lufs: float | None = None
    range_lu: float | None = None
    crest_db: float | None = None
    peak_dbfs: float | None = None
    true_peak_dbfs: float | None = None


def blocks2dynamics(blocks: Iterable[Audio], rate: int) -> Dynamics:
    """Dynamics of blocks in order at `rate`."""
    step = round(STEP_SECONDS * rate)
    sections = k_weighting(rate)
    state: Floats | None = None
    rest = np.zeros((0, 1))
    energies, power, count, peak, true_peak = [], 0.0, 0, 0.0, 0.0
    for block in blocks:
        if state is None:
            state, rest = np.zeros((2, 2, block.shape[1])), np.zeros((0, block.shape[1]))
        weighted, state = sosfilt(sections, block.astype(float), axis=0, zi=state)
        rest = np.concatenate([rest, weighted])
        whole = len(rest) // step * step
        energies.append((rest[:whole].reshape(-1, step, rest.shape[1]) ** 2).mean(axis=1).sum(axis=1))
        rest = rest[whole:]
        power += float(((block - block.mean(axis=0)).astype(float) ** 2).mean(axis=1).sum())
        count += len(block)
        highest = float(np.abs(block).max(initial=0.0))
        if highest > 0.8 * peak:
            true_peak = max(true_peak, _between_samples(block))
        peak = max(peak, highest)
    if peak < SILENT or not count:
        return Dynamics()
    steps = np.concatenate(energies) if energies else np.zeros(0)
    rms = np.sqrt(power / count)
    return Dynamics(
        _integrated(steps),
        _range(steps),
        round(float(20 * np.log10(peak / rms)), 2) if rms > 0 else None,
        round(float(20 * np.log10(peak)), 2),
        round(float(20 * np.log10(max(true_peak, peak))), 2),
    )


def sound2dynamics(audio: Audio, rate: int) -> Dynamics:
    """Dynamics of an array [samples, channels]."""
    return blocks2dynamics((audio[i : i + (1 << 17), :2] for i in range(0, len(audio), 1 << 17)), rate)


def k_weighting(rate: int) -> Floats:
    """[2, 6] second-order sections of BS.1770's filter at any rate: a shelf of 4 dB above 1.7 kHz, a high pass at
    38 Hz (bilinear transforms of the standard's analogue prototypes)."""
    shelf_hz, gain_db, shelf_q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
    k = np.tan(np.pi * shelf_hz / rate)
    high = 10 ** (gain_db / 20)
    middle = high**0.4996667741545416
    a0 = 1 + k / shelf_q + k * k
    shelf = [
        (high + middle * k / shelf_q + k * k) / a0,
        2 * (k * k - high) / a0,
        (high - middle * k / shelf_q + k * k) / a0,
        1.0,
        2 * (k * k - 1) / a0,
        (1 - k / shelf_q + k * k) / a0,
    ]
    pass_hz, pass_q = 38.13547087602444, 0.5003270373238773
    k = np.tan(np.pi * pass_hz / rate)
    a0 = 1 + k / pass_q + k * k
    return np.array([shelf, [1.0, -2.0, 1.0, 1.0, 2 * (k * k - 1) / a0, (1 - k / pass_q + k * k) / a0]])


def _loudness(energies: Floats) -> Floats:
    return np.asarray(-0.691 + 10.0 * np.log10(np.maximum(energies, 1e-20)))


def _windows(steps: Floats, size: int) -> Floats:
    """Mean energies of every `size` steps in a row."""
    return np.convolve(steps, np.ones(size) / size, mode="valid") if len(steps) >= size else np.zeros(0)


def _integrated(steps: Floats) -> float | None:
    energies = _windows(steps, MOMENT)
    energies = energies[_loudness(energies) > ABSOLUTE_GATE]
    if not len(energies):
        return None
    energies = energies[_loudness(energies) > _loudness(energies.mean(keepdims=True))[0] - 10.0]
    return round(float(_loudness(energies.mean(keepdims=True))[0]), 2)


def _range(steps: Floats) -> float | None:
    energies = _windows(steps, SHORT_TERM)
    energies = energies[_loudness(energies) > ABSOLUTE_GATE]
    if len(energies) < SHORT_TERM:
        return None
    levels = _loudness(energies)
    levels = levels[levels > _loudness(energies.mean(keepdims=True))[0] - 20.0]
    low, high = np.percentile(levels, [10, 95])
    return round(float(high - low), 2)


def _between_samples(block: Audio) -> float:
    """Highest value of a block between its samples, read around its highest sample in each channel."""
    found = 0.0
    for channel in block.T:
        at = int(np.abs(channel).argmax())
        near = channel[max(0, at - AROUND) : at + AROUND]
        found = max(found, float(np.abs(resample_poly(near.astype(float), 4, 1)).max()))
    return found
