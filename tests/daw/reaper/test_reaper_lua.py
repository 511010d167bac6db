"""The plain Lua of REAPER's script under Lua 5.3 and 5.4: sections, keys, clock, MIDI, WAV, tags, slices."""

from __future__ import annotations

import io
import math
import random
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
import soundfile

from bridge.timeline import Clock
from tests.daw import lua as plain
from tests.daw.lua import INTERPRETERS

pytestmark = pytest.mark.parametrize("lua", INTERPRETERS)
RATE = 48_000
SCRIPTS = Path(__file__).parents[3] / "daw_scripts" / "reaper"


def run_lua(lua: str, body: str, given: Any = None) -> Any:
    return plain.run_lua(lua, body, given, scripts=SCRIPTS)


MAKE = """
  local ok, found = pcall(use("sections").make, input.regions, input.markers, input.selection, input.song_end,
    use("labels").name2label)
  return { ok = ok, found = found }
"""


def region(name: str, start: float, stop: float) -> dict[str, Any]:
    return {"name": name, "start": start, "stop": stop}


def make(lua: str, regions: list[Any], selection: Any = None, markers: tuple[Any, ...] = ()) -> Any:
    given = {"regions": regions, "markers": list(markers), "song_end": 64}
    return run_lua(lua, MAKE, given | ({"selection": selection} if selection else {}))


def spans(answer: Any) -> list[tuple[str, float, float]]:
    assert answer["ok"], answer["found"]
    return [(section["name"], section["start"], section["end"]) for section in answer["found"]]


def test_regions_become_sections_in_order(lua: str) -> None:
    answer = make(lua, [region("Refrain", 16, 32), region(" Strophe 1 : dry, brushes ", 0, 16)])
    assert answer["found"] == [
        {"name": "Strophe 1", "label": "verse", "start": 0, "end": 16, "words": "dry, brushes"},
        {"name": "Refrain", "label": "chorus", "start": 16, "end": 32, "words": ""},
    ]


def test_a_time_selection_clips_regions_and_is_a_section_where_there_is_none(lua: str) -> None:
    regions = [region("A", 0, 16), region("B", 16, 32), region("C", 32, 48)]
    assert spans(make(lua, regions, {"start": 8, "stop": 20})) == [("A", 8, 16), ("B", 16, 20)]
    assert spans(make(lua, regions, {"start": 50, "stop": 54})) == [("Selection", 50, 54)]
    assert spans(make(lua, [], {"start": 3, "stop": 5})) == [("Selection", 3, 5)]
    sliver = make(lua, regions, {"start": 15.99, "stop": 32})
    assert spans(sliver) == [("B", 16, 32)]


def test_regions_around_others_are_no_sections(lua: str) -> None:
    regions = [region("Song", 0, 64), region("Intro", 0, 8), region("Side A", 0, 128), region("End", 60, 64)]
    assert spans(make(lua, regions)) == [("Intro", 0, 8), ("End", 60, 64)]


def test_markers_divide_a_song_without_regions(lua: str) -> None:
    markers = ({"name": "Chorus", "start": 16}, {"name": "Verse", "start": 0})
    assert spans(make(lua, [], None, markers)) == [("Verse", 0, 16), ("Chorus", 16, 64)]


def test_what_cannot_be_worked_on_is_explained(lua: str) -> None:
    for regions, word in (
        ([], "Nothing is marked"),
        ([region("A", 0, 8.5), region("B", 8, 16)], "'A' and 'B' overlap"),
        ([region("A", 0, 8), region("B", 0, 8)], "overlap"),
        ([region("A", 4, 4)], "empty"),
    ):
        answer = make(lua, regions)
        assert answer["ok"] is False
        assert word in answer["found"]


def test_long_and_foreign_names_stay_whole_letters(lua: str) -> None:
    names = ["Ü" * 300, "日本" * 150, "x" * 201, "Refrain — ünïcødé 🎹"]
    regions = [region(name, 8 * i, 8 * i + 8) for i, name in enumerate(names)]
    found = [section["name"] for section in make(lua, regions)["found"]]
    assert found == [name[:200] for name in names]
    broken = 'return (use("sections").shorten("ab\\xFFcd", 200))'
    assert run_lua(lua, broken) == "ab?cd"


AFTER = """
  return use("sections").after(input.at, input.regions, input.selection, input.length, input.last,
    use("labels").name2label)
"""


def after(lua: str, at: float, regions: list[Any], selection: Any = None, length: float = 8) -> tuple[str, str, float]:
    given = {"at": at, "regions": regions, "length": length, "last": {"name": "Hook", "label": "chorus"}}
    found = run_lua(lua, AFTER, given | ({"selection": selection} if selection else {}))
    assert found["start"] == at
    return found["name"], found["label"], found["end"]


