"""Who plays which part, for a reference: candidates of the catalogue, tried on the busiest seconds of the actual parts.

What the request names by words stays. Few enough are rendered that a song's choice takes seconds: the likeliest by
their stored descriptions, and always the one that would play without a reference. They play a sketch of the passage:
its notes end with it, and their touch is rounded, so that few different notes are made.
"""

from __future__ import annotations

import queue
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soxr

from bridge.timeline import Clock
from engine.match import (
    GAIN,
    LEAST_GAIN,
    RATE,
    Grid,
    Levels,
    Wanted,
    change_room,
    choose_together,
    clip2wanted,
    passage2levels,
)
from engine.rendering import Clip
from engine.report import Tick
from engine.sampler import Bank, Instrument, candidates, describe, render_part
from engine.score import Part
from engine.stems import StemMaker

PASSAGE_SECONDS = 4.0
RENDERED, KITS = 60, 20
"""Passages that are rendered for one choice, over all parts, and how many of them are drums' where others play too."""
LEAST_EACH = 4
TOUCH = 16
BANDS = 48


@dataclass(frozen=True)
class Cast:
    """The instrument of each part by name, the texture's distance to the reference with the usual instruments and with
    these, and by how many dB each one's share of the room was changed."""

    instruments: dict[str, Instrument]
    before: float
    after: float
    room_db: float


def cast(stems: StemMaker, parts: Sequence[Part], clip: Clip, tick: Tick) -> Cast:
    """Chooses for the parts together; the drums first, of whom movement tells most."""
    parts = sorted(parts, key=lambda part: part.role != "drums")
    rate = min(RATE, stems.frame.rate)
    wanted = clip2wanted(clip2rate(clip, rate), rate)
    start = busiest(stems, parts)
    options = [shortlist(stems, part, wanted, count) for part, count in zip(parts, counts(parts), strict=True)]
    seconds = min(PASSAGE_SECONDS, stems.frame.samples / stems.frame.rate)
    sketches = [sketch(part, stems.clock, start, seconds) for part in parts]
    tasks = [(k, n) for k, row in enumerate(options) for n in range(len(row))]
    levels: list[list[Levels]] = [[] for _ in parts]
    banks: queue.SimpleQueue[Bank] = queue.SimpleQueue()
    for bank in (stems.bank, _another(stems)):
        banks.put(bank)

    def hear(task: tuple[int, int]) -> Levels:
        bank = banks.get()
        try:
            # The room is the same for all, and a third of the work.
            dry = replace(options[task[0]][task[1]], room_db=None)
            first, samples = round(start * rate), round(seconds * rate)
            sound = render_part(bank, sketches[task[0]], dry, stems.clock, rate, first, samples, 0, lambda _: None)
            return passage2levels(sound, rate)
        finally:
            banks.put(bank)

    # The take's own bank plays for one at a time; a second one beside it makes use of a second core.
    with stems.playing, stems.watch.timing("choose"), ThreadPoolExecutor(2, thread_name_prefix="choose") as pool:
        for done, (task, heard) in enumerate(zip(tasks, pool.map(hear, tasks), strict=True)):
            levels[task[0]].append(heard)
            tick(done / len(tasks))
    with stems.watch.timing("choose"):
        chosen = choose_together(levels, wanted, [LEAST_GAIN if part.role == "drums" else GAIN for part in parts])
        picked = [row[index] for row, index in zip(options, chosen.indices, strict=True)]
        playing = [row[index] for row, index in zip(levels, chosen.indices, strict=True)]
        room = change_room(playing, [i.room_db for i in picked], wanted.fall, Grid(rate))
    who = {part.name: in_room(instrument, room) for part, instrument in zip(parts, picked, strict=True)}
    return Cast(who, chosen.before, chosen.after, room)


