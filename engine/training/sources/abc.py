"""Tunes in ABC notation: enough of the standard (2.1) for single melodies of folk collections.

Read: metre, unit length, key with mode and accidentals, notes, rests, accidentals that hold for the bar, ties, broken
rhythm, tuplets, the highest note of a chord, repeats with first and second endings, continued lines. Grace notes,
decorations, slurs, chord names and words are passed over. Beats are quarter notes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from bridge.arrangement import TONICS
from engine.score import SCALES, Key, Note

STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
SHARPS = "FCGDAEB"
MODE_OF = {
    "": "major", "maj": "major", "ion": "major", "m": "minor", "min": "minor", "aeo": "minor", "dor": "dorian",
    "phr": "phrygian", "lyd": "lydian", "mix": "mixolydian", "loc": "locrian",
}  # fmt: skip
CHURCH_MODES = ("major", "dorian", "phrygian", "lydian", "mixolydian", "minor", "locrian")
"""In the order of the major scale's steps on which they stand."""
PASSED = re.compile(r"\{[^}]*\}|\"[^\"]*\"|![^!]*!|\+[^+]*\+|`")
TOKEN = re.compile(
    r"(?P<bar>:*\|[|\]:]*|:+|\[\||\|\])(?P<turn>\s*\[?[1-9])?|(?P<ending>\[[1-9])|\[(?P<field>[A-Z]):(?P<value>[^\]]*)\]|"
    r"\((?P<tuplet>[2-9])(?::(?P<into>\d*))?(?::(?P<over>\d*))?|(?P<broken>[<>]+)|(?P<tie>-)|\[(?P<chord>[^\]|]+)\]"
    r"(?P<chordlength>\d*/*\d*)|(?P<rest>[zxZ])(?P<restlength>\d*/*\d*)|"
    r"(?P<sign>\^\^|\^|__|_|=)?(?P<letter>[A-Ga-g])(?P<octave>[,']*)(?P<length>\d*/*\d*)"
)
NOTE = re.compile(r"(\^\^|\^|__|_|=)?([A-Ga-g])([,']*)(\d*/*\d*)")
TUPLET_TIME = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}
MOST_NOTES = 4000


@dataclass(frozen=True)
class Tune:
    """One tune: its bars' first beats, repeats played out, and where its parts begin (beats)."""

    number: str
    title: str
    key: Key
    beats: int
    unit: int
    notes: tuple[Note, ...]
    parts: tuple[float, ...]
    end: float


def abc2tunes(text: str) -> list[Tune]:
    """The tunes of a file; those that cannot be read (more than one voice, no key, a free metre) are left out."""
    out = []
    for block in re.split(r"(?m)^(?=X:)", text):
        if block.startswith("X:"):
            tune = block2tune(block)
            if tune is not None:
                out.append(tune)
    return out


def block2tune(block: str) -> Tune | None:
    """The tune of one block of lines; None where it cannot be read."""
    head: dict[str, str] = {}
    body: list[str] = []
    for raw in block.splitlines():
        line = re.sub(r"(?<!\\)%.*", "", raw).rstrip()
        if re.match(r"[A-Za-z]:", line):
            if line[0] == "V" or (line[0] in "KML" and body):
                return None
            head.setdefault(line[0], line[2:].strip())
        elif line and "K" in head:
            body.append(line.rstrip("\\"))
    key, metre = read_key(head.get("K", "")), read_metre(head.get("M", ""))
    if key is None or metre is None or not body:
        return None
    unit = Fraction(head["L"]) if re.fullmatch(r"\d+/\d+", head.get("L", "")) else default_unit(metre)
    reader = _Reader(head["K"], key, unit)
    for line in body:
        if not reader.line(PASSED.sub("", line)):
            return None
    bars = reader.finished(metre)
    if bars is None:
        return None
    notes, parts, end = bars
    return Tune(head["X"], head.get("T", ""), key, *metre, notes, parts, end)