def test_a_continuation_ends_with_what_is_marked(lua: str) -> None:
    regions = [region("Verse", 0, 16), region("Bridge", 16, 30), region("Song", 0, 200)]
    assert after(lua, 16, regions) == ("Bridge", "bridge", 30)
    assert after(lua, 20, regions) == ("Bridge", "bridge", 30)
    assert after(lua, 30, regions[:2]) == ("Hook", "chorus", 38)
    assert after(lua, 8, [region("Outro", 12, 20)]) == ("Hook", "chorus", 12)
    assert after(lua, 16, regions, region("", 10, 22)) == ("Hook", "chorus", 22)
    assert after(lua, 16, regions, region("", 2, 12)) == ("Bridge", "bridge", 30)


def test_keys_of_reapers_scales(lua: str) -> None:
    body = 'local t, m = use("keys").ksig2key(input) return json.array({ t or json.null, m or json.null })'
    for text, key in {
        "KSIG root 9 dir -1 notes 0x5AD": ["A", "minor"],
        "KSIG root 0 dir -1 notes 0xAB5": ["C", "major"],
        "KSIG root 10 dir -1 notes 0xab5": ["Bb", "major"],
        "KSIG root 6 dir -1 notes 0x5AD": ["F#", "minor"],
        "KSIG root 2 dir -1 notes 0x6AD": ["D", "dorian"],
        "KSIG root 4 dir -1 notes 0xFFF": [None, None],
        "verse": [None, None],
        "KSIG root x": [None, None],
    }.items():
        assert run_lua(lua, body, text) == key, text


def test_markers_outrank_events_and_events_the_editor(lua: str) -> None:
    marker, event = {"beat": 4, "tonic": "A", "mode": "minor"}, {"beat": 0, "tonic": "C", "mode": "major"}
    again, other = event | {"beat": 8}, event | {"beat": 16, "tonic": "G"}
    body = 'return json.array(use("keys").choose(input))'
    assert run_lua(lua, body, [[marker], [event], [other]]) == [marker]
    assert run_lua(lua, body, [[], [other, again, event], [marker]]) == [event, other]
    assert run_lua(lua, body, [[], [], []]) == []


CLOCK = """
  -- A tempo map with linear ramps: points {beat, bpm, linear}; the closed form of a ramp over beats.
  local points = input.points
  local function beat2second(beat)
    local at = 0
    for i, point in ipairs(points) do
      local next_point = points[i + 1]
      local stop = next_point and math.min(beat, next_point.beat) or beat
      if stop <= point.beat then break end
      local slope = point.linear and next_point and (next_point.bpm - point.bpm) / (next_point.beat - point.beat) or 0
      if slope == 0 then at = at + (stop - point.beat) * 60 / point.bpm
      else at = at + 60 / slope * math.log(1 + slope * (stop - point.beat) / point.bpm) end
    end
    return at
  end
  local changes = {}
  for i, point in ipairs(points) do changes[i] = point.beat end
  local rests = 0
  local pairs_ = use("tempo").pairs(0, input.last, changes, input.borders, 48000, beat2second,
    function() rests = rests + 1 end)
  local truth = json.array()
  for i, beat in ipairs(input.asked) do truth[i] = beat2second(beat) end
  return { pairs = json.array(pairs_), truth = truth, rests = rests }
"""


def clock(lua: str, points: list[tuple[float, float, bool]], borders: list[float], last: float) -> tuple[Any, Any]:
    named = [{"beat": beat, "bpm": bpm, "linear": linear} for beat, bpm, linear in points]
    answer = run_lua(lua, CLOCK, {"points": named, "borders": borders, "asked": sorted(borders), "last": last})
    assert answer["rests"] >= len(points)
    return answer["pairs"], answer["truth"]


def test_steady_stretches_need_two_pairs_and_ramps_every_quarter(lua: str) -> None:
    steady, _ = clock(lua, [(0, 133.0, False)], [16, 32, 47.3], 400)
    assert [beat for beat, _ in steady] == [0, 400]
    step, _ = clock(lua, [(0, 100.0, False), (16.1, 140.0, False), (500, 90, False)], [32], 64)
    assert [beat for beat, _ in step] == [0, 16.1, 64]
    ramp, _ = clock(lua, [(0, 100.0, False), (16, 100.0, True), (32, 160.0, False)], [16, 32], 64)
    assert [beat for beat, _ in ramp] == [0, *(16 + i / 4 for i in range(65)), 64]


