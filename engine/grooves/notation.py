"""Reads the groove notation (NOTATION.md) into `Groove` values.

Every error is a `RequestError` whose field is "file:line" and whose hint says what the line should look like.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from bridge.errors import RequestError
from engine.grooves.derive import alternatives, derive_levels
from engine.grooves.groove import (
    FILL_KINDS,
    LANES,
    LEVELS,
    SHAPES,
    STREAMS,
    Degree,
    Event,
    Groove,
    Level,
    Pattern,
    Progression,
)  # fmt: skip

HEADER = ("groove", "title", "tags", "metre", "feel", "bpm", "swing", "lock")
CELLS = {
    "bass": "123456789/\\x",
    "comp": "xXuplms",
    "pad": "xXuplms",
    "arp": "123456789abcdefgh",
    "lead": "123456789nudUD=",
}
DEFAULT_RANGE = {"bass": (28, 55), "comp": (52, 76), "pad": (53, 76), "arp": (62, 86), "lead": (64, 82)}
MAIN_ROW = {"bass": "notes", "comp": "hits", "pad": "hits", "arp": "notes", "lead": "notes"}
NUMERALS = ("i", "ii", "iii", "iv", "v", "vi", "vii")
SUFFIXES = {
    False: {"": "", "7": "7", "maj7": "maj7", "6": "6", "9": "9", "sus2": "sus2", "sus4": "sus4", "+": "aug"},
    True: {"": "m", "7": "m7", "6": "m6", "o": "dim", "o7": "dim7", "h7": "m7b5", "9": "m7"},
}
"""Quality by suffix, for upper-case (False) and lower-case (True) numerals."""


@dataclass
class Row:
    """A row of a grid as read: the cells of each bar."""

    line: int
    bars: list[str]


@dataclass
class Block:
    """A level, an alternative of one (`alt`), or a fill while it is read."""

    kind: str
    line: int
    crash: bool = False
    alt: bool = False
    streams: dict[str, tuple[int, list[str], dict[str, Row]]] = field(default_factory=dict)


def read_groove(path: Path) -> Groove:
    """The groove in a file. Raises `RequestError` naming file and line."""
    return parse_groove(path.read_text(encoding="utf-8"), path.name)


def parse_groove(text: str, source: str) -> Groove:
    """The groove in `text`; `source` names it in errors."""
    return _Reader(source).read(text)


class _Reader:
    def __init__(self, source: str) -> None:
        self.source = source
        self.line = 0
        self.header: dict[str, str] = {}
        self.header_lines: dict[str, int] = {}
        self.progressions: list[tuple[int, str]] = []
        self.blocks: list[Block] = []

    def wrong(self, message: str, hint: str = "", line: int | None = None) -> RequestError:
        at = self.line if line is None else line
        return RequestError("groove.notation", message, field=f"{self.source}:{at}", hint=hint)

    def read(self, text: str) -> Groove:
        stream = ""
        for self.line, raw in enumerate(text.splitlines(), 1):
            words = raw.split("|", 1)[0].split() if not raw.startswith("chords") else raw.split()
            if not words or words[0].startswith("#"):
                continue
            head = words[0]
            if head in HEADER or head == "chords":
                self._header(head, " ".join(words[1:]))
            elif head in ("level", "alt", "fill"):
                stream = ""
                self._block(words)
            elif not self.blocks:
                raise self.wrong(f"'{head}' before the first level.", f"Header lines are {', '.join(HEADER)}, chords.")
            elif head in STREAMS:
                if head in self.blocks[-1].streams:
                    raise self.wrong(f"{head} is written twice in this level.")
                stream = head
                self.blocks[-1].streams[head] = (self.line, words[1:], {})
            elif "|" in raw:
                self._row(stream, head, raw)
            else:
                raise self.wrong(f"'{head}' is neither a stream nor a row.", f"Streams are {', '.join(STREAMS)}.")
        return self._groove()

    def _header(self, head: str, value: str) -> None:
        if self.blocks:
            raise self.wrong(f"'{head}' belongs before the first level.")
        if head == "chords":
            self.progressions.append((self.line, value))
            return
        if head in self.header:
            raise self.wrong(f"'{head}' is written twice.")
        self.header[head] = value
        self.header_lines[head] = self.line

    def _block(self, words: list[str]) -> None:
        if words[0] == "fill":
            kind = " ".join(words[1:]) or "fill"
            if kind not in FILL_KINDS:
                raise self.wrong(f"there is no fill of kind '{kind}'.", "fill, fill stop or fill pickup.")
            self.blocks.append(Block(kind, self.line))
            return
        if len(words) < 2 or words[1] not in LEVELS:
            raise self.wrong("a level needs a name.", f"One of {', '.join(LEVELS)}.")
        if words[0] == "alt":
            if words[2:] or not any(b.kind == words[1] and not b.alt for b in self.blocks):
                raise self.wrong(f"'{' '.join(words)}' needs the level before it.", "As in: alt verse")
            self.blocks.append(Block(words[1], self.line, alt=True))
            return
        if any(b.kind == words[1] for b in self.blocks):
            raise self.wrong(f"level {words[1]} is written twice.")
        if words[2:] not in ([], ["crash"]):
            raise self.wrong(f"'{' '.join(words[2:])}' after the level's name.", "Only 'crash' may stand there.")
        self.blocks.append(Block(words[1], self.line, crash=len(words) > 2))

    def _row(self, stream: str, name: str, raw: str) -> None:
        if not stream:
            raise self.wrong(f"row '{name}' stands in no stream.")
        allowed = set(LANES) if stream == "drums" else {MAIN_ROW[stream], "oct", "dyn"}
        if name not in allowed:
            raise self.wrong(f"{stream} has no row '{name}'.", f"Rows are {', '.join(sorted(allowed))}.")
        rows = self.blocks[-1].streams[stream][2]
        if name in rows:
            raise self.wrong(f"row '{name}' is written twice.")
        parts = raw.split("|")
        if parts[0].split() != [name] or parts[-1].strip():
            raise self.wrong("a row is: name | bar | bar |.")
        bars: list[str] = []
        for part in parts[1:-1]:
            cells = "".join(part.split())
            if cells == "%" and not bars:
                raise self.wrong("'%' repeats the bar before; there is none.")
            bars.append(bars[-1] if cells == "%" else cells)
        if len(bars) not in (1, 2, 4):
            raise self.wrong(f"{len(bars)} bars; a pattern has 1, 2 or 4.")
        rows[name] = Row(self.line, bars)

    def _value(self, key: str, pattern: str, hint: str, default: str | None = None) -> tuple[str, ...]:
        if key not in self.header and default is None:
            raise self.wrong(f"'{key}' is missing.", hint, line=1)
        text = self.header.get(key, default or "")
        match = re.fullmatch(pattern, text)
        if match is None:
            raise self.wrong(f"{key} '{text}' cannot be read.", hint, line=self.header_lines.get(key, 1))
        return match.groups()

    def _groove(self) -> Groove:
        (name,) = self._value("groove", r"([a-z][a-z0-9-]*)", "A short name in small letters.")
        (title,) = self._value("title", r"(\S.*)", "A title for people.")
        (tags,) = self._value("tags", r"(\S.*)", "Words that people say, separated by commas.")
        beats, unit = self._value("metre", r"(\d+)/(2|4|8|16)", "As in 4/4 or 6/8.")
        (feel,) = self._value("feel", r"(straight|triplet)", "straight or triplet.")
        low, high = self._value("bpm", r"(\d+)-(\d+)", "As in 90-120.")
        swing, swing_unit = self._value(
            "swing", r"(0\.[5-7]\d*) (8|16)", "A share from 0.5 and a unit: 0.58 16.", "0.5 16"
        )
        (lock,) = self._value("lock", r"(0\.\d+|1\.0)", "A share from 0 to 1.", "0.5")
        spq = 4 if feel == "straight" else 3
        steps = int(beats) * 4 * spq / int(unit)
        if not 1 <= steps <= 96 or steps != int(steps):
            raise self.wrong(f"{beats}/{unit} has no whole number of steps.", line=self.header_lines["metre"])
        if not 0 < int(low) < int(high):
            raise self.wrong("the slower tempo comes first.", "As in 90-120.", line=self.header_lines["bpm"])
        if float(swing) > 0.7:
            raise self.wrong("swing goes from 0.5 to 0.7.", line=self.header_lines["swing"])
        bar_beats = int(beats) * 4 / int(unit)
        built = [(b, self._level(b, int(steps))) for b in self.blocks]
        levels = {b.kind: lvl for b, lvl in built if b.kind in LEVELS and not b.alt}
        fills = tuple(lvl for b, lvl in built if b.kind in FILL_KINDS)
        others = [lvl for b, lvl in built if b.alt]
        for need in ("verse", "chorus", "ending"):
            if need not in levels:
                raise self.wrong(f"level {need} is missing.", "A groove has verse, chorus, fill and ending.", line=1)
        if not fills:
            raise self.wrong("there is no fill.", "A groove has verse, chorus, fill and ending.", line=1)
        progressions = tuple(self._progression(line, text, bar_beats) for line, text in self.progressions)
        for need in ("verse", "chorus"):
            if not any(p.level == need for p in progressions):
                raise self.wrong(
                    f"chords for the {need} are missing.", "chords verse major | I | V | vi | IV |", line=1
                )
        return Groove(
            name, title, tuple(t.strip().lower() for t in tags.split(",") if t.strip()), int(beats), int(unit), feel,
            float(low), float(high), float(swing), int(swing_unit), float(lock), progressions,
            derive_levels(levels), fills, alternatives(levels, others),
        )  # fmt: skip

    def _level(self, block: Block, steps: int) -> Level:
        streams: dict[str, Pattern] = {}
        for stream, (line, words, rows) in block.streams.items():
            if not rows:
                raise self.wrong(f"{stream} has no rows.", line=line)
            bars = max(len(r.bars) for r in rows.values())
            if block.kind in (*FILL_KINDS, "ending") and bars != 1:
                raise self.wrong("fills and endings are one bar long.", line=line)
            grids = {name: self._cells(row, bars, steps) for name, row in rows.items()}
            if stream == "drums":
                streams[stream] = Pattern(bars, steps, self._hits(grids, rows))
            else:
                streams[stream] = self._notes(stream, line, words, grids, rows, bars, steps)
        if block.alt:
            return Level(block.kind, streams)
        if block.kind in ("verse", "chorus") and set(streams) != set(STREAMS):
            missing = ", ".join(s for s in STREAMS if s not in streams)
            raise self.wrong(
                f"{block.kind} lacks {missing}.", "Verse and chorus have all six streams.", line=block.line
            )
        if "drums" not in streams:
            raise self.wrong("drums are missing.", line=block.line)
        return Level(block.kind, streams, block.crash)

    def _cells(self, row: Row, bars: int, steps: int) -> str:
        for i, bar in enumerate(row.bars):
            if len(bar) != steps:
                raise self.wrong(f"bar {i + 1} has {len(bar)} steps, not {steps}.", line=row.line)
        return "".join(row.bars) * (bars // len(row.bars))

    def _hits(self, grids: dict[str, str], rows: dict[str, Row]) -> tuple[Event, ...]:
        events: list[Event] = []
        for lane, cells in grids.items():
            if set(cells) <= {"."}:
                raise self.wrong(f"{lane} is never struck.", "Leave a silent lane out.", line=rows[lane].line)
            for step, cell in enumerate(cells):
                if cell == ".":
                    continue
                if cell not in "xXo":
                    raise self.wrong(
                        f"'{cell}' is no drum stroke.", "x, X (accent), o (ghost) or .", line=rows[lane].line
                    )
                events.append(Event(step, 1, lane, 0, {"o": -1, "x": 0, "X": 1}[cell]))
        return tuple(sorted(events, key=lambda e: (e.step, LANES[e.symbol])))

    def _notes(
        self,
        stream: str,
        line: int,
        words: list[str],
        grids: dict[str, str],
        rows: dict[str, Row],
        bars: int,
        steps: int,
    ) -> Pattern:
        main = MAIN_ROW[stream]
        if main not in grids:
            raise self.wrong(f"{stream} has no row '{main}'.", line=line)
        low, high, shape = self._options(stream, line, words)
        for extra, signs in (("oct", "^v."), ("dyn", ">o.")):
            for cell in grids.get(extra, ""):
                if cell not in signs:
                    raise self.wrong(
                        f"'{cell}' does not belong into row {extra}.", f"One of {signs}", line=rows[extra].line
                    )
        cells, octave, dynamic = grids[main], grids.get("oct", ""), grids.get("dyn", "")
        if set(cells) <= set("-."):
            raise self.wrong(f"{stream} plays nothing.", "Leave a silent stream out.", line=rows[main].line)
        events: list[Event] = []
        for step, cell in enumerate(cells):
            if cell in ".-":
                if cell == "-" and cells[step - 1] == ".":
                    raise self.wrong("'-' holds a note, but none sounds before it.", line=rows[main].line)
                continue
            if cell not in CELLS[stream]:
                raise self.wrong(
                    f"'{cell}' means nothing to {stream}.", f"One of {CELLS[stream]} - .", line=rows[main].line
                )
            length = 1
            while length < len(cells) and cells[(step + length) % len(cells)] == "-":
                length += 1
            up = {"^": 1, "v": -1}.get(octave[step : step + 1], 0)
            loud = {">": 1, "o": -1}.get(dynamic[step : step + 1], 0)
            events.append(Event(step, length, cell, up, loud + (cell == "X" and loud == 0)))
        return Pattern(bars, steps, tuple(events), low, high, shape)

    def _options(self, stream: str, line: int, words: list[str]) -> tuple[int, int, str]:
        low, high = DEFAULT_RANGE[stream]
        shape = "triad" if stream in ("comp", "pad") else ""
        for word in words:
            span = re.fullmatch(r"(\d+)-(\d+)", word)
            if span:
                low, high = int(span[1]), int(span[2])
            elif word in SHAPES and stream in ("comp", "pad"):
                shape = word
            else:
                raise self.wrong(
                    f"'{word}' after {stream}.", f"A range as 55-76 or a shape: {', '.join(SHAPES)}.", line=line
                )
        if not 24 <= low < high <= 108 or high - low < 16:
            raise self.wrong(f"range {low}-{high}.", "At least 16 semitones inside 24-108.", line=line)
        return low, high, shape

    def _progression(self, line: int, text: str, bar_beats: float) -> Progression:
        match = re.fullmatch(r"(\w+) (major|minor) ?\|(.*)\|", text)
        if match is None or match[1] not in LEVELS:
            raise self.wrong("chords cannot be read.", "chords verse major | I | V . IV . |", line=line)
        chords: list[Degree] = []
        bars = [bar.split() for bar in match[3].split("|")]
        for bar in bars:
            if not bar:
                raise self.wrong("an empty bar of chords.", line=line)
            beats = bar_beats / len(bar)
            for word in bar:
                if word != ".":
                    chords.append(self._degree(word, beats, line))
                elif chords:
                    last = chords.pop()
                    chords.append(Degree(last.degree, last.alter, last.quality, last.bass, last.beats + beats))
                else:
                    raise self.wrong("chords begin with '.'.", line=line)
        return Progression(match[1], match[2], len(bars), tuple(chords))

    def _degree(self, word: str, beats: float, line: int) -> Degree:
        match = re.fullmatch(r"([b#]?)([ivIV]+)([^/]*)(?:/(\d+))?", word)
        numeral = match[2] if match else ""
        minor = numeral.islower()
        hint = "As in I, vi, V7, ii7, IVmaj7, viio, bVII, I/3."
        if match is None or numeral.lower() not in NUMERALS or not (minor or numeral.isupper()):
            raise self.wrong(f"'{word}' is no chord.", hint, line=line)
        if match[3] not in SUFFIXES[minor]:
            raise self.wrong(f"'{word}': unknown quality '{match[3]}'.", hint, line=line)
        quality = SUFFIXES[minor][match[3]]
        slash = {None: None, "3": 3 if minor else 4, "5": 7, "7": 10, "2": 2}
        if match[4] not in slash:
            raise self.wrong(f"'{word}': the bass is 2, 3, 5 or 7.", hint, line=line)
        alter = {"b": -1, "#": 1, "": 0}[match[1]]
        return Degree(NUMERALS.index(numeral.lower()), alter, quality, slash[match[4]], beats)
