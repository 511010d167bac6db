"""Training songs: groove book x chords x forms x keys, with variations, mash-ups, dropouts, fills and endings.

A song is a `Canvas` whose notes are all there. Everything random comes from one generator per song number, so song n of
a seed is the same wherever and whenever it is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bridge.timeline import Metre
from engine.diffusion.canvas import STREAMS, Canvas
from engine.grooves import Event, Groove, Level, Pattern, ending, fill, groove2chords, last_voicing, realise, tidy
from engine.score import Chord, FormSection, Key, Note
from engine.training.form import random_form
from engine.training.harmony import song2chords
from engine.training.sources.charts import Chart

HELD_OUT = (
    "bebop", "bhangra", "boom-bap", "city-pop", "disco", "funk", "jig", "power-ballad", "reggae", "second-line",
    "shuffle-blues", "viennese-waltz",
)  # fmt: skip
"""Grooves that the shipped weights are not trained on. They are mashed up with each other only."""
LEVEL_OF = {
    "intro": "intro", "verse": "verse", "pre-chorus": "verse", "chorus": "chorus", "post-chorus": "chorus",
    "bridge": "bridge", "solo": "chorus", "break": "intro", "drop": "chorus", "interlude": "verse", "outro": "verse",
}  # fmt: skip
MODE_ODDS = {
    "major": 0.4,
    "minor": 0.36,
    "dorian": 0.08,
    "mixolydian": 0.08,
    "lydian": 0.03,
    "phrygian": 0.04,
    "locrian": 0.01,
}
LANE_SWAPS = {
    "hat": ("ride", "shaker", "tamb"),
    "snare": ("clap", "stick"),
    "ride": ("hat", "bell"),
    "clap": ("snare",),
}
FROM_CHART = 0.35
UNPLAYED_IN_QUIET = (("lead", 0.5), ("arp", 0.3), ("drums", 0.25), ("bass", 0.2), ("pad", 0.1), ("comp", 0.15))


@dataclass(frozen=True)
class Song:
    """A canvas full of notes; `playing[s, i]`: stream i plays in section s; `fills[b]`: bar b is a fill."""

    groove: str
    canvas: Canvas
    playing: np.ndarray
    fills: np.ndarray


def make_song(
    number: int, grooves: tuple[Groove, ...], seed: int, *, plain: bool = False, charts: Sequence[Chart] = ()
) -> Song:
    """Song `number` of the corpus `seed` made of `grooves`. `plain`: no variations, no mash-ups. `charts`: every third
    song takes form and chords from one of its metre."""
    rng = np.random.default_rng((seed, number))
    base = grooves[number % len(grooves)]
    groove = base if plain else vary(mash(base, grooves, rng), rng)
    metre = Metre(0.0, base.beats, base.unit)
    sections = random_form(metre, rng)
    mode = str(rng.choice(list(MODE_ODDS), p=list(MODE_ODDS.values())))
    key = Key(int(rng.integers(12)), mode)
    pool = [c for c in charts if (c.metre.beats, c.metre.unit) == (base.beats, base.unit) and len(c.sections) > 1]
    if pool and rng.random() < FROM_CHART:
        sections, key, chords = pool[int(rng.integers(len(pool)))].moved(int(rng.integers(12)))
    else:
        chords = choose_chords(groove, grooves, sections, key, rng)
    playing = np.ones((len(sections), len(STREAMS)), dtype=bool)
    kept: dict[str, np.ndarray] = {}
    for i, section in enumerate(sections):
        if section.label not in kept:
            drop = [rng.random() < odds * (1.15 - section.energy) for _, odds in UNPLAYED_IN_QUIET]
            row = np.ones(len(STREAMS), dtype=bool)
            for (stream, _), gone in zip(UNPLAYED_IN_QUIET, drop, strict=True):
                row[STREAMS.index(stream)] = not gone
            kept[section.label] = row if row.any() else np.ones(len(STREAMS), dtype=bool)
        playing[i] = kept[section.label]
    with_fills = plain or rng.random() < 0.8
    notes, fills = play(groove, sections, chords, key, playing, rng, with_fills=with_fills)
    bars = sum(len(s.bars) for s in sections)
    given = np.ones((bars, len(STREAMS)), dtype=bool)
    canvas = Canvas(sections, chords, key, groove.steps_per_quarter, notes, given)
    return Song(base.name, canvas, playing, fills)


def play(
    groove: Groove,
    sections: tuple[FormSection, ...],
    chords: tuple[Chord, ...],
    key: Key,
    playing: np.ndarray,
    rng: np.random.Generator,
    *,
    with_fills: bool,
) -> tuple[dict[str, tuple[Note, ...]], np.ndarray]:
    """All streams over the form; the last bar of a section may be a fill, the last bar of the song an ending."""
    fills: list[bool] = []
    notes: dict[str, list[Note]] = {s: [] for s in STREAMS}
    voices = dict.fromkeys(STREAMS)
    end = rng.random() < 0.7
    for i, section in enumerate(sections):
        level = LEVEL_OF[section.label]
        last = i == len(sections) - 1
        filled = with_fills and not last and len(section.bars) >= 2 and rng.random() < 0.85
        variant = int(rng.integers(8))
        for b, bar in enumerate(section.bars):
            closing = b == len(section.bars) - 1
            fills.append(bool(filled and closing) or bool(end and last and closing))
            for s, stream in enumerate(STREAMS):
                if not playing[i, s]:
                    continue
                voice = voices[stream]
                if end and last and closing:
                    new = ending(groove, stream, bar, chords, key, voice)
                elif filled and closing:
                    new = fill(
                        groove, stream, bar, chords, key, level=level, bar_in_section=b, variant=variant, voice=voice
                    )
                else:
                    new = realise(groove, level, stream, bar, b, chords, key, voice)
                voices[stream] = last_voicing(new) or voice
                notes[stream] += new
    return {s: tuple(tidy(notes[s], s)) for s in STREAMS}, np.array(fills)


def choose_chords(
    groove: Groove,
    grooves: tuple[Groove, ...],
    sections: tuple[FormSection, ...],
    key: Key,
    rng: np.random.Generator,
) -> tuple[Chord, ...]:
    """The groove's own chord ideas, another groove's of the same metre, or the grammar's."""
    draw = rng.random()
    if draw < 0.45:
        return song2chords(sections, key, rng)
    owner = groove
    if draw < 0.65:
        pool = [g for g in grooves if (g.beats, g.unit) == (groove.beats, groove.unit)]
        owner = pool[int(rng.integers(len(pool)))]
    out: list[Chord] = []
    index = int(rng.integers(4))
    for section in sections:
        out += groove2chords(owner, LEVEL_OF[section.label], key, section.bars, index)
    return tuple(out)


