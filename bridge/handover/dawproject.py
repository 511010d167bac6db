"""A DAWproject of a take, for Bitwig Studio, Cubase and Studio One: tempo map, metres, markers, stems, notes.

A ZIP of `project.xml` and `metadata.xml`, version 1.0 of the published schema (github.com/bitwig/dawproject, MIT).

Conventions
-----------
beats     quarter notes from the file's beat 0, which lies at the project's second 0 (see `clock2project_tempos`)
tempo     points that hold: each straight stretch of the clock is one, so a ramp of the clock's pairs is its steps. A
          linear point would not be the clock: hosts disagree whether such a ramp is straight over beats or over seconds
stems     a track and a clip each, not warped: content in seconds, so that no change of tempo ever stretches them
notes     a track beside each stem, one clip with its notes directly in it (Studio One drops notes of nested clips)
sections  markers; the comment holds the label. A marker called "end" closes a section that no other follows at once
media     `external` paths relative to the file: the stems lie beside it, and a copy of half a gigabyte in every take
          would cost more time than its music. Hosts that look only inside the ZIP get one from `pack_dawproject`
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Sequence
from decimal import Decimal
from io import BytesIO
from itertools import count
from pathlib import Path
from xml.sax.saxutils import escape, unescape

from bridge import VERSION
from bridge.errors import JobError
from bridge.handover.files import whole_file, write_file
from bridge.handover.manifest import SectionUsed
from bridge.handover.notes import DRUM_CHANNEL, notes2ticks
from bridge.handover.project import GREY, Colour, ProjectMix, ProjectStem, clock2project_metres, clock2project_tempos
from bridge.handover.tempo import TICKS
from bridge.timeline import MAX_BPM, MIN_BPM, Clock

PROJECT_XML, METADATA_XML = "project.xml", "metadata.xml"
END_MARKER = "end"
MEDIA_FOLDER = "audio"

_EPOCH = (1980, 1, 1, 0, 0, 0)
_CONTROL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_QUOTED = {'"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
_EXTERNAL = re.compile(r'<File path="([^"]*)" external="true"/>')


def write_dawproject(
    path: Path,
    title: str,
    clock: Clock,
    rate: int,
    *,
    stems: Sequence[ProjectStem],
    mix: ProjectMix | None = None,
    sections: Sequence[SectionUsed] = (),
    start: float,
    end: float,
) -> str:
    """Writes the new file `path`; returns its SHA-256. `start`, `end`: beats where the clips of notes begin and end.

    Raises `JobError` `dawproject.before_start` when the take begins before second 0, and as `atomic` does.
    """
    project = project_xml(clock, rate, stems, mix, sections, start, end)
    box = BytesIO()
    with zipfile.ZipFile(box, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(_entry(PROJECT_XML), project, zipfile.ZIP_DEFLATED, 1)
        archive.writestr(_entry(METADATA_XML), metadata_xml(title), zipfile.ZIP_DEFLATED, 1)
    return write_file(path, box.getvalue())


def pack_dawproject(source: Path, target: Path) -> list[str]:
    """Writes the new file `target`: the project of `source` with every sound that lies beside it inside the ZIP.

    Gives the names of what was packed. Raises `JobError` `dawproject.media` for a sound that is gone, and as `atomic`.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            texts = {name: archive.read(name) for name in (PROJECT_XML, METADATA_XML)}
    except (OSError, KeyError, zipfile.BadZipFile, RuntimeError) as error:
        raise JobError("dawproject.broken", f"this is no DAWproject of a take ({error}).", field=str(source)) from error
    names: dict[str, str] = {}

    def embed(match: re.Match[str]) -> str:
        names[_unquote(match[1])] = inside = f"{MEDIA_FOLDER}/{_unquote(match[1])}"
        return f"<File path={_attribute(inside)}/>"

    texts[PROJECT_XML] = _EXTERNAL.sub(embed, texts[PROJECT_XML].decode()).encode()
    for name in names:
        if Path(name).name != name or not (source.parent / name).is_file():
            raise JobError(
                "dawproject.media",
                f'"{name}" is not beside the project.',
                field=str(source),
                hint="Take the folder of the take as stembridge wrote it.",
            )
    with whole_file(target) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, text in texts.items():
            archive.writestr(_entry(name), text, zipfile.ZIP_DEFLATED)
        for name, inside in names.items():
            entry = _entry(inside)
            entry.file_size = (source.parent / name).stat().st_size
            with (source.parent / name).open("rb") as sound, archive.open(entry, "w") as packed:
                while block := sound.read(1 << 20):
                    packed.write(block)
    return list(names)