def test_the_engine_meets_reapers_sample_at_every_border(lua: str) -> None:
    rng = random.Random(7)
    for _ in range(12):
        beats = sorted(rng.sample(range(1, 60), 5))
        points = [(0.0, rng.uniform(60, 200), rng.random() < 0.5)]
        points += [(beat + rng.choice((0, 0.1)), rng.uniform(60, 200), rng.random() < 0.5) for beat in beats]
        borders = [rng.choice((rng.randrange(1, 63), round(rng.uniform(1, 63), 4))) for _ in range(30)]
        pairs, truth = clock(lua, points, list(borders), 64)
        timeline = Clock.from_pairs([(beat, second) for beat, second in pairs])
        for beat, second in zip(sorted(borders), truth, strict=True):
            assert timeline.beat2sample(beat, RATE) == math.floor(second * RATE + 0.5)


def test_beats_are_freed_of_dust_only(lua: str) -> None:
    body = 'local out = json.array() for i, b in ipairs(input) do out[i] = use("tempo").clean(b) end return out'
    given = [15.9999999999, 16 + 1e-9, 16 + 1e-6, 1 / 3, -4.0000000001]
    assert run_lua(lua, body, given) == [16, 16, 16 + 1e-6, 1 / 3, -4]


def test_metres_follow_each_other(lua: str) -> None:
    changes = [{"beat": b, "beats": n, "unit": u} for b, n, u in ((0, 3, 4), (8, 7, 8), (15, 7, 8), (64, 4, 4))]
    body = 'return json.array(use("tempo").metres(0, 64, { beats = 3, unit = 4 }, input))'
    assert [(m["beat"], m["beats"], m["unit"]) for m in run_lua(lua, body, changes)] == [
        (0, 3, 4),
        (8, 7, 8),
        (15, 7, 8),
    ]


NOTES = """
  local bytes = input:gsub("..", function(hex) return string.char(tonumber(hex, 16)) end)
  local ok, notes, ticks = pcall(use("smf").bytes2notes, bytes)
  return { ok = ok, notes = ok and json.array(notes) or notes, ticks = ticks }
"""


def song_bytes(song: mido.MidiFile) -> bytes:
    out = io.BytesIO()
    song.save(file=out)
    return out.getvalue()


def test_midi_files_of_another_writer_are_read(lua: str) -> None:
    rng = random.Random(5)
    song, wanted = mido.MidiFile(ticks_per_beat=480, type=1), []
    song.tracks.append(mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=400_000), mido.MetaMessage("end_of_track")]))
    for channel in (0, 9):
        track, tick, events = mido.MidiTrack(), 0, []
        for _ in range(60):
            start, length = rng.randrange(20_000), rng.randrange(1, 900)
            note, velocity = rng.randrange(30, 90), rng.randrange(1, 128)
            events += [(start, 1, note, velocity), (start + length, 0, note, 0)]
        track.append(mido.Message("sysex", data=[1, 2, 3]))
        track.append(mido.Message("control_change", channel=channel, control=7, value=90))
        track.append(mido.Message("program_change", channel=channel, program=3))
        track.append(mido.Message("pitchwheel", channel=channel, pitch=-100))
        for at, on, note, velocity in sorted(events):
            kind = "note_on" if on or rng.random() < 0.5 else "note_off"
            track.append(mido.Message(kind, channel=channel, note=note, velocity=velocity, time=at - tick))
            tick = at
        song.tracks.append(track)
        wanted += [(at, note, velocity, channel) for at, on, note, velocity in events if on]
    answer = run_lua(lua, NOTES, song_bytes(song).hex())
    assert answer["ticks"] == 480
    found = [(n["tick"], n["pitch"], n["velocity"], n["channel"]) for n in answer["notes"]]
    assert sorted(found) == sorted(wanted)


def test_damaged_midi_is_refused(lua: str) -> None:
    song = mido.MidiFile(type=0)
    song.tracks.append(mido.MidiTrack([mido.Message("note_on", note=60, time=5), mido.Message("note_off", note=60)]))
    whole = song_bytes(song)
    assert run_lua(lua, NOTES, whole.hex())["ok"] is True
    for broken in (
        b"",
        b"RIFF" + whole[4:],
        whole[:-6],
        whole[:12] + b"\xe8\x28" + whole[14:],
        whole[:22] + b"\xff" * 9,
    ):
        answer = run_lua(lua, NOTES, broken.hex())
        assert answer["ok"] is False, broken
        assert "MIDI" in answer["notes"]


