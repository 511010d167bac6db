"""A continuation: new sections after a take, in its groove and key, written as if they were the song's next bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bridge.errors import RequestError
from bridge.messages import Render
from bridge.timeline import Clock
from engine.compose.edit import check_composed, score2keys
from engine.compose.form import form2shape
from engine.compose.harmony import write_chords
from engine.compose.keys import Keys, given_keys
from engine.compose.pitches import EPS, chords_in, clip_notes
from engine.compose.rewrite import rewrite
from engine.compose.room import given_melody
from engine.compose.seats import Seat
from engine.compose.song import Song
from engine.compose.wishes import mean_bpm, request2wishes
from engine.compose.writers import Writers, plan_of
from engine.grooves import groove
from engine.report import Tick, part_of
from engine.score import FormSection, Heard, Part, Score


def continue_band(
    request: Render,
    clock: Clock,
    form: Sequence[FormSection],
    words: Sequence[str],
    seats: Sequence[Seat],
    heard: Heard,
    writers: Writers,
    tick: Tick,
    earlier: Score,
) -> Score:
    """A score of the sections `form`, which begin at or after the end of `earlier`.

    The parts model hears the whole earlier take; a section whose label the take has takes over that one's chords. Only
    an outro ends the song. `words`: the new sections' own. Raises `RequestError` where the take was not composed by the
    band or reaches into the new sections.
    """
    check_composed(earlier, "continues")
    end = earlier.sections[-1].end
    if form[0].start < end - EPS:
        raise RequestError(
            "continues.overlap",
            f'"{form[0].name}" starts at beat {form[0].start:g}, before the take ends (beat {end:g}).',
            field="continues",
            hint="Put the new section behind the take, or re-roll bars of the take instead.",
        )
    whole = (*earlier.sections, *_counted_on(earlier.sections, form))
    shapes = form2shape(
        whole,
        clock,
        [seat.stream for seat in seats],
        words=(*[""] * len(earlier.sections), *words),
        seed=request.seed,
        loop=request.tail == "wrap" or whole[-1].label != "outro",
    )
    keys, key_line = _keys(request, earlier, form[0].start)
    picked = groove(earlier.feel.groove)
    given = [replace(c, given=True) for c in earlier.chords] + [c for c in heard.chords if c.given and c.end > end]
    harmony = write_chords(
        shapes, keys, given, picked, plan_of(writers, part_of(tick, 0.02, 0.3)), request.seed, given_melody(heard),
        safe=request.harmony == "safe",
    )  # fmt: skip
    theirs = {(c.root, c.quality, c.bass) for c in (*earlier.chords, *heard.chords) if c.given}
    chords = tuple(
        replace(c, given=(c.root, c.quality, c.bass) in theirs)
        for c in chords_in(harmony.chords, form[0].start, form[-1].end)
    )
    whole_song = (*earlier.chords, *chords)
    safe = request.harmony == "safe"
    song = Song(
        shapes, whole_song, keys, picked, request.seed, mean_bpm(clock, form), safe, request2wishes(request, heard)
    )
    rows = frozenset(row for row, owner in enumerate(song.owners) if owner >= len(earlier.sections))
    old = {part.name: part.notes for part in earlier.parts}
    titles = frozenset(seat.title for seat in seats)
    new = rewrite(song, seats, titles, rows, old, heard, writers, part_of(tick, 0.3, 1.0))
    parts = tuple(
        Part(
            seat.title,
            seat.role,
            tuple(n for section in form for n in clip_notes(new.notes[seat.title], section.start, section.end)),
            seat.instrument,
        )
        for seat in seats
    )
    line = f"goes on after {request.continues} in {picked.title}, {key_line}"
    own = tuple(text.replace("yours, carried over from", "as in") for text in harmony.remarks[-len(form) :])
    changes = given_keys(request.arrangement) if request.arrangement.keys else None
    later = changes.changes if changes is not None and len(changes.changes) > 1 else ()
    feel = replace(earlier.feel, as_played=new.played)
    sections = whole[len(earlier.sections) :]
    return Score(keys.at(form[0].start), chords, parts, sections, (line, *own, *new.remarks), feel, later)


def _counted_on(before: Sequence[FormSection], form: Sequence[FormSection]) -> tuple[FormSection, ...]:
    """The new sections with the take's of the same label counted before them: a second verse is verse 2."""
    return tuple(replace(f, index=f.index + sum(1 for other in before if other.label == f.label)) for f in form)


def _keys(request: Render, earlier: Score, start: float) -> tuple[Keys, str]:
    """The take's keys, then those that the request gives from `start` on."""
    standing = score2keys(earlier)
    given = given_keys(request.arrangement)
    if given is None or given.first == standing.at(start):
        return standing, f"in {standing.at(start).name} as before"
    own = tuple(change for change in standing.changes if change[0] < start - EPS)
    return Keys((*own, (start, given.first), *given.changes[1:])), f"now in {given.first.name}, as given"
