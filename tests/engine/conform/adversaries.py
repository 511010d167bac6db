"""What a renderer that may drift can answer: real sound made from a song's guide, each wrong, or right, in its own way.

Every adversary takes a `Song` and gives float32 [channels, samples] at `RATE`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import scipy.signal

from engine.sampler import choose_instrument, render_part
from engine.score import Note
from tests.engine.conform.material import RATE, Audio, Song, bank, make_song

Adversary = Callable[[Song], Audio]
OTHER = {
    "drums": "electronic kit", "bass": "picked bass", "keys": "rhodes", "pad": "strings", "lead": "violin",
    "guitar": "nylon guitar", "arp": "marimba",
}  # fmt: skip


def played(song: Song, change: Callable[[Note], Note | None], *, cents: int = 0, words: str = "") -> Audio:
    """The part with every note changed (None: left out), by the real sampler."""
    notes = sorted((n for n in map(change, song.part.notes) if n), key=lambda n: (n.start, n.pitch))
    part = replace(song.part, notes=tuple(notes))
    instrument = choose_instrument(bank(), part.role, words, "")
    instrument = replace(instrument, cents=instrument.cents + cents)
    samples = song.guide.shape[1]
    return render_part(bank(), part, instrument, song.clock, RATE, 0, samples, 0, lambda fraction: None)


def moved(audio: Audio, ms: float) -> Audio:
    """Later by so many milliseconds; the length stays."""
    by = round(ms / 1000 * RATE)
    return np.pad(audio, ((0, 0), (by, 0)))[:, : audio.shape[1]]


def bent(audio: Audio, late_ms: np.ndarray) -> Audio:
    """Later by `late_ms` [samples], which changes slowly: resampled by cubic interpolation."""
    at = np.arange(audio.shape[1]) - late_ms / 1000 * RATE
    return np.stack([np.interp(at, np.arange(audio.shape[1]), channel) for channel in audio]).astype(np.float32)


def drifting(song: Song, ms: float) -> Audio:
    """On time in the beginning, `ms` late in the end."""
    return bent(song.guide, np.linspace(0.0, ms, song.guide.shape[1]))


def wavering(song: Song) -> Audio:
    """Up to 10 ms early and late, in turns of some seconds."""
    time = np.arange(song.guide.shape[1]) / RATE
    return bent(song.guide, 10.0 * np.sin(1.3 * time))


def jittered(song: Song, ms: float) -> Audio:
    """Every moment's notes by themselves up to `ms` early or late."""

    def change(note: Note) -> Note:
        rng = np.random.default_rng(round(note.start * 16) + 7)
        return replace(note, offset_ms=note.offset_ms + float(rng.uniform(-ms, ms)))

    return played(song, change)


def half_tempo(song: Song) -> Audio:
    end = song.clock.end
    return played(song, lambda n: replace(n, start=2 * n.start, length=2 * n.length) if 2 * n.start < end else None)


def double_tempo(song: Song) -> Audio:
    """Twice as fast, twice in a row."""
    half = song.clock.end / 2
    first = played(song, lambda n: replace(n, start=n.start / 2, length=n.length / 2))
    second = played(song, lambda n: replace(n, start=half + n.start / 2, length=n.length / 2))
    return first + second


