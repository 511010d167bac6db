"""From streams to stems: who plays the stream, who doubles it, what the stem was asked for, room for the given melody,
pitches in key, chord and range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from engine.compose.doubles import arrange_double
from engine.compose.material import Base, Material
from engine.compose.pitches import EPS, chord_at, chords_in, clip_notes, in_order, nearest, no_overlaps, scale_tones
from engine.compose.room import Room, answer, aside, below
from engine.compose.safe import keep_safe
from engine.compose.seats import RANGES, Seat
from engine.compose.shaping import is_asked, shape_parts, wish_lines
from engine.compose.song import Song
from engine.compose.spread import thin_pads
from engine.score import Note

LONELY = 9
"""Semitones from both neighbours beyond which a note of a tune stands alone."""


def streams2parts(
    song: Song,
    seats: Sequence[Seat],
    streams: Mapping[str, Sequence[Note]],
    material: Mapping[str, Material],
    bases: Mapping[str, Base],
    room: Room,
) -> tuple[dict[str, tuple[Note, ...]], tuple[str, ...]]:
    """Notes of every stem by its title, and lines on how its wishes were met. What `bases` hold of the user's own notes
    is left as it is."""
    written: dict[str, tuple[Note, ...]] = {}
    ours: dict[str, tuple[Note, ...]] = {}
    theirs_in: dict[str, tuple[Note, ...]] = {}
    for seat in sorted(seats, key=lambda s: s.rank):
        theirs = material.get(seat.stream, Material()).beside
        base = bases.get(seat.stream) if seat.rank == 0 else None
        own, spans = (base.own, base.played) if base is not None else ((), ())
        if seat.rank == 0:
            notes = _around(song, seat, tuple(streams.get(seat.stream, ())), theirs, spans)
        else:
            beside = [n for other in seats if other.stream == seat.stream for n in written.get(other.title, ())]
            notes = arrange_double(
                seat,
                in_order((*beside, *theirs)),
                song.shapes,
                song.chords,
                song.keys,
                groove=song.groove,
                seed=song.seed,
                twin=sum(s.role == seat.role and 0 < s.rank < seat.rank for s in seats),
            )
        notes = notes or _plain(song, seat)
        theirs_in[seat.title] = tuple(own)
        ours[seat.title] = _finished(song, seat, [n for n in notes if not _inside(n, spans)], room)
        written[seat.title] = in_order((*own, *ours[seat.title]))
    ours = thin_pads(song, seats, ours)
    written = {title: in_order((*theirs_in[title], *notes)) for title, notes in ours.items()}
    if not is_asked(song):
        return written, ()
    shaped = shape_parts(song, seats, ours, theirs_in)
    whole = {
        seat.title: in_order((*theirs_in[seat.title], *_finished(song, seat, shaped[seat.title], room)))
        for seat in seats
    }
    return whole, wish_lines(song, seats, written, whole)


def _plain(song: Song, seat: Seat) -> tuple[Note, ...]:
    """A part for a stem that no pattern plays in the few bars there are: one stroke, or one long tone, per chord."""
    bars = [b for b in song.bars if seat.stream in b.streams] or list(song.bars)
    if seat.stream == "drums":
        return in_order(Note(b.bar.start, 0.25, 36 if seat.rank == 0 else 54, 90) for b in bars)
    low, high = RANGES[seat.role]
    notes: list[Note] = []
    for bar in bars:
        for chord in chords_in(song.chords, bar.bar.start, bar.bar.end):
            root = nearest((2 * low + high) // 3, {chord.root}, low, high)
            upper = sorted(nearest(root + 6, {tone}, low, high) for tone in chord.pitch_classes - {chord.root})
            pitches = [root, *upper] if seat.stream in ("comp", "pad") else [root]
            notes += [Note(chord.beat, chord.beats, p, 80) for p in pitches]
    return in_order(notes)


def _inside(note: Note, spans: Sequence[tuple[float, float]]) -> bool:
    return any(start - EPS <= note.start < end - EPS for start, end in spans)


def _around(
    song: Song, seat: Seat, ours: tuple[Note, ...], theirs: Sequence[Note], spans: Sequence[tuple[float, float]]
) -> tuple[Note, ...]:
    """Where the user's track of this stream plays, a second part beside it; elsewhere our own."""
    if not theirs or seat.stream == "lead":
        return ours
    second = arrange_double(
        replace(seat, rank=1), theirs, song.shapes, song.chords, song.keys, groove=song.groove, seed=song.seed
    )
    notes: list[Note] = []
    for bar in song.bars:
        taken = any(start - EPS <= bar.bar.start < end - EPS for start, end in spans)
        playing = not taken and any(n.start < bar.bar.end and n.end > bar.bar.start for n in theirs)
        notes += clip_notes(second if playing else ours, bar.bar.start, bar.bar.end)
    return in_order(notes)


def _finished(song: Song, seat: Seat, notes: Sequence[Note], room: Room) -> tuple[Note, ...]:
    """Room for the given melody; range, key, chords and hands unless harmony is free; cut to the sections."""
    if seat.stream == "lead":
        notes = answer(notes, room)
    elif seat.stream in ("comp", "pad"):
        notes = below(notes, room)
    elif seat.stream == "arp":
        notes = aside(notes, room)
    if seat.stream == "lead" and song.safe:
        notes = _joined_up(notes)
    if seat.stream != "drums" and song.safe:
        notes = _in_key(song, _ranged(seat, notes, room))
        notes = keep_safe(song, seat, in_order(notes))
    kept = [n for f in song.form for n in clip_notes(notes, f.start, f.end)]
    return no_overlaps(kept)


def _joined_up(notes: Sequence[Note]) -> list[Note]:
    """A tune without a note alone, further than a sixth from both its neighbours: it comes an octave nearer."""
    out = list(notes)
    for i in range(1, len(out) - 1):
        near = (out[i - 1].pitch, out[i + 1].pitch)
        if min(abs(out[i].pitch - p) for p in near) <= LONELY:
            continue
        options = (out[i].pitch - 12, out[i].pitch, out[i].pitch + 12)
        out[i] = replace(out[i], pitch=min(options, key=lambda pitch: sum(abs(pitch - p) for p in near)))
    return out


def _ranged(seat: Seat, notes: Sequence[Note], room: Room) -> list[Note]:
    low, high = RANGES[seat.role]
    low -= 5 if seat.stream in ("comp", "pad") or room.spans else 0
    moved = []
    for note in notes:
        pitch = note.pitch
        while pitch < low:
            pitch += 12
        while pitch > high + 5:
            pitch -= 12
        moved.append(replace(note, pitch=pitch) if pitch != note.pitch else note)
    return moved


def _in_key(song: Song, notes: Sequence[Note]) -> list[Note]:
    """With a key that the user gave, a tone outside both key and chord (a chromatic approach) becomes a scale tone."""
    if not song.key.given:
        return list(notes)
    out = []
    for note in notes:
        chord, key = chord_at(song.chords, note.start), song.keys.at(note.start)
        allowed = key.scale | (chord.pitch_classes if chord is not None and chord.given else frozenset())
        if note.pitch % 12 not in allowed:
            tones = (scale_tones(key, chord) & key.scale) or key.scale
            note = replace(note, pitch=nearest(note.pitch, tones, max(note.pitch - 3, 0), min(note.pitch + 3, 127)))
        out.append(note)
    return out
