"""Piano rolls in text, to look at grooves by eye."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.errors import RequestError
from bridge.timeline import Bar
from engine.grooves.groove import LANES, STREAMS, Groove
from engine.grooves.harmony import groove2chords
from engine.grooves.realise import ending, fill, realise_bars, tidy
from engine.grooves.validate import groove_bars
from engine.score import PITCH_NAMES, Chord, Key, Note

FILLS = "fill"
LANE_NAMES = {pitch: lane for lane, pitch in LANES.items()}


@dataclass(frozen=True, slots=True)
class Drawn:
    """Some bars of a groove, realised. `parts`: the notes of every stream."""

    key: Key
    bars: tuple[Bar, ...]
    chords: tuple[Chord, ...]
    parts: dict[str, list[Note]]


def groove2drawn(groove: Groove, level: str, key: Key | None = None) -> Drawn:
    """`level` (or "fill", "fill 2", ...) as the band plays it. `key` defaults to C, in the mode of the groove's first
    chord idea. Raises `RequestError` for a level or a fill that there is not."""
    is_fill = level.startswith(FILLS)
    number = level[len(FILLS) :].strip() or "1"
    if (is_fill and not (number.isdecimal() and 1 <= int(number) <= len(groove.fills))) or (
        not is_fill and level not in groove.levels
    ):
        known = ", ".join([*groove.levels, *(f"fill {i + 1}" for i in range(len(groove.fills)))])
        raise RequestError("groove.level", f"{groove.name} has no level '{level}'.", hint=f"One of {known}.")
    key = key or Key(0, groove.progressions[0].mode)
    name = "verse" if is_fill else level
    bars = groove_bars(groove, 1 if is_fill or level == "ending" else max(groove.levels[name].bars, 2))
    chords = groove2chords(groove, name, key, bars)
    if is_fill:
        parts = {s: tidy(fill(groove, s, bars[0], chords, key, variant=int(number) - 1), s) for s in STREAMS}
    elif level == "ending":
        parts = {s: tidy(ending(groove, s, bars[0], chords, key), s) for s in STREAMS}
    else:
        parts = realise_bars(groove, name, bars, chords, key)
    return Drawn(key, bars, chords, parts)


def draw(groove: Groove, level: str, *, key: Key | None = None, streams: Sequence[str] = STREAMS) -> str:
    """`level` (or "fill", "fill 2", ...) in text, one column a step, one row a lane or pitch.

    Loud strokes are '#', normal ones 'o', soft ones '.', held time '-'. `key` as in `groove2drawn`.
    """
    drawn = groove2drawn(groove, level, key)
    bars, parts = drawn.bars, drawn.parts
    lines = [
        f"{groove.title} ({groove.name}) - {level} - {groove.metre} {groove.feel} - {drawn.key.name}",
        _chord_line(groove, bars, drawn.chords),
    ]
    for stream in streams:
        if parts[stream]:
            lines += [stream, *_roll(groove, stream, parts[stream], bars)]
    return "\n".join(lines) + "\n"


def _chord_line(groove: Groove, bars: Sequence[Bar], chords: Sequence[Chord]) -> str:
    steps = groove.steps_per_quarter
    cells = [" "] * (len(bars) * groove.steps)
    for chord in chords:
        at, symbol = round(chord.beat * steps), chord.symbol
        cells[at : at + len(symbol)] = symbol
    return f"{'chords':>8} {_split(''.join(cells)[: len(bars) * groove.steps], groove.steps)}"


def _roll(groove: Groove, stream: str, notes: Sequence[Note], bars: Sequence[Bar]) -> list[str]:
    per = groove.steps_per_quarter
    width = len(bars) * groove.steps
    rows: dict[int, list[str]] = {}
    for note in notes:
        row = rows.setdefault(note.pitch, [" "] * width)
        first = round(note.start * per)
        last = min(width, max(first + 1, round(note.end * per)))
        row[first] = "#" if note.velocity >= 98 else "o" if note.velocity >= 60 else "."
        for step in range(first + 1, last if stream != "drums" else first + 1):
            row[step] = "-"
    lines = [(_row_name(stream, pitch), rows[pitch]) for pitch in sorted(rows, reverse=True)]
    return [f"{name:>8} {_split(''.join(cells), groove.steps)}" for name, cells in lines]


def _row_name(stream: str, pitch: int) -> str:
    return LANE_NAMES[pitch] if stream == "drums" else f"{PITCH_NAMES[pitch % 12]}{pitch // 12 - 1}"


def _split(cells: str, steps: int) -> str:
    return "|" + "|".join(cells[i : i + steps] for i in range(0, len(cells), steps)) + "|"
