"""Where something new begins in short stretches of audio, to a quarter of a millisecond.

Two views of each stretch are joined. (1) A linear predictor, fitted to the 40 ms before the stretch, takes away what
was sounding already; what it cannot predict rises sharply at an onset, but also at the click of a release. (2) A
spectrogram in 40 bands tells how much more there is, over all bands, after a moment than before it: much at an onset,
nothing at a release. Rises of (1) are the candidates; the one with the greatest product of growth in (2), rise and gain
is the onset, taken back to the first quarter millisecond that leaves the level before it. Nothing prefers the middle of
the stretch; where two candidates are about as good, nothing is decided.

Conventions: audio float32 [2, samples], in memory or on disk; stretches are [K, length] and lie around K expected
samples; results in ms, audio - expected.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft

from engine.tape import Audio, Sounding, stretch

Floats = NDArray[np.float64]

REACH_MS = 50.0
"""An onset is looked for this far around its place, less where a neighbour stands closer."""
GUARD_MS = 12.0
RELEASE_MS = (4.0, 14.0)
"""A fade may click from this long before to this long after the note-off."""
KEEP_MS = 6.0
FIT_MS = 40.0
ORDER = 24
RIDGE = 1e-7
BLOCK_MS = 0.25
AFTER_BLOCKS, BEFORE_BLOCKS = 12, 40
"""A rise compares 3 ms after a moment with 10 ms before it."""
BACK_BLOCKS = 24
CLEAR_RISE = float(np.log(10**1.3))
"""A rise of 13 dB is sharp; a slower one gets no strength."""
CANDIDATE_RISE = float(np.log(10**0.6))
APART_MS, DECISIVE = 4.0, 2.0
"""Two candidates further apart than this and nearer in score than this leave the onset undecided."""
FLOOR = 1e-5
GROWTH_MS = 2.0
BANDS = 40
BAND_FLOOR = 0.003
"""Growth below -50 dB of the loudest band does not count."""
CHUNK = 64


def find_onsets(
    audio: Sounding,
    expected: Floats,
    before: Floats,
    after: Floats,
    releases: Floats,
    rate: int,
    window_ms: float = 16.0,
) -> tuple[Floats, Floats]:
    """(difference [K] in ms, NaN where nothing rises; strength [K]: growth summed over bands, in nepers).

    `expected` [K] samples; `before`, `after` [K]: samples to the neighbouring onsets; `releases` [N]: samples at
    which notes end, ascending: the fade that begins there is no candidate; `window_ms` must hold more than one
    period of the lowest note.
    """
    differences, strengths = [], []
    for i in range(0, len(expected), CHUNK):
        part = slice(i, i + CHUNK)
        found = _find(audio, expected[part], before[part], after[part], releases, rate, window_ms)
        differences.append(found[0])
        strengths.append(found[1])
    return np.concatenate(differences or [np.zeros(0)]), np.concatenate(strengths or [np.zeros(0)])


def _find(
    audio: Sounding, expected: Floats, before: Floats, after: Floats, releases: Floats, rate: int, window_ms: float
) -> tuple[Floats, Floats]:
    place = np.floor(expected + 0.5).astype(np.int64)
    block, reach = max(1, round(BLOCK_MS / 1000 * rate)), round(REACH_MS / 1000 * rate)
    energy = _new_energy(audio, place, block, reach, rate)
    rise, gained = _rises(energy)
    offset = np.arange(rise.shape[1]) * block - reach
    guard = GUARD_MS / 1000 * rate
    closed = (offset < -before[:, None] + guard) | (offset > after[:, None] - guard)
    closed |= _releasing(expected, offset, releases, rate)
    rise[closed] = -np.inf
    growth = _growth(audio, place, reach, rate, window_ms)
    step = round(GROWTH_MS / 1000 * rate)
    differences, strengths = np.full(len(place), np.nan), np.zeros(len(place))
    for k in range(len(place)):
        r = rise[k]
        peaks = np.flatnonzero((r[1:-1] >= r[:-2]) & (r[1:-1] > r[2:]) & (r[1:-1] > CANDIDATE_RISE)) + 1
        if not len(peaks):
            continue
        grown = growth[k, np.clip(np.round(offset[peaks] / step).astype(int) + reach // step, 0, growth.shape[1] - 1)]
        score = grown * r[peaks] * np.log1p(gained[k, peaks] / (energy[k].max() * 1e-3 + 1e-20))
        best = int(np.argmax(score))
        others = score[np.abs(peaks - peaks[best]) * BLOCK_MS > APART_MS]
        if others.size and score[best] < DECISIVE * others.max():
            continue
        strengths[k] = grown[best] if r[peaks[best]] >= CLEAR_RISE else 0.0
        first = _first_sign(energy[k], int(peaks[best]) + BEFORE_BLOCKS) - BEFORE_BLOCKS
        differences[k] = (first * block - reach) / rate * 1000.0
    return differences, strengths


def _releasing(expected: Floats, offset: NDArray[np.int64], releases: Floats, rate: int) -> NDArray[np.bool_]:
    """[K, moments] True where a note of the score is being released, but for the moments next to the expected onset."""
    out = np.zeros((len(expected), len(offset)), dtype=bool)
    low, high = RELEASE_MS[0] / 1000 * rate, RELEASE_MS[1] / 1000 * rate
    first = np.searchsorted(releases, expected + offset[0] - high)
    last = np.searchsorted(releases, expected + offset[-1] + low)
    for k in range(len(expected)):
        for end in releases[first[k] : last[k]] - expected[k]:
            out[k] |= (offset > end - low) & (offset < end + high)
    out[:, np.abs(offset) <= KEEP_MS / 1000 * rate] = False
    return out


def audio2windows(audio: Sounding, starts: NDArray[np.int64], length: int) -> Audio:
    """[K, length] stretches from `starts` on, zeros outside: both channels in one, unequally, so that a stem in
    antiphase does not vanish."""
    out = np.empty((len(starts), length), np.float32)
    for row, start in zip(out, starts.tolist(), strict=True):
        left, right = stretch(audio, start, start + length)
        row[:] = left + np.float32(0.7) * right
    return out


def predictors(frames: Audio) -> Floats:
    """[K, ORDER] linear predictors by the autocorrelation method (Hann window, slight white-noise correction)."""
    x = frames * np.hanning(frames.shape[1])
    corr = np.stack([np.einsum("kn,kn->k", x[:, : x.shape[1] - k], x[:, k:]) for k in range(ORDER + 1)], axis=1)
    lags = np.abs(np.arange(ORDER)[:, None] - np.arange(ORDER)[None, :])
    toeplitz = corr[:, lags]
    toeplitz[:, np.arange(ORDER), np.arange(ORDER)] += RIDGE * corr[:, :1] + 1e-12
    return np.asarray(np.linalg.solve(toeplitz, corr[:, 1:, None])[:, :, 0])


def _new_energy(audio: Sounding, place: NDArray[np.int64], block: int, reach: int, rate: int) -> Floats:
    """[K, blocks] energy of what the past does not predict, from 10 ms before the reach to 3 ms after it."""
    fit = round(FIT_MS / 1000 * rate)
    count = BEFORE_BLOCKS + 2 * reach // block + AFTER_BLOCKS + 1
    start = place - reach - BEFORE_BLOCKS * block - fit - ORDER
    windows = audio2windows(audio, start, ORDER + fit + count * block)
    a = predictors(windows[:, ORDER : ORDER + fit]).astype(np.float32)
    new = windows[:, ORDER + fit :].copy()
    for k in range(ORDER):
        new -= a[:, k : k + 1] * windows[:, ORDER + fit - 1 - k : windows.shape[1] - 1 - k]
    return np.asarray((new.reshape(len(place), count, block) ** 2).mean(axis=2).astype(float))


def _rises(energy: Floats) -> tuple[Floats, Floats]:
    """(log of mean energy after over before [K, moments], mean energy after [K, moments])."""
    floor = energy.max(axis=1, keepdims=True) * FLOOR + 1e-14
    sums = np.concatenate([np.zeros((len(energy), 1)), np.cumsum(energy, axis=1)], axis=1)
    at = np.arange(BEFORE_BLOCKS, energy.shape[1] - AFTER_BLOCKS)
    gained = (sums[:, at + AFTER_BLOCKS] - sums[:, at]) / AFTER_BLOCKS
    past = (sums[:, at] - sums[:, at - BEFORE_BLOCKS]) / BEFORE_BLOCKS
    return np.log(np.maximum(gained, 0) + floor) - np.log(np.maximum(past, 0) + floor), gained


def _first_sign(energy: Floats, peak: int) -> int:
    """First of the blocks around the steepest rise that are above the level before and above -30 dB of what
    follows; the run may reach 6 ms back."""
    quiet = float(np.percentile(energy[peak - BEFORE_BLOCKS : peak - 4], 75)) * 6.0
    gate = max(quiet, float(energy[peak : peak + AFTER_BLOCKS].max()) * 1e-3)
    over = energy > gate
    if not over[peak - 4 : peak + AFTER_BLOCKS].any():
        return peak
    first = peak - 4 + int(np.argmax(over[peak - 4 : peak + AFTER_BLOCKS]))
    while first > peak - BACK_BLOCKS and over[max(first - 2, 0) : first].any():
        first -= 1
    return first


def _growth(audio: Sounding, place: NDArray[np.int64], reach: int, rate: int, window_ms: float) -> Floats:
    """[K, moments every 2 ms from -reach to reach] sum over bands of the growth of log amplitude at each moment."""
    window, hop = round(window_ms / 1000 * rate) // 2 * 2, round(GROWTH_MS / 1000 * rate)
    later, earlier = round(0.75 * window / hop), round(0.62 * window / hop)
    moments = 2 * reach // hop + 1
    frames = moments + later + earlier
    stretch = audio2windows(audio, place - reach - earlier * hop - window // 2, (frames - 1) * hop + window)
    shape = np.hanning(window).astype(np.float32)
    matrix = _bands(window, rate)
    view = np.lib.stride_tricks.sliding_window_view(stretch, window, axis=1)[:, ::hop]
    spectrum = rfft(view * shape, axis=2)
    level = np.sqrt((spectrum.real**2 + spectrum.imag**2) @ matrix)
    logs = np.log(level + level.max(axis=(1, 2), keepdims=True) * BAND_FLOOR + 1e-9)
    late, early = logs[:, earlier + later : earlier + later + moments], logs[:, :moments]
    return np.asarray(np.maximum(late - early, 0.0).sum(axis=2), dtype=float)


def _bands(window: int, rate: int) -> Audio:
    """[bins, bands] ones where a bin of the spectrum lies in one of 40 bands, evenly wide in log frequency."""
    frequency = np.arange(window // 2 + 1) * rate / window
    edges = np.geomspace(60.0, min(18000.0, rate / 2), BANDS + 1)
    band = np.clip(np.searchsorted(edges, frequency) - 1, 0, BANDS - 1)
    matrix = np.zeros((len(frequency), BANDS), np.float32)
    matrix[np.arange(len(frequency)), band] = 1.0
    return np.asarray(matrix[:, matrix.sum(axis=0) > 0])
