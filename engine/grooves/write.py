"""Writes `Groove` values in the groove notation (NOTATION.md): what `parse_groove` reads back as the same groove."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.grooves.derive import derive_levels
from engine.grooves.groove import LANES, STREAMS, Degree, Event, Groove, Level, Pattern, Progression
from engine.grooves.notation import MAIN_ROW, NUMERALS, SUFFIXES

STROKES = {-1: "o", 0: "x", 1: "X"}
SLASHES = {3: "3", 4: "3", 7: "5", 10: "7", 2: "2"}
WORDS = {quality: (suffix, minor) for minor in (True, False) for suffix, quality in reversed(SUFFIXES[minor].items())}
"""Quality -> suffix, and whether the numeral is small."""


def groove2text(groove: Groove) -> str:
    """The groove's file. Levels that would be derived are left out."""
    swing = f"swing  {groove.swing:g} {groove.swing_unit}\n" if groove.swing != 0.5 else ""
    head = (
        f"groove {groove.name}\ntitle  {groove.title}\ntags   {', '.join(groove.tags)}\nmetre  {groove.metre}\n"
        f"feel   {groove.feel}\nbpm    {groove.bpm_low:.0f}-{groove.bpm_high:.0f}\n{swing}lock   {groove.lock}\n"
    )
    head += "".join(f"chords {_progression(p, groove.bar_beats)}\n" for p in groove.progressions)
    needed = {name: level for name, level in groove.levels.items() if name in ("verse", "chorus", "ending")}
    derived = derive_levels(needed)
    written = [name for name in ("intro", "verse", "chorus", "bridge") if groove.levels[name] != derived[name]]
    blocks = []
    for name in ("intro", "verse", "chorus", "bridge"):
        if name in needed or name in written:
            level = groove.levels[name]
            blocks.append(_block(f"level {name}" + (" crash" if level.crash else ""), level.streams, groove))
        if name in needed or name in written:
            blocks += _alternatives(groove, name)
    for fill in groove.fills:
        blocks.append(_block("fill" if fill.name == "fill" else f"fill {fill.name}", fill.streams, groove))
    blocks.append(_block("level ending", groove.levels["ending"].streams, groove))
    blocks += _alternatives(groove, "ending")
    return head + "\n" + "\n".join(blocks)


def _alternatives(groove: Groove, name: str) -> list[str]:
    """What other versions play instead; a version that plays nothing else is not written."""
    base: Level = groove.levels[name]
    blocks: list[str] = []
    for levels in groove.alternatives:
        other = levels[name]
        changed = {s: p for s, p in other.streams.items() if base.streams.get(s) != p}
        block = _block(f"alt {name}", changed, groove) if changed else ""
        if block and (not blocks or blocks[-1] != block):
            blocks.append(block)
    return blocks


def _block(head: str, streams: dict[str, Pattern], groove: Groove) -> str:
    lines = [head]
    for stream in STREAMS:
        if stream in streams:
            lines += _stream(stream, streams[stream], groove.steps_per_quarter)
    return "\n".join(lines) + "\n"


def _stream(stream: str, pattern: Pattern, group: int) -> list[str]:
    if stream == "drums":
        lanes = [lane for lane in LANES if any(e.symbol == lane for e in pattern.events)]
        rows = {lane: _cells(pattern, [e for e in pattern.events if e.symbol == lane], _stroke) for lane in lanes}
        return ["  drums", *(f"    {lane:<8} | {_bars(cells, pattern, group)}" for lane, cells in rows.items())]
    shape = f" {pattern.shape}" if pattern.shape else ""
    lines = [f"  {stream}{shape} {pattern.low}-{pattern.high}"]
    main = _cells(pattern, pattern.events, lambda e: e.symbol)
    for e in pattern.events:
        for k in range(1, e.length):
            main[(e.step + k) % len(main)] = "-"
    lines.append(f"    {MAIN_ROW[stream]:<5} | {_bars(main, pattern, group)}")
    if any(e.octave for e in pattern.events):
        octaves = _cells(pattern, [e for e in pattern.events if e.octave], lambda e: "^" if e.octave > 0 else "v")
        lines.append(f"    oct   | {_bars(octaves, pattern, group)}")
    loud = [e for e in pattern.events if e.dynamic and not (e.symbol == "X" and e.dynamic > 0)]
    if loud:
        lines.append(
            f"    dyn   | {_bars(_cells(pattern, loud, lambda e: '>' if e.dynamic > 0 else 'o'), pattern, group)}"
        )
    return lines


def _stroke(event: Event) -> str:
    return STROKES[event.dynamic]


def _cells(pattern: Pattern, events: Sequence[Event], symbol: Callable[[Event], str]) -> list[str]:
    cells = ["."] * (pattern.bars * pattern.steps)
    for event in events:
        cells[event.step] = symbol(event)
    return cells


def _bars(cells: list[str], pattern: Pattern, group: int) -> str:
    """Cells with a blank after every quarter note and a line after every bar."""
    bars = []
    for b in range(pattern.bars):
        bar = "".join(cells[b * pattern.steps : (b + 1) * pattern.steps])
        bars.append(" ".join(bar[i : i + group] for i in range(0, len(bar), group)))
    return " | ".join(bars) + " |"


def _progression(progression: Progression, bar_beats: float) -> str:
    """A `chords` line; each bar has as few words as its changes allow."""
    bars: list[list[tuple[float, Degree | None]]] = [[] for _ in range(progression.bars)]
    at = 0.0
    for chord in progression.chords:
        bar = min(int(at / bar_beats + 1e-6), progression.bars - 1)
        bars[bar].append((at - bar * bar_beats, chord))
        end = at + chord.beats
        for later in range(bar + 1, progression.bars):
            if later * bar_beats < end - 1e-6:
                bars[later].append((0.0, None))
        at = end
    return (
        f"{progression.level} {progression.mode} | " + "".join(f"{_bar_words(b, bar_beats)} | " for b in bars).strip()
    )


def _bar_words(bar: list[tuple[float, Degree | None]], bar_beats: float) -> str:
    for count in range(1, 97):
        places = [at * count / bar_beats for at, _ in bar]
        if all(abs(p - round(p)) < 1e-6 for p in places):
            break
    words = ["."] * count
    for place, (_, chord) in zip(places, bar, strict=True):
        words[round(place)] = "." if chord is None else degree2word(chord)
    return " ".join(words)


def degree2word(chord: Degree) -> str:
    """ "V7/3" and the like."""
    suffix, minor = WORDS[chord.quality]
    numeral = NUMERALS[chord.degree] if minor else NUMERALS[chord.degree].upper()
    slash = "" if chord.bass is None else f"/{SLASHES[chord.bass]}"
    return f"{'b' if chord.alter < 0 else '#' if chord.alter > 0 else ''}{numeral}{suffix}{slash}"
