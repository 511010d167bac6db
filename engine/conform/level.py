"""Level: what is broken in a rendering's wave, its loudness brought to the guide's, silence where the guide is silent.

Conventions: float32 [channels, samples], full scale 1.0; loudness in LUFS after ITU-R BS.1770-4, or the RMS level in
dBFS of what is too short for that.
"""

from __future__ import annotations

import numpy as np
import pyloudnorm
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from engine.conform.envelope import Audio, audio2mono

Floats = NDArray[np.float64]

SILENT_DBFS = -70.0
BLOCK_MS = 10.0
FLOOR_DB = -55.0
"""The guide counts as silent so far below its loud moments."""
HOLD_BLOCKS, EARLY_BLOCKS = 25, 1
"""What rings on in a rendering may do so for 250 ms after the guide; it may begin 10 ms before it."""
LEAST_GAP_BLOCKS = 20
MAX_GAIN_DB = 40.0
PEAK = 0.84
"""Greatest sample: room for what lies between samples."""
FLAT_RUN = 4
CLICK_MS, AROUND_MS = 0.25, 6.0
CLICK_RATIO, CLICK_FLOOR = 12.0, 4e-3
NEAR_ONSET_MS = 15.0


def loudness(audio: Audio, rate: int) -> float:
    """LUFS, or RMS in dBFS below 0.4 s; -inf for silence."""
    if audio.shape[1] >= 0.4 * rate:
        lufs = float(pyloudnorm.Meter(rate).integrated_loudness(audio.T.astype(np.float64)))
        if np.isfinite(lufs):
            return lufs
    power = float(np.square(audio, dtype=np.float64).mean()) if audio.size else 0.0
    return 10.0 * float(np.log10(power)) if power > 0.0 else float("-inf")


def is_silent(audio: Audio) -> bool:
    """Whether no sample is above -70 dBFS."""
    return float(np.abs(audio).max(initial=0.0)) < 10 ** (SILENT_DBFS / 20)


def gain_to(audio: Audio, wanted: float, rate: int) -> float:
    """Gain in dB that brings the audio to the loudness `wanted`, as far as its peaks allow."""
    now = loudness(audio, rate)
    if not np.isfinite(now) or not np.isfinite(wanted):
        return 0.0
    top = float(np.abs(audio).max(initial=0.0))
    room = 20.0 * float(np.log10(PEAK / top)) if top > 0.0 else MAX_GAIN_DB
    return float(np.clip(min(wanted - now, room), -MAX_GAIN_DB, MAX_GAIN_DB))


def hold_peak(audio: Audio) -> Audio:
    """The audio, turned down as a whole where a sample of it is beyond what `gain_to` leaves."""
    top = float(np.abs(audio).max(initial=0.0))
    return audio if top <= PEAK * 1.001 else audio * np.float32(PEAK / top)


def close_gaps(audio: Audio, guide: Audio, rate: int) -> Audio:
    """The audio with fades to silence where the guide is silent for longer than a held note rings."""
    block = round(BLOCK_MS / 1000 * rate)
    count = -(-guide.shape[1] // block)
    power = np.pad(guide, ((0, 0), (0, count * block - guide.shape[1]))).reshape(len(guide), count, block)
    level = np.sqrt(np.square(power, dtype=np.float64).mean(axis=(0, 2)))
    floor = max(float(np.percentile(level, 98)) * 10 ** (FLOOR_DB / 20), 1e-6)
    sounding = level > floor
    held = maximum_filter1d(sounding, HOLD_BLOCKS + EARLY_BLOCKS + 1, origin=(HOLD_BLOCKS - EARLY_BLOCKS) // 2)
    held = minimum_filter1d(maximum_filter1d(held, LEAST_GAP_BLOCKS + 1), LEAST_GAP_BLOCKS + 1)
    if held.all():
        return audio
    centres = (np.arange(count) + 0.5) * block
    gain = np.interp(np.arange(audio.shape[1]), centres, held.astype(float))
    return np.asarray(audio * gain.astype(np.float32))


def count_flat(audio: Audio) -> int:
    """How often the wave is cut flat: runs of four or more samples at the greatest magnitude of their channel."""
    runs = 0
    for channel in audio:
        level = np.abs(channel)
        top = float(level.max(initial=0.0))
        if top < 0.01:
            continue
        flat = np.flatnonzero(level >= top * (1 - 1e-6))
        breaks = np.flatnonzero(np.diff(flat, prepend=-2, append=len(level) + 1) > 1)
        runs += int(np.sum(np.diff(breaks) >= FLAT_RUN))
    return runs


def count_clicks(audio: Audio, onsets: Floats, rate: int) -> int:
    """How often the wave jumps by itself: a quarter of a millisecond that stands far above what is before it and after
    it, and not at an onset (samples)."""
    mono = audio2mono(audio)
    block, around = max(round(CLICK_MS / 1000 * rate), 1), round(AROUND_MS / CLICK_MS)
    if len(mono) < 4 * around * block:
        return 0
    sharp = np.abs(np.diff(mono, 2))
    count = len(sharp) // block
    peaks = sharp[: count * block].reshape(count, block).max(axis=1).astype(np.float64)
    floor = float(np.abs(mono).max(initial=0.0)) * CLICK_FLOOR
    side = maximum_filter1d(peaks, around)
    before, after = np.roll(side, around // 2 + 2), np.roll(side, -(around // 2 + 2))
    found = np.flatnonzero(peaks > CLICK_RATIO * np.maximum(np.maximum(before, after), floor))
    moments = (found + 0.5) * block
    if len(onsets):
        place = np.searchsorted(onsets, moments)
        left = np.abs(moments - onsets[np.clip(place - 1, 0, len(onsets) - 1)])
        right = np.abs(moments - onsets[np.clip(place, 0, len(onsets) - 1)])
        moments = moments[np.minimum(left, right) > NEAR_ONSET_MS / 1000 * rate]
    return int(np.sum(np.diff(moments, prepend=-np.inf) > 2 * block))
