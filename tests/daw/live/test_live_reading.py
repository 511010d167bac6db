"""What the script reads: locators, keys, the notes of clips, MIDI files; as functions, and through the strict fake."""

from __future__ import annotations

import contextlib
import io
import itertools
from pathlib import Path
from typing import Any

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stembridge import labels, marks, reading, smf
from stembridge.smf import Note
from stembridge.trouble import Trouble

from bridge.arrangement import ROLES
from bridge.labels import WORDS, name2label
from bridge.midifile import read_smf
from tests.daw.live.conftest import Opener
from tests.daw.live.desk import NoiseEngine
from tests.daw.live.fake_gate import Model, Proxy
from tests.daw.live.fake_live import FakeLive
from tests.daw.live.saved_sets import BEFORE_SONG, write_als
from tests.daw.live.test_live_scenarios import GENERATE, clips, press, refused

Locator = marks.Locator


def seen(model: Model) -> Any:
    """What the script gets of something in the set."""
    return Proxy(model)


def test_labels_are_those_of_the_engine() -> None:
    assert labels.WORDS == WORDS
    assert labels.ROLES == ROLES
    names = [shape(word) for row in WORDS.values() for word in row for shape in (str.upper, str.title, "{} 2".format)]
    for name in [*names, "Versatile", "", "Pré-Refrain", "ÄÖÜ", "Refrain2", "[Chorus]", "Solo Gitarre", "x" * 300]:
        assert labels.name2label(name) == name2label(name)


def test_sections_between_locators() -> None:
    found = marks.locators2sections(
        [Locator(16.0, "Chorus: loud, wide"), Locator(0.0, "Intro"), Locator(32.0, "End"), Locator(24.0, "")], 99.0
    )
    assert [(s["name"], s["label"], s["start"], s["end"], s["words"]) for s in found] == [
        ("Intro", "intro", 0.0, 16.0, ""),
        ("Chorus", "chorus", 16.0, 24.0, "loud, wide"),
        ("Section 3", "verse", 24.0, 32.0, ""),
    ]


@pytest.mark.parametrize(("song_end", "end"), [(40.0, 40.0), (8.0, 24.0), (0.0, 24.0)])
def test_the_last_section_ends_with_the_music(song_end: float, end: float) -> None:
    found = marks.locators2sections([Locator(0.0, "Verse"), Locator(8.0, "A"), Locator(16.0, "B")], song_end)
    assert found[-1]["end"] == end
    assert marks.locators2sections([Locator(4.0, "only")], 0.0)[0]["end"] == 36.0


def test_keys_of_locators() -> None:
    keys, others = marks.split_keys([Locator(8.0, "KEY = f# dorian"), Locator(0.0, "key=Am"), Locator(0.0, "Verse")])
    assert keys == [
        {"beat": 0.0, "tonic": "A", "mode": "minor"},
        {"beat": 8.0, "tonic": "F#", "mode": "dorian"},
    ]
    assert others == [Locator(0.0, "Verse")]
    with pytest.raises(Trouble, match="key=H flat"):
        marks.split_keys([Locator(0.0, "key=H flat")])


def test_scales() -> None:
    assert marks.scale2key(9, "Minor") == (("A", "minor"), "")
    key, told = marks.scale2key(2, "Harmonic Minor")
    assert key == ("D", "minor")
    assert "as D minor" in told
    assert marks.scale2key(0, "Hirajoshi") == (
        None,
        "The band does not know the scale 'Hirajoshi'; it listens for the key instead.",
    )


@pytest.mark.parametrize(
    ("version", "scale_mode", "root", "scale", "expected"),
    [
        ("11.3.25", None, 0, "Major", []),
        ("11.3.25", None, 9, "Minor", [("A", "minor")]),
        ("12.0.5", False, 9, "Minor", []),
        ("12.3.0", True, 0, "Major", [("C", "major")]),
        ("12.3.0", True, 4, "In-Sen", []),
    ],
)
def test_the_key_of_the_set(
    version: str, scale_mode: bool | None, root: int, scale: str, expected: list[tuple[str, str]]
) -> None:
    live = FakeLive(version)
    live.song.values.update(root_note=root, scale_name=scale, scale_mode=bool(scale_mode))
    told: list[str] = []
    found = reading.read_key(seen(live.song), told)
    assert [(key["tonic"], key["mode"]) for key in found] == expected
    assert bool(told) == (scale == "In-Sen")


