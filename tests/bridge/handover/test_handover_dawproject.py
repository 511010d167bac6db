"""The DAWproject against the published schema, whatever the clock; and what stands in it, to the sample."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from bridge.arrangement import KeyAt
from bridge.errors import JobError
from bridge.handover.dawproject import metadata_xml, pack_dawproject, project_xml, write_dawproject
from bridge.handover.manifest import SectionUsed
from bridge.handover.project import ProjectMix, ProjectStem
from bridge.handover.take import Frame, TakeFolder
from bridge.messages import Checks
from bridge.timeline import Clock, Metre

SCHEMAS = Path(__file__).parents[2] / "data" / "dawproject"
PROJECT = etree.XMLSchema(etree.parse(SCHEMAS / "Project.xsd"))
METADATA = etree.XMLSchema(etree.parse(SCHEMAS / "MetaData.xsd"))

RATE = 44100
CLOCK = Clock.from_pairs(
    [(0.0, 0.0), (64.0, 40.0), (68.0, 42.4), (132.0, 79.057142857142853)],
    [Metre(0.0, 4, 4), Metre(64.0, 7, 8), Metre(69.0, 4, 4)],
)
SECTIONS = (
    SectionUsed('Verse "one" & more', "verse", 16.0, 48.0),
    SectionUsed("Chorus", "chorus", 68.0, 132.0),
)
START = CLOCK.beat2sample(16.0, RATE)
LENGTH = CLOCK.span2samples(16.0, 132.0, RATE)


@dataclass(frozen=True)
class PlainNote:
    start: float
    length: float
    pitch: int
    velocity: int = 90
    offset_ms: float = 0.0


NOTES = (PlainNote(16, 1, 60, 100), PlainNote(40.5, 0.5, 62, 1, 10.0), PlainNote(131, 1, 64, 127))


def stem(name: str, **changes: Any) -> ProjectStem:
    return ProjectStem(name, name, f"{name}.wav", START, LENGTH, NOTES, **changes)


def parsed(clock: Clock = CLOCK, **changes: Any) -> Any:
    """The project, valid against the schema, of two stems and a mix."""
    given: dict[str, Any] = {
        "stems": [stem("drums", tail="drums tail.wav", tail_samples=999), stem("bass", channels=1)],
        "mix": ProjectMix("mix.wav", START, LENGTH), "sections": SECTIONS, "start": 16.0, "end": 132.0,
    }  # fmt: skip
    root = etree.fromstring(project_xml(clock, RATE, **(given | changes)))
    PROJECT.assertValid(root)
    return root


def second_at(root: Any, beat: float) -> float:
    """Seconds from the file's start to `beat`, from the tempo points as they hold."""
    points = [
        (float(p.get("time")), float(p.get("value"))) for p in root.iterfind("Arrangement/TempoAutomation/RealPoint")
    ]
    total = 0.0
    for i, (at, bpm) in enumerate(points):
        stop = min(beat, points[i + 1][0]) if i + 1 < len(points) else beat
        if stop > at:
            total += (stop - at) * 60 / bpm
    return total


def test_the_file_is_valid_and_holds_nothing_but_text(tmp_path: Path) -> None:
    given: dict[str, Any] = {"stems": [stem("bass")], "sections": SECTIONS, "start": 16.0, "end": 132.0}
    digests = [write_dawproject(tmp_path / name, "Night Bus", CLOCK, RATE, **given) for name in ("a", "b")]
    assert digests[0] == digests[1], "equal input gives equal bytes"
    with zipfile.ZipFile(tmp_path / "a") as archive:
        assert archive.namelist() == ["project.xml", "metadata.xml"]
        assert archive.testzip() is None
        PROJECT.assertValid(etree.fromstring(archive.read("project.xml")))
        METADATA.assertValid(etree.fromstring(archive.read("metadata.xml")))


def test_a_wrong_element_would_not_be_valid() -> None:
    root = parsed()
    root.find("Arrangement/TempoAutomation").set("timeUnit", "bars")
    assert not PROJECT.validate(root)


