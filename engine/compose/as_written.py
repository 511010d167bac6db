"""The composer that composes nothing: the user's MIDI as it stands becomes the parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bridge.errors import RequestError
from bridge.messages import Render
from bridge.timeline import Clock
from engine.compose.seats import ROLE_STREAM, Seat, stems2seats
from engine.report import Tick
from engine.score import Chord, Feel, FormSection, Heard, Note, Part, Score


def compose_as_written(request: Render, clock: Clock, form: Sequence[FormSection], heard: Heard, tick: Tick) -> Score:
    """Every wanted stem gets the context track of its name, else of its role, else of its kind (keys and guitar are
    both chords); notes, velocities and timing as the user played them, cut to the sections.

    A wanted stem without a track stays empty and the remarks say so. Raises `RequestError` (`as_written.nothing`) when
    no track at all can be used, `stem.vocals` for vocals.
    """
    seats = stems2seats(request.stems)
    tracks = {seat.title: index for seat, index in match_tracks(seats, heard.parts)}
    if not tracks:
        raise RequestError(
            "as_written.nothing",
            "no MIDI track fits any of the wanted stems.",
            field="arrangement.tracks",
            hint="Add MIDI tracks with roles, or let the band compose.",
        )
    parts: list[Part] = []
    remarks = [f"key: {heard.key.name}, {'as given' if heard.key.given else 'heard in your tracks'}"]
    for i, seat in enumerate(seats):
        notes: tuple[Note, ...] = ()
        if seat.title in tracks:
            source = heard.parts[tracks[seat.title]]
            notes = tuple(_inside(n, f) for n in source.notes for f in form if f.start <= n.start < f.end)
            remarks.append(f"{seat.title}: {source.name} as written")
        else:
            remarks.append(f"{seat.title}: none of your tracks fits; the stem is silent")
        parts.append(Part(seat.title, seat.role, notes, seat.instrument))
        tick((i + 1) / len(seats))
    chords = tuple(c for f in form for c in _cut(heard.chords, f))
    played = tuple((part.name, form[0].start, form[-1].end) for part in parts if form)
    return Score(heard.key, chords, tuple(parts), tuple(form), tuple(remarks), Feel(as_played=played))


def match_tracks(seats: Sequence[Seat], tracks: Sequence[Part]) -> list[tuple[Seat, int]]:
    """Pairs of seats and indices of tracks, every track used once: same name first, then role, then stream."""
    pairs: list[tuple[Seat, int]] = []
    free = [i for i, track in enumerate(tracks) if track.notes]
    for alike in (_same_name, _same_role, _same_stream):
        for seat in seats:
            if any(taken is seat for taken, _ in pairs):
                continue
            found = next((i for i in free if alike(seat, tracks[i])), None)
            if found is not None:
                pairs.append((seat, found))
                free.remove(found)
    return pairs


def _same_name(seat: Seat, track: Part) -> bool:
    return seat.title.casefold() == track.name.casefold()


def _same_role(seat: Seat, track: Part) -> bool:
    return seat.role == track.role


def _same_stream(seat: Seat, track: Part) -> bool:
    return seat.stream == ROLE_STREAM.get(track.role)


def _inside(note: Note, section: FormSection) -> Note:
    """The note, released at the section's end at the latest."""
    return replace(note, length=section.end - note.start) if note.end > section.end else note


def _cut(chords: Sequence[Chord], section: FormSection) -> list[Chord]:
    """Chords inside a section, cut to it."""
    out = []
    for chord in chords:
        start, end = max(chord.beat, section.start), min(chord.end, section.end)
        if end > start:
            out.append(replace(chord, beat=start, beats=end - start))
    return out