def brute(start: float, end: float, low: float, high: float, begin: float, looping: bool, note: float) -> list[float]:
    """Where a note at `note` of the clip sounds: the playhead moved in small steps."""
    found, at, beat, step = [], begin, start, 1 / 16
    while beat < end - 1e-9:
        if abs(at - note) < 1e-9:
            found.append(beat)
        at, beat = at + step, beat + step
        if looping and at >= high - 1e-9:
            at = low
    return found


sixteenths = st.integers(0, 64).map(lambda n: n / 16)


@given(sixteenths, st.integers(1, 200), sixteenths, st.integers(1, 64), sixteenths, st.booleans(), sixteenths)
def test_notes_of_looped_clips(
    start: float, span: int, low: float, width: int, begin: float, looping: bool, at: float
) -> None:
    live = FakeLive("12.3.0")
    high = low + width / 16
    begin = min(begin, high - 1 / 16) if looping else begin
    clip = live.user_midi(live.user_track("x"), start, 1.0, (60, at, 1 / 32))
    clip.low, clip.high, clip.begin, clip.cut_end = low, high, begin, start + span / 16
    clip.values["looping"] = looping
    found = [note.start for note in reading.clip2notes(seen(clip))]
    assert found == pytest.approx(brute(start, start + span / 16, low, high, begin, looping, at))


def test_notes_end_at_borders_and_muted_ones_are_silent() -> None:
    live = FakeLive("11.3.25")
    clip = live.user_midi(live.user_track("x"), 8.0, 4.0, (60, 0.0, 9.0), (61, 1.0, 1.0))
    clip.notes[1].values["mute"] = True
    assert reading.clip2notes(seen(clip)) == [Note(8.0, 4.0, 60, 90)]


def test_tracks_that_the_band_hears() -> None:
    live = FakeLive("12.3.0")
    live.user_track("heard")
    live.user_track("muted").values["mute"] = True
    live.user_track("not soloed").values["muted_via_solo"] = True
    live.user_track("audio", "audio")
    live.named("1-MIDI").data["stembridge"] = '{"stem": "bass", "kind": "midi", "files": []}'
    heard = [track.name for track in seen(live.song).tracks if reading.is_context(track)]
    assert heard == ["heard"]


beats = st.integers(0, 4000).map(lambda n: n / 960)
notes_drawn = st.lists(
    st.builds(Note, beats, st.integers(1, 4000).map(lambda n: n / 960), st.integers(0, 127), st.integers(1, 127)),
    max_size=20,
    unique_by=lambda note: note.pitch,
)


@given(notes_drawn)
def test_midi_files_both_ways(drawn: list[Note]) -> None:
    data = smf.notes2smf(drawn, "Bäss ♪", 97.0, (7, 8))
    assert smf.smf2notes(data) == sorted(drawn)
    file = mido.MidiFile(file=io.BytesIO(data))
    assert sum(message.type == "note_on" for message in file.tracks[0]) == len(drawn)


def test_the_engine_reads_the_script_s_midi_files(tmp_path: Path) -> None:
    (tmp_path / "a.mid").write_bytes(smf.notes2smf([Note(1.5, 0.25, 64, 100)], "Keys", 120.0, (3, 4)))
    found = read_smf(tmp_path / "a.mid")
    assert [(n.start, n.length, n.pitch, n.velocity) for track in found.tracks for n in track.notes] == [
        (1.5, 0.25, 64, 100)
    ]


@given(notes_drawn, st.data())
def test_damaged_midi_files_are_refused_or_read(drawn: list[Note], data: st.DataObject) -> None:
    raw = bytearray(smf.notes2smf(drawn, "x", 120.0, (4, 4)))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    del raw[data.draw(st.integers(0, len(raw))) :]
    with contextlib.suppress(smf.SmfError):
        for note in smf.smf2notes(bytes(raw)):
            assert note.start >= 0
            assert note.length > 0
            assert 0 <= note.pitch <= 127
            assert 1 <= note.velocity <= 127


# Through Live


def test_tempo_automation_and_seven_eight(version: str, project: Path, noise: NoiseEngine, open_set: Opener) -> None:
    tempi = [(BEFORE_SONG, 100.0), (4.0, 100.0), (11.0, 140.0), (11.0, 90.0)]
    metres = [(BEFORE_SONG, 4, 4), (4.0, 7, 8)]
    live = FakeLive(version, write_als(project / "Sång.als", tempi, metres))
    live.tempo, live.automation.values["automation_state"] = tempi, 1
    live.user_locators((4.0, "Verse"), (11.0, "Chorus"), (18.0, "End"))
    host = open_set(live, sample_rate=44_100)
    press(host, GENERATE)
    (asked,) = noise.requests
    clock = asked.arrangement.timeline()
    for beat in (0.0, 4.0, 7.3, 11.0, 18.0):
        assert clock.beat2second(beat) == pytest.approx(live.beat2second(beat), abs=1e-9)
    assert [(m.beat, m.beats, m.unit) for m in asked.arrangement.metres] == [(0.0, 4, 4), (4.0, 7, 8)]
    (audio,) = clips(live, "drums")
    assert audio.start == 4.0
    assert audio.get_end_time() == pytest.approx(18.0, abs=1e-4)
    assert audio.get_sample_length() == clock.span2samples(4.0, 18.0, 44_100)
    assert not host.said("it ends on beat")
    assert host.said("The changes of time signature are those of the set as it was saved last")


