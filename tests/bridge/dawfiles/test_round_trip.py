"""A take's own project files, read as input: the same clock, sections and notes come back."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from bridge.arrangement import KeyAt
from bridge.dawfiles.read import song_file2arrangement
from bridge.handover.take import Frame, TakeFolder
from bridge.messages import Checks, Project, Render, encode
from bridge.midifile import read_smf
from bridge.timeline import Clock, Metre
from bridge.validate import check_request

RATE = 44100
KINDS = ("session.dawproject", "session.rpp")


@dataclass(frozen=True)
class PlainNote:
    start: float
    length: float
    pitch: int
    velocity: int = 90
    offset_ms: float = 0.0


def ramp(start: float, second: float, beats: float, first: float, last: float) -> list[tuple[float, float]]:
    """Dense pairs of a tempo ramp, as a DAW's script sends them."""
    pairs = []
    for i in range(1, 65):
        tempo = first + (last - first) * (i - 0.5) / 64
        second += beats / 64 * 60 / tempo
        pairs.append((start + beats * i / 64, second))
    return pairs


def crooked() -> Clock:
    """Steps, a ramp, 7/8 bars and a bar that is cut."""
    pairs = [(0.0, 0.0), (64.0, 40.0), (71.0, 44.2)]
    pairs += ramp(71.0, 44.2, 16.0, 100.0, 140.0)
    pairs.append((131.0, pairs[-1][1] + 44 * 60 / 140))
    return Clock.from_pairs(pairs, [Metre(0.0, 4, 4), Metre(64.0, 7, 8), Metre(71.0, 4, 4), Metre(89.0, 3, 4)])


def write_take(
    folder: Path, clock: Clock, sections: list[tuple[str, str, float, float]], parts: dict[str, list[PlainNote]]
) -> Path:
    frame = Frame.of(clock, RATE, sections, [KeyAt(0.0, "A", "minor")], project="Night Bus")
    with TakeFolder.open(folder, frame) as take:
        for role, notes in parts.items():
            sound = np.zeros((2, frame.samples), np.float32)
            take.write_stem(role, role, sound, notes, renderer="guide", checks=Checks())
        take.write_mix(np.zeros((2, frame.samples), np.float32), lufs=None, true_peak_dbfs=None, limiter=None)
        take.write_projects()
        take.finished = True
        return take.path


def notes_of(midi: str) -> list[tuple[float, float, int, int]]:
    return [(n.start, n.length, n.pitch, n.velocity) for t in read_smf(midi).tracks for n in t.notes]


SONG = [("Intro", "intro", 0.0, 16.0), ("My verse", "verse", 16.0, 64.0), ("Lift", "pre-chorus", 64.0, 71.0),
        ("Big chorus", "chorus", 87.0, 128.0)]  # fmt: skip
PARTS = {
    "drums": [PlainNote(i * 0.5, 0.25, 36 + i % 7, 40 + i % 80) for i in range(16, 240)],
    "bass": [PlainNote(16 + i, 0.9, 33 + i % 12, 100) for i in range(100)],
}


@pytest.mark.parametrize("kind", KINDS)
def test_clock_metres_sections_and_notes_come_back(tmp_path: Path, kind: str) -> None:
    clock = crooked()
    take = write_take(tmp_path / "job", clock, SONG, PARTS)
    arrangement, remarks = song_file2arrangement(take / kind)
    assert arrangement.sample_rate == RATE
    back = arrangement.timeline()
    for beat in np.linspace(0, 128, 500):
        assert back.beat2second(beat) == pytest.approx(clock.beat2second(beat), abs=1e-6)
    assert [(m.beat, m.beats, m.unit) for m in back.metres] == [
        (pytest.approx(m.beat, abs=1e-9), m.beats, m.unit) for m in clock.metres
    ]
    assert [(s.name, s.label) for s in arrangement.sections] == [(name, label) for name, label, *_ in SONG]
    assert [(s.start, s.end) for s in arrangement.sections] == [
        (pytest.approx(a), pytest.approx(b)) for *_, a, b in SONG
    ]
    assert [t.name for t in arrangement.tracks] == ["drums", "bass"], "the notes, not their sound a second time"
    assert [t.role for t in arrangement.tracks] == ["drums", None]
    for track in arrangement.tracks:
        wanted = [(n.start, n.length, n.pitch, n.velocity) for n in PARTS[track.name]]
        found = notes_of(track.midi or "")
        assert [n[2:] for n in found] == [n[2:] for n in wanted]
        assert np.array([n[:2] for n in found]) == pytest.approx(np.array([n[:2] for n in wanted]), abs=1.01 / 960)
    assert remarks == ['"mix" is muted and was left out.']


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_back_is_a_request_that_the_engine_takes(tmp_path: Path, kind: str) -> None:
    take = write_take(tmp_path / "job", crooked(), SONG, PARTS)
    arrangement, _ = song_file2arrangement(take / kind)
    request = Render(job="again", arrangement=arrangement, project=Project(root=str(take)))
    checked: Any = check_request(encode(request), [tmp_path])
    assert checked.arrangement.sections == arrangement.sections


