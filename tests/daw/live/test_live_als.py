"""Tempo and time signatures out of saved sets, and the beats' seconds that follow, as Live plays them."""

from __future__ import annotations

import contextlib
import gzip
import io
import math
import random
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stembridge.als import MetreEvent, SavedSet, TempoEvent, code2metre, read_saved_set
from stembridge.tempo import beat2second, events2pairs, metres2list, second2beat, steady
from stembridge.trouble import Trouble

from bridge.timeline import Clock
from tests.daw.live import fake_tempo
from tests.daw.live.saved_sets import BEFORE_SONG, metre2code, set_xml, write_als


def read(data: bytes) -> tuple[SavedSet, int]:
    """The set, and in how many steps it was read."""
    steps, work = 0, read_saved_set(io.BytesIO(data))
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value, steps
        steps += 1


def packed(xml: str) -> bytes:
    return gzip.compress(xml.encode())


@pytest.mark.parametrize("main", ["MainTrack", "MasterTrack"])
def test_tempo_and_metres_of_a_saved_set(main: str) -> None:
    tempi = [(BEFORE_SONG, 100.0), (8.0, 100.0), (8.0, 120.0), (16.0, 140.0)]
    found, _ = read(packed(set_xml(tempi, [(BEFORE_SONG, 3, 4), (12.0, 7, 8)], main=main, curved=[3])))
    assert found.tempi == [TempoEvent(beat, bpm, bpm == 140.0) for beat, bpm in tempi]
    assert found.metres == [MetreEvent(BEFORE_SONG, 3, 4), MetreEvent(12.0, 7, 8)]


def test_a_set_without_envelopes_has_its_mixer_s_values() -> None:
    xml = set_xml([(BEFORE_SONG, 133.5)])
    start, end = xml.index("<AutomationEnvelopes>"), xml.index("</AutomationEnvelopes>")
    found, _ = read(packed(xml[:start] + "<AutomationEnvelopes><Envelopes />" + xml[end:]))
    assert found == SavedSet([TempoEvent(0.0, 133.5, False)], [MetreEvent(0.0, 4, 4)])


@given(st.integers(1, 99), st.sampled_from([1, 2, 4, 8, 16]))
def test_numbers_of_time_signatures(beats: int, unit: int) -> None:
    assert code2metre(metre2code(beats, unit)) == (beats, unit)


def test_a_large_set_is_read_in_small_steps(tmp_path: Path) -> None:
    noise = random.Random(1).randbytes(3 << 20).hex()
    path = write_als(tmp_path / "big.als", tracks=20_000, filler=noise)
    found, steps = read(path.read_bytes())
    assert found.tempi == [TempoEvent(BEFORE_SONG, 120.0, False)]
    assert steps > 30


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no gzip at all",
        packed("<Ableton><LiveSet></LiveSet></Ableton>"),
        packed(set_xml())[:-40],
        packed(set_xml())[:20],
        packed("<!DOCTYPE x [<!ENTITY a 'b'>]>" + set_xml()),
        packed(set_xml([(BEFORE_SONG, 5.0)])),
        packed(set_xml().replace('Value="201"', 'Value="9999"').replace('Value="201"', 'Value="x"')),
        packed(set_xml().replace('Time="-63072000.0"', 'Time="soon"')),
        packed(set_xml().split("</MainTrack>")[0]),
    ],
)
def test_what_is_no_set_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(Trouble, match="set"):
        read(data)


def test_a_bomb_is_refused() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    bomb = packer.compress(b"<MainTrack>") + b"".join(packer.compress(b" " * (1 << 20)) for _ in range(80))
    with pytest.raises(Trouble, match="too large"):
        read(bomb + packer.flush())


def test_too_many_points_are_refused() -> None:
    with pytest.raises(Trouble, match="more than"):
        read(packed(set_xml([(float(beat), 120.0 + beat % 2) for beat in range(20_500)])))


@settings(max_examples=60)
@given(st.data())
def test_a_damaged_set_is_read_or_refused(data: st.DataObject) -> None:
    raw = bytearray(set_xml().encode())
    for _ in range(data.draw(st.integers(1, 12))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Trouble):
        found, _ = read(gzip.compress(bytes(raw)))
        assert all(math.isfinite(event.beat) and 0 < event.bpm < math.inf for event in found.tempi or ())
        assert all(event.beats >= 1 and event.unit in (1, 2, 4, 8, 16) for event in found.metres or ())


# Beats and seconds


def test_times_that_a_user_measured_in_live() -> None:
    """forum.ableton.com, topic 251307: 150 to 50 bpm over four bars, read off Live: 1.740, 3.867, 6.604, 10.447."""
    pairs = events2pairs(
        [TempoEvent(BEFORE_SONG, 150.0, False), TempoEvent(0.0, 150.0, False), TempoEvent(16.0, 50.0, False)], 20.0
    )
    measured = {4.0: 1.740, 8.0: 3.867, 12.0: 6.604, 16.0: 10.447}
    for beat, second in measured.items():
        assert beat2second(pairs, beat) == pytest.approx(second, abs=0.0015)


points = st.lists(
    st.tuples(st.integers(0, 40 * 16).map(lambda n: n / 16), st.integers(40, 240).map(float)), min_size=1, max_size=8
).map(sorted)


@given(points, st.floats(1.0, 48.0))
def test_the_clock_is_that_of_live_step_by_step(drawn: list[tuple[float, float]], end: float) -> None:
    events = [TempoEvent(beat, bpm, False) for beat, bpm in drawn]
    pairs = events2pairs(events, end)
    assert pairs[0] == (0.0, 0.0)
    assert pairs[-1][0] == end
    for beat in [0.0, end / 3, end / 2, end]:
        assert beat2second(pairs, beat) == pytest.approx(fake_tempo.beat2second(drawn, beat), abs=1e-9)
        assert second2beat(pairs, beat2second(pairs, beat)) == pytest.approx(beat, abs=1e-9)
    Clock.from_pairs(pairs)


def test_a_long_steady_song_is_two_pairs_and_a_long_ramp_cheap() -> None:
    assert events2pairs([TempoEvent(BEFORE_SONG, 120.0, False)], 9999.0) == steady(120.0, 9999.0)
    pairs = events2pairs([TempoEvent(0.0, 60.0, False), TempoEvent(20_000.0, 180.0, False)], 20_000.0)
    assert len(pairs) == 80_001


def test_a_curved_ramp_is_refused_where_it_matters() -> None:
    events = [TempoEvent(0.0, 100.0, False), TempoEvent(8.0, 100.0, True), TempoEvent(16.0, 120.0, False)]
    with pytest.raises(Trouble, match="between beats 8 and 16 is curved"):
        events2pairs(events, 20.0)
    assert len(events2pairs(events, 8.0)) == 2


def test_metres_from_the_first_beat_without_repeats() -> None:
    events = [MetreEvent(BEFORE_SONG, 4, 4), MetreEvent(8.0, 4, 4), MetreEvent(12.0, 7, 8), MetreEvent(99.0, 3, 4)]
    assert metres2list(events, 40.0) == [MetreEvent(0.0, 4, 4), MetreEvent(12.0, 7, 8)]