RAMP = [(BEFORE_SONG, 100.0), (4.0, 100.0), (8.0, 120.0)]


@pytest.mark.parametrize(
    ("state", "saved", "text"),
    [
        (1, None, "Live tells its course only through the saved set. Save the set"),
        (2, RAMP, "Re-Enable Automation"),
    ],
)
def test_a_tempo_that_cannot_be_known_is_not_guessed(
    state: int, saved: list[tuple[float, float]] | None, text: str, project: Path, noise: NoiseEngine, open_set: Opener
) -> None:
    live = FakeLive("12.3.0", write_als(project / "S.als", saved) if saved else None)
    live.automation.values["automation_state"] = state
    live.user_loop(0.0, 16.0)
    refused(open_set(live), GENERATE, text)
    assert noise.requests == []


@pytest.mark.parametrize(
    ("saved", "shown", "text", "lands_well"),
    [
        (RAMP, [(0.0, 103.0)], "Live shows 103.00 bpm at the song position, the saved set 100.00", False),
        ([(BEFORE_SONG, 120.0)], [(0.0, 120.0)], "The saved set has one tempo only", True),
        ([(BEFORE_SONG, 120.0)], [(0.0, 120.0), (8.0, 150.0)], "The saved set has one tempo only", False),
    ],
)
def test_a_saved_set_that_may_be_old_is_told(
    saved: list[tuple[float, float]], shown: list[tuple[float, float]], text: str, lands_well: bool,
    project: Path, noise: NoiseEngine, open_set: Opener,
) -> None:  # fmt: skip
    live = FakeLive("12.3.0", write_als(project / "S.als", saved))
    live.tempo, live.automation.values["automation_state"] = shown, 1
    live.user_loop(0.0, 16.0)
    host = open_set(live, sample_rate=8000)
    press(host, GENERATE)
    assert host.said(text)
    assert host.said("it ends on beat") != lands_well


def test_a_live_that_does_not_tell_of_automation(project: Path, noise: NoiseEngine, open_set: Opener) -> None:
    live = FakeLive("11.3.25", write_als(project / "S.als", RAMP))
    live.tempo = RAMP
    live.master.values["mixer_device"].kind = "ClipSlot"
    live.user_loop(0.0, 16.0)
    press(open_set(live, sample_rate=8000), GENERATE)
    clock = noise.requests[0].arrangement.timeline()
    assert clock.beat2second(16.0) == pytest.approx(live.beat2second(16.0))


def test_link_and_the_tempo_follower_are_told(
    version: str, project: Path, noise: NoiseEngine, open_set: Opener
) -> None:
    live = FakeLive(version, write_als(project / "S.als"))
    live.song.values.update(is_ableton_link_enabled=True, tempo_follower_enabled=True)
    live.user_loop(0.0, 8.0)
    host = open_set(live, sample_rate=8000, stems=["bass"])
    press(host, GENERATE)
    assert host.said("Ableton Link is on")
    assert host.said("The Tempo Follower is on")


def test_a_time_signature_that_changed_since_is_told(project: Path, noise: NoiseEngine, open_set: Opener) -> None:
    live = FakeLive("12.3.0", write_als(project / "S.als", metres=[(BEFORE_SONG, 4, 4), (8.0, 3, 4)]))
    live.song.values["signature_numerator"] = 5
    live.user_loop(0.0, 16.0)
    host = open_set(live, sample_rate=8000)
    press(host, GENERATE)
    assert host.said("Live shows 5/4 at the song position, the saved set 4/4")