def test_wav_blocks_are_read_back_bit_for_bit(lua: str, tmp_path: Path) -> None:
    samples = np.random.default_rng(2).standard_normal((1000, 2)).astype(np.float32)
    body = """
      local file = use("wav").create(input.path, 44100, 2)
      for from = 1, #input.samples, 300 do
        file:add({ table.unpack(input.samples, from, math.min(from + 299, #input.samples)) })
      end
      local early = io.open(input.path, "rb")
      file:close()
      return early == nil
    """
    path = tmp_path / "clip.wav"
    assert run_lua(lua, body, {"path": str(path), "samples": samples.ravel().astype(float).tolist()}) is True
    audio, rate = soundfile.read(path, dtype="float32")
    assert rate == 44100
    assert np.array_equal(audio, samples)
    assert list(tmp_path.iterdir()) == [path]


def test_tags_are_read_back(lua: str) -> None:
    body = """
      local tags = use("tags")
      local landing = tags.read_landing(tags.landing("a-b", 12, "midi", input))
      local track = tags.read_track(tags.track("a-b", "audio", input))
      local nothing = tags.read_track("Kick") == nil and tags.read_landing("landing") == nil
      return { landing = landing, track = track, nothing = nothing }
    """
    for stem in ("drums", "guitar 2", "Größe 日本", "take-3 audio x"):
        answer = run_lua(lua, body, stem)
        assert answer["landing"] == {"job": "a-b", "take": 12, "kind": "midi", "stem": stem}
        assert answer["track"] == {"what": "track", "band": "a-b", "kind": "audio", "stem": stem}
        assert answer["nothing"] is True


def test_long_work_gives_way(lua: str) -> None:
    body = """
      local time, done = 0, 0
      local work = use("slices").new(function(pause)
        for i = 1, 100 do
          time, done = time + 0.0003, i
          pause()
        end
        return "made"
      end, function() return time end, 0.001)
      local ticks, longest = 0, 0
      repeat
        local from = time
        local over, result = work:step()
        ticks, longest = ticks + 1, math.max(longest, time - from)
      until over
      local bad = use("slices").new(function() error("broken", 0) end, os.clock, 1)
      local ok, why = pcall(bad.step, bad)
      return { ticks = ticks, longest = longest, done = done, ok = ok, why = why }
    """
    answer = run_lua(lua, body)
    assert (answer["done"], answer["ok"], answer["why"]) == (100, False, "broken")
    assert answer["longest"] < 0.0015
    assert answer["ticks"] >= 25


def test_work_that_is_given_up_gives_back_what_it_holds(lua: str) -> None:
    body = """
      local slices, given_back, checked = use("slices"), 0, 0
      local function holding(check)
        return slices.new(function(pause)
          local ok, why = pcall(function() for _ = 1, 10 do pause() end end)
          given_back = given_back + 1
          if not ok then error(why, 0) end
        end, function() return 0 end, 0, check)
      end
      local stopped, fresh = holding(), holding()
      stopped:step()
      stopped:stop()
      fresh:stop()
      local closed = holding(function() checked = checked + 1 error("closed", 0) end)
      closed:step()
      local ok, why = pcall(closed.step, closed)
      closed:stop()
      return json.array({ given_back, checked, ok, why })
    """
    assert run_lua(lua, body) == [2, 1, False, "closed"]


@pytest.mark.parametrize(
    ("root", "path", "named"),
    [
        ("/home/me/Söng", "/home/me/Söng/stembridge/context/a.mid", "stembridge/context/a.mid"),
        ("C:\\Users\\me\\Song", "C:\\Users\\me\\Song/stembridge/a.wav", "stembridge/a.wav"),
        ("C:\\Song", "C:\\Song\\a.wav", "a.wav"),
        ("/home/me/Song", "/home/me/Song 2/a.wav", "/home/me/Song 2/a.wav"),
        ("/home/me/Song", "/elsewhere/a.wav", "/elsewhere/a.wav"),
        ("", "/home/me/a.wav", "/home/me/a.wav"),
    ],
)
def test_files_of_the_project_are_named_from_its_folder(lua: str, root: str, path: str, named: str) -> None:
    program = """
      local asked = { project = { root = input.root }, arrangement = {
        tracks = { { midi = input.path }, { audio = input.path } }, references = { { audio = input.path } } } }
      use("request").name_from_root(asked)
      local arrangement = asked.arrangement
      return { arrangement.tracks[1].midi, arrangement.tracks[2].audio, arrangement.references[1].audio }
    """
    assert run_lua(lua, program, {"root": root, "path": path}) == [named] * 3