def read_key(text: str) -> Key | None:
    """A key field's key: "Gm", "D dorian", "Amix"; None where it is none."""
    found = re.match(r"([A-G][b#]?)\s*([A-Za-z]*)", text)
    if found is None or found[1] not in TONICS:
        return None
    mode = MODE_OF.get(found[2].lower()[:3], MODE_OF.get(found[2].lower()[:1]) if len(found[2]) == 1 else None)
    return None if mode is None else Key(TONICS[found[1]], mode)


def read_metre(text: str) -> tuple[int, int] | None:
    """A metre field's metre."""
    text = {"C": "4/4", "C|": "4/4"}.get(text, text)
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    return (int(found[1]), int(found[2])) if found and int(found[2]) in (2, 4, 8) else None


def default_unit(metre: tuple[int, int]) -> Fraction:
    """The unit length where none is said: a sixteenth in metres below 3/4, else an eighth."""
    return Fraction(1, 16) if Fraction(*metre) < Fraction(3, 4) else Fraction(1, 8)


def signature(key: Key, letter: str, text: str) -> dict[str, int]:
    """Letter -> semitones by which the key moves it. Sharps or flats are those of the mode's major scale."""
    major = (key.tonic - SCALES["major"][CHURCH_MODES.index(key.mode)]) % 12
    count = major * 7 % 12
    flats = count > 6 or (count == 6 and letter.endswith("b"))
    moved = dict.fromkeys(SHARPS[::-1][: 12 - count], -1) if flats else dict.fromkeys(SHARPS[:count], 1)
    for sign, name in re.findall(r"(?<=\s)(\^|_|=)([A-Ga-g])\b", text):
        moved[name.upper()] = {"^": 1, "_": -1, "=": 0}[sign]
    return moved


@dataclass
class _Sound:
    """A note being read: `pitch` None is a rest; `tied`: it goes on in the next one."""

    pitch: int | None
    length: Fraction
    tied: bool = False