def counts(parts: Sequence[Part]) -> list[int]:
    """How many instruments are tried for each part."""
    drums = sum(part.role == "drums" for part in parts)
    if drums == len(parts):
        return [max(LEAST_EACH, RENDERED // drums)] * drums
    each = max(LEAST_EACH, (RENDERED - drums * KITS) // (len(parts) - drums))
    return [KITS if part.role == "drums" else each for part in parts]


def in_room(instrument: Instrument, change: float) -> Instrument:
    """The instrument with its share of the room changed by so many dB; a dry one stays dry."""
    return instrument if instrument.room_db is None else replace(instrument, room_db=instrument.room_db + change)


def shortlist(stems: StemMaker, part: Part, wanted: Wanted, count: int) -> list[Instrument]:
    """At most `count` instruments for a part; the first is the one that plays without a reference."""
    usual = stems.instrument(part)
    if part.instrument.strip():
        return [usual]
    others = [stems.seat(part, i) for i in candidates(stems.bank, part.role) if i.name != usual.name]
    target = wanted.profile.spectrum - wanted.profile.spectrum.mean()

    def unlike(instrument: Instrument) -> float:
        """How its bands' levels differ from the reference's where it is strong itself."""
        stored = describe(instrument)
        if stored is None:
            return float("inf")
        bands = np.asarray(stored[:BANDS], dtype=np.float32)
        weight = 10 ** ((bands - bands.max()) / 20)
        away = bands - target
        away = away - np.average(away, weights=weight)
        return float(np.average(np.abs(away), weights=weight))

    ranked = sorted(others, key=lambda i: (unlike(i), i.name))
    near = ranked[: (count - 1) // 2]
    rest = ranked[len(near) :]
    # The other half is spread over the rest, so that no kind of sound is left out.
    spread = [rest[i] for i in np.linspace(0, len(rest) - 1, count - 1 - len(near)).astype(int)] if rest else []
    return [usual, *near, *dict.fromkeys(spread)]


def busiest(stems: StemMaker, parts: Sequence[Part]) -> float:
    """Second of the project from which on most parts play, and most notes."""
    first = stems.frame.start_sample / stems.frame.rate
    last = max(first, first + stems.frame.samples / stems.frame.rate - PASSAGE_SECONDS)
    onsets = [np.sort([stems.clock.beat2second(note.start) for note in part.notes]) for part in parts]
    best, at = (-1.0, -1.0), first
    for second in np.arange(first, last + 0.5, 1.0):
        counts = [int(np.searchsorted(o, second + PASSAGE_SECONDS) - np.searchsorted(o, second)) for o in onsets]
        score = (float(sum(c > 0 for c in counts)), float(sum(np.sqrt(c) for c in counts)))
        if score > best:
            best, at = score, float(second)
    return at


def sketch(part: Part, clock: Clock, start: float, seconds: float) -> Part:
    """What sounds of a part from the second `start` on, for `seconds`: notes that began earlier begin there, none lasts
    longer, velocities are rounded to steps of `TOUCH`."""
    notes = []
    for note in part.notes:
        late = note.offset_ms / 1000
        first = max(clock.beat2second(note.start) + late, start)
        last = min(clock.beat2second(note.end) + late, start + seconds)
        if first < last:
            beat = clock.second2beat(first)
            touch = max(round(note.velocity / TOUCH), 1) * TOUCH
            held = clock.second2beat(last) - beat
            notes.append(replace(note, start=beat, length=held, velocity=min(touch, 127), offset_ms=0.0))
    return replace(part, notes=tuple(notes))


def clip2rate(clip: Clip, rate: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """The clip's samples [channels, any] at another rate."""
    if clip.rate == rate:
        return clip.audio
    return np.ascontiguousarray(soxr.resample(clip.audio.T, clip.rate, rate, quality="HQ").T, dtype=np.float32)


def _another(stems: StemMaker) -> Bank:
    """A second bank of the same sounds."""
    return Bank.open(Path(stems.request.soundfont)) if stems.request.soundfont else Bank.open()