def test_three_hundred_locators_of_any_name(version: str, project: Path, noise: NoiseEngine, open_set: Opener) -> None:
    live = FakeLive(version, write_als(project / "S.als", [(BEFORE_SONG, 200.0)]))
    live.tempo = [(0.0, 200.0)]
    names = ["Strophe ♥", "サビ", "Ünïcödé " * 30, "x" * 250, "", "Припев: громко"]
    live.user_locators(*[(4.0 * i, names[i % len(names)]) for i in range(300)])
    track = live.user_track("ドラム/\\:*? " + "y" * 200)
    live.user_midi(track, 0.0, 4.0, (60, 0.0, 1.0))
    host = open_set(live, sample_rate=8000, stems=["drums"])
    press(host, GENERATE)
    (asked,) = noise.requests
    assert len(asked.arrangement.sections) == 300
    assert {len(s.name) for s in asked.arrangement.sections} >= {200}
    assert asked.arrangement.sections[5].words == "громко"
    assert asked.arrangement.tracks[0].name.startswith("ドラム")
    assert len(clips(live, "drums")) == 1


def test_more_sections_than_the_engine_takes(project: Path, noise: NoiseEngine, open_set: Opener) -> None:
    live = FakeLive("12.3.0", write_als(project / "S.als"))
    live.user_locators(*[(4.0 * i, "A") for i in range(501)])
    refused(open_set(live), GENERATE, "501 sections are marked; at most 500")
    assert not noise.requests
    assert live.undo == []


def test_what_the_band_does_not_hear_is_told(
    project: Path, noise: NoiseEngine, open_set: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_NOTES", 3)
    monkeypatch.setattr(reading, "MAX_TRACKS", 2)
    live = FakeLive("12.3.0", write_als(project / "S.als"))
    live.user_loop(0.0, 8.0)
    for name, count in (("Keys", 2), ("Strings", 4), ("Choir", 1)):
        live.user_midi(live.user_track(name), 0.0, 8.0, *((60 + i, float(i), 1.0) for i in range(count)))
    host = open_set(live, sample_rate=8000, stems=["drums"])
    press(host, GENERATE)
    assert [track.name for track in noise.requests[0].arrangement.tracks] == ["Keys", "Strings"]
    told = "\n".join(host.logged)
    assert "Of 'Strings' the band hears the first 3 notes." in told
    assert "3 MIDI tracks sound; the band hears the first 2." in told
    assert "'Keys'" not in told


def test_the_rate_is_that_of_most_clips(project: Path, noise: NoiseEngine, open_set: Opener, tmp_path: Path) -> None:
    import numpy as np
    import soundfile

    live = FakeLive("12.3.0", write_als(project / "S.als"))
    live.user_loop(0.0, 4.0)
    track = live.user_track("Takes", "audio")
    for number, rate in enumerate((44_100, 44_100, 96_000)):
        soundfile.write(tmp_path / f"{number}.wav", np.zeros((rate, 1)), rate)
        track.create_audio_clip(str(tmp_path / f"{number}.wav"), 100.0 * number)
    press(open_set(live, stems=["bass"]), GENERATE)
    assert noise.requests[0].arrangement.sample_rate == 44_100


def test_a_large_set_is_read_over_many_ticks(project: Path, noise: NoiseEngine, open_set: Opener) -> None:
    """With a clock by which every step takes longer than a tick's budget, each tick does one step and no more."""
    live = FakeLive("12.3.0", write_als(project / "S.als"))
    live.user_loop(0.0, 8.0)
    for number in range(40):
        live.user_midi(live.user_track(f"Track {number}"), 0.0, 8.0, (60, 0.0, 1.0))
    host = open_set(live, sample_rate=8000, stems=["bass"])
    host.run_until(lambda: host.said("The engine is there"))
    now = itertools.count(host.script._clock(), 0.02)
    host.script._clock = lambda: next(now)
    host.press(GENERATE)
    before = len(host.ticks)
    host.run_until(lambda: host.said("Asked for"))
    assert len(host.ticks) - before >= 40
    host.run_until(lambda: host.said("Done: "))
    assert len(noise.requests[0].arrangement.tracks) == 40


def test_the_set_changes_while_it_is_read(project: Path, noise: NoiseEngine, open_set: Opener) -> None:
    live = FakeLive("12.3.0", write_als(project / "S.als"))
    live.user_loop(0.0, 8.0)
    tracks = [live.user_track(f"Track {number}") for number in range(10)]
    host = open_set(live, sample_rate=8000)
    host.run_until(lambda: host.said("The engine is there"))
    now = itertools.count(host.script._clock(), 0.02)
    host.script._clock = lambda: next(now)
    host.press(GENERATE)
    for _ in range(6):
        host.tick()
    live.user_delete(tracks[-1])
    host.run_until(lambda: host.said("The set was changed while it was read"))
    assert not host.script._band.busy
    assert noise.requests == []