def mash(base: Groove, grooves: tuple[Groove, ...], rng: np.random.Generator) -> Groove:
    """A quarter of the songs take some streams from another groove of the same feel and metre; kick and bass stay
    together."""
    side = base.name in HELD_OUT
    same = [g for g in grooves if g.feel == base.feel and (g.beats, g.unit) == (base.beats, base.unit)]
    pool = [g for g in same if (g.name in HELD_OUT) == side]
    if len(pool) < 2 or rng.random() > 0.25:
        return base
    other = pool[int(rng.integers(len(pool)))]
    taken = [s for s in ("comp", "pad", "arp", "lead") if rng.random() < 0.5]
    if rng.random() < 0.4:
        taken += ["drums", "bass"]
    levels = {}
    for name, level in base.levels.items():
        theirs = other.levels[name].streams
        streams = {s: p for s, p in level.streams.items() if s not in taken}
        levels[name] = replace(level, streams={**streams, **{s: theirs[s] for s in taken if s in theirs}})
    fills = other.fills if "drums" in taken else base.fills
    return replace(base, levels=levels, fills=fills)


def vary(groove: Groove, rng: np.random.Generator) -> Groove:
    """Density and feel variations that hold for the whole song."""
    swaps = {a: str(rng.choice(b)) for a, b in LANE_SWAPS.items() if rng.random() < 0.15}
    thin = {s: float(rng.choice((0.0, 0.12, 0.3), p=(0.6, 0.25, 0.15))) for s in ("comp", "arp", "lead", "bass")}
    octave = {s: int(rng.choice((-1, 1))) for s in ("arp", "lead") if rng.random() < 0.12}
    moves = rng.random() < 0.5
    levels: dict[str, Level] = {}
    for name, level in groove.levels.items():
        streams = {}
        for s, pattern in level.streams.items():
            new = swap_lanes(pattern, swaps) if s == "drums" else shift_octave(pattern, octave.get(s, 0))
            streams[s] = thin_out(new, thin.get(s, 0.0), rng) if name != "ending" else new
        if moves and name != "ending" and {"drums", "bass"} <= streams.keys():
            streams["drums"], streams["bass"] = move_kick(streams["drums"], streams["bass"], rng)
        if name in ("verse", "chorus"):
            streams = {s: lengthen(p, s, rng) if rng.random() < 0.35 else p for s, p in streams.items()}
        levels[name] = replace(level, streams=streams)
    return replace(groove, levels=levels)


