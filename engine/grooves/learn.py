"""Played parts to patterns: notes on a grid, pitches stripped to degrees of the chords that sound under them.

The inverse of `engine.grooves.realise`: a symbol is the one that the realiser would turn into the very pitch that was
played; where none does (a chromatic note), the nearest degree is written. Conventions: a passage is a run of whole
bars of one metre, steps count from its first bar.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from bridge.timeline import Bar
from engine.grooves.groove import LANES, SHAPES, Event, Pattern
from engine.grooves.harmony import chord_at, next_change
from engine.grooves.pitches import BASS_HIGH, BASS_LOW, arp_pitch, bass_pitch, lead_pitch
from engine.grooves.realise import PUSH, PUSH_OVER_BAR
from engine.grooves.voicing import chord2pitches
from engine.score import Chord, Key, Note

LANE_OF = {pitch: lane for lane, pitch in LANES.items()} | {
    35: "kick", 40: "snare", 31: "stick", 45: "tom2", 48: "tom1", 52: "crash2", 55: "crash", 58: "shaker",
    59: "ride", 60: "conga", 61: "tumba", 65: "conga", 66: "tumba", 67: "cowbell", 68: "cowbell", 69: "shaker",
    73: "shaker", 74: "shaker", 76: "clave", 77: "clave", 80: "triangle", 82: "shaker",
}  # fmt: skip
"""Lane by General MIDI drum pitch; relatives of a lane are played on it."""
LOUDER, SOFTER = 12, 20
"""Velocities above and below a row's median that make an accent and a soft stroke."""
EVEN, LOUD, SOFT = 10, 112, 56
"""A row whose velocities differ by at most `EVEN` has no strokes to compare: it is loud from, soft up to these."""
SAME = 0.9
"""Share of bars that must come round for a pattern to be that short."""
WIDTH = 16


@dataclass(frozen=True, slots=True)
class Passage:
    """Consecutive bars that play one level, or one fill. `kind`: a level's name or a kind of fill."""

    kind: str
    bars: tuple[Bar, ...]

    @property
    def start(self) -> float:
        """Beat of its first bar."""
        return self.bars[0].start

    @property
    def end(self) -> float:
        """Beat at which its last bar ends."""
        return self.bars[-1].end


@dataclass(frozen=True, slots=True)
class Struck:
    """Notes that begin on one step of a passage."""

    step: int
    length: int
    notes: tuple[Note, ...]


def notes2struck(notes: Iterable[Note], passage: Passage, per: int, steps: int) -> list[Struck]:
    """Notes of a passage by the step nearest to their start, `per` steps a beat. A note that is played a hair before
    the passage's first beat belongs to it, one that is played so before its end does not."""
    total = len(passage.bars) * steps
    by_step: dict[int, list[Note]] = defaultdict(list)
    for note in notes:
        step = round((note.start - passage.start) * per)
        if 0 <= step < total:
            by_step[step].append(note)
    return [
        Struck(step, max(1, round(max(n.length for n in group) * per)), tuple(sorted(group, key=lambda n: n.pitch)))
        for step, group in sorted(by_step.items())
    ]


def grid_error(notes: Sequence[Note], per: int) -> float:
    """Mean distance of the starts from the nearest of `per` steps a beat, in steps: 0.25 is what chance gives."""
    if not notes:
        return 0.0
    places = [n.start * per for n in notes]
    return sum(abs(p - round(p)) for p in places) / len(places)


