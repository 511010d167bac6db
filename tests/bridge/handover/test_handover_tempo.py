"""Tempo lists stay on the clock, whatever the map; notes become ticks without overlap."""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.handover.notes import notes2ticks, ticks2events
from bridge.handover.tempo import TICKS, clock2microseconds, clock2tempos
from bridge.timeline import Clock


@dataclass(frozen=True)
class PlainNote:
    start: float
    length: float
    pitch: int
    velocity: int = 90
    offset_ms: float = 0.0


@st.composite
def clocks(draw: st.DrawFn) -> Clock:
    """Any map: steady stretches, jumps on and off the ticks, dense ramps, a start before or after beat 0."""
    beat = draw(st.sampled_from([0.0, -8.0, 16.0, 3.5]))
    second = draw(st.floats(-10, 100))
    pairs = [(beat, second)]
    for _ in range(draw(st.integers(1, 6))):
        if draw(st.booleans()):
            steps = [(draw(st.floats(0.01, 400)), draw(st.floats(30, 260)))]
        else:
            low, high, count = draw(st.floats(40, 220)), draw(st.floats(40, 220)), draw(st.integers(2, 80))
            steps = [(0.25, low + (high - low) * i / count) for i in range(count)]
        for beats, bpm in steps:
            beat, second = beat + beats, second + beats * 60.0 / bpm
            pairs.append((beat, second))
    return Clock.from_pairs(pairs)


def file_second(events: list[tuple[int, int]], tick: int) -> float:
    """Seconds from tick 0 to `tick`, summed up as any reader of a MIDI file does."""
    total = 0.0
    for i, (at, tempo) in enumerate(events):
        stop = min(tick, events[i + 1][0]) if i + 1 < len(events) else tick
        if stop > at:
            total += (stop - at) * tempo / 1e6 / TICKS
    return total