def swap_lanes(pattern: Pattern, swaps: dict[str, str]) -> Pattern:
    """Drum lanes replaced by others (hi-hat to ride, snare to clap)."""
    return replace(pattern, events=tuple(replace(e, symbol=swaps.get(e.symbol, e.symbol)) for e in pattern.events))


def shift_octave(pattern: Pattern, octaves: int) -> Pattern:
    """The pattern's range moved by octaves, where that leaves it in the middle of the keyboard."""
    low, high = pattern.low + 12 * octaves, pattern.high + 12 * octaves
    return replace(pattern, low=low, high=high) if low >= 48 and high <= 96 else pattern


def thin_out(pattern: Pattern, share: float, rng: np.random.Generator) -> Pattern:
    """Fewer events off the beat; the first one of the pattern stays."""
    if share == 0.0:
        return pattern
    kept = [e for i, e in enumerate(pattern.events) if i == 0 or rng.random() > share]
    return replace(pattern, events=tuple(kept))


def move_kick(drums: Pattern, bass: Pattern, rng: np.random.Generator) -> tuple[Pattern, Pattern]:
    """One or two kicks that are not on a bar's first step leave or come, and the bass with them."""
    for _ in range(int(rng.integers(1, 3))):
        kicks = [e for e in drums.events if e.symbol == "kick" and e.step % drums.steps]
        if kicks and rng.random() < 0.5:
            gone = kicks[int(rng.integers(len(kicks)))]
            drums = replace(drums, events=tuple(e for e in drums.events if e is not gone))
            if rng.random() < 0.7:
                left = tuple(e for e in bass.events if e.step == 0 or e.step != gone.step % (bass.bars * bass.steps))
                bass = replace(bass, events=left)
            continue
        at = int(rng.integers(drums.steps // 2)) * 2 + drums.steps * int(rng.integers(drums.bars))
        taken = {e.step for e in drums.events if e.symbol in ("kick", "snare", "clap")}
        if at in taken:
            continue
        drums = replace(
            drums, events=tuple(sorted((*drums.events, Event(at, 1, "kick")), key=lambda e: (e.step, e.symbol)))
        )
        bass = strike(bass, at % (bass.bars * bass.steps))
    return drums, bass


def strike(bass: Pattern, at: int) -> Pattern:
    """A held bass note is struck again at step `at`; a silent one stays silent."""
    out: list[Event] = []
    for e in bass.events:
        if e.step < at < e.step + e.length:
            out += [replace(e, length=at - e.step), replace(e, step=at, length=e.step + e.length - at)]
        else:
            out.append(e)
    return replace(bass, events=tuple(out))


def lengthen(pattern: Pattern, stream: str, rng: np.random.Generator) -> Pattern:
    """One and two bar patterns said over four bars, the last bar a little different: an event less, or one moved."""
    if pattern.bars > 2 or not pattern.events:
        return pattern
    span = pattern.bars * pattern.steps
    events = [replace(e, step=e.step + k * span) for k in range(4 // pattern.bars) for e in pattern.events]
    last = [i for i, e in enumerate(events) if e.step >= 3 * pattern.steps and e.step % pattern.steps]
    for _ in range(int(rng.integers(1, 3))):
        if not last:
            break
        i = last.pop(int(rng.integers(len(last))))
        if rng.random() < 0.5:
            events[i] = replace(events[i], dynamic=1 if stream == "drums" else events[i].dynamic, length=0)
        else:
            to = events[i].step + int(rng.choice((-1, 1)))
            free = all(e.step != to for e in events) and 3 * pattern.steps < to < 4 * pattern.steps
            events[i] = replace(events[i], step=to, length=1) if free else events[i]
    kept = sorted((e for e in events if e.length > 0), key=lambda e: (e.step, e.symbol))
    return replace(pattern, bars=4, events=tuple(kept))