def project_xml(
    clock: Clock,
    rate: int,
    stems: Sequence[ProjectStem],
    mix: ProjectMix | None,
    sections: Sequence[SectionUsed],
    start: float,
    end: float,
) -> bytes:
    """`project.xml`. Equal input gives equal bytes."""
    if clock.beat2second(start) < -1e-9 or any(stem.start_sample < 0 for stem in stems):
        raise JobError(
            "dawproject.before_start",
            "the take begins before the project does; hosts place nothing there.",
            hint="Begin the first section at or after the project's start.",
        )
    tempos = clock2project_tempos(clock)
    origin = tempos[0].beat
    metre = clock.metre_at(max(clock.start, origin))
    structure, lanes = _Structure(), _Lanes(clock, rate, origin)
    for stem in stems:
        sounds = [(stem.name, stem.wav, stem.start_sample, stem.samples, stem.channels)]
        if stem.tail:
            after = stem.start_sample + stem.samples
            sounds.append((f"{stem.name} tail", stem.tail, after, stem.tail_samples, stem.channels))
        lanes.audio(structure.track(stem.name, "audio", stem.colour), sounds)
        lanes.notes(structure.track(f"{stem.name} MIDI", "notes", stem.colour), stem, start, end)
    if mix is not None:
        sound = ("mix", mix.wav, mix.start_sample, mix.samples, mix.channels)
        lanes.audio(structure.track("mix", "audio", GREY, muted=True), [sound])
    lines = [
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>',
        '<Project version="1.0">',
        f"<Application name={_attribute('stembridge')} version={_attribute(VERSION)}/>",
        "<Transport>",
        f'<Tempo max="{MAX_BPM:g}" min="{MIN_BPM:g}" unit="bpm" value="{_number(tempos[0].bpm)}" id="tempo" '
        'name="Tempo"/>',
        f'<TimeSignature denominator="{metre.unit}" numerator="{metre.beats}" id="metre"/>',
        "</Transport>",
        "<Structure>",
        *structure.lines,
        *_channel("Master", "master", role="master"),
        "</Structure>",
        '<Arrangement id="arrangement">',
        '<Lanes timeUnit="beats" id="lanes">',
        *lanes.lines,
        "</Lanes>",
        *_markers(sections, origin),
        '<TempoAutomation timeUnit="beats" unit="bpm" id="tempos">',
        '<Target parameter="tempo"/>',
        *(
            f'<RealPoint time="{_number(t.beat - origin)}" value="{_number(t.bpm)}" interpolation="hold"/>'
            for t in tempos
        ),
        "</TempoAutomation>",
        '<TimeSignatureAutomation timeUnit="beats" id="metres">',
        '<Target parameter="metre"/>',
        *_metres(clock, origin),
        "</TimeSignatureAutomation>",
        "</Arrangement>",
        "<Scenes/>",
        "</Project>",
        "",
    ]
    return "\n".join(lines).encode()


def metadata_xml(title: str) -> bytes:
    """`metadata.xml`: the title and who wrote the file."""
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<MetaData>\n'
        f"<Title>{_text(title)}</Title>\n<Comment>Written by stembridge {VERSION}.</Comment>\n</MetaData>\n"
    ).encode()