@settings(max_examples=80, deadline=None)
@given(clocks(), st.data())
def test_a_midi_file_s_time_stays_within_half_a_millisecond_of_the_clock(clock: Clock, data: st.DataObject) -> None:
    start = data.draw(st.sampled_from([clock.start, (clock.start + clock.end) / 2]))
    events = clock2microseconds(clock, start, clock.end)
    assert events[0][0] == 0
    last = math.floor((clock.end - start) * TICKS)
    knots = [t for at, _ in events for t in (at - 1, at, at + 1)]
    for tick in [t for t in (*knots, last, last // 3, last // 7) if 0 <= t <= last]:
        wanted = clock.beat2second(start + tick / TICKS) - clock.beat2second(start)
        assert file_second(events, tick) == pytest.approx(wanted, abs=0.0005)


def test_hours_at_a_crooked_tempo_do_not_drift() -> None:
    clock = Clock.from_pairs([(0.0, 0.0), (20_000.0, 20_000 * 60 / 131.313131)])
    events = clock2microseconds(clock, 0.0, 20_000.0)
    assert abs(round(60e6 / 131.313131) * 20_000 / 1e6 - clock.beat2second(20_000)) > 0.001, "rounding alone would fail"
    for beat in range(0, 20_001, 100):
        assert file_second(events, beat * TICKS) == pytest.approx(clock.beat2second(beat), abs=0.0005)
    assert {tempo for _, tempo in events} <= {456923, 456924, 456922}


def test_a_steady_song_has_one_tempo() -> None:
    clock = Clock.steady(113.7, 400)
    assert clock2microseconds(clock, 0, 400) == [(0, round(60e6 / 113.7))]


def test_a_jump_on_a_beat_is_written_on_that_beat() -> None:
    clock = Clock.from_pairs([(0, 0), (64, 40), (68, 42.4), (132, 42.4 + 64 * 60 / 105)])
    assert clock2microseconds(clock, 16, 132) == [
        (0, 625_000), (48 * TICKS, 600_000), (52 * TICKS, 571_429),
    ]  # fmt: skip


def test_a_great_jump_between_two_ticks_is_felt_on_neither() -> None:
    beat = 7.0 + 0.5 / TICKS
    clock = Clock.from_pairs([(0, 0), (beat, beat * 60 / 20), (64, beat * 3 + (64 - beat) * 60 / 240)])
    events = clock2microseconds(clock, 0, 64)
    for tick in (*range(0, 7 * TICKS, 500), 7 * TICKS, 7 * TICKS + 1, 8 * TICKS, 64 * TICKS):
        assert file_second(events, tick) == pytest.approx(clock.beat2second(tick / TICKS), abs=0.0003)


def test_no_tempo_is_bent_by_more_than_a_thousandth() -> None:
    pairs, second = [(0.0, 0.0)], 0.0
    for beat in range(1, 1200):
        second += 60 / (100 + 30 * math.sin(beat / 20))
        pairs.append((float(beat), second))
    clock = Clock.from_pairs(pairs)
    for tick, tempo in clock2microseconds(clock, 0, 1199):
        assert 60e6 / tempo == pytest.approx(clock.bpm_at(tick / TICKS + 1e-9), rel=0.0011)


@settings(max_examples=50, deadline=None)
@given(clocks())
def test_merged_tempos_are_the_clock(clock: Clock) -> None:
    tempos = clock2tempos(clock)
    assert len(tempos) <= len(clock.beats) - 1
    starts = [t.beat for t in tempos]
    for beat, second in zip(clock.beats, clock.seconds, strict=True):
        tempo = tempos[max(0, bisect.bisect_right(starts, beat) - 1)]
        assert tempo.second + (beat - tempo.beat) * 60 / tempo.bpm == pytest.approx(second, abs=5e-7)


def test_pairs_on_one_line_are_one_tempo() -> None:
    clock = Clock.from_pairs([(b / 4, b / 4 * 60 / 97.3) for b in range(2000)])
    assert len(clock2tempos(clock)) == 1


notes = st.builds(
    PlainNote,
    start=st.floats(0, 30),
    length=st.floats(0, 4),
    pitch=st.integers(60, 62),
    velocity=st.integers(1, 127),
    offset_ms=st.floats(-30, 30),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(notes, max_size=40))
def test_no_key_is_struck_while_it_sounds(played: list[PlainNote]) -> None:
    clock = Clock.from_pairs([(0, 0), (10, 5), (20, 12), (40, 30)])
    ticks = notes2ticks(played, clock, 0.0)
    sounding: set[int] = set()
    for _, (status, pitch, _) in ticks2events(ticks, 0):
        if status == 0x90:
            assert pitch not in sounding
            sounding.add(pitch)
        else:
            sounding.remove(pitch)
    assert not sounding
    struck = {(n.pitch, n.on) for n in ticks}
    for note in played:
        second = clock.beat2second(note.start) + note.offset_ms / 1000
        assert (note.pitch, max(0, round(clock.second2beat(second) * TICKS))) in struck


def test_micro_timing_counts_in_the_tempo_that_reigns() -> None:
    clock = Clock.from_pairs([(0, 0), (4, 4), (8, 6)])
    ticks = notes2ticks([PlainNote(2, 1, 60, offset_ms=10), PlainNote(6, 1, 60, offset_ms=10)], clock, 0)
    assert [n.on for n in ticks] == [round(2.01 * TICKS), round(6.02 * TICKS)]


def test_a_note_pulled_before_the_file_begins_on_its_first_tick() -> None:
    (note,) = notes2ticks([PlainNote(16, 1, 60, offset_ms=-8)], Clock.steady(120, 64), 16)
    assert note.on == 0


def test_a_key_struck_twice_at_once_is_one_note() -> None:
    clock = Clock.steady(120, 64)
    (note,) = notes2ticks([PlainNote(1, 1, 60, 50), PlainNote(1, 2, 60, 40)], clock, 0)
    assert (note.on, note.off, note.velocity) == (TICKS, 3 * TICKS, 50)
