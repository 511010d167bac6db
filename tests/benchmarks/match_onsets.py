"""How far matching moved the onsets of a stem: by the attacks, sound against sound, and by their first signs.

The first sign of an onset is what the check of stems looks for (`engine.checks.onsets`): the first moment from 30 dB
below the attack on. That is right against a score. Between a sound and its filtered self the same threshold falls
elsewhere in the very same attack as soon as one band is turned up or another down, and it hears what the moving gains
ring before an attack.

So attacks are compared with themselves as well. Each sound's envelopes in octaves (bands of zero phase, so that neither
sound is delayed), smoothed until the grain of noise and beats is gone, give the rises of each; the rises before and
after are cross-correlated in every band and divided by their energies, so that no gain counts; the lag at which the
correlations of the bands that are heard after matching add up to most is how far the attack moved. A band whose rise is
30 dB below the loudest one does not vote. An attack that is slowed down is late; a soft echo before it moves it little:
that is what first signs are for.

Conventions: audio float32 [2, samples]; envelopes and correlations [bands, n]; ms, after - before (late is positive).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy.fft
import scipy.signal
from numpy.typing import NDArray

from bridge.timeline import Clock
from engine.checks.detect import audio2windows
from engine.checks.onsets import measure_onsets
from engine.score import Part

Audio = NDArray[np.float32]
Floats = NDArray[np.float64]

AROUND_MS = 80.0
"""So much of the sound to either side of an onset is filtered."""
BEFORE_MS, AFTER_MS = 10.0, 25.0
"""The attack, around its place in the score."""
REACH_MS = 25.0
"""An attack is looked for this far from where it was."""
RISE_MS = 0.5
SMOOTH_MS = 2.0
"""Standard deviation of what smooths the envelopes: without it, a hit of noise that is faded in over 12 ms is told to
be where it was, for its grain is."""
LOW_HZ, OCTAVES, WIDTH_OCTAVES = 62.5, 8, 0.3
"""Bands: octaves from 62.5 Hz to 16 kHz, bell-shaped on a logarithmic scale with this standard deviation."""
HEARD_DB = -30.0


def first_sign_shifts(before: Audio, after: Audio, part: Part, clock: Clock, rate: int) -> list[float]:
    """ms by which the first signs of onsets moved that are clear before and after."""
    one, two = (measure_onsets(audio, part, clock, rate, 0) for audio in (before, after))
    known = dict(zip(one.times.tolist(), one.differences.tolist(), strict=True))
    pairs = zip(two.times.tolist(), two.differences.tolist(), strict=True)
    return [late - known[at] for at, late in pairs if at in known]


def attack_shifts(before: Audio, after: Audio, part: Part, clock: Clock, rate: int) -> list[float]:
    """ms by which each attack moved whose onset is clear before, whether it still is or not."""
    places = np.round(measure_onsets(before, part, clock, rate, 0).times * rate).astype(np.int64)
    around = round(AROUND_MS / 1000 * rate)
    pairs = zip(*(audio2windows(sound, places - around, 2 * around) for sound in (before, after)), strict=True)
    return [_shift(sound2rises(one, rate), sound2rises(two, rate), rate) for one, two in pairs]


def sound2rises(sound: Audio, rate: int) -> Floats:
    """[bands, n] by how much each band's smoothed envelope grows in half a millisecond, of a piece [n] of sound."""
    n = len(sound)
    spectra = np.zeros((OCTAVES, n), np.complex128)
    spectra[:, : n // 2 + 1] = scipy.fft.rfft(sound * scipy.signal.windows.tukey(n, 0.3)) * _bells(n, rate)
    power = np.abs(scipy.fft.ifft(spectra, axis=1)) ** 2
    smooth = np.exp(-2 * (np.pi * scipy.fft.rfftfreq(n, 1 / rate) * SMOOTH_MS / 1000) ** 2)
    envelopes = np.sqrt(np.maximum(scipy.fft.irfft(scipy.fft.rfft(power, axis=1) * smooth, n, axis=1), 0.0))
    step = round(RISE_MS / 1000 * rate)
    return np.asarray(np.maximum(envelopes[:, step:] - envelopes[:, :-step], 0.0))


@lru_cache(maxsize=4)
def _bells(n: int, rate: int) -> Floats:
    """[bands, bins]: the bands' filters, real and so without delay; twice as high, for there are no negative bins."""
    centres = LOW_HZ * 2 ** (np.arange(OCTAVES) + 0.5)
    octaves = np.log2(np.maximum(scipy.fft.rfftfreq(n, 1 / rate), 1.0) / centres[:, None])
    return np.asarray(2.0 * np.exp(-0.5 * (octaves / WIDTH_OCTAVES) ** 2))


def _shift(before: Floats, after: Floats, rate: int) -> float:
    """The lag in ms at which the bands' correlations add up to most."""
    around, reach = round(AROUND_MS / 1000 * rate), round(REACH_MS / 1000 * rate)
    low, high = around - round(BEFORE_MS / 1000 * rate), around + round(AFTER_MS / 1000 * rate)
    attack, wider = before[:, low:high], after[:, low - reach : high + reach]
    length = scipy.fft.next_fast_len(wider.shape[1] + high - low)
    product = scipy.fft.rfft(wider, length) * np.conj(scipy.fft.rfft(attack, length))
    found = scipy.fft.irfft(product, length)[:, : 2 * reach + 1]
    sums = np.cumsum(np.pad(wider**2, ((0, 0), (1, 0))), axis=1)
    energy = sums[:, high - low :] - sums[:, : 2 * reach + 1]
    # Where next to nothing rises, a correlation would say nothing.
    energy = np.maximum(energy, 1e-3 * energy.max(axis=1, keepdims=True)) * (attack**2).sum(axis=1, keepdims=True)
    loudest = after[:, low:high].max(axis=1)
    heard = loudest > loudest.max() * 10 ** (HEARD_DB / 20)
    return (int((found / np.sqrt(energy + 1e-30))[heard].sum(axis=0).argmax()) - reach) / rate * 1000.0
