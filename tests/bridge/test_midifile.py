"""Reading MIDI files: pairing of notes, tempo, damaged input, and a song file as an arrangement."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import mido
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.errors import RequestError
from bridge.labels import name2label
from bridge.midifile import SmfNote, SmfSong, read_smf, smf2arrangement

TICKS = 480


def save(path: Path, *chunks: list[tuple[int, mido.Message | mido.MetaMessage]], kind: int = 1) -> Path:
    """Writes chunks of (absolute tick, message)."""
    midi = mido.MidiFile(type=kind, ticks_per_beat=TICKS)
    for chunk in chunks:
        track, tick = mido.MidiTrack(), 0
        for at, message in sorted(chunk, key=lambda item: item[0]):
            track.append(message.copy(time=at - tick))
            tick = at
        midi.tracks.append(track)
    midi.save(path)
    return path


def on(tick: int, pitch: int, velocity: int = 80, channel: int = 0) -> tuple[int, mido.Message]:
    return tick, mido.Message("note_on", note=pitch, velocity=velocity, channel=channel)


def off(tick: int, pitch: int, channel: int = 0) -> tuple[int, mido.Message]:
    return tick, mido.Message("note_off", note=pitch, channel=channel)


def control(tick: int, number: int, value: int, channel: int = 0) -> tuple[int, mido.Message]:
    return tick, mido.Message("control_change", control=number, value=value, channel=channel)


def meta(tick: int, kind: str, **values: object) -> tuple[int, mido.MetaMessage]:
    return tick, mido.MetaMessage(kind, **values)


def raw_smf(body: bytes, *, kind: int = 0, chunks: int = 1, division: int = TICKS) -> bytes:
    head = b"MThd" + struct.pack(">IHHH", 6, kind, chunks, division)
    return head + b"MTrk" + struct.pack(">I", len(body)) + body


def notes_of(song: SmfSong, track: int = 0) -> list[tuple[float, float, int]]:
    return [(n.start, n.length, n.pitch) for n in song.tracks[track].notes]


def test_names_programs_channels_and_markers(tmp_path: Path) -> None:
    path = save(
        tmp_path / "song.mid",
        [
            meta(0, "set_tempo", tempo=500_000),
            meta(960, "set_tempo", tempo=600_000),
            meta(0, "time_signature", numerator=3, denominator=4),
            meta(0, "key_signature", key="F#m"),
            meta(0, "marker", text="Strophe"),
        ],
        [
            meta(0, "track_name", name="B\xc3\xa4sse"),
            (0, mido.Message("program_change", program=33, channel=2)),
            on(480, 40, channel=2),
            off(960, 40, channel=2),
        ],
        [meta(0, "track_name", name="Kit"), on(0, 36, 100, 9), off(0, 36, 9), meta(1440, "end_of_track")],
    )
    song = read_smf(path)
    assert [(t.name, t.channel, t.program, t.is_drums) for t in song.tracks] == [
        ("Bässe", 2, 33, False),
        ("Kit", 9, None, True),
    ]
    assert song.tracks[0].notes == (SmfNote(1.0, 1.0, 40, 80),)
    assert song.tracks[1].notes[0].length == pytest.approx(1 / TICKS)
    assert song.tempo == ((0.0, 0.0), (2.0, 1.0), (3.0, pytest.approx(1.6)))
    assert song.keys == ((0.0, "F#", "minor"),)
    assert [(m.beats, m.unit) for m in song.metres] == [(3, 4)]
    assert song.markers == ((0.0, "Strophe"),)
    assert song.end == 3.0


def test_format_0_falls_apart_by_channel(tmp_path: Path) -> None:
    path = save(
        tmp_path / "zero.mid",
        [on(0, 60), off(480, 60), on(0, 36, channel=9), off(240, 36, 9), on(480, 40, channel=1), off(960, 40, 1)],
        kind=0,
    )
    song = read_smf(path)
    assert [t.channel for t in song.tracks] == [0, 1, 9]
    assert song.tracks[2].name == "Drums"


def test_running_status_and_velocity_zero(tmp_path: Path) -> None:
    body = bytes([0, 0x90, 60, 80, 0, 64, 70, 0x83, 0x60, 60, 0, 0, 64, 0, 0, 0xFF, 0x2F, 0])
    path = tmp_path / "running.mid"
    path.write_bytes(raw_smf(body))
    assert notes_of(read_smf(path)) == [(0.0, 1.0, 60), (0.0, 1.0, 64)]


def test_overlaps_unmatched_offs_and_hanging_notes(tmp_path: Path) -> None:
    path = save(
        tmp_path / "odd.mid",
        [
            off(0, 50),
            on(0, 60), on(480, 60), off(720, 60), off(960, 60),
            on(960, 62), on(960, 62, 100), off(1200, 62),
            on(1440, 64), meta(1920, "end_of_track"),
        ],
    )  # fmt: skip
    song = read_smf(path)
    assert notes_of(song) == [(0.0, 1.0, 60), (1.0, 1.0, 60), (2.0, 0.5, 62), (3.0, 1.0, 64)]
    assert song.tracks[0].notes[2].velocity == 100


def test_pedal_draws_notes_out(tmp_path: Path) -> None:
    path = save(
        tmp_path / "pedal.mid",
        [
            control(0, 64, 127), on(0, 60), off(240, 60), on(240, 64), off(480, 64), on(480, 60), off(600, 60),
            control(960, 64, 0), on(960, 67), off(1200, 67),
        ],
    )  # fmt: skip
    song = read_smf(path)
    assert song.tracks[0].pedal
    assert notes_of(song) == [(0.0, 1.0, 60), (0.5, 1.5, 64), (1.0, 1.0, 60), (2.0, 0.5, 67)]


def test_all_notes_off_ends_notes(tmp_path: Path) -> None:
    path = save(tmp_path / "off.mid", [on(0, 60), on(0, 64), control(240, 123, 0), meta(960, "end_of_track")])
    assert notes_of(read_smf(path)) == [(0.0, 0.5, 60), (0.0, 0.5, 64)]


@pytest.mark.parametrize("cut", [0, 3, 13, 20, 40, -1, -3])
def test_a_cut_off_file_is_refused_by_name(tmp_path: Path, cut: int) -> None:
    whole = save(
        tmp_path / "whole.mid", [on(0, 60), off(480, 60), on(480, 62), off(960, 62), on(960, 64), off(990, 64)]
    )
    path = tmp_path / "cut.mid"
    path.write_bytes(whole.read_bytes()[:cut])
    with pytest.raises(RequestError) as caught:
        read_smf(path)
    assert caught.value.code == "midi.damaged"
    assert caught.value.field == str(path)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"RIFF" + bytes(40), "midi.damaged"),
        (raw_smf(b"", division=0xE728), "midi.smpte"),
        (raw_smf(b"", division=0), "midi.damaged"),
        (raw_smf(b"", kind=2), "midi.format"),
        (raw_smf(b"", chunks=60000), "midi.too_large"),
        (raw_smf(b"\x00\xff\x51\x03\x00\x00\x01\x83\x60\xff\x2f\x00"), "midi.tempo"),
        (raw_smf(b"\xff\xff\xff\x7f\xff\x2f\x00", division=1), "midi.too_long"),
        (raw_smf(b"\x00\xff\x59\x02\x63\x07\x00\xff\x2f\x00"), "midi.damaged"),
    ],
)
def test_files_that_cannot_be_music(tmp_path: Path, data: bytes, code: str) -> None:
    path = tmp_path / "bad.mid"
    path.write_bytes(data)
    with pytest.raises(RequestError) as caught:
        read_smf(path)
    assert caught.value.code == code


def test_missing_and_huge_files(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no such MIDI file"):
        read_smf(tmp_path / "none.mid")
    huge = tmp_path / "huge.mid"
    huge.write_bytes(b"MThd" + bytes(5 << 20))
    with pytest.raises(RequestError) as caught:
        read_smf(huge)
    assert caught.value.code == "midi.too_large"


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_any_damage_is_either_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "fuzz.mid"
    save(
        path,
        [meta(0, "set_tempo", tempo=400_000), on(0, 60), off(480, 60), control(490, 64, 99), on(960, 64), off(990, 64)],
    )
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(raw[: data.draw(st.integers(0, len(raw)))]))
    with suppress(RequestError):  # any other error, or a wrong note, fails
        song = read_smf(path)
        assert all(n.length > 0 and 1 <= n.velocity <= 127 and n.start >= 0 for t in song.tracks for n in t.notes)


@given(
    notes=st.lists(
        st.tuples(st.integers(0, 4000), st.integers(1, 900), st.integers(30, 90), st.integers(1, 127)),
        min_size=1,
        max_size=40,
        unique_by=lambda n: (n[0], n[2]),
    )
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_every_note_comes_back_cut_at_its_repeat(tmp_path: Path, notes: list[tuple[int, int, int, int]]) -> None:
    """Notes that do not overlap at their pitch come back exactly; others start right and never overlap."""
    chunk = [e for s, n, p, v in notes for e in (on(s, p, v), off(s + n, p))]
    chunk.sort(key=lambda e: (e[0], e[1].type == "note_on"))
    song = read_smf(save(tmp_path / "notes.mid", chunk))
    got = {(round(n.start * TICKS), n.pitch): (round(n.length * TICKS), n.velocity) for n in song.tracks[0].notes}
    assert {(s, p): v for s, _, p, v in notes} == {k: v for k, (_, v) in got.items()}
    for start, length, pitch, _ in notes:
        mine = [(s, n) for s, n, p, _ in notes if p == pitch]
        if len(mine) == 1:
            assert got[start, pitch][0] == length
        later = [s for s, _ in mine if s > start]
        assert not later or start + got[start, pitch][0] <= min(later)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Verse 1", "verse"), ("[CHORUS]", "chorus"), ("Pré-refrain 2", "pre-chorus"), ("Strophe_1", "verse"),
        ("Brücke", "bridge"), ("Guitar solo", "solo"), ("Middle 8", "bridge"), ("Refrain2", "chorus"),
        ("Refrão", "chorus"), ("Zwischenspiel", "interlude"), ("Estribillo", "chorus"), ("Post-Chorus", "post-chorus"),
        ("Breakdown", "break"), ("Drop", "drop"), ("Coda", "outro"), ("Versatile", None), ("A", None), ("", None),
    ],
)  # fmt: skip
def test_labels_of_names(name: str, label: str | None) -> None:
    assert name2label(name) == label


def test_markers_become_sections(tmp_path: Path) -> None:
    bar = 4 * TICKS
    path = save(
        tmp_path / "My Song.mid",
        [
            meta(0, "set_tempo", tempo=500_000),
            meta(8 * bar, "set_tempo", tempo=400_000),
            meta(4 * bar + 30, "marker", text="Vers 1"),
            meta(8 * bar, "marker", text="Refrain"),
            meta(8 * bar + 200, "marker", text="la"),
            meta(12 * bar, "marker", text="End"),
        ],
        [e for k in range(48) for e in (on(k * TICKS, 60), off(k * TICKS + 400, 60))],
    )
    got = smf2arrangement(path)
    assert [(s.name, s.label, s.start, s.end) for s in got.sections] == [
        ("Intro", "intro", 0.0, 16.0),
        ("Vers 1", "verse", 16.0, 32.0),
        ("Refrain", "chorus", 32.0, 48.0),
    ]
    clock = got.timeline()
    assert clock.end == 48.0
    assert clock.beat2second(32.0) == pytest.approx(16.0)
    assert clock.beat2second(48.0) == pytest.approx(22.4)
    assert got.tracks[0].midi == str(path)
    assert (got.tracks[0].name, got.tracks[0].use) == ("My Song", "follow")


def test_without_markers_eight_bars_make_a_section(tmp_path: Path) -> None:
    notes = []
    for bar in range(34):
        for k in range(1 if bar < 8 else 8 if 16 <= bar < 24 else 4):
            tick = bar * 4 * TICKS + k * 200
            notes += [on(tick, 60), off(tick + 100, 60)]
    got = smf2arrangement(save(tmp_path / "song.mid", notes), 44100)
    assert [(s.name, s.end - s.start) for s in got.sections] == [
        ("Intro", 32.0), ("Verse 1", 32.0), ("Chorus", 32.0), ("Verse 2", 40.0),
    ]  # fmt: skip
    assert got.sample_rate == 44100
    assert got.keys == ()


def test_short_metres_and_an_odd_end(tmp_path: Path) -> None:
    path = save(
        tmp_path / "waltz.mid",
        [meta(0, "time_signature", numerator=3, denominator=4), meta(0, "key_signature", key="Eb")],
        [on(0, 60), off(480, 60), on(3000, 62), off(4340, 62)],
    )
    got = smf2arrangement(path)
    assert got.sections[-1].end == 9.0 == got.timeline().end
    assert (got.keys[0].tonic, got.keys[0].mode) == ("Eb", "major")


def test_an_unset_key_signature_is_not_given(tmp_path: Path) -> None:
    path = save(tmp_path / "c.mid", [meta(0, "key_signature", key="C"), on(0, 61), off(480, 61)])
    assert smf2arrangement(path).keys == ()


def test_a_file_without_notes_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "empty.mid", [meta(0, "track_name", name="nothing")])
    assert read_smf(path).tracks == ()
    with pytest.raises(RequestError, match="no notes"):
        smf2arrangement(path)
