"""The REAPER project as `rpp` parses it: positions to the sample, tempo map against the clock, regions, notes."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import rpp
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.arrangement import Section
from bridge.errors import JobError
from bridge.handover.project import ROLE_COLOURS, ProjectMix, ProjectStem
from bridge.handover.rpp import rpp_text, write_rpp
from bridge.timeline import Clock, Metre


@dataclass(frozen=True)
class PlainNote:
    start: float
    length: float
    pitch: int
    velocity: int = 90
    offset_ms: float = 0.0


RATE = 44100
CLOCK = Clock.from_pairs(
    [(0.0, 0.0), (64.0, 40.0), (68.0, 42.4), (132.0, 79.057142857142853)],
    [Metre(0.0, 4, 4), Metre(64.0, 7, 8), Metre(69.0, 4, 4)],
)
SECTIONS = [Section('Verse "one"', "verse", 16.0, 48.0), Section("Chorus", "chorus", 68.0, 132.0)]
START = CLOCK.beat2sample(16.0, RATE)
LENGTH = CLOCK.span2samples(16.0, 132.0, RATE)
NOTES = (PlainNote(16, 1, 60, 100), PlainNote(40.5, 0.5, 62, 1, 10.0), PlainNote(131, 1, 64, 127))


def stems(*names: str) -> list[ProjectStem]:
    return [ProjectStem(name, name, f"{name}.wav", START, LENGTH, NOTES) for name in names]


def project(clock: Clock = CLOCK, **changes: Any) -> Any:
    """The parsed project of two stems and a mix."""
    given: dict[str, Any] = {
        "stems": stems("drums", "bass"), "mix": ProjectMix("mix.wav", START, LENGTH), "sections": SECTIONS,
        "start": 16.0, "end": 132.0,
    }  # fmt: skip
    return rpp.loads(rpp_text("Night Bus", clock, RATE, **(given | changes)))


def line(element: Any, name: str) -> list[str]:
    """The one line `name` of a block, without the name."""
    (found,) = [item for item in element if isinstance(item, list) and item[0] == name]
    return found[1:]


def beat_at(root: Any, second: float) -> float:
    """Quarter notes from the project's start to `second`, from the tempo points as REAPER plays them."""
    points = [(float(p[1]), float(p[2])) for p in root.find("TEMPOENVEX") if isinstance(p, list) and p[0] == "PT"]
    total = 0.0
    for i, (at, bpm) in enumerate(points):
        stop = min(second, points[i + 1][0]) if i + 1 < len(points) else second
        if stop > at:
            total += (stop - at) * bpm / 60
    return total


def test_every_item_lies_on_its_sample() -> None:
    root = project()
    items = root.findall(".//ITEM")
    sounds = [item for item in items if item.find("SOURCE").attrib == ["WAVE"]]
    assert [line(item.find("SOURCE"), "FILE") for item in sounds] == [["drums.wav"], ["bass.wav"], ["mix.wav"]]
    for item in sounds:
        position, length = float(line(item, "POSITION")[0]), float(line(item, "LENGTH")[0])
        assert position == START / RATE, "the very float64"
        assert position * RATE == pytest.approx(START, abs=1e-6)
        assert length == LENGTH / RATE
    for item in items:
        assert line(item, "LOOP") == ["0"]
        assert line(item, "FADEIN")[1:3] == ["0", "0"]
        assert line(item, "FADEOUT")[1:3] == ["0", "0"]
        assert line(item, "PLAYRATE")[:3] == ["1", "1", "0"]


@pytest.mark.parametrize("rate", [44100, 48000, 96000])
@pytest.mark.parametrize("sample", [0, 1, 7, 441_001, 2_000_000_011])
def test_a_crooked_sample_reads_back_as_itself(sample: int, rate: int) -> None:
    stem = ProjectStem("bass", "bass", "bass.wav", sample, 99_999_999)
    root = rpp.loads(rpp_text("x", CLOCK, rate, [stem], None, [], 16.0, 132.0))
    item = root.findall(".//ITEM")[0]
    position, length = float(line(item, "POSITION")[0]), float(line(item, "LENGTH")[0])
    assert (position, length) == (sample / rate, 99_999_999 / rate)
    assert (round(position * rate), round(length * rate)) == (sample, 99_999_999)