class _Reader:
    """Bars of one tune; `opened` marks where a repeat begins, `endings` what a first ending is."""

    def __init__(self, field: str, key: Key, unit: Fraction) -> None:
        self.moved = signature(key, field.split()[0] if field else "C", field)
        self.unit = unit * 4
        self.bars: list[list[_Sound]] = [[]]
        self.signs: dict[tuple[str, int], int] = {}
        self.tuplet: list[Fraction] = []
        self.broken: Fraction | None = None
        self.marks: list[tuple[int, str]] = []

    def line(self, text: str) -> bool:
        """Reads one line of music; whether it could be."""
        at = 0
        while at < len(text):
            found = TOKEN.match(text, at)
            if found is None:
                at += 1
                continue
            at = found.end()
            if found["field"]:
                return False
            if found["bar"]:
                self.bar(found["bar"], (found["turn"] or "").strip(" ["))
            elif found["ending"]:
                self.bar("", found["ending"][1])
            elif found["tuplet"]:
                count = int(found["tuplet"])
                into = int(found["into"]) if found["into"] else TUPLET_TIME.get(count, 2)
                self.tuplet = [Fraction(into, count)] * (int(found["over"]) if found["over"] else count)
            elif found["broken"]:
                self.swap(found["broken"])
            elif found["tie"]:
                if self.bars[-1]:
                    self.bars[-1][-1].tied = True
            elif found["chord"]:
                inner = list(NOTE.finditer(found["chord"]))
                if inner:
                    pitches = [self.pitch(m[1], m[2], m[3]) for m in inner]
                    self.add(max(pitches), read_length(inner[0][4]) * read_length(found["chordlength"]))
            elif found["rest"]:
                if found["rest"] == "Z":
                    return False
                self.add(None, read_length(found["restlength"]))
            else:
                self.add(self.pitch(found["sign"], found["letter"], found["octave"]), read_length(found["length"]))
        return sum(len(b) for b in self.bars) < MOST_NOTES

    def pitch(self, sign: str | None, letter: str, octave: str) -> int:
        """MIDI pitch of a note with the bar's accidentals."""
        height = (letter.islower()) + octave.count("'") - octave.count(",")
        place = (letter.upper(), height)
        if sign:
            self.signs[place] = {"^": 1, "^^": 2, "_": -1, "__": -2, "=": 0}[sign]
        return 60 + STEPS[place[0]] + 12 * height + self.signs.get(place, self.moved.get(place[0], 0))

    def add(self, pitch: int | None, length: Fraction) -> None:
        """One note or rest."""
        length *= self.unit
        if self.tuplet:
            length *= self.tuplet.pop()
        if self.broken is not None:
            length, self.broken = length * self.broken, None
        self.bars[-1].append(_Sound(pitch, length))

    def swap(self, sign: str) -> None:
        """Broken rhythm: ">" dots the note before and halves the one after."""
        small = Fraction(1, 2 ** len(sign))
        if self.bars[-1]:
            self.bars[-1][-1].length *= 2 - small if sign[0] == ">" else small
            self.broken = small if sign[0] == ">" else 2 - small

    def bar(self, sign: str, ending: str) -> None:
        """A bar line with its repeats and endings."""
        if self.bars[-1]:
            self.bars.append([])
            self.signs = {}
        at = len(self.bars) - 1
        if sign.startswith(":"):
            self.marks.append((at, ":|"))
        if sign.endswith(":"):
            self.marks.append((at, "|:"))
        elif sign in ("||", "|]", "[|"):
            self.marks.append((at, "||"))
        if ending:
            self.marks.append((at, ending))

    def finished(self, metre: tuple[int, int]) -> tuple[tuple[Note, ...], tuple[float, ...], float] | None:
        """Notes, part beginnings and end in beats, repeats played out; None where the bars do not fill the metre."""
        order, starts = self.unfold()
        width = Fraction(4 * metre[0], metre[1])
        notes: list[Note] = []
        at, beginnings, holding = Fraction(0), [], False
        lengths = [sum((s.length for s in b), Fraction(0)) for b in self.bars]
        first = lengths[order[0]] if order else width
        if first < width:
            at = width - first
        for place, b in enumerate(order):
            if place in starts:
                beginnings.append(float(at if lengths[b] >= width else -(-at // width) * width))
            for sound in self.bars[b]:
                if sound.pitch is not None:
                    if holding and notes and notes[-1].pitch == sound.pitch:
                        last = notes.pop()
                        notes.append(Note(last.start, last.length + float(sound.length), last.pitch, last.velocity))
                    else:
                        notes.append(Note(float(at), float(sound.length), sound.pitch, 90))
                holding = sound.tied and sound.pitch is not None
                at += sound.length
        whole = sum(length == width for length in lengths)
        if len(notes) < 16 or whole < 0.7 * len([x for x in lengths if x]):
            return None
        return tuple(notes), tuple(dict.fromkeys(beginnings)), float(-(-at // width) * width)

    def unfold(self) -> tuple[list[int], set[int]]:
        """Bars in the order in which they are played, and the places in it where a part begins."""
        order: list[int] = []
        starts = {0}
        begin, end = 0, len(self.bars) - (not self.bars[-1])
        marks: dict[int, list[str]] = {}
        for at, mark in self.marks:
            marks.setdefault(at, []).append(mark)
        first_ending = None
        for b in range(end + 1):
            said = marks.get(b, [])
            if ":|" in said and b > begin:
                stop = b if first_ending is None else first_ending
                starts.add(len(order))
                order += range(begin, stop)
                begin, first_ending = b, None
            if "1" in said:
                first_ending = b
            if {"|:", "||"} & set(said):
                begin = b
                if b < end:
                    starts.add(len(order))
            if b < end:
                order.append(b)
        return order, starts


def read_length(text: str) -> Fraction:
    """A note's length in unit lengths: "", "2", "/", "//", "3/2"."""
    if not text:
        return Fraction(1)
    over, _, under = text.partition("/")
    slashes = text.count("/")
    low = int(under.strip("/")) if under.strip("/") else 2**slashes if slashes else 1
    return Fraction(int(over or 1), max(low, 1))
