"""SFZ instruments, the part of the format that a sampler of single notes needs: read, and what is not understood said.

Understood: the headers control, global, master, group and region; #define and #include; the opcodes of `OPCODES`.
Regions that need what is not here (key switches other than the default, release samples, later round robins) are left
out and counted. SFZ 1 as written down by Cakewalk, with the names that later players added. Pitches are MIDI, c4 = 60.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bridge.errors import RequestError

NOTES = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
HEADERS = ("control", "global", "master", "group", "region")
OPCODES = frozenset((
    "sample", "key", "lokey", "hikey", "pitch_keycenter", "lovel", "hivel", "tune", "transpose", "volume", "pan",
    "offset", "end", "loop_mode", "loopmode", "loop_start", "loopstart", "loop_end", "loopend", "ampeg_attack",
    "ampeg_hold", "ampeg_decay", "ampeg_sustain", "ampeg_release", "cutoff", "resonance", "fil_type", "fil_veltrack",
    "amp_veltrack", "pitch_keytrack", "trigger", "seq_length", "seq_position", "lorand", "hirand", "sw_last",
    "sw_default", "sw_lokey", "sw_hikey", "group", "off_by", "off_mode", "default_path", "note_offset",
    "octave_offset",
))  # fmt: skip
MAX_BYTES = 4 << 20
MAX_REGIONS = 20_000
MAX_DEPTH = 8
HEADER = re.compile(r"<(\w+)>")
OPCODE = re.compile(r"(?:^|(?<=\s))([A-Za-z_]\w*)=")

Values = dict[str, str]


@dataclass(frozen=True)
class SfzRegion:
    """One region with what it inherits: opcode -> value as written. `line`: where it begins in the file it is from."""

    values: Values
    line: int

    def number(self, name: str, default: float) -> float:
        """An opcode's number. Raises `ValueError` that names it."""
        try:
            return float(self.values.get(name, default))
        except ValueError:
            raise ValueError(f"{name}={self.values[name]} is no number") from None

    def pitch(self, name: str, default: int) -> int:
        """An opcode's MIDI pitch: a number or a name such as c#4. Raises `ValueError` that names it."""
        return text2pitch(self.values[name], name) if name in self.values else default


