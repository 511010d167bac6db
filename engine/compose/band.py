"""The band composes: form, key, groove, chords, then every part, and says what it did.

The parts start from seed bars (the user's MIDI, else the groove book). Where the parts model is loaded it writes the
rest of the canvas; section by section and stream by stream its version stands only where it measures better than the
seeds repeated by form rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bridge.errors import RequestError
from bridge.messages import Render
from bridge.timeline import Clock
from engine.compose.candidates import SEED, Own, choices2remarks, choose_versions
from engine.compose.edit import edit_band
from engine.compose.feel import style2feel
from engine.compose.form import SectionShape
from engine.compose.go_on import continue_band
from engine.compose.harmony import settle_mode, write_chords
from engine.compose.keys import Keys
from engine.compose.lock import base_of, coupled
from engine.compose.material import Base, Material, heard2material, own_notes, rows_with
from engine.compose.measure import (
    backbeat_stability,
    bar_notes,
    chord_tone_rate,
    covered_by,
    kick_bass_agreement,
    kick_on_one,
    root_rate,
)
from engine.compose.opening import given_chords, open_song, request2shapes, section_words
from engine.compose.parts import streams2parts
from engine.compose.pitches import in_order
from engine.compose.room import Room, answer, given_melody, heard2room
from engine.compose.seats import Seat, stems2seats
from engine.compose.song import Song
from engine.compose.symbols import with_chords
from engine.compose.wishes import mean_bpm, request2wishes, request2words, track_strengths, with_instruments
from engine.compose.writers import Writers, plan_of, write_canvas
from engine.diffusion.canvas import STREAMS
from engine.report import Tick, part_of
from engine.score import FormSection, Heard, Note, Part, Score


def compose_band(
    request: Render,
    clock: Clock,
    form: Sequence[FormSection],
    heard: Heard,
    writers: Writers,
    tick: Tick,
    previous: Score | None = None,
) -> Score:
    """A score for every wanted stem. `previous` with `request.scope`: only the scope is written anew; with
    `request.continues`: the sections are written as its next ones.

    Raises `RequestError` for stems that cannot be played (`stem.vocals`), for no sections (`sections.none`) and for a
    scope that names what is not there; whatever `tick` raises goes through.
    """
    heard = with_chords(heard, request.arrangement)
    said = request2words(request)
    request = with_instruments(request, said)
    seats = stems2seats(request.stems)
    form = tuple(form) or (previous.sections if previous is not None else ())
    if not form:
        raise RequestError(
            "sections.none",
            "there is no section to play.",
            field="arrangement.sections",
            hint="Mark at least one section.",
        )
    if previous is not None and request.continues:
        words = section_words(request, form)
        return continue_band(request, clock, form, words, seats, heard, writers, tick, previous)
    if previous is not None and request.scope is not None:
        shapes = request2shapes(request, clock, form, seats)
        return edit_band(request, clock, shapes, seats, heard, writers, tick, previous)
    opening = open_song(request, clock, form, heard, seats)
    shapes, picked, key, keys = opening.shapes, opening.groove, opening.key, opening.keys
    tick(0.02)
    harmony = write_chords(
        shapes,
        keys,
        given_chords(heard),
        picked,
        plan_of(writers, part_of(tick, 0.02, 0.25)),
        request.seed,
        given_melody(heard),
        safe=request.harmony == "safe",
    )
    settled_line = ""
    if not key.given and heard.key_confidence == 0.0:
        settled = settle_mode(key, harmony.chords)
        settled_line = f"; its chords make it {settled.name}" if settled != key else ""
        keys = Keys.steady(settled)
    song = Song(
        shapes, harmony.chords, keys, picked, request.seed, mean_bpm(clock, form), request.harmony == "safe",
        request2wishes(request, heard),
    )  # fmt: skip
    material = heard2material(heard, seats, track_strengths(request))
    bases = {stream: base_of(song, stream, material) for stream in wanted_streams(seats)}
    tick(0.3)
    room = heard2room(heard)
    streams, lines = write_streams(song, bases, material, room, writers, part_of(tick, 0.3, 0.95))
    written, wished = streams2parts(song, seats, streams, material, bases, room)
    played = tuple(
        (seat.title, start, end) for seat in seats if seat.rank == 0 for start, end in bases[seat.stream].played
    )
    feel, feel_name = style2feel(request.style, picked, played)
    tick(1.0)
    parts = tuple(Part(seat.title, seat.role, written[seat.title], seat.instrument) for seat in seats)
    remarks = (
        *filter(None, (opening.key_line + settled_line, opening.groove_line, said.line)),
        f"feel: {feel_name}, swing {feel.swing:.2f} on {feel.swing_unit}ths", *harmony.remarks,
        *model_lines(writers), *lines, *material_lines(seats, material, bool(room.spans)), *wished,
        *measured_lines(parts, song, room),
    )  # fmt: skip
    changes = keys.changes if len(keys.changes) > 1 else ()
    return Score(keys.first, harmony.chords, parts, tuple(form), remarks, feel, changes)


def write_streams(
    song: Song,
    bases: Mapping[str, Base],
    material: Mapping[str, Material],
    room: Room,
    writers: Writers,
    tick: Tick,
) -> tuple[dict[str, tuple[Note, ...]], tuple[str, ...]]:
    """Every wanted stream, and a line on each about which version stands where."""
    notes: dict[str, Sequence[Note]] = {stream: base.notes for stream, base in bases.items()}
    given = {stream: base.standing for stream, base in bases.items()}
    for stream, mine in material.items():
        standing = rows_with(song, mine.taken)
        rows = rows_with(song, mine.beside) - standing
        if not rows:
            continue
        notes[stream] = in_order(
            n
            for row, bar in enumerate(song.bars)
            for n in (own_notes(mine.beside, bar.bar) if row in rows else bar_notes(notes.get(stream, ()), bar.bar))
        )
        given[stream] = given.get(stream, frozenset()) | rows
    shapes = _with_given(song, given)
    drawn = write_canvas(writers, replace(song, shapes=shapes), notes, given, song.seed, tick)
    chosen: dict[str, tuple[Note, ...]] = {}
    lines: list[str] = []
    for stream in (s for s in STREAMS if s in bases):
        versions: dict[str, Sequence[Note]] = {SEED: bases[stream].notes}
        versions.update(
            {
                f"parts model, draw {k + 1}": coupled(song, stream, draw[stream], material)
                for k, draw in enumerate(drawn)
            }
        )
        if stream == "lead":
            versions = {name: answer(notes, room) for name, notes in versions.items()}
        theirs = _own(song, material.get(stream, Material()))
        heard_drums = chosen.get("drums", notes.get("drums", ()))
        chosen[stream], choices = choose_versions(song, stream, versions, heard_drums, own=theirs)
        lines += choices2remarks(choices)
    return chosen, tuple(lines)


def _own(song: Song, material: Material) -> Own:
    """The user's bars that the stream plays or varies; what is to be left as far as a strength says is no model."""
    notes = in_order((*material.taken, *(material.vary if material.strength is None else ())))
    return Own(notes, rows_with(song, notes)) if notes else Own()