def drums2pattern(
    notes: Sequence[Note], passage: Passage, per: int, steps: int, bars: int = 0
) -> tuple[Pattern | None, bool, Counter[int]]:
    """The drum pattern, whether a crash marks the passage's first beat, and how often pitches came that are no drums.

    `bars` forces the pattern's length (0: as many as it takes to come round). None where nothing is struck.
    """
    struck = notes2struck(notes, passage, per, steps)
    strange = Counter(n.pitch for s in struck for n in s.notes if n.pitch not in LANE_OF)
    hits: dict[tuple[int, str], int] = {}
    for s in struck:
        for n in s.notes:
            if n.pitch in LANE_OF:
                at = (s.step, LANE_OF[n.pitch])
                hits[at] = max(n.velocity, hits.get(at, 0))
    rows = [
        frozenset((step % steps, lane) for step, lane in hits if step // steps == b) for b in range(len(passage.bars))
    ]
    marked = (0, "crash") in hits and sum((0, "crash") in row for row in rows) * 4 <= len(rows)
    count = bars or period(rows[1:] if marked and len(rows) > 2 else rows)
    first = count if marked and count < len(rows) else 0
    middle = {
        lane: _middle([v for (_, played), v in hits.items() if played == lane]) for lane in {la for _, la in hits}
    }
    source = {first: 0, **{b: b for b in range(1, count)}}
    events = [
        Event(source[step // steps] * steps + step % steps, 1, lane, 0, _dynamic(velocity, middle[lane]))
        for (step, lane), velocity in hits.items()
        if step // steps in source and not (marked and step == 0 and lane == "crash")
    ]
    if not events:
        return None, False, strange
    return Pattern(count, steps, tuple(sorted(events, key=lambda e: (e.step, LANES[e.symbol])))), marked, strange


def period(rows: Sequence[object]) -> int:
    """1, 2 or 4: the shortest pattern that most bars repeat; else as many bars as there are, at most 4."""
    for count in (1, 2, 4):
        later = range(count, len(rows))
        if later and sum(rows[i] == rows[i % count] for i in later) >= SAME * len(later):
            return count
    return 4 if len(rows) >= 4 else 2 if len(rows) >= 2 else 1


def line2pattern(
    stream: str, notes: Sequence[Note], passage: Passage, chords: Sequence[Chord], key: Key, per: int, steps: int
) -> Pattern | None:
    """Bass, arp or lead; of notes struck together the lowest (bass) or the highest counts. None where nothing is
    played."""
    struck = notes2struck(notes, passage, per, steps)
    if not struck:
        return None
    pick = 0 if stream == "bass" else -1
    played = [replace(s, notes=(s.notes[pick],)) for s in struck]
    pitches = [s.notes[0].pitch for s in played]
    low, high = (BASS_LOW, BASS_HIGH) if stream == "bass" else _register(pitches)
    shell = Pattern(1, steps, (), low, high)
    middle = median(s.notes[0].velocity for s in played)
    rows: list[list[tuple[int, int, str, int, int]]] = [[] for _ in passage.bars]
    before: int | None = None
    for i, s in enumerate(played):
        room = (played[i + 1].step if i + 1 < len(played) else len(passage.bars) * steps) - s.step
        length = min(s.length, room)
        chord = _chord_under(s, length, passage, chords, per, steps)
        wanted = _fold(pitches[i]) if stream == "bass" else pitches[i]
        ahead = pitches[i + 1] if i + 1 < len(played) else None
        symbol, octave = _symbol(stream, wanted, chord, key, shell, before, ahead)
        before = pitches[i]
        dynamic = _dynamic(s.notes[0].velocity, middle)
        rows[s.step // steps].append((s.step % steps, length, symbol, octave, dynamic))
    plain = [tuple((at, symbol) for at, _, symbol, _, _ in row) for row in rows]
    return _cut(rows, period(plain), steps, low, high)


def chords2pattern(
    notes: Sequence[Note], passage: Passage, chords: Sequence[Chord], key: Key, per: int, steps: int
) -> Pattern | None:
    """Comp or pad: hits, how much of the voicing each sounds, and the shape that comes nearest to what was played."""
    struck = notes2struck(notes, passage, per, steps)
    if not struck:
        return None
    pitches = [n.pitch for s in struck for n in s.notes]
    low, high = _register(pitches)
    full = Counter(len(s.notes) for s in struck).most_common(1)[0][0]
    centre = median(pitches)
    middle = median(n.velocity for s in struck for n in s.notes)
    changes = {round((c.beat - passage.start) * per) for c in chords}
    rows: list[list[tuple[int, int, str, int, int]]] = [[] for _ in passage.bars]
    last: tuple[int, int] | None = None
    for i, s in enumerate(struck):
        room = (struck[i + 1].step if i + 1 < len(struck) else len(passage.bars) * steps) - s.step
        length = min(s.length, room)
        if last is not None and s.step in changes and len(s.notes) < full and last[1] > s.step:
            continue
        last = (s.step, s.step + s.length)
        mean = sum(n.pitch for n in s.notes) / len(s.notes)
        part = "x" if 2 * len(s.notes) > full else "l" if mean < centre and len(s.notes) == 1 else "u"
        dynamic = _dynamic(max(n.velocity for n in s.notes), middle)
        symbol = "X" if part == "x" and dynamic > 0 else part
        rows[s.step // steps].append((s.step % steps, length, symbol, 0, dynamic))
    shape = _shape(struck, passage, chords, key, per, low, high, full)
    return _cut(rows, period([tuple((at, s) for at, _, s, _, _ in row) for row in rows]), steps, low, high, shape)


def _cut(
    rows: Sequence[Sequence[tuple[int, int, str, int, int]]],
    count: int,
    steps: int,
    low: int,
    high: int,
    shape: str = "",
) -> Pattern | None:
    """The first `count` bars; where those are silent, the first that are not. Holds end where the next note begins."""
    first = next((b for b in range(0, len(rows), count) if any(rows[b : b + count])), 0)
    events = [
        Event(b * steps + at, length, symbol, octave, dynamic)
        for b, row in enumerate(rows[first : first + count])
        for at, length, symbol, octave, dynamic in row
    ]
    if not events:
        return None
    total = count * steps
    ends = [*(e.step for e in events[1:]), events[0].step + total]
    cut = [replace(e, length=min(e.length, end - e.step, total)) for e, end in zip(events, ends, strict=True)]
    return Pattern(count, steps, tuple(cut), low, high, shape)


def _symbol(
    stream: str, pitch: int, chord: Chord, key: Key, shell: Pattern, before: int | None, ahead: int | None
) -> tuple[str, int]:
    """The symbol and octave sign that the realiser turns into `pitch`, or into the nearest there is."""
    symbols = {"bass": "18537246/\\", "arp": "abcdefgh1357246", "lead": "1357246=nudUD"}[stream]
    best: tuple[int, int, str, int] | None = None
    for octave in (0, 1, -1):
        for rank, symbol in enumerate(symbols):
            if (octave and not (symbol in "135abcdefgh" or stream == "lead")) or (octave and symbol in "=nudUD/\\"):
                continue
            event = Event(0, 1, symbol, octave)
            if stream == "bass":
                if symbol in "/\\" and ahead is None:
                    continue
                made = bass_pitch(event, chord, key, shell, None if ahead is None else _fold(ahead))
            elif stream == "arp":
                made = arp_pitch(event, chord, key, shell)
            else:
                if octave and before is None:
                    continue
                made = lead_pitch(event, chord, key, shell, before)
            cost = (abs(made - pitch), (rank if made == pitch else 0) + 20 * abs(octave))
            if best is None or cost < best[:2]:
                best = (*cost, symbol, octave)
    assert best is not None
    return best[2], best[3]


def _chord_under(s: Struck, length: int, passage: Passage, chords: Sequence[Chord], per: int, steps: int) -> Chord:
    """The chord that a note belongs to: the next one where it anticipates a change, as the realiser has it."""
    start, end = passage.start + s.step / per, passage.start + (s.step + length) / per
    change = next_change(chords, start)
    over = s.step // steps != (s.step + length - 1) // steps
    if change is not None and change - start <= (PUSH_OVER_BAR if over else PUSH) + 1e-6 and end > change + 1e-6:
        return chord_at(chords, change)
    return chord_at(chords, start)


def _shape(
    struck: Sequence[Struck],
    passage: Passage,
    chords: Sequence[Chord],
    key: Key,
    per: int,
    low: int,
    high: int,
    full: int,
) -> str:
    """The voicing shape whose pitches agree best with the full chords that were played."""
    whole = [s for s in struck if len(s.notes) == full][:16]

    def agreement(shape: str) -> float:
        total = 0.0
        for s in whole:
            played = {n.pitch for n in s.notes}
            made = set(chord2pitches(chord_at(chords, passage.start + s.step / per), key, shape, low, high, None))
            classes = {p % 12 for p in played}
            alike = len(played & made) / len(played | made)
            total += alike + len(classes & {p % 12 for p in made}) / len(classes | {p % 12 for p in made})
            total -= 0.2 * abs(len(made) - len(played))
        return total

    return max(SHAPES, key=agreement)


def _dynamic(velocity: int, middle: float) -> int:
    return 1 if velocity >= middle + LOUDER else -1 if velocity <= middle - SOFTER else 0


def _middle(velocities: Sequence[int]) -> float:
    """The velocity of a plain stroke in a row of drum strokes."""
    middle = median(velocities)
    if max(velocities) - min(velocities) > EVEN:
        return middle
    return middle - LOUDER if middle >= LOUD else middle + SOFTER if middle <= SOFT else middle


def _register(pitches: Sequence[int]) -> tuple[int, int]:
    """The pitches' span, widened to what the notation asks for."""
    low, high = max(24, min(pitches)), min(108, max(pitches))
    while high - low < WIDTH:
        low, high = max(24, low - 1), min(108, high + 1)
    return low, high


def _fold(pitch: int) -> int:
    while pitch > BASS_HIGH:
        pitch -= 12
    while pitch < BASS_LOW:
        pitch += 12
    return pitch