class _Structure:
    """The tracks, each with an id of its own and a channel that leads to the master."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._ids = count(1)

    def track(self, name: str, content: str, colour: Colour, *, muted: bool = False) -> str:
        """Adds a track; gives its id."""
        track = f"track{next(self._ids)}"
        red, green, blue = colour
        self.lines.append(
            f'<Track contentType="{content}" loaded="true" id="{track}" name={_attribute(name)} '
            f'color="#{red:02x}{green:02x}{blue:02x}">'
        )
        self.lines += [*_channel_body(track, "regular", muted), "</Track>"]
        return track


def _channel(name: str, identity: str, *, role: str) -> list[str]:
    """A track that holds nothing but its channel."""
    opening = f'<Track contentType="audio notes" loaded="true" id="{identity}" name={_attribute(name)}>'
    return [opening, *_channel_body(identity, role, False), "</Track>"]


def _channel_body(track: str, role: str, muted: bool) -> list[str]:
    """Unity gain in the middle."""
    where = "" if role == "master" else 'destination="master-channel" '
    return [
        f'<Channel audioChannels="2" {where}role="{role}" solo="false" id="{track}-channel">',
        f'<Mute value="{"true" if muted else "false"}" id="{track}-mute" name="Mute"/>',
        f'<Pan max="1" min="0" unit="normalized" value="0.5" id="{track}-pan" name="Pan"/>',
        f'<Volume max="2" min="0" unit="linear" value="1" id="{track}-volume" name="Volume"/>',
        "</Channel>",
    ]


class _Lanes:
    """What lies on the tracks."""

    def __init__(self, clock: Clock, rate: int, origin: float) -> None:
        self.lines: list[str] = []
        self._clock, self._rate, self._origin = clock, rate, origin
        self._ids = count(1)

    def audio(self, track: str, sounds: Iterable[tuple[str, str, int, int, int]]) -> None:
        """A clip per sound, given as (name, file, first sample, length in samples, channels)."""
        rate = self._rate
        self.lines += [f'<Lanes track="{track}" id="{track}-lanes">', f'<Clips id="{track}-clips">']
        for name, file, first, samples, channels in sounds:
            time = self._clock.sample2beat(first, rate) - self._origin
            beats = self._clock.sample2beat(first + samples, rate) - self._origin - time
            self.lines += [
                f'<Clip time="{_number(time)}" duration="{_number(beats)}" contentTimeUnit="seconds" playStart="0" '
                f"name={_attribute(name)}>",
                f'<Audio channels="{channels}" duration="{_number(samples / rate)}" sampleRate="{rate}" '
                f'id="audio{next(self._ids)}">',
                f'<File path={_attribute(file)} external="true"/>',
                "</Audio>",
                "</Clip>",
            ]
        self.lines += ["</Clips>", "</Lanes>"]

    def notes(self, track: str, stem: ProjectStem, start: float, end: float) -> None:
        """One clip from `start` to `end` with the notes at the ticks of the MIDI file."""
        channel = DRUM_CHANNEL if stem.role == "drums" else 0
        self.lines += [
            f'<Lanes track="{track}" id="{track}-lanes">',
            f'<Clips id="{track}-clips">',
            f'<Clip time="{_number(max(0.0, start - self._origin))}" duration="{_number(end - start)}" playStart="0" '
            f"name={_attribute(stem.name)}>",
            f'<Notes id="{track}-notes">',
            *(
                f'<Note time="{_number(note.on / TICKS)}" duration="{_number((note.off - note.on) / TICKS)}" '
                f'channel="{channel}" key="{note.pitch}" vel="{_number(round(note.velocity / 127, 6))}"/>'
                for note in notes2ticks(stem.notes, self._clock, start)
            ),
            "</Notes>",
            "</Clip>",
            "</Clips>",
            "</Lanes>",
        ]


def _markers(sections: Sequence[SectionUsed], origin: float) -> list[str]:
    """One per section, and an "end" where no other follows at once."""
    if not sections:
        return []
    lines = ['<Markers timeUnit="beats" id="markers">']
    ordered = sorted(sections, key=lambda s: s.start)
    for section, following in zip(ordered, [*ordered[1:], None], strict=True):
        at = _number(max(0.0, section.start - origin))
        lines.append(f'<Marker time="{at}" name={_attribute(section.name)} comment={_attribute(section.label)}/>')
        if following is None or following.start > section.end + 1e-6:
            lines.append(f'<Marker time="{_number(section.end - origin)}" name="{END_MARKER}"/>')
    return [*lines, "</Markers>"]


def _metres(clock: Clock, origin: float) -> list[str]:
    """The metre in force at beat 0, then every change."""
    return [
        f'<TimeSignaturePoint time="{_number(beat - origin)}" numerator="{metre.beats}" denominator="{metre.unit}"/>'
        for beat, metre, _ in clock2project_metres(clock, origin)
    ]


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.external_attr = 0o644 << 16
    return entry


def _number(value: float) -> str:
    """The shortest decimal without an exponent that reads back as the same float64."""
    return format(Decimal(repr(float(value))), "f").removesuffix(".0")


def _attribute(text: str) -> str:
    """The text as a quoted attribute, without what XML cannot hold."""
    return '"' + escape(_CONTROL.sub("", text), _QUOTED) + '"'


def _text(text: str) -> str:
    return escape(_CONTROL.sub("", text))


def _unquote(text: str) -> str:
    return unescape(text, {entity: letter for letter, entity in _QUOTED.items()})
