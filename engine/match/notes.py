"""Clean notes cut from a clip of one instrument alone: each with its pitch, ready to be played at others.

Only notes that stand alone are taken: of one pitch that holds, with next to nothing beside its own harmonics. A clip
of chords or of several instruments gives none.

Conventions: audio float32 [2, samples]; pitch in MIDI semitones, a fraction being its tuning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from engine.match.frames import Audio, Grid, audio2levels, power2db
from engine.match.hits import find_hits

LEAST_SECONDS, MAX_SECONDS, FADE_SECONDS, BEFORE_SECONDS = 0.22, 3.0, 0.01, 0.0005
ATTACK_SECONDS, WINDOW_SECONDS = 0.05, 0.08
"""The pitch is read in windows, the first one so long after the onset."""
LOW_HZ, HIGH_HZ = 40.0, 1200.0
LEAST_CLARITY, MOST_CENTS, LEAST_SHARE = 0.85, 25.0, 0.9
HARMONICS, BESIDE = 40, 0.03
LOWEST, LEAST_LOWEST = 3, 0.1
"""So much of a note lies in its lowest harmonics; a chord's notes are higher ones of a pitch that is not there."""
LEAST_NOTES, LEAST_CLEAN = 3, 0.25
"""So many notes, and such a share of those that are long and loud enough, must be clean."""
LOOP_SECONDS, LOOP_FADE_SECONDS = 0.12, 0.02
HELD_DB = 8.0
QUIET_DB = 12.0
"""Notes that much softer than the loudest are left out."""


@dataclass(frozen=True)
class CutNote:
    """`audio` [2, samples] from just before the onset, `pitch`, `second` of the clip; `loop`: (first, one past the
    last) sample of a piece that can go round without a seam; `fall`: dB a second that the note loses."""

    audio: Audio
    pitch: float
    second: float
    loop: tuple[int, int]
    fall: float


def audio2notes(audio: Audio, rate: int) -> list[CutNote]:
    """The clean notes, the clearest of each semitone, by pitch."""
    grid = Grid(rate)
    levels = audio2levels(audio, grid)
    if not len(levels.mid) or not levels.mid.any():
        return []
    onsets = find_hits(levels.total, audio, grid)
    ends = np.append(onsets[1:], audio.shape[1])[: len(onsets)]
    best: dict[int, tuple[float, CutNote]] = {}
    loudest = float(np.abs(audio).max())
    tried = clean = 0
    for start, end in zip(onsets.tolist(), ends.tolist(), strict=True):
        stop = min(end - round(0.02 * rate), start + round(MAX_SECONDS * rate))
        stop = start + _held(audio[:, start:stop], rate)
        piece = audio[:, start:stop]
        if stop - start < LEAST_SECONDS * rate or np.abs(piece).max() < loudest * 10 ** (-QUIET_DB / 20):
            continue
        tried += 1
        heard = _pitch(piece.mean(axis=0), rate)
        if heard is None:
            continue
        clean += 1
        pitch, share = heard
        cut = audio[:, max(0, start - round(BEFORE_SECONDS * rate)) : stop].copy()
        row = share + min(0.1, 0.02 * (stop - start) / rate), _looped(cut, pitch, start / rate, rate)
        if row[0] > best.get(round(pitch), (0.0, None))[0]:
            best[round(pitch)] = row
    if clean < max(LEAST_NOTES, LEAST_CLEAN * tried):
        return []
    return [best[pitch][1] for pitch in sorted(best)]


def _held(piece: Audio, rate: int) -> int:
    """Samples until a note is let go, or has clearly fallen."""
    block = round(0.01 * rate)
    count = piece.shape[1] // block
    if count < 20:
        return int(piece.shape[1])
    level = power2db(np.square(piece[:, : count * block].reshape(2, count, block)).mean(axis=(0, 2)))
    sounding = np.flatnonzero(level >= float(np.median(level[5:15])) - HELD_DB)
    return int((sounding[-1] + 1) * block) if len(sounding) else 0