@dataclass(frozen=True)
class Sfz:
    """`unknown`: opcodes that were not understood, with how often they occur; `left_out`: reasons, with how many
    regions."""

    regions: tuple[SfzRegion, ...]
    unknown: dict[str, int]
    left_out: dict[str, int]

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a user should know, one sentence each."""
        said = []
        if self.unknown:
            listed = ", ".join(f"{name} ({count})" for name, count in sorted(self.unknown.items()))
            said.append(f"not understood and left aside: {listed}.")
        said += [f"{count} regions left out: {reason}." for reason, count in sorted(self.left_out.items())]
        return tuple(said)


def read_sfz(path: Path) -> Sfz:
    """The regions of a file that can be played. Raises `RequestError` that names the file, and the line if it can."""
    unknown: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    regions = []
    try:
        for region in _regions(path, unknown):
            reason = _unplayable(region)
            if reason:
                left_out[reason] += 1
            else:
                regions.append(region)
            if len(regions) > MAX_REGIONS:
                raise ValueError(f"it has more than {MAX_REGIONS} regions")
    except ValueError as problem:
        raise damaged_sfz(path, str(problem)) from problem
    if not regions:
        why = f" ({'; '.join(sorted(left_out))})" if left_out else ""
        raise damaged_sfz(path, f"it holds no region that could be played{why}")
    return Sfz(tuple(regions), dict(unknown), dict(left_out))


def damaged_sfz(path: Path, what: str) -> RequestError:
    """The error for an SFZ file that cannot be used."""
    return RequestError("sounds.sfz", f"{path} cannot be used: {what}.", field="file", hint="See the file's maker.")


def text2pitch(text: str, name: str) -> int:
    """MIDI pitch of "60" or "c4" or "F#3". Raises `ValueError`."""
    match = re.fullmatch(r"([a-gA-G])([#b]?)(-?\d+)", text)
    if match:
        sharp = {"#": 1, "b": -1}.get(match[2], 0)
        return 12 * (int(match[3]) + 1) + NOTES[match[1].lower()] + sharp
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{name}={text} is no pitch") from None


def _regions(path: Path, unknown: Counter[str]) -> Iterator[SfzRegion]:
    """Every region with what its group, master, global and control headers say."""
    inherited: dict[str, Values] = {name: {} for name in HEADERS[:-1]}
    current: Values | None = None
    here, line_of = "", 0
    for number, header, name, value in _tokens(path, {}, 0):
        if header:
            if here == "region" and current is not None:
                yield _region(inherited, current, line_of)
            here, current, line_of = header, {}, number
            if header in inherited:
                for inner in HEADERS[HEADERS.index(header) : -1] if header != "control" else ("control",):
                    inherited[inner] = {}
                current = inherited[header]
        elif current is not None and here in HEADERS:
            if name not in OPCODES:
                unknown[re.sub(r"\d+", "N", name)] += 1
            current[name] = value
    if here == "region" and current is not None:
        yield _region(inherited, current, line_of)


def _region(inherited: dict[str, Values], own: Values, line: int) -> SfzRegion:
    values: Values = {}
    for name in HEADERS[:-1]:
        values |= inherited[name]
    return SfzRegion(values | own, line)


def _tokens(path: Path, defines: Values, depth: int) -> Iterator[tuple[int, str, str, str]]:
    """(line, header, "", "") and (line, "", opcode, value), in order; included files in their place."""
    if depth > MAX_DEPTH:
        raise ValueError("files include each other")
    try:
        raw = path.read_bytes()
    except OSError as problem:
        raise ValueError(f"{path.name} cannot be read ({problem.strerror})") from problem
    if len(raw) > MAX_BYTES or b"\0" in raw:
        raise ValueError(f"{path.name} is no SFZ text")
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), raw.decode("utf-8", "replace"), flags=re.S)
    for number, line in enumerate(text.split("\n"), 1):
        line = line.partition("//")[0].strip()
        for name in sorted(defines, key=len, reverse=True):
            line = line.replace(name, defines[name])
        if line.startswith("#define"):
            parts = line.split()
            if len(parts) != 3 or not parts[1].startswith("$"):
                raise ValueError(f"line {number}: #define needs a $name and a value")
            defines[parts[1]] = parts[2]
        elif line.startswith("#include"):
            match = re.match(r'#include\s+"([^"]+)"', line)
            if not match:
                raise ValueError(f"line {number}: #include needs a file in quotes")
            yield from _tokens(path.parent / match[1].replace("\\", "/"), defines, depth + 1)
        else:
            yield from _line_tokens(number, line)


def _line_tokens(number: int, line: str) -> Iterator[tuple[int, str, str, str]]:
    marks = sorted([*HEADER.finditer(line), *OPCODE.finditer(line)], key=lambda m: m.start())
    if line and (not marks or line[: marks[0].start()].strip()):
        raise ValueError(f"line {number}: {line[:40]!r} is neither a header nor an opcode")
    ends = [mark.start() for mark in marks[1:]] + [len(line)]
    for mark, end in zip(marks, ends[: len(marks)], strict=True):
        if mark[0].startswith("<"):
            yield number, mark[1].lower(), "", ""
        else:
            yield number, "", mark[1].lower(), line[mark.end() : end].strip()


def _unplayable(region: SfzRegion) -> str:
    """Why a region is left out, or ""."""
    values = region.values
    if not values.get("sample"):
        return "no sample"
    if values["sample"].startswith("*"):
        return "a wave of the player's own"
    if values.get("trigger", "attack") not in ("attack", "first"):
        return "played when a key is let go"
    if region.number("seq_position", 1) > 1:
        return "later round robins"
    if region.number("lorand", 0) > 0:
        return "later round robins"
    if "sw_last" in values and values["sw_last"] != values.get("sw_default", values["sw_last"]):
        return "another key switch"
    return ""