def wanted_streams(seats: Sequence[Seat]) -> tuple[str, ...]:
    """Streams that some seat needs, in the canvas's order."""
    return tuple(s for s in STREAMS if any(seat.stream == s for seat in seats))


def model_lines(writers: Writers) -> tuple[str, ...]:
    """Says which models were not there."""
    lines = []
    if writers.plan is None:
        lines.append("plan model: not loaded; chords come from you, from the labels and from the groove alone")
    if writers.parts is None:
        lines.append("parts model: not loaded; every part is seeds repeated by form rule")
    return tuple(lines)


def material_lines(seats: Sequence[Seat], material: Mapping[str, Material], melody: bool) -> tuple[str, ...]:
    """Says what was done with the user's tracks."""
    lines = []
    said = {
        "taken": "{stem}: plays {track} as you did, and carries it on where you do not",
        "beside": "{stem}: a second part beside {track}",
        "vary": "{stem}: varies {track}",
    }
    for stream, mine in material.items():
        stem = next((s.title for s in seats if s.stream == stream and s.rank == 0), "")
        if stem:
            lines += [said[k].format(stem=stem, track=t) for k, t in mine.names if (k, stream) != ("beside", "lead")]
    if melody:
        lines.append("room: the lead answers in the gaps of the given melody, chords stay below it")
    return tuple(lines)


def measured_lines(parts: Sequence[Part], song: Song, room: Room) -> tuple[str, ...]:
    """The whole song's figures."""
    bars = [bar.bar for bar in song.bars]
    first = {role: next((p.notes for p in parts if p.role == role), ()) for role in ("drums", "bass", "lead")}
    pitched = [n for p in parts if p.role != "drums" for n in p.notes]
    inside = [n.pitch % 12 in song.keys.at(n.start).scale for n in pitched]
    rows = {
        "kick on one": kick_on_one(first["drums"], bars),
        "groove stability": backbeat_stability(first["drums"], bars),
        "kick and bass together": kick_bass_agreement(first["drums"], first["bass"], bars),
        "bass on roots": root_rate(first["bass"], bars, song.chords),
        "lead on chord tones": chord_tone_rate(first["lead"], bars, song.chords),
        "lead over your melody": covered_by(first["lead"], room.spans) if first["lead"] and room.spans else None,
        "in key": sum(inside) / len(inside) if inside else None,
    }
    said = ", ".join(f"{name} {value:.2f}" for name, value in rows.items() if value is not None)
    return (f"measured: {said}",) if said else ()


def _with_given(song: Song, given: Mapping[str, frozenset[int]]) -> tuple[SectionShape, ...]:
    """Shapes in which a row that is given counts as played, so that the canvas shows it."""
    shapes: list[SectionShape] = []
    row = 0
    for shape in song.shapes:
        bars = []
        for bar in shape.bars:
            bars.append(replace(bar, streams=bar.streams | {s for s, rows in given.items() if row in rows}))
            row += 1
        shapes.append(replace(shape, bars=tuple(bars)))
    return tuple(shapes)