def test_the_tracks_are_stems_with_their_notes_beside_them() -> None:
    tracks = parsed().findall("Structure/Track")
    assert [t.get("name") for t in tracks] == ["drums", "drums MIDI", "bass", "bass MIDI", "mix", "Master"]
    assert [t.get("contentType") for t in tracks] == ["audio", "notes"] * 2 + ["audio", "audio notes"]
    assert tracks[2].get("color") == "#f5ba42"
    assert [t.find("Channel/Mute").get("value") for t in tracks] == ["false"] * 4 + ["true", "false"]
    master = tracks[-1].find("Channel").get("id")
    assert [t.find("Channel").get("destination") for t in tracks[:-1]] == [master] * 5


def test_every_sound_lies_on_its_sample_and_is_not_warped() -> None:
    root = parsed()
    clips = [c for c in root.iter("Clip") if c.find("Audio") is not None]
    assert [c.find("Audio/File").get("path") for c in clips] == ["drums.wav", "drums tail.wav", "bass.wav", "mix.wav"]
    firsts = [START, START + LENGTH, START, START]
    lengths = [LENGTH, 999, LENGTH, LENGTH]
    for clip, first, samples in zip(clips, firsts, lengths, strict=True):
        time, beats = float(clip.get("time")), float(clip.get("duration"))
        assert second_at(root, time) * RATE == pytest.approx(first, abs=1e-3)
        assert second_at(root, time + beats) * RATE == pytest.approx(first + samples, abs=1e-3)
        assert clip.get("contentTimeUnit") == "seconds"
        assert float(clip.find("Audio").get("duration")) == samples / RATE
        assert clip.find("Audio").get("sampleRate") == str(RATE)
        assert clip.find("Audio/File").get("external") == "true"
    assert [c.find("Audio").get("channels") for c in clips] == ["2", "2", "1", "2"]
    assert not list(root.iter("Warps"))


def test_notes_stand_at_their_ticks() -> None:
    notes = list(parsed().iter("Notes"))
    assert len(notes) == 2
    late = round(10 / 1000 * 96 / 60 * 960) / 960
    found = [
        (float(n.get("time")), float(n.get("duration")), int(n.get("key")), round(float(n.get("vel")) * 127))
        for n in notes[1]
    ]
    assert found == [(0.0, 1.0, 60, 100), (24.5 + late, 0.5, 62, 1), (115.0, 1.0, 64, 127)]
    assert {n.get("channel") for n in notes[0]} == {"9"}
    assert {n.get("channel") for n in notes[1]} == {"0"}
    clip = notes[0].getparent()
    assert (float(clip.get("time")), float(clip.get("duration"))) == (16.0, 116.0)


def test_metres_and_markers_stand_where_they_are() -> None:
    root = parsed()
    points = root.findall("Arrangement/TimeSignatureAutomation/TimeSignaturePoint")
    assert [(float(p.get("time")), p.get("numerator"), p.get("denominator")) for p in points] == [
        (0.0, "4", "4"), (64.0, "7", "8"), (69.0, "4", "4"),
    ]  # fmt: skip
    markers = [(float(m.get("time")), m.get("name"), m.get("comment")) for m in root.iter("Marker")]
    assert markers == [
        (16.0, 'Verse "one" & more', "verse"), (48.0, "end", None), (68.0, "Chorus", "chorus"), (132.0, "end", None),
    ]  # fmt: skip
    assert root.find("Transport/Tempo").get("value") == "96"


@st.composite
def clocks(draw: st.DrawFn) -> Clock:
    """Any clock: begun anywhere, steps, dense ramps, any metres."""
    beat, second = draw(
        st.sampled_from([(0.0, 0.0), (16.0, 10.0), (0.0, 3.7), (8.0, -2.0), (-4.0, -2.5), (4000.0, 2.0)])
    )
    pairs = [(beat, second)]
    for _ in range(draw(st.integers(1, 60))):
        beats, bpm = draw(st.floats(0.1, 50)), draw(st.floats(5.01, 999))
        beat, second = beat + beats, second + beats * 60 / bpm
        pairs.append((beat, second))
    inside = (
        draw(st.lists(st.floats(pairs[0][0] + 0.01, beat - 0.01), max_size=4, unique=True))
        if beat > pairs[0][0] + 0.1
        else []
    )
    metre = st.tuples(st.integers(1, 32), st.sampled_from([1, 2, 4, 8, 16, 32]))
    metres = [Metre(pairs[0][0], *draw(metre)), *(Metre(b, *draw(metre)) for b in sorted(inside))]
    return Clock.from_pairs(pairs, metres)


