"""A REAPER project of a take: tempo map, metres, regions, and per stem an audio and a MIDI track.

The `.rpp` format is text: `<NAME fields` opens a block, `>` closes it, one setting a line. Field meanings follow the
community's "State Chunk Definitions" (ReaTeam/Doc). Positions are seconds from the project's start, written so that
the float64 comes back; tempos are quarter notes per minute and jump (shape 1), as the clock's lines do.

Items are placed by sample / rate. Audio items have timebase "time": a change of tempo later never stretches them.
"""

from __future__ import annotations

import uuid
from bisect import bisect_right
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from bridge.errors import JobError
from bridge.handover.files import write_file
from bridge.handover.notes import DRUM_CHANNEL, SpanLike, notes2ticks, ticks2events
from bridge.handover.project import GREY, Colour, ProjectMix, ProjectStem, clock2project_metres, clock2project_tempos
from bridge.handover.tempo import TICKS, Tempo
from bridge.timeline import Clock

_SET_METRE, _CUTS_BAR = 1, 4
_SQUARE = 1
_NAMESPACE = uuid.UUID("6f0c5f0e-3c0b-5a55-9a5e-5d7b1f4a7d10")


def write_rpp(
    path: Path,
    title: str,
    clock: Clock,
    rate: int,
    *,
    stems: Sequence[ProjectStem],
    mix: ProjectMix | None = None,
    sections: Sequence[SpanLike] = (),
    start: float,
    end: float,
) -> str:
    """Writes the new file `path`; returns its SHA-256. `start`, `end`: beats where MIDI items begin and end.

    Raises `JobError` `rpp.before_start` when the take begins before second 0, and as `atomic` does.
    """
    return write_file(path, rpp_text(title, clock, rate, stems, mix, sections, start, end).encode())


def rpp_text(
    title: str,
    clock: Clock,
    rate: int,
    stems: Sequence[ProjectStem],
    mix: ProjectMix | None,
    sections: Sequence[SpanLike],
    start: float,
    end: float,
) -> str:
    """The project as text with CRLF line ends, which every REAPER reads. Equal input gives equal text."""
    if clock.beat2second(start) < -1e-9 or any(stem.start_sample < 0 for stem in stems):
        raise JobError(
            "rpp.before_start",
            "the take begins before the project does; REAPER places nothing there.",
            hint="Begin the first section at or after the project's start.",
        )
    guids = _Guids(title)
    tempos = clock2project_tempos(clock)
    first = clock.metre_at(max(clock.start, tempos[0].beat))
    lines = [
        '<REAPER_PROJECT 0.1 "7.0/stembridge" 0',
        "RIPPLE 0",
        "TIMEMODE 1 5 -1 30 0 0 -1",
        "TEMPOENVLOCKMODE 0",
        f"SAMPLERATE {rate} 1 0",
        f"TEMPO {_number(tempos[0].bpm)} {first.beats} {first.unit}",
        f"<NOTES 0 2\n|{_line(title)}\n>",
        *_envelope(clock, tempos, guids),
        *_regions(clock, sections),
        *_track("stembridge", GREY, guids, folder=(1, 1)),
        ">",
    ]
    tracks: list[tuple[str, Colour, list[str], bool]] = []
    for stem in stems:
        colour = stem.colour
        sound = _audio_item(stem.name, stem.wav, stem.start_sample, stem.samples, rate, guids)
        if stem.tail:
            after = stem.start_sample + stem.samples
            sound += _audio_item(f"{stem.name} tail", stem.tail, after, stem.tail_samples, rate, guids)
        tracks.append((stem.name, colour, sound, False))
        tracks.append((f"{stem.name} MIDI", colour, _midi_item(stem, clock, start, end, guids), False))
    if mix is not None:
        tracks.append(("mix", GREY, _audio_item("mix", mix.wav, mix.start_sample, mix.samples, rate, guids), True))
    for i, (name, colour, item, muted) in enumerate(tracks):
        folder = (2, -1) if i == len(tracks) - 1 else (0, 0)
        lines += [*_track(name, colour, guids, folder=folder, muted=muted), *item, ">"]
    lines.append(">")
    return "".join(f"{line}\r\n" for line in _indent("\n".join(lines).split("\n")))


