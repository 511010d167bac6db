"""Wishes met: written parts made denser, more complex, higher, and clear of another, in that order. Where the user gave
a section another energy than its label has by custom, it is denser or thinner by that, too.

Parts that leave space for others are shaped after them. The user's own playing is never touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.compose.complexity import with_complexity
from engine.compose.density import size, with_density
from engine.compose.form import energy_density
from engine.compose.measure import bar_notes
from engine.compose.register import with_register
from engine.compose.seats import Seat
from engine.compose.song import Song
from engine.compose.space import WITHIN, clear_of
from engine.compose.wishes import Wish
from engine.score import Note

LEAST = 0.005
"""Densities nearer to none are none."""
FAR = 0.15
"""Share of the wished density, or octaves of the wished register, that may be missing before the result says so."""


def shape_parts(
    song: Song, seats: Sequence[Seat], ours: Mapping[str, Sequence[Note]], own: Mapping[str, Sequence[Note]]
) -> dict[str, tuple[Note, ...]]:
    """What the band wrote of every part, by title, with its stem's wish met. `own`: the user's playing in those parts,
    which stays, and which others keep clear of as well."""
    parts = {title: tuple(notes) for title, notes in ours.items()}
    for seat in in_turn(seats, song.wishes):
        wish = song.wishes.get(seat.title, Wish())
        whole = {title: (*notes, *own.get(title, ())) for title, notes in parts.items()}
        parts[seat.title] = _shaped(song, seat, parts[seat.title], wish, rival_notes(wish, whole))
    return parts


def is_asked(song: Song) -> bool:
    """Whether any stem or section asks for other parts than the groove has."""
    return bool(song.wishes) or any(abs(energy_density(shape.section)) > LEAST for shape in song.shapes)


def in_turn(seats: Sequence[Seat], wishes: Mapping[str, Wish]) -> list[Seat]:
    """Seats in an order in which every stem comes after those that it leaves space for."""
    done: list[Seat] = []
    waiting = list(seats)
    while waiting:
        titles = {seat.title for seat in waiting}
        ready = [s for s in waiting if s.title not in wishes or not titles & set(wishes[s.title].rivals)]
        done += ready or waiting
        waiting = [seat for seat in waiting if seat not in done]
    return done


def wish_lines(
    song: Song, seats: Sequence[Seat], before: Mapping[str, Sequence[Note]], after: Mapping[str, Sequence[Note]]
) -> tuple[str, ...]:
    """For people: what was wished of a stem and what it has now, against what it had by itself (`before`)."""
    lines = []
    for seat in seats:
        wish = song.wishes.get(seat.title)
        if wish is None:
            continue
        old, new = before[seat.title], after[seat.title]
        said = []
        if wish.density:
            had, have = (_per_bar(song, seat, notes) for notes in (old, new))
            goal = had * 2.0**wish.density
            short = (
                "" if abs(have - goal) <= FAR * goal else ": no more fit" if have < goal else ": no fewer without gaps"
            )
            said.append(f"density {wish.density:+g} ({had:.1f} a bar by itself, {have:.1f} now{short})")
        if wish.register and old and new:
            moved = _mean_pitch(new) - _mean_pitch(old)
            short = ": its range ends there" if abs(moved / 12 - wish.register) > FAR else ""
            said.append(f"register {wish.register:+g} ({moved:+.1f} semitones{short})")
        if wish.complexity:
            said.append(f"complexity {wish.complexity:+g}")
        if wish.rivals or wish.theirs:
            others = rival_notes(wish, after)
            had, have = (100 * meeting_rate(notes, others) for notes in (old, new))
            said.append(
                f"leaves space for {', '.join(wish.rivals) or 'your track'} ({had:.0f} % together, {have:.0f} % now)"
            )
        if wish.unheard:
            said.append(f"could not keep clear of {wish.unheard}: no notes of it are known")
        if said:
            lines.append(f"{seat.title}: {'; '.join(said)}")
    return tuple(lines)


def rival_notes(wish: Wish, parts: Mapping[str, Sequence[Note]]) -> tuple[Note, ...]:
    """Notes, by start, that a stem keeps clear of."""
    notes = [n for title in wish.rivals for n in parts.get(title, ())]
    return tuple(sorted((*notes, *wish.theirs), key=lambda n: n.start))


def meeting_rate(notes: Sequence[Note], others: Sequence[Note]) -> float:
    """Share of the notes that begin together with one of `others`, 0-1."""
    taken = [n.start for n in others]
    return sum(any(abs(n.start - t) < WITHIN for t in taken) for n in notes) / len(notes) if notes else 0.0


def _shaped(song: Song, seat: Seat, notes: tuple[Note, ...], wish: Wish, others: Sequence[Note]) -> tuple[Note, ...]:
    rows = range(len(song.bars))
    for i, shape in enumerate(song.shapes):
        amount = wish.density + energy_density(shape.section)
        if abs(amount) > LEAST:
            notes = with_density(song, seat, notes, amount, [row for row in rows if song.owners[row] == i])
    if wish.complexity:
        notes = with_complexity(song, seat, notes, wish.complexity, rows)
    if wish.register:
        notes = with_register(song, seat, notes, wish.register, rows)
    return clear_of(song, seat, notes, others, rows) if others else notes


def _per_bar(song: Song, seat: Seat, notes: Sequence[Note]) -> float:
    bars = [bar_notes(notes, bar.bar) for bar in song.bars if not bar.ending]
    sounding = [here for here in bars if here]
    return sum(size(seat.stream, here) for here in sounding) / len(sounding) if sounding else 0.0


def _mean_pitch(notes: Sequence[Note]) -> float:
    return sum(n.pitch for n in notes) / len(notes)
