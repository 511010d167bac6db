"""Piano rolls in text, to look at grooves by eye."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.timeline import Bar
from engine.grooves.groove import LANES, STREAMS, Groove
from engine.grooves.harmony import groove2chords
from engine.grooves.realise import ending, fill, realise_bars
from engine.grooves.validate import groove_bars
from engine.score import PITCH_NAMES, Chord, Key, Note

LANE_NAMES = {pitch: lane for lane, pitch in LANES.items()}


def draw(groove: Groove, level: str, *, key: Key | None = None, streams: Sequence[str] = STREAMS) -> str:
    """`level` (or "fill", "fill 2", ...) as the band plays it, one column a step, one row a lane or pitch.

    Loud strokes are '#', normal ones 'o', soft ones '.', held time '-'. `key` defaults to C, in the mode of the
    groove's first chord idea.
    """
    key = key or Key(0, groove.progressions[0].mode)
    name = "verse" if level.startswith("fill") else level
    count = 1 if level.startswith("fill") or level == "ending" else max(groove.levels[name].bars, 2)
    bars = groove_bars(groove, count)
    chords = groove2chords(groove, name, key, bars)
    if level.startswith("fill"):
        variant = int(level[4:] or 1) - 1
        parts = {s: fill(groove, s, bars[0], chords, key, variant=variant) for s in STREAMS}
    elif level == "ending":
        parts = {s: ending(groove, s, bars[0], chords, key) for s in STREAMS}
    else:
        parts = realise_bars(groove, name, bars, chords, key)
    lines = [
        f"{groove.title} ({groove.name}) - {level} - {groove.metre} {groove.feel} - {key.name}",
        _chord_line(groove, bars, chords),
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