def test_the_tracks_stand_in_one_folder_with_a_muted_mix() -> None:
    tracks = project().findall("TRACK")
    names = [line(t, "NAME")[0] for t in tracks]
    assert names == ["stembridge", "drums", "drums MIDI", "bass", "bass MIDI", "mix"]
    assert [line(t, "ISBUS") for t in tracks] == [["1", "1"], *[["0", "0"]] * 4, ["2", "-1"]]
    assert [line(t, "MUTESOLO")[0] for t in tracks] == ["0"] * 5 + ["1"]
    red, green, blue = ROLE_COLOURS["bass"]
    assert int(line(tracks[3], "PEAKCOL")[0]) == 0x1000000 + red + green * 256 + blue * 65536
    guids = [t.attrib[0] for t in tracks]
    assert len(set(guids)) == len(guids)


def test_the_rate_is_the_project_s() -> None:
    assert line(project(), "SAMPLERATE")[:2] == ["44100", "1"]


def test_metres_change_where_the_clock_says_and_cut_bars_are_allowed() -> None:
    points = [p for p in project().find("TEMPOENVEX") if isinstance(p, list) and p[0] == "PT"]
    metres = [(float(p[1]), int(p[4]) & 0xFFFF, int(p[4]) >> 16, int(p[6])) for p in points if len(p) > 4]
    assert metres == [(0.0, 4, 4, 1), (40.0, 7, 8, 1), (pytest.approx(CLOCK.beat2second(69.0)), 4, 4, 5)]
    assert line(project(), "TEMPO") == ["96", "4", "4"]


def test_regions_are_the_sections() -> None:
    lines = [item[1:] for item in project() if isinstance(item, list) and item[0] == "MARKER"]
    assert [entry[0] for entry in lines] == ["1", "1", "2", "2"]
    assert [entry[2] for entry in lines] == ['Verse "one"', "", "Chorus", ""]
    assert [entry[3] for entry in lines] == ["1"] * 4
    assert [float(entry[1]) for entry in lines] == [CLOCK.beat2second(b) for b in (16.0, 48.0, 68.0, 132.0)]


def test_notes_stand_at_their_quarter_notes() -> None:
    root = project()
    item = [i for i in root.findall(".//ITEM") if i.find("SOURCE").attrib == ["MIDI"]][1]
    source = item.find("SOURCE")
    assert line(source, "HASDATA") == ["1", "960", "QN"]
    now, events = 0, []
    for entry in (e for e in source if isinstance(e, list) and e[0] == "E"):
        now += int(entry[1])
        events.append((now, [int(byte, 16) for byte in entry[2:]]))
    late = round(10 / 1000 * 96 / 60 * 960)
    assert events == [
        (0, [0x90, 60, 100]),
        (960, [0x80, 60, 0]),
        (round(24.5 * 960) + late, [0x90, 62, 1]),
        (25 * 960 + late, [0x80, 62, 0]),
        (115 * 960, [0x90, 64, 127]),
        (116 * 960, [0x80, 64, 0]),
        (116 * 960, [0xB0, 123, 0]),
    ]
    start = float(line(item, "POSITION")[0])
    assert beat_at(root, start + float(line(item, "LENGTH")[0])) - beat_at(root, start) == pytest.approx(116)


def test_drums_are_written_for_channel_10() -> None:
    _, item = project(stems=stems("drums"), mix=None).findall(".//ITEM")
    entries = [e for e in item.find("SOURCE") if isinstance(e, list) and e[0] == "E"]
    assert {e[2] for e in entries} == {"99", "89", "b9"}