@pytest.mark.parametrize("kind", KINDS)
def test_reading_twice_writes_nothing_new(tmp_path: Path, kind: str) -> None:
    take = write_take(tmp_path / "job", crooked(), SONG, PARTS)
    first = song_file2arrangement(take / kind)
    files = {p.name: p.stat().st_mtime_ns for p in (take / "stembridge" / "context").iterdir()}
    assert len(files) == 2
    assert song_file2arrangement(take / kind) == first
    assert {p.name: p.stat().st_mtime_ns for p in (take / "stembridge" / "context").iterdir()} == files


@st.composite
def songs(draw: st.DrawFn) -> tuple[Clock, list[tuple[str, str, float, float]]]:
    """Clocks with tempos that every DAW plays, metres on bar lines, sections with gaps; begun where projects begin,
    or before (their second 0 in the middle of a bar), or long after."""
    beat, second = draw(st.sampled_from([(0.0, 0.0), (16.0, 10.0), (0.0, 3.7), (-3.0, -1.7), (8.0, -2.0), (5.5, 0.0)]))
    pairs, metres = [(beat, second)], []
    for _ in range(draw(st.integers(1, 8))):
        metre = draw(st.sampled_from([(4, 4), (3, 4), (7, 8), (6, 8), (5, 4), (11, 16)]))
        if not metres or (metres[-1].beats, metres[-1].unit) != metre:
            metres.append(Metre(beat, *metre))
        beats = draw(st.integers(1, 8)) * metre[0] * 4 / metre[1]
        bpm = draw(st.floats(40, 240))
        if draw(st.booleans()):
            pairs += ramp(beat, second, beats, bpm, draw(st.floats(40, 240)))
        else:
            pairs.append((beat + beats, second + beats * 60 / bpm))
        beat, second = pairs[-1]
    clock = Clock.from_pairs(pairs, metres)
    zero = clock.second2beat(0.0)
    lines = [bar.start for bar in clock.bars() if bar.start >= zero - 1e-9] + [clock.end]
    assume(len(lines) > 1)
    cuts = sorted(draw(st.sets(st.sampled_from(lines), min_size=2, max_size=6)) if len(lines) > 2 else lines)
    sections = [(f"Verse {i}", "verse", a, b) for i, (a, b) in enumerate(pairwise(cuts))]
    kept = draw(st.lists(st.sampled_from(sections), min_size=1, unique=True))
    return clock, sorted(kept, key=lambda s: s[2])


ENDS_A_HAIR_LATER = Clock.from_pairs(
    [(8.0, -2.0), (12.0, 4.0), (16.0, 10.0), (37.0, 41.5), (41.0, 45.5)],
    [Metre(8.0, 4, 4), Metre(16.0, 3, 4), Metre(37.0, 4, 4)],
)
"""Read back, the last section ends one rounding after the last tempo point."""


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(songs())
@example((ENDS_A_HAIR_LATER, [("Verse 0", "verse", 12.0, 37.0)]))
def test_any_song_comes_back(tmp_path_factory: pytest.TempPathFactory, song: tuple[Clock, Any]) -> None:
    clock, sections = song
    folder = tmp_path_factory.mktemp("song")
    frame = Frame.of(clock, 8000, sections, [KeyAt(0.0, "A", "minor")])
    take = TakeFolder.open(folder, frame)
    take.write_projects()
    for kind in KINDS:
        arrangement, _ = song_file2arrangement(take.path / kind)
        back = arrangement.timeline()
        first, last = sections[0][2], sections[-1][3]
        shift = arrangement.sections[0].start - first
        for beat in np.linspace(first, last, 50):
            assert back.beat2second(beat + shift) == pytest.approx(clock.beat2second(beat), abs=1e-6)
        bars = [
            (back.beat2second(b.start), b.metre.beats, b.metre.unit) for b in back.bars(first + shift, last + shift)
        ]
        assert bars == [
            (pytest.approx(clock.beat2second(b.start), abs=1e-5), b.metre.beats, b.metre.unit)
            for b in clock.bars(first, last)
        ]
        found = [(s.name, s.start - shift, s.end - shift) for s in arrangement.sections]
        assert found == [(name, pytest.approx(a, abs=1e-5), pytest.approx(b, abs=1e-5)) for name, _, a, b in sections]
