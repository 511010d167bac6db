"""Tracks of a MIDI file as a training song: streams, grid, chords, key and form.

A file's tracks become voices of the six streams; where a stream has several, each block of bars is played by the one
that plays most in it. Chords and key are heard as the product hears them in a user's tracks. Blocks that sound alike
share a label, and the loudest label is called the chorus.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bridge.midifile import SmfTrack
from bridge.timeline import Bar, Clock, Metre
from engine.diffusion.canvas import STREAMS, Canvas
from engine.listen.chords import tones2chords
from engine.listen.key import tones2key
from engine.listen.roles import guess_role
from engine.listen.tones import parts2tones
from engine.score import Chord, FormSection, Key, Note, Part
from engine.training.songs import Song

BLOCK = 8
"""Bars of a section."""
ON_GRID = 0.9
"""Share of the onsets that must lie on a grid, to a twelfth of a beat at most a half, for a file to be read."""
NEAR = 1 / 24
ALIKE = 0.45
FILL_BELOW = 0.6
LABELS_BY_ENERGY = ("chorus", "verse", "bridge", "solo", "pre-chorus", "interlude", "post-chorus", "drop", "break")
STREAM_OF = {
    "drums": "drums", "bass": "bass", "keys": "comp", "guitar": "comp", "pad": "pad", "strings": "pad",
    "brass": "comp", "lead": "lead", "arp": "arp", "vocals": "lead",
}  # fmt: skip
ROLE_OF = {"drums": "drums", "bass": "bass", "comp": "keys", "pad": "pad", "arp": "arp", "lead": "lead"}
LINE_POLYPHONY = 1.08
"""Notes per sixteenth, where any begin, above which a voice is no line: two at once, a strum, a roll."""
LONG, SHORT = 1.8, 0.6
"""Median lengths in beats: pads hold longer, arpeggios shorter."""
GM_DRUMS = range(35, 82)
SAME_DRUM = {35: 36, 40: 38, 57: 49, 59: 51}
"""A second kick, snare, crash and ride are read as the first: sets differ in which of them they hold."""


@dataclass(frozen=True)
class Voice:
    """One track's notes (beats) and the stream that it can play."""

    stream: str
    notes: tuple[Note, ...]


def tracks2voices(tracks: Iterable[SmfTrack], stream_of: Mapping[str, str] | None = None) -> tuple[Voice, ...]:
    """Voices of a file's tracks. `stream_of` names streams by track name; else program, register and rhythm decide."""
    voices = []
    for track in tracks:
        notes = tuple(Note(n.start, n.length, n.pitch, n.velocity) for n in track.notes)
        if track.is_drums:
            notes = one_kit(notes)
        if len(notes) >= 4:
            named = stream_of.get(track.name) if stream_of is not None else None
            role = guess_role("", track.channel, track.program, track.notes)
            voices.append(Voice(fitting(named or STREAM_OF[role], notes), notes))
    return tuple(voices)


def one_kit(notes: Iterable[Note]) -> tuple[Note, ...]:
    """Drum notes of General MIDI's pitches, each instrument under its first one."""
    return tuple(replace(n, pitch=SAME_DRUM.get(n.pitch, n.pitch)) for n in notes if n.pitch in GM_DRUMS)


def fitting(stream: str, notes: Sequence[Note]) -> str:
    """The stream that can say a voice meant for `stream`: lines are monophonic, chords are not."""
    if stream == "drums":
        return stream
    polyphony = len(notes) / len({round(n.start * 4) for n in notes})
    if stream == "bass":
        return "bass" if polyphony <= LINE_POLYPHONY else "comp"
    length = float(np.median([n.length for n in notes]))
    if polyphony > LINE_POLYPHONY:
        return "pad" if length >= LONG or (stream == "pad" and length >= SHORT) else "comp"
    if length >= LONG:
        return "pad"
    if stream in ("arp", "lead"):
        return stream
    if float(np.median([n.pitch for n in notes])) < 50:
        return "comp" if stream == "comp" else "bass"
    return "arp" if length <= SHORT and len(notes) > 2 * (notes[-1].start - notes[0].start) else "lead"


def grid_of(onsets: Sequence[float]) -> int | None:
    """Steps per beat on which nearly all onsets (beats) lie: 4, else 3; None where neither serves."""
    at = np.asarray(onsets)
    share = {g: float((np.abs(at * g - np.round(at * g)) <= NEAR * g + 1e-9).mean()) for g in (4, 3)}
    best = max((4, 3), key=lambda g: share[g])
    return best if share[best] >= ON_GRID else None


def lay(
    voices: Sequence[Voice], blocks: Sequence[tuple[float, float]], rng: np.random.Generator | None
) -> dict[str, tuple[Note, ...]]:
    """Notes per stream: in each block (beats) the voice of the stream that plays most. With `rng` a voice in three
    counts for less, so that another one comes to play."""
    weights = [1.0 if rng is None or rng.random() > 1 / 3 else 0.2 for _ in voices]
    out: dict[str, list[Note]] = {s: [] for s in STREAMS}
    for start, end in blocks:
        inside = [tuple(n for n in v.notes if start <= n.start < end) for v in voices]
        for stream in STREAMS:
            mine = [i for i, v in enumerate(voices) if v.stream == stream and inside[i]]
            if mine:
                out[stream] += inside[max(mine, key=lambda i: (weights[i] * len(inside[i]), -i))]
    return {s: tuple(sorted(notes, key=lambda n: (n.start, n.pitch))) for s, notes in out.items()}


