"""Levels of a stem: loudness, true peak, clipping, offset, silence where notes should sound.

Conventions: audio is [channels, samples] float32, in memory or on disk, and is read in windows; dBFS re full scale 1.0;
LUFS after ITU-R BS.1770-4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft
from scipy.signal import freqz, resample_poly

from engine.tape import Audio, Sounding, windows

Floats = NDArray[np.float64]

SILENT_DBFS = -70.0
PEAK_BLOCK, PEAK_EDGE, PEAK_BLOCKS = 2048, 32, 200
K_FILTERS = (
    ((1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)),
    ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)),
)
"""The two stages of BS.1770's K filter at 48 kHz, (b, a); read at the same frequency for other rates."""
LUFS_BLOCKS = 64
"""Blocks of 100 ms that are transformed together."""
NOTE_MS = 150.0
FLAT_RUN = 4


def db(value: float) -> float:
    """Decibels of an amplitude; -200 for silence."""
    return float(20.0 * np.log10(max(value, 1e-10)))


def audio2lufs(audio: Sounding, rate: int) -> float | None:
    """Integrated loudness. None for silence and for less than the 0.4 s that the measure needs.

    The K filter is applied as a weight on the power spectrum of every 100 ms, which is ten times faster than filtering
    and differs by a few hundredths of a decibel.
    """
    step = rate // 10
    count = audio.shape[1] // step
    if count < 4:
        return None
    weight = _k_weight(step, rate)
    power = np.zeros(count)
    for first, last in windows(count, LUFS_BLOCKS):
        for channel in audio[:, first * step : last * step]:
            spectrum = rfft(channel.reshape(last - first, step), axis=1)
            power[first:last] += (spectrum.real**2 + spectrum.imag**2) @ weight
    blocks = np.convolve(power, np.full(4, 0.25), mode="valid")
    loud = blocks[blocks > 10 ** ((-70.0 + 0.691) / 10)]
    if not len(loud):
        return None
    gated = loud[loud > loud.mean() * 0.1]
    return float(-0.691 + 10.0 * np.log10(gated.mean()))


def _k_weight(step: int, rate: int) -> Audio:
    """[bins] weight that turns a block's power spectrum into its K-weighted mean square."""
    angle = 2 * np.pi * np.fft.rfftfreq(step, 1 / rate) / 48000.0
    response = np.ones(len(angle))
    for b, a in K_FILTERS:
        response *= np.abs(freqz(b, a, worN=np.minimum(angle, np.pi))[1]) ** 2
    sides = np.full(len(angle), 2.0)
    sides[0] = 1.0
    if step % 2 == 0:
        sides[-1] = 1.0
    return np.asarray(response * sides / step**2, dtype=np.float32)


def audio2true_peak(audio: Sounding) -> float:
    """Greatest magnitude between samples, four times oversampled, in dBFS (-200 for silence).

    Only blocks whose sample peak is within 6 dB of the greatest are looked into, the 200 loudest at most: what lies
    between samples does not stand out further.
    """
    found = [
        np.maximum(np.maximum.reduceat(piece, starts, axis=1), -np.minimum.reduceat(piece, starts, axis=1))
        for piece in (audio[:, a:b] for a, b in windows(audio.shape[1]))
        for starts in (np.arange(0, piece.shape[1], PEAK_BLOCK),)
    ]
    if not found:
        return -200.0
    peaks = np.concatenate(found, axis=1)
    count = peaks.shape[1]
    top = float(peaks.max())
    if top == 0.0:
        return -200.0
    order = np.argsort(peaks, axis=None)[::-1][:PEAK_BLOCKS]
    chosen = [divmod(int(i), count) for i in order if peaks.flat[i] >= 0.5 * top]
    blocks = np.zeros((len(chosen), PEAK_BLOCK + 2 * PEAK_EDGE), np.float32)
    for row, (channel, k) in enumerate(chosen):
        first, last = k * PEAK_BLOCK - PEAK_EDGE, min((k + 1) * PEAK_BLOCK + PEAK_EDGE, audio.shape[1])
        blocks[row, max(-first, 0) : last - first] = audio[:, max(first, 0) : last][channel]
    between = resample_poly(blocks, 4, 1, axis=1)[:, 2 * PEAK_EDGE : -2 * PEAK_EDGE]
    return db(max(top, float(np.abs(between).max())))


def clipped_runs(audio: Sounding) -> int:
    """How often the wave is cut flat: runs of at least four equal samples at the greatest magnitude of their channel,
    or at or beyond full scale."""
    tops = np.zeros(len(audio), np.float32)
    for a, b in windows(audio.shape[1]):
        np.maximum(tops, np.abs(audio[:, a:b]).max(axis=1), out=tops)
    runs, begun = 0, np.zeros(len(audio), np.int64)
    for a, b in windows(audio.shape[1]):
        for channel, piece in enumerate(np.abs(audio[:, a:b])):
            top = float(tops[channel])
            if top < 0.01:
                continue
            flat = np.flatnonzero(piece >= min(top * (1 - 1e-6), 1.0))
            # Where a run goes on from the last window, that window's part of it is put in front of this one.
            flat = np.concatenate([np.arange(-int(begun[channel]), 0), flat])
            breaks = np.flatnonzero(np.diff(flat, prepend=-2 - len(flat), append=b - a + 1) > 1)
            lengths = np.diff(breaks)
            goes_on = len(flat) > 0 and int(flat[-1]) == b - a - 1
            begun[channel] = lengths[-1] if goes_on else 0
            if goes_on and b < audio.shape[1]:
                lengths = lengths[:-1]
            runs += int(np.sum(lengths >= FLAT_RUN))
    return runs


def dc_offset(audio: Sounding) -> float:
    """Greatest |mean| of a channel."""
    total = np.zeros(len(audio))
    for a, b in windows(audio.shape[1]):
        total += audio[:, a:b].sum(axis=1, dtype=np.float64)
    return float(np.abs(total / max(audio.shape[1], 1)).max(initial=0.0))


def silent_notes(audio: Sounding, starts: Floats, rate: int) -> Floats:
    """Those of the note starts [N] (samples, ascending) after which nothing sounds for 150 ms: below -70 dBFS, or 60 dB
    below the stem's loud notes."""
    if not len(starts):
        return starts
    samples = audio.shape[1]
    first = np.clip(np.floor(starts).astype(np.int64), 0, samples)
    last = np.clip(first + round(NOTE_MS / 1000 * rate), 0, samples)
    power = np.zeros((2, len(starts)))
    heard = 0.0
    for a, b in windows(samples):
        piece = audio[:, a:b]
        sums = np.zeros(b - a + 1)
        np.einsum("cn,cn->n", piece, piece, dtype=np.float64, out=sums[1:])
        sums[0] = heard
        np.cumsum(sums, out=sums)
        for row, at in zip(power, (first, last), strict=True):
            inside = (at > a) & (at <= b)
            row[inside] = sums[at[inside] - a]
        heard = float(sums[-1])
    mean = (power[1] - power[0]) / np.maximum(last - first, 1) / len(audio)
    level = 10.0 * np.log10(np.maximum(mean, 1e-20))
    gate = max(SILENT_DBFS, float(np.percentile(level, 90)) - 60.0)
    return np.asarray(starts[(level < gate) & (last - first > 0.02 * rate)])


def count_unreal(audio: Sounding) -> int:
    """How many samples are no numbers."""
    return sum(int(np.count_nonzero(~np.isfinite(audio[:, a:b]))) for a, b in windows(audio.shape[1]))