@st.composite
def clocks(draw: st.DrawFn) -> Clock:
    beat, second = draw(st.sampled_from([(0.0, 0.0), (16.0, 10.0), (0.0, 3.7), (8.0, -2.0), (4000.0, 2.0)]))
    pairs = [(beat, second)]
    for _ in range(draw(st.integers(1, 60))):
        beats, bpm = draw(st.floats(0.1, 50)), draw(st.floats(30, 280))
        beat, second = beat + beats, second + beats * 60 / bpm
        pairs.append((beat, second))
    return Clock.from_pairs(pairs)


@settings(max_examples=60, deadline=None)
@given(clocks(), st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_the_tempo_map_is_the_clock_whatever_it_is(clock: Clock, places: list[float]) -> None:
    first = max(clock.start, clock.second2beat(0.0))
    if first >= clock.end:
        return
    root = rpp.loads(rpp_text("x", clock, RATE, [], None, [], first, clock.end))
    origin = beat_at(root, clock.beat2second(first)) - first
    for place in places:
        beat = first + place * (clock.end - first)
        assert beat_at(root, clock.beat2second(beat)) - origin == pytest.approx(beat, abs=1e-5)


def test_where_it_can_be_the_project_s_beats_are_the_file_s() -> None:
    clock = Clock.from_pairs([(16.0, 10.0), (64.0, 34.0)])
    root = rpp.loads(rpp_text("x", clock, RATE, [], None, [], 16.0, 64.0))
    assert beat_at(root, 10.0) == pytest.approx(16.0)
    assert beat_at(root, 34.0) == pytest.approx(64.0)


def test_thousands_of_ramp_points_lose_no_beat() -> None:
    pairs, second = [(0.0, 0.0)], 0.0
    for i in range(1, 8000):
        second += 0.25 * 60 / (80 + i / 100)
        pairs.append((i * 0.25, second))
    clock = Clock.from_pairs(pairs)
    root = rpp.loads(rpp_text("x", clock, RATE, [], None, [], 0.0, clock.end))
    seconds = [float(p[1]) for p in root.find("TEMPOENVEX") if isinstance(p, list) and p[0] == "PT"]
    assert len(seconds) == len(pairs) - 1
    assert bisect.bisect(seconds, 10.0) > 50
    assert beat_at(root, clock.seconds[-1]) == pytest.approx(clock.end, abs=1e-6)


@pytest.mark.parametrize(
    "name", ['say "hi"', "it's", "`tick` \"and\" 'more'", "line\nbreak", "Größe 弦", "> closed", ""]
)
def test_names_of_any_kind_survive(name: str) -> None:
    stem = ProjectStem(name, "lead", "a b's.wav", START, LENGTH)
    root = rpp.loads(rpp_text("x", CLOCK, RATE, [stem], None, [Section(name, "verse", 16, 48)], 16.0, 132.0))
    wanted = name.replace("\n", " ").replace("`", "'") if "`" in name else name.replace("\n", " ")
    assert line(root.findall("TRACK")[1], "NAME") == [wanted]
    assert line(root.findall(".//SOURCE")[0], "FILE") == ["a b's.wav"]


def test_a_take_before_the_project_s_start_is_refused() -> None:
    with pytest.raises(JobError) as refused:
        project(stems=[ProjectStem("bass", "bass", "bass.wav", -1, LENGTH)])
    assert refused.value.code == "rpp.before_start"


def test_the_file_is_the_text_and_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    digests = [
        write_rpp(tmp_path / n, "Night Bus", CLOCK, RATE, stems=stems("bass"), start=16, end=132) for n in ("a", "b")
    ]
    assert digests[0] == digests[1]
    raw = (tmp_path / "a").read_bytes()
    assert raw.count(b"\r\n") == raw.count(b"\n")
    assert rpp.loads(raw.decode()).tag == "REAPER_PROJECT"