def _pitch(mono: NDArray[np.float32], rate: int) -> tuple[float, float] | None:
    """(pitch, share of the power in its harmonics) of a note; None where it has no one pitch."""
    size, first = round(WINDOW_SECONDS * rate), round(ATTACK_SECONDS * rate)
    found = []
    for start in np.linspace(first, len(mono) - size, 4).astype(int):
        period, clarity = _period(mono[max(start, 0) : max(start, 0) + size], rate)
        if clarity < LEAST_CLARITY:
            return None
        found.append(69.0 + 12 * np.log2(rate / period / 440.0))
    if 100 * (max(found) - min(found)) > MOST_CENTS:
        return None
    pitch = float(np.median(found))
    share = _harmonic_share(mono[first:], 440.0 * 2 ** ((pitch - 69) / 12), rate)
    return (pitch, share) if share >= LEAST_SHARE else None


def _period(window: NDArray[np.float32], rate: int) -> tuple[float, float]:
    """(samples, clarity 0-1): the first high peak of the normalised autocorrelation (McLeod and Wyvill, 2005)."""
    size = len(window)
    x = window.astype(np.float64) - float(window.mean())
    spectrum = scipy.fft.rfft(x, 2 * size)
    correlation = scipy.fft.irfft(np.abs(spectrum) ** 2)[:size]
    squares = np.cumsum(np.square(x))
    both = squares[::-1] + (squares[-1] - np.concatenate([[0.0], squares[:-1]]))
    likeness = 2 * correlation / np.maximum(both, 1e-12)
    low, high = int(rate / HIGH_HZ), min(int(rate / LOW_HZ), size * 3 // 4)
    inside = likeness[low:high]
    peaks = np.flatnonzero((inside[1:-1] > inside[:-2]) & (inside[1:-1] >= inside[2:])) + 1
    if not len(peaks):
        return 1.0, 0.0
    first = peaks[np.argmax(inside[peaks] >= 0.93 * inside[peaks].max())] + low
    a, b, c = likeness[first - 1 : first + 2]
    return float(first + 0.5 * (a - c) / min(a - 2 * b + c, -1e-12)), float(b)


def _harmonic_share(mono: NDArray[np.float32], hertz: float, rate: int) -> float:
    """Share of the power within 3 % around the harmonics of a pitch, below 6 kHz."""
    power = np.square(np.abs(scipy.fft.rfft(mono * np.hanning(len(mono)))))
    place = np.fft.rfftfreq(len(mono), 1 / rate)
    heard = (place > 0.5 * hertz) & (place < 6000.0)
    number = np.round(place / hertz)
    reach = np.maximum(BESIDE * hertz, 3.0 * rate / len(mono))
    mine = heard & (number >= 1) & (number <= HARMONICS) & (np.abs(place - number * hertz) <= reach)
    whole = max(float(power[heard].sum()), 1e-12)
    lowest = float(power[mine & (number <= LOWEST)].sum()) / whole
    return float(power[mine].sum()) / whole if lowest >= LEAST_LOWEST else 0.0


def _looped(cut: Audio, pitch: float, second: float, rate: int) -> CutNote:
    """A note whose end can go round: whole periods, with what leads to their start faded into what leads to their
    end."""
    period = rate / (440.0 * 2 ** ((pitch - 69) / 12))
    length = round(max(1, round(LOOP_SECONDS * rate / period)) * period)
    fade = round(LOOP_FADE_SECONDS * rate)
    last = cut.shape[1] - 1
    first = last - length
    if first <= fade:
        first, length, fade = last - round(period), round(period), min(round(period) // 2, last - round(period))
    ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)
    early, late = cut[:, first - fade : first].copy(), cut[:, last - fade : last]
    cut[:, last - fade : last] = late * (1 - ramp) + early * ramp
    third = cut.shape[1] // 3
    steps = [float(np.square(piece).mean()) for piece in (cut[:, third : 2 * third], cut[:, 2 * third :])]
    fall = max(0.0, 10 * float(np.log10(max(steps[0], 1e-12) / max(steps[1], 1e-12))) * rate / third)
    return CutNote(cut, pitch, second, (first, last), fall)
