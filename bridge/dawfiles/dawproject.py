"""A DAWproject as others write it (Bitwig Studio, Cubase, Studio One) or as `bridge.handover.dawproject` does.

Read: the tempo and metre of the transport and their automation, in beats or in seconds; markers; notes; sounds that
play unstretched. What is stretched, muted or missing is left out and said. The walk over lanes and clips is in
`bridge.dawfiles.timelines`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from xml.etree.ElementTree import Element
from zipfile import ZipFile

from bridge.arrangement import LABELS
from bridge.dawfiles.box import damaged, read_member, read_xml
from bridge.dawfiles.ramps import TempoPoint, Unit, points2pairs
from bridge.dawfiles.song import CLOSING, FilePart, FileSong, check_song_pairs, tidy_metres
from bridge.dawfiles.timelines import Arranged, arrange, number
from bridge.midinotes import DRUM_CHANNEL
from bridge.timeline import Clock, Metre

OURS = "stembridge"
DEFAULT_RATE = 48000


def read_dawproject(archive: ZipFile, path: Path) -> FileSong:
    """The project in the open ZIP `archive`. Raises `RequestError` `file.damaged`, `file.tempo`."""
    root = read_xml(read_member(archive, "project.xml", path), path)
    arrangement = root.find("Arrangement")
    if root.tag != "Project":
        raise damaged(path, f"it is a <{root.tag}>, not a <Project>")
    if arrangement is None:
        arrangement = Element("Arrangement")
    pairs = check_song_pairs(_pairs(root, arrangement), path)
    clock = Clock.from_pairs(pairs)
    outer: Unit = "seconds" if _lanes_unit(arrangement) == "seconds" else "beats"
    metres = _metres(root, arrangement, clock, outer)
    markers = [
        (max(0.0, _beat(number(m, "time"), unit, clock)), " ".join((m.get("name") or "").split())[:200], m)
        for element, unit in _markers(arrangement, outer)
        for m in element.iter("Marker")
    ]
    markers.sort(key=lambda marker: marker[0])
    application = root.find("Application")
    ours = application is not None and application.get("name") == OURS
    arranged = arrange(root, arrangement, clock, outer)
    return FileSong(
        path=path,
        rate=_rate(root),
        pairs=pairs,
        metres=metres,
        markers=() if ours else tuple((beat, name) for beat, name, _ in markers if name),
        regions=_regions(markers) if ours else (),
        parts=_parts(arranged),
        sounds=tuple(arranged.sounds),
        remarks=tuple(dict.fromkeys(arranged.remarks)),
    )


def _pairs(root: Element, arrangement: Element) -> list[tuple[float, float]]:
    """The tempo's automation, else the transport's tempo, else 120 as every program has it."""
    automation = arrangement.find("TempoAutomation")
    points = []
    unit: Unit = "beats"
    if automation is not None:
        unit = "seconds" if (automation.get("timeUnit") or _lanes_unit(arrangement)) == "seconds" else "beats"
        points = [
            TempoPoint(number(p, "time"), number(p, "value"), p.get("interpolation") == "linear")
            for p in automation.iter("RealPoint")
        ]
        points.sort(key=lambda point: point.at)
    points = [p for p in points if p.bpm > 0]
    tempo = root.find("Transport/Tempo")
    if not points:
        points = [TempoPoint(0.0, number(tempo, "value", 120.0) if tempo is not None else 120.0)]
    return points2pairs([p for p in points if p.bpm > 0] or [TempoPoint(0.0, 120.0)], unit)


def _metres(root: Element, arrangement: Element, clock: Clock, outer: Unit) -> tuple[Metre, ...]:
    """The transport's metre from beat 0, and every change."""
    changes: dict[float, tuple[int, int]] = {}
    elements = [(0.0, e) for e in root.iterfind("Transport/TimeSignature")]
    automation = arrangement.find("TimeSignatureAutomation")
    if automation is not None:
        unit = automation.get("timeUnit") or outer
        elements += [(_beat(number(e, "time"), unit, clock), e) for e in automation.iter("TimeSignaturePoint")]
    for beat, element in elements:
        beats, unit_of_beat = int(number(element, "numerator", 4)), int(number(element, "denominator", 4))
        if 1 <= beats <= 32 and unit_of_beat in (1, 2, 4, 8, 16, 32):
            changes[max(0.0, beat)] = (beats, unit_of_beat)
    return tidy_metres(changes)


def _markers(arrangement: Element, outer: Unit) -> Iterator[tuple[Element, str]]:
    """Lists of markers with their time unit: beside the lanes, or among them as older writers have it."""
    for element in arrangement.iter():
        if element.tag in ("Markers", "markers"):
            yield element, element.get("timeUnit") or outer


def _regions(markers: list[tuple[float, str, Element]]) -> tuple[tuple[float, float, str, str], ...]:
    """Sections as `bridge.handover.dawproject` writes them: exactly, with their labels."""
    regions = []
    for (start, name, marker), (end, _, _) in pairwise(markers):
        label = marker.get("comment") or ""
        if label or name.casefold() not in CLOSING:
            regions.append((start, end, marker.get("name") or "", label if label in LABELS else ""))
    return tuple(regions)


def _parts(arranged: Arranged) -> tuple[FilePart, ...]:
    """Notes by track and channel; channel 10 is the drums'."""
    parts = []
    for (name, channel), notes in arranged.notes.items():
        unique = {(note.start, note.pitch): note for note in notes}
        ordered = tuple(unique[key] for key in sorted(unique))
        parts.append(FilePart(name, ordered, drums=channel == DRUM_CHANNEL))
    return tuple(parts)


def _rate(root: Element) -> int:
    """The rate that most sounds have."""
    rates = Counter(int(number(audio, "sampleRate", 0)) for audio in root.iter("Audio"))
    usual = [rate for rate, _ in rates.most_common() if 8000 <= rate <= 384_000]
    return usual[0] if usual else DEFAULT_RATE


def _lanes_unit(arrangement: Element) -> str:
    lanes = arrangement.find("Lanes")
    return (lanes.get("timeUnit") if lanes is not None else None) or arrangement.get("timeUnit") or "beats"


def _beat(time: float, unit: str, clock: Clock) -> float:
    return clock.second2beat(time) if unit == "seconds" else time