def _envelope(clock: Clock, tempos: Sequence[Tempo], guids: _Guids) -> list[str]:
    """A point per tempo and per metre: second, tempo, shape, metre (beats + 65536 * unit), selected, flags."""
    points: dict[float, tuple[float, str]] = {t.second: (t.bpm, "") for t in tempos}
    begins = [t.second for t in tempos]
    for i, (beat, metre, cut) in enumerate(clock2project_metres(clock, tempos[0].beat)):
        second = clock.beat2second(beat) if i else 0.0
        bpm = tempos[bisect_right(begins, second) - 1].bpm
        flags = _SET_METRE | (_CUTS_BAR if cut else 0)
        points[second] = (bpm, f" {metre.beats + 65536 * metre.unit} 0 {flags}")
    lines = [f"PT {_number(second)} {_number(bpm)} {_SQUARE}{metre}" for second, (bpm, metre) in sorted(points.items())]
    return ["<TEMPOENVEX", f"EGUID {guids('tempo')}", "ACT 1 -1", "VIS 1 0 1", "ARM 0", "DEFSHAPE 1 -1 -1", *lines, ">"]


def _regions(clock: Clock, sections: Sequence[SpanLike]) -> list[str]:
    """Two lines per section with one number: where it starts, where it ends."""
    lines = []
    for i, section in enumerate(sections, 1):
        lines.append(f"MARKER {i} {_number(clock.beat2second(section.start))} {_quote(section.name)} 1 0 1")
        lines.append(f'MARKER {i} {_number(clock.beat2second(section.end))} "" 1')
    return lines


def _track(name: str, colour: Colour, guids: _Guids, *, folder: tuple[int, int], muted: bool = False) -> list[str]:
    guid = guids(f"track {name}")
    return [
        f"<TRACK {guid}",
        f"NAME {_quote(name)}",
        f"PEAKCOL {_colour(colour)}",
        "VOLPAN 1 0 -1 -1 1",
        f"MUTESOLO {int(muted)} 0 0",
        f"ISBUS {folder[0]} {folder[1]}",
        "NCHAN 2",
        f"TRACKID {guid}",
        "MAINSEND 1 0",
    ]


def _audio_item(name: str, wav: str, start_sample: int, samples: int, rate: int, guids: _Guids) -> list[str]:
    head = _item(name, start_sample / rate, samples / rate, guids(f"item {name}"))
    return [*head, "BEAT 0", "<SOURCE WAVE", f"FILE {_quote(wav)}", ">", ">"]


def _midi_item(stem: ProjectStem, clock: Clock, start: float, end: float, guids: _Guids) -> list[str]:
    """Notes inside the project; the last event, "all notes off", gives the source its length."""
    channel = DRUM_CHANNEL if stem.role == "drums" else 0
    position = max(0.0, clock.beat2second(start))
    guid = guids(f"midi {stem.name}")
    lines = _item(stem.name, position, clock.beat2second(end) - position, guid)
    lines += ["<SOURCE MIDI", f"HASDATA 1 {TICKS} QN"]
    now = 0
    for tick, data in ticks2events(notes2ticks(stem.notes, clock, start), channel):
        lines.append(f"E {tick - now} {data.hex(' ')}")
        now = tick
    lines.append(f"E {max(0, round((end - start) * TICKS) - now)} {0xB0 | channel:02x} 7b 00")
    return [*lines, f"GUID {guids(f'source {stem.name}')}", "IGNTEMPO 0 120 4 4", ">", ">"]


def _item(name: str, position: float, length: float, guid: str) -> list[str]:
    return [
        "<ITEM",
        f"POSITION {_number(position)}",
        "SNAPOFFS 0",
        f"LENGTH {_number(length)}",
        "LOOP 0",
        "ALLTAKES 0",
        "FADEIN 1 0 0 1 0 0 0",
        "FADEOUT 1 0 0 1 0 0 0",
        "MUTE 0 0",
        f"IGUID {guid}",
        f"NAME {_quote(name)}",
        "VOLPAN 1 0 1 -1",
        "SOFFS 0",
        "PLAYRATE 1 1 0 -1 0 0.0025",
        "CHANMODE 0",
    ]


class _Guids:
    """Names to GUIDs: the same project always gets the same ones, and no name gets one twice."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._count = 0

    def __call__(self, name: str) -> str:
        self._count += 1
        return "{" + str(uuid.uuid5(_NAMESPACE, f"{self._title}/{self._count}/{name}")).upper() + "}"


def _number(value: float) -> str:
    """The shortest decimal that reads back as the same float64."""
    return format(Decimal(repr(float(value))), "f").removesuffix(".0")


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _quote(text: str) -> str:
    """REAPER has three kinds of quotes and no escape: the first that the text does not hold."""
    text = _line(text)
    for mark in "\"'`":
        if mark not in text:
            return f"{mark}{text}{mark}"
    return "`" + text.replace("`", "'") + "`"


def _colour(colour: Colour) -> int:
    red, green, blue = colour
    return 0x1000000 | blue << 16 | green << 8 | red


def _indent(lines: Sequence[str]) -> list[str]:
    depth, result = 0, []
    for line in lines:
        depth -= line == ">"
        result.append("  " * depth + line)
        depth += line.startswith("<")
    return result