NAMES = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)


@settings(max_examples=150, deadline=None)
@given(clocks(), st.lists(st.floats(0, 1), min_size=1, max_size=5), NAMES)
def test_every_clock_and_every_name_gives_a_valid_file_with_that_clock(
    clock: Clock, places: list[float], name: str
) -> None:
    first = max(clock.start, clock.second2beat(0.0))
    if first >= clock.end - 0.01:
        return
    sample = clock.beat2sample(first, RATE)
    one = ProjectStem(name, "lead", f"{name}.wav", max(0, sample), 1000, [PlainNote(first, 0.01, 60)])
    section = SectionUsed(name, "verse", first, clock.end)
    root = parsed(clock, stems=[one], mix=None, sections=[section], start=first, end=clock.end)
    METADATA.assertValid(etree.fromstring(metadata_xml(name)))
    origin = first - float(next(root.iter("Marker")).get("time"))
    for place in places:
        beat = first + place * (clock.end - first)
        assert second_at(root, beat - origin) == pytest.approx(clock.beat2second(beat), abs=1e-5)


def test_a_take_before_the_project_s_start_is_refused() -> None:
    with pytest.raises(JobError) as refused:
        parsed(stems=[ProjectStem("bass", "bass", "bass.wav", -1, LENGTH)])
    assert refused.value.code == "dawproject.before_start"


def write_take(folder: Path) -> Path:
    """A take of one stem with a tail, without its manifest."""
    clock = Clock.steady(120, 16)
    frame = Frame.of(clock, 8000, [("Verse", "verse", 0.0, 16.0)], [KeyAt(0.0, "A", "minor")], project="Night & day")
    sound = np.full((2, frame.samples), 0.25, np.float32)
    take = TakeFolder.open(folder, frame)
    take.write_stem(
        "a & b", "bass", sound, [PlainNote(0, 1, 40)], renderer="guide", checks=Checks(), tail=sound[:, :50]
    )
    assert take.write_projects()["dawproject"] == "session.dawproject"
    return take.path


def test_what_a_take_refers_to_lies_beside_it_and_can_be_packed(tmp_path: Path) -> None:
    folder = write_take(tmp_path)
    with zipfile.ZipFile(folder / "session.dawproject") as archive:
        project = etree.fromstring(archive.read("project.xml"))
        assert b"Night &amp; day, take 1" in archive.read("metadata.xml")
    files = [f.get("path") for f in project.iter("File")]
    assert files == ["a & b.wav", "a & b tail.wav"]
    assert all((folder / file).is_file() for file in files)
    assert pack_dawproject(folder / "session.dawproject", folder / "packed.dawproject") == files
    with zipfile.ZipFile(folder / "packed.dawproject") as archive:
        assert archive.testzip() is None
        packed = etree.fromstring(archive.read("project.xml"))
        PROJECT.assertValid(packed)
        assert [(f.get("path"), f.get("external")) for f in packed.iter("File")] == [
            ("audio/a & b.wav", None), ("audio/a & b tail.wav", None),
        ]  # fmt: skip
        for file in files:
            assert archive.read(f"audio/{file}") == (folder / file).read_bytes()
            with archive.open(f"audio/{file}") as sound:
                assert soundfile.info(sound).samplerate == 8000


def test_a_pack_without_its_sounds_or_of_something_else_is_refused(tmp_path: Path) -> None:
    folder = write_take(tmp_path)
    (folder / "a & b.wav").unlink()
    with pytest.raises(JobError) as gone:
        pack_dawproject(folder / "session.dawproject", tmp_path / "packed.dawproject")
    assert gone.value.code == "dawproject.media"
    (tmp_path / "text.dawproject").write_text("no ZIP")
    with pytest.raises(JobError) as broken:
        pack_dawproject(tmp_path / "text.dawproject", tmp_path / "packed.dawproject")
    assert broken.value.code == "dawproject.broken"
    assert not (tmp_path / "packed.dawproject").exists()
