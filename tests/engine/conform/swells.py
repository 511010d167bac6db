"""Answers to a guide that swells, by many instruments: on time, or wrong by a known amount; and how far they lie off.

The truth is known by construction: an answer is the same notes by another instrument, moved; what comes back is
compared with it before it was moved, wave against wave: the judge needs no attacks and knows none of our measures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.conform import Target, guide2target
from engine.sampler import choose_instrument, render_part
from tests.engine.conform.adversaries import bent, moved
from tests.engine.conform.material import RATE, Audio, Song, bank, make_clock, make_part

BARS = 5
REACH = RATE // 4
WRITTEN = {"strings": "pad", "brass": "keys", "guitar": "keys", "arp": "lead"}
"""Roles that play another role's notes here."""
GUIDES = {"pad": "warm pad", "strings": "strings", "brass": "brass section", "lead": "violin"}
ANSWERS = {
    "pad": ("warm pad", "synth strings", "halo pad", "drawbar organ", "brass section"),
    "strings": ("strings", "slow strings", "synth strings"),
    "brass": ("brass section", "french horns", "trumpet", "strings"),
    "lead": ("violin", "flute", "alto sax"),
}


@lru_cache(maxsize=32)
def swelling(role: str, words: str) -> Song:
    """The role's part at 87 bpm by the instrument that the words name."""
    clock, part = make_clock("87", BARS), make_part(WRITTEN.get(role, role), BARS)
    part = replace(part, role=role, name=role)
    instrument = choose_instrument(bank(), role, words, "")
    samples = clock.span2samples(0.0, BARS * 4.0, RATE)
    guide = render_part(bank(), part, instrument, clock, RATE, 0, samples, 0, lambda fraction: None)
    return Song(part, clock, guide, "87")


@lru_cache(maxsize=8)
def target_of(role: str) -> Target:
    """What the role's answers are held to."""
    song = swelling(role, GUIDES[role])
    return guide2target(song.guide, song.bars, song.onsets, RATE, drums=False)


def drifting(audio: Audio) -> Audio:
    """Half a percent too slow."""
    return bent(audio, np.arange(audio.shape[1]) / RATE * 5.0)


def late_from_the_middle(audio: Audio) -> Audio:
    """100 ms late from the middle on."""
    samples = audio.shape[1]
    knots = [0, 0.5 * samples, 0.5 * samples + 0.15 * RATE, samples]
    return bent(audio, np.interp(np.arange(samples), knots, [0.0, 0.0, 100.0, 100.0]))


def hissing(audio: Audio) -> Audio:
    """60 ms late over a noise that hides where it begins."""
    hiss = np.random.default_rng(0).normal(0.0, 0.02 * float(np.abs(audio).max()), audio.shape)
    return np.asarray(moved(audio, 60.0) + hiss, dtype=np.float32)


WRONG: dict[str, Callable[[Audio], Audio]] = {
    "40 ms late": lambda audio: moved(audio, 40.0),
    "60 ms late": lambda audio: moved(audio, 60.0),
    "100 ms late": lambda audio: moved(audio, 100.0),
    "150 ms late": lambda audio: moved(audio, 150.0),
    "0.5 % too slow": drifting,
    "late from the middle": late_from_the_middle,
    "60 ms late in noise": hissing,
}


def off_by(bars: tuple[tuple[int, int], ...], right: Audio, landed: Audio) -> NDArray[np.float64]:
    """[bars] milliseconds by which each bar lies after the same bar of the answer as it was on time."""
    out = []
    for start, end in bars:
        a, b = (sound[:, start:end].sum(axis=0).astype(np.float64) for sound in (right, landed))
        size = 1 << (2 * len(a) - 1).bit_length()
        likeness = np.fft.irfft(np.fft.rfft(b, size) * np.conj(np.fft.rfft(a, size)), size)
        likeness = np.concatenate([likeness[-REACH:], likeness[: REACH + 1]])
        out.append((int(likeness.argmax()) - REACH) / RATE * 1000.0)
    return np.array(out)