def hear(notes: Mapping[str, Sequence[Note]], metres: Sequence[Metre], end: float) -> tuple[Key, tuple[Chord, ...]]:
    """Key and chords of the streams, as the product hears a user's tracks."""
    clock = Clock.from_pairs([(0.0, 0.0), (end, end / 2)], metres)
    tones = parts2tones([Part(s, ROLE_OF[s], tuple(notes[s])) for s in STREAMS])
    guess = tones2key(tones)
    guess = tones2key(tones, tones2chords(tones, clock, [(0.0, guess.key)]))
    heard = tones2chords(tones, clock, [(0.0, guess.key)])
    return guess.key, tuple(replace(c, given=False) for c in heard)


def notes2form(notes: Mapping[str, Sequence[Note]], bars: Sequence[Bar]) -> tuple[FormSection, ...]:
    """Sections of `BLOCK` bars; those that sound alike share a label."""
    blocks = [tuple(bars[i : i + BLOCK]) for i in range(0, len(bars), BLOCK)]
    prints = [footprint(notes, block[0].start, block[-1].end) for block in blocks]
    loudness = np.array([sum(n.velocity for s in STREAMS for n in notes[s] if b[0].start <= n.start < b[-1].end)
                         / (b[-1].end - b[0].start) for b in blocks])  # fmt: skip
    group: list[int] = []
    for i, mine in enumerate(prints):
        near = [(likeness(mine, prints[j]), -j) for j in range(i)]
        best, at = max(near, default=(0.0, 0))
        group.append(group[-at] if best >= ALIKE else max(group, default=-1) + 1)
    level = [float(loudness[[g == k for g in group]].mean()) for k in range(max(group, default=-1) + 1)]
    top, low = max(level, default=1.0) or 1.0, min(level, default=0.0)
    order = sorted(range(len(level)), key=lambda k: -level[k])
    names = {k: LABELS_BY_ENERGY[min(place, len(LABELS_BY_ENERGY) - 1)] for place, k in enumerate(order)}
    if len(blocks) > 2:
        for at, label in ((0, "intro"), (len(blocks) - 1, "outro")):
            if group.count(group[at]) == 1 and level[group[at]] < 0.75 * top:
                names[group[at]] = label
    out, seen = [], dict.fromkeys(names.values(), 0)
    for i, block in enumerate(blocks):
        label = names[group[i]]
        energy = 0.2 + 0.75 * (float(loudness[i]) - low) / max(top - low, 1e-9)
        out.append(
            FormSection(
                f"{label} {seen[label] + 1}", label, block[0].start, block[-1].end, min(max(energy, 0.0), 1.0),
                seen[label], block,
            )
        )  # fmt: skip
        seen[label] += 1
    return tuple(out)


def footprint(notes: Mapping[str, Sequence[Note]], start: float, end: float) -> set[tuple[str, int, int]]:
    """(stream, place in twelfths of a beat, pitch) of the notes in a stretch."""
    return {(s, round((n.start - start) * 12), n.pitch) for s in STREAMS for n in notes[s] if start <= n.start < end}


def likeness(a: set[tuple[str, int, int]], b: set[tuple[str, int, int]]) -> float:
    """Jaccard similarity of two footprints; of two silences 1."""
    return len(a & b) / len(a | b) if a or b else 1.0


def filled_bars(drums: Sequence[Note], sections: Sequence[FormSection]) -> np.ndarray:
    """Per bar whether it is a fill: the last one of a section whose drums leave what the bar before played."""
    out = []
    for section in sections:
        prints = [footprint({**dict.fromkeys(STREAMS, ()), "drums": drums}, b.start, b.end) for b in section.bars]
        closing = len(prints) > 1 and bool(prints[-1]) and likeness(prints[-1], prints[-2]) < FILL_BELOW
        out += [False] * (len(prints) - 1) + [closing]
    return np.array(out, dtype=bool)


def notes2song(
    name: str,
    notes: Mapping[str, tuple[Note, ...]],
    sections: tuple[FormSection, ...],
    chords: tuple[Chord, ...],
    key: Key,
    steps_per_quarter: int,
    *,
    up: int = 0,
    fills: np.ndarray | None = None,
) -> Song:
    """The song, all of it transposed by `up` semitones. A stream plays in the sections in which it has a note."""
    moved = {
        s: tuple(n if s == "drums" else replace(n, pitch=min(max(n.pitch + up, 0), 127)) for n in notes[s])
        for s in STREAMS
    }
    playing = np.array([[any(x.start <= n.start < x.end for n in moved[s]) for s in STREAMS] for x in sections])
    canvas = Canvas(
        sections,
        tuple(replace(c, root=(c.root + up) % 12, bass=None if c.bass is None else (c.bass + up) % 12) for c in chords),
        replace(key, tonic=(key.tonic + up) % 12),
        steps_per_quarter,
        moved,
        np.ones((sum(len(s.bars) for s in sections), len(STREAMS)), dtype=bool),
    )
    return Song(name, canvas, playing, filled_bars(moved["drums"], sections) if fills is None else fills)
