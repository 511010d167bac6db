"""What a song holds that came without a clock: its pulses, its bar lines, where it is sung, where its sound changes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft

from engine.listen.beats import Beats, sound2beats
from engine.listen.chroma import sound2chroma
from engine.listen.harmony import chroma2harmony
from engine.listen.key import KeyGuess
from engine.listen.onsets import RATE as LISTEN_RATE
from engine.song.align import AROUND, Heard

Audio = NDArray[np.float32]
Floats = NDArray[np.float64]

OCTAVE = 2**0.5
"""The song's tempo is looked for from the wanted one over this to the wanted one times this."""
SOUNDING_DB = -45.0
"""So far below its loud moments a song counts as silent."""
SUNG_DB = -30.0
"""So far below the voice's loud moments it counts as silent."""
NEAR_BARS, BESIDE = 2, 0.3
"""Of neighbouring bar lines only the one with the greatest change counts in full."""
NEAR_START = 0.25
"""A first beat may lie before the first sample by this share of a beat."""
FRAME = 1024
BANDS = 24
LEAST_BEATS, LEAST_CONFIDENCE = 8, 0.15
"""With fewer beats, or less sure ones, there is no pulse to follow."""


def hear_song(stems: dict[str, Audio], rate: int, bpm: float) -> Heard | None:
    """The song from its stems (float32 [2, samples], "vocal" and "bgm" or one of them); `bpm`: pulses a minute that the
    clock wants. None where there is no pulse to follow."""
    mono = {kind: stem2mono(audio, rate) for kind, audio in stems.items()}
    mix = mixed(mono.values())
    beats = sound2beats(mix, bpm=(bpm / OCTAVE, bpm * OCTAVE))
    if beats.bpm is None or len(beats.seconds) < LEAST_BEATS or beats.confidence < LEAST_CONFIDENCE:
        return None
    pulses, downbeats = _from_the_start(beats)
    step = pulses[-1] - pulses[-2]
    pulses = np.append(pulses, pulses[-1] + step * np.arange(1, beats.metre + 1))
    first, last = _sounding(mix, pulses[: -beats.metre + 1])
    bars = _bar_lines(downbeats, beats.metre, first, last)
    pulses, bars = pulses[bars[0] : bars[-1] + 1], bars - bars[0]
    edges = pulses[bars]
    voice = _sung(mono["vocal"], edges) if "vocal" in mono else np.zeros(len(bars) - 1)
    return Heard(pulses, bars, voice, _changes(mix, edges, voice))


def hear_key(stems: dict[str, Audio], rate: int) -> KeyGuess:
    """The key of the song; confidence near 0 where there is none to hear."""
    mix = mixed(stem2mono(audio, rate) for audio in stems.values())
    return chroma2harmony(sound2chroma(mix), sound2beats(mix), len(mix) / LISTEN_RATE).key


def stem2mono(audio: Audio, rate: int) -> Audio:
    """[samples] at `LISTEN_RATE`."""
    import soxr

    return np.asarray(soxr.resample(audio.mean(axis=0), rate, LISTEN_RATE), dtype=np.float32)


def mixed(sounds: Iterable[Audio]) -> Audio:
    """Their sum."""
    return np.asarray(np.sum(list(sounds), axis=0), dtype=np.float32)


def _sounding(mix: Audio, pulses: Floats) -> tuple[int, int]:
    """(first, last + 1) pulses that something sounds in."""
    level = np.array([_rms(mix, a, b) for a, b in itertools.pairwise(pulses)])
    loud = float(np.percentile(level, 90))
    heard = np.flatnonzero(level > loud * 10 ** (SOUNDING_DB / 20))
    return (int(heard[0]), int(heard[-1]) + 1) if len(heard) else (0, len(level))