def swapped(note: Note) -> Note:
    """Every bar changes places with its neighbour."""
    return replace(note, start=note.start + (4.0 if int(note.start // 4) % 2 == 0 else -4.0))


def turned(note: Note) -> Note:
    """Of every four bars the last is first, and the first last."""
    bar, beat = divmod(note.start, 4.0)
    return replace(note, start=4.0 * (bar - 2 * (bar % 4) + 3) + beat)


def a_bar_late(note: Note) -> Note:
    """Of every four bars the last is first, and the others follow."""
    bar, beat = divmod(note.start, 4.0)
    return replace(note, start=4.0 * (bar - bar % 4 + (bar + 1) % 4) + beat)


def band_limited(song: Song) -> Audio:
    sos = scipy.signal.butter(2, (250, 5000), "bandpass", fs=RATE, output="sos")
    return np.asarray(scipy.signal.sosfilt(sos, song.guide, axis=1), dtype=np.float32)


def in_a_hall(song: Song) -> Audio:
    """With 1.2 s of reverberation, 12 dB below the direct sound."""
    rng = np.random.default_rng(5)
    time = np.arange(round(1.2 * RATE)) / RATE
    tail = rng.normal(0, 1, (2, len(time))) * np.exp(-5.5 * time)
    tail[:, : round(0.012 * RATE)] = 0.0
    wet = scipy.signal.fftconvolve(song.guide, tail / np.sqrt((tail**2).sum(axis=1, keepdims=True)), axes=1)
    return np.asarray(song.guide + 0.25 * wet[:, : song.guide.shape[1]], dtype=np.float32)


def clicking(song: Song) -> Audio:
    """With a click of two samples every 0.4 s or so."""
    out = song.guide.copy()
    rng = np.random.default_rng(9)
    peak = float(np.abs(out).max())
    for at in np.cumsum(rng.uniform(0.25, 0.55, 200)):
        place = round(at * RATE)
        if place + 2 < out.shape[1]:
            out[:, place] += 0.5 * peak
            out[:, place + 1] -= 0.4 * peak
    return out


def noise(song: Song) -> Audio:
    return np.random.default_rng(3).normal(0, 0.1, song.guide.shape).astype(np.float32)


def broken_number(song: Song) -> Audio:
    out = song.guide.copy()
    out[0, out.shape[1] // 2] = np.nan
    return out


def too_long(song: Song) -> Audio:
    """A tenth slower, and so a tenth longer."""
    n = song.guide.shape[1]
    at = np.arange(round(1.1 * n)) / 1.1
    return np.stack([np.interp(at, np.arange(n), channel) for channel in song.guide]).astype(np.float32)


def _other(song: Song) -> tuple[str, str, str, int]:
    return song.part.role, song.time, OTHER[song.part.role], len(song.bars)


REPAIRABLE: dict[str, Adversary] = {
    "starts 20 ms late": lambda song: moved(song.guide, 20.0),
    "drifts by 25 ms": lambda song: drifting(song, 25.0),
    "wavers by 10 ms": wavering,
    "jitters by 8 ms": lambda song: jittered(song, 8.0),
    "12 dB too loud": lambda song: song.guide * np.float32(4.0),
    "20 dB too quiet": lambda song: song.guide * np.float32(0.1),
    "30 ms too long": lambda song: np.pad(song.guide, ((0, 0), (0, round(0.03 * RATE)))),
    "mono": lambda song: song.guide.mean(axis=0, keepdims=True),
}
GOOD: dict[str, Adversary] = {
    "the guide itself": lambda song: song.guide.copy(),
    "band-limited": band_limited,
    "in a hall": in_a_hall,
    "another instrument": lambda song: (
        make_song(song.part.role, song.time, OTHER[song.part.role], len(song.bars)).guide
    ),
}
PITCHED = ("40 cents sharp", "a semitone flat")
"""These say nothing to drums."""
BARS_MOVED: dict[str, Callable[[Note], Note]] = {
    "in place": lambda note: note,
    "swapped": swapped,
    "turned round": turned,
    "a bar late": a_bar_late,
}
"""What moves whole bars of a part, and what does not."""
HOPELESS: dict[str, Adversary] = {
    "starts 200 ms late": lambda song: moved(song.guide, 200.0),
    "drifts by 120 ms": lambda song: drifting(song, 120.0),
    "half tempo": half_tempo,
    "double tempo": double_tempo,
    "40 cents sharp": lambda song: played(song, lambda n: n, cents=40),
    "a semitone flat": lambda song: played(song, lambda n: n, cents=-100),
    "swapped bars": lambda song: played(song, swapped),
    "silence": lambda song: np.zeros_like(song.guide),
    "noise": noise,
    "too short": lambda song: song.guide[:, : round(0.7 * song.guide.shape[1])],
    "too long": too_long,
    "not a number": broken_number,
    "clipped": lambda song: np.clip(song.guide / np.abs(song.guide).max() * 6, -1, 1).astype(np.float32),
    "clicks": clicking,
}