def _from_the_start(beats: Beats) -> tuple[Floats, list[int]]:
    """(pulses, downbeats) with a beat at the very start, which no sound before it marks and which may lie a little
    before the first sample, and the bar that begins there."""
    pulses, downbeats = np.array(beats.seconds), list(beats.downbeats)
    step = float(pulses[1] - pulses[0])
    if pulses[0] - step > -NEAR_START * step:
        pulses = np.insert(pulses, 0, pulses[0] - step)
        downbeats = [k + 1 for k in downbeats]
    if downbeats and downbeats[0] >= beats.metre:
        downbeats = [*range(downbeats[0] % beats.metre, downbeats[0], beats.metre), *downbeats]
    return pulses, downbeats


def _bar_lines(downbeats: Sequence[int], metre: int, first: int, last: int) -> NDArray[np.int64]:
    """Indices of pulses at which bars begin, from the first bar that sounds for more than half, and where the last one
    ends in which something sounds: whether it is played or rings on, nobody can tell yet."""
    lines: list[int] = []
    for line in (i for i in downbeats if first - metre / 2 < i < last):
        if not lines or line - lines[-1] > metre / 2:
            lines.append(line)
    lines = lines or list(range(first, last, metre))
    return np.array([*lines, lines[-1] + metre], np.int64)


def _sung(voice: Audio, edges: Floats) -> Floats:
    """[bars] share of each bar in which the voice is there."""
    hop = LISTEN_RATE // 50
    count = len(voice) // hop
    level = np.sqrt(np.square(voice[: count * hop].reshape(count, hop)).mean(axis=1) + 1e-12)
    there = level > max(float(np.percentile(level, 95)) * 10 ** (SUNG_DB / 20), 1e-4)
    at = np.clip((edges * 50).astype(int), 0, max(count - 1, 0))
    return np.array([there[a : max(b, a + 1)].mean() for a, b in itertools.pairwise(at)])


def _changes(mix: Audio, edges: Floats, voice: Floats) -> Floats:
    """[bars + 1] how much the bars before and after each bar line differ, 0-1: half by their spectra, half by whether
    they are sung."""
    bands = np.array([_spectrum(mix, a, b) for a, b in itertools.pairwise(edges)])
    out = np.zeros(len(edges))
    for line in range(1, len(edges) - 1):
        before = bands[max(line - AROUND, 0) : line].mean(axis=0)
        out[line] = float(np.linalg.norm(bands[line : line + AROUND].mean(axis=0) - before))
    out /= max(float(out.max(initial=0.0)), 1e-9)
    out[1:-1] = 0.5 * out[1:-1] + 0.5 * np.abs(np.diff(voice))
    peak = np.array([out[max(k - NEAR_BARS, 0) : k + NEAR_BARS + 1].max() <= out[k] for k in range(len(out))])
    return np.where(peak, out, BESIDE * out)


def _spectrum(mix: Audio, start: float, end: float) -> Floats:
    """[BANDS + 1] mean log level in bands, and over all."""
    part = mix[round(start * LISTEN_RATE) : max(round(end * LISTEN_RATE), round(start * LISTEN_RATE) + FRAME)]
    if len(part) < FRAME:
        part = np.pad(part, (0, FRAME - len(part)))
    frames = np.lib.stride_tricks.sliding_window_view(part, FRAME)[:: FRAME // 2]
    power = (np.abs(rfft(frames * np.hanning(FRAME).astype(np.float32), axis=1)) ** 2).mean(axis=0)
    edges = np.unique(np.geomspace(2, FRAME // 2, BANDS + 1).astype(int))
    band = np.array([power[a:b].mean() for a, b in itertools.pairwise(edges)])
    logs = np.log10(band + 1e-8)
    return np.append(logs - logs.mean(), logs.mean())


def _rms(mix: Audio, start: float, end: float) -> float:
    part = mix[round(start * LISTEN_RATE) : round(end * LISTEN_RATE)]
    return float(np.sqrt(np.mean(np.square(part, dtype=np.float64)))) if len(part) else 0.0
