"""The pure half of Ardour's script under Lua 5.3 and 5.4: labels, keys, clock, MIDI bytes, request, mailbox."""

from __future__ import annotations

import io
import json
import math
import random
import time
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mido
import pytest

from bridge.arrangement import LABELS, ROLES
from bridge.errors import RequestError
from bridge.labels import WORDS, name2label
from bridge.messages import Render
from bridge.timeline import Clock
from bridge.validate import check_request
from tests.daw.lua import INTERPRETERS, run_lua

pytestmark = pytest.mark.parametrize("lua", INTERPRETERS)
RATE = 48_000


def names_to_guess() -> list[str]:
    """Every word of the engine's table in the shapes that musicians write, and names without one."""
    words = [word for row in WORDS.values() for word in row]
    shapes = ("{}", "{} 2", "{}3", "[{}]", "the_{}-A", "x{}", "{}y")
    names = [shape.format(word) for word in words for shape in shapes] + [word.upper() for word in words]
    accents = ["Pré-refrain", "Brücke", "Introdução", "Refrão", "BRÜCKE 1", "Omkvæd", "Schluß", "Pre-Chorus", "café"]
    decomposed = [unicodedata.normalize("NFD", name) for name in accents]
    return [*names, *accents, *decomposed, "", "  ", "Versatile", "Guitar solo", "Übung", "日本", "\x7f", "Part B"]


def test_labels_are_those_of_the_engine(lua: str) -> None:
    names = names_to_guess()
    body = """
      local labels, out = use("labels"), json.array()
      for i, name in ipairs(input) do
        local label, known = labels.name2label(name)
        out[i] = known and label or json.null
        if not known and label ~= labels.DEFAULT then error("no default for " .. name) end
      end
      return out
    """
    wrong = {
        name: (mine, name2label(name))
        for name, mine in zip(names, run_lua(lua, body, names), strict=True)
        if mine != name2label(name)
    }
    assert not wrong
    assert run_lua(lua, 'return use("labels").DEFAULT') in LABELS


def test_keys(lua: str) -> None:
    body = 'local t, m = use("marks").text2key(input) return json.array({ t or json.null, m or json.null })'
    for text, key in {
        "Am": ["A", "minor"],
        "C": ["C", "major"],
        "F# dorian": ["F#", "dorian"],
        "bb": ["Bb", "major"],
        "Ebmaj": ["Eb", "major"],
        "c# minor": ["C#", "minor"],
        "GM": ["G", "major"],
        "H": [None, None],
        "A weird": [None, None],
        "": [None, None],
    }.items():
        assert run_lua(lua, body, text) == key, text


SECTIONS = """
  local labels, sections = use("labels"), use("sections")
  local terms = { one = "range", many = "ranges", nothing = "Nothing is marked." }
  local ok, found =
    pcall(sections.make, input.ranges, input.marks, input.selection, input.song_end, labels.name2label, terms)
  return { ok = ok, found = found }
"""


def sections(
    lua: str, ranges: list[Any], marks: Sequence[Any] = (), song_end: float = 64, selection: Any = None
) -> Any:
    given = {"ranges": ranges, "marks": list(marks), "song_end": song_end}
    return run_lua(lua, SECTIONS, given if selection is None else given | {"selection": selection})


def test_ranges_become_sections(lua: str) -> None:
    ranges = [
        {"name": "Chorus", "start": 32, "stop": 48},
        {"name": " Verse 1 : sparse, brushed drums", "start": 0, "stop": 32},
    ]
    assert sections(lua, ranges)["found"] == [
        {"name": "Verse 1", "label": "verse", "start": 0, "end": 32, "words": "sparse, brushed drums"},
        {"name": "Chorus", "label": "chorus", "start": 32, "end": 48, "words": ""},
    ]


def test_a_selection_clips_the_ranges_or_is_a_section_itself(lua: str) -> None:
    ranges = [{"name": "Chorus", "start": 32, "stop": 48}, {"name": "Verse", "start": 0, "stop": 32}]
    found = sections(lua, ranges, selection={"start": 24, "stop": 40})["found"]
    assert [(s["label"], s["start"], s["end"]) for s in found] == [("verse", 24, 32), ("chorus", 32, 40)]
    (alone,) = sections(lua, ranges, selection={"start": 50, "stop": 58})["found"]
    assert (alone["start"], alone["end"], alone["label"]) == (50, 58, "verse")


def test_without_ranges_marks_divide_the_song(lua: str) -> None:
    marks = [{"name": "Refrain", "start": 16}, {"name": "Intro", "start": 0}]
    found = sections(lua, [], marks)["found"]
    assert [(s["label"], s["start"], s["end"]) for s in found] == [("intro", 0, 16), ("chorus", 16, 64)]


def test_marks_that_cannot_be_worked_on_are_explained(lua: str) -> None:
    overlapping = [{"name": "A", "start": 0, "stop": 8.5}, {"name": "B", "start": 8, "stop": 16}]
    for ranges, word in (
        ([], "Nothing is marked"),
        (overlapping, "The ranges 'A' and 'B' overlap"),
        ([overlapping[0] | {"stop": 0}], "The range 'A' is empty"),
    ):
        answer = sections(lua, ranges, song_end=0)
        assert answer["ok"] is False
        assert word in answer["found"]
    body = 'local ok, why = pcall(use("marks").marks2keys, input) return json.array({ ok, tostring(why) })'
    ok, why = run_lua(lua, body, [{"name": "key=blue", "start": 0}])
    assert (ok, "key=blue" in why) == (False, True)
    ok, why = run_lua(lua, body, [{"name": "key=A", "start": 4}, {"name": "KEY: Am", "start": 4}])
    assert (ok, "beat 4" in why) == (False, True)


def floor_map(tempi: list[tuple[float, float]], ramp: tuple[float, float, float] | None, end: float) -> list[Any]:
    """Readings as Ardour gives them: samples rounded down. `tempi`: (beat, bpm); `ramp`: (beat, beat, last bpm)."""

    def second(beat: float) -> float:
        at = 0.0
        for i, (start, bpm) in enumerate(tempi):
            stop = min(beat, tempi[i + 1][0] if i + 1 < len(tempi) else math.inf)
            if stop <= start:
                break
            if ramp and start == ramp[0]:
                slope = (ramp[2] - bpm) / (ramp[1] - ramp[0])
                at += 60 / slope * math.log1p(slope * (stop - start) / bpm)
            else:
                at += (stop - start) * 60 / bpm
        return at

    points = {beat for beat, _ in tempi}
    grid = sorted({i / 4 for i in range(int(end * 4) + 1)} | points)
    return [{"beat": b, "sample": math.floor(second(b) * RATE + 1e-9), "tempo": b in points} for b in grid]


def thinned(lua: str, songs: list[list[Any]]) -> list[list[list[float]]]:
    body = """
      local clock, out = use("clock"), json.array()
      for i, readings in ipairs(input) do
        for _, r in ipairs(readings) do r.tempo, r.exact = r.tempo == true, r.exact == true end
        out[i] = json.array(clock.readings2pairs(readings, 48000))
      end
      return out
    """
    answer: list[list[list[float]]] = run_lua(lua, body, songs)
    return answer


def test_a_steady_tempo_needs_two_pairs_and_a_ramp_needs_every_quarter(lua: str) -> None:
    steady, step, ramp = thinned(
        lua,
        [
            floor_map([(0, 133.0)], None, 400),
            floor_map([(0, 100.0), (16.1, 140.0)], None, 64),
            floor_map([(0, 100.0), (16, 100.0), (32, 160.0)], (16, 32, 160.0), 64),
        ],
    )
    assert [beat for beat, _ in steady] == [0, 400]
    assert [beat for beat, _ in step] == [0, 16.1, 64]
    assert [beat for beat, _ in ramp] == [0, *(16 + i / 4 for i in range(65)), 64]


def test_readings_are_joined_by_beat(lua: str) -> None:
    grid = [{"beat": b, "sample": b * 100} for b in (0, 1, 2)]
    extras = [
        {"beat": 1.5, "sample": 150, "tempo": True},
        {"beat": 1, "sample": 100, "exact": True},
        {"beat": 1, "sample": 100, "tempo": True},
        {"beat": 2.5, "sample": 250, "exact": True},
        {"beat": 2, "sample": 200, "exact": True},
    ]
    joined = run_lua(
        lua, 'return json.array(use("clock").join(input.grid, input.extras))', {"grid": grid, "extras": extras}
    )
    assert [(r["beat"], r.get("tempo", False), r.get("exact", False)) for r in joined] == [
        (0, False, False),
        (1, True, True),
        (1.5, True, False),
        (2, False, True),
    ]


def test_the_engine_meets_ardours_own_sample_at_every_border(lua: str) -> None:
    rng = random.Random(3)
    songs = []
    for _ in range(60):
        first, second = rng.uniform(50, 200), rng.uniform(50, 200)
        bend = rng.randrange(1, 200) / 8
        ramp = (bend, bend + 8, rng.uniform(60, 180)) if rng.random() < 0.3 else None
        tempi = [(0.0, first), (bend, second)] + ([(bend + 8, ramp[2])] if ramp else [])
        readings = floor_map(tempi, ramp, 64)
        for reading in rng.sample(readings, 12):
            reading["exact"] = True
        songs.append(readings)
    added = 0
    for readings, pairs in zip(songs, thinned(lua, songs), strict=True):
        clock = Clock.from_pairs([(b, s) for b, s in pairs])
        off = {r["beat"]: clock.beat2sample(r["beat"], RATE) - r["sample"] for r in readings}
        assert all(off[r["beat"]] == 0 for r in readings if r.get("exact"))
        assert max(abs(n) for n in off.values()) <= 1
        added += len(pairs)
    assert added < 60 * 24


def test_midi_bytes_are_read_back_by_another_reader(lua: str) -> None:
    rng = random.Random(1)
    notes = [
        {"tick": tick, "length": 480, "pitch": rng.randrange(128), "velocity": rng.randrange(1, 128), "channel": i % 16}
        for i, tick in enumerate(sorted(rng.randrange(0, 3_000_000) for _ in range(200)))
    ]
    notes += [{"tick": 7680, "length": 240, "pitch": 60, "velocity": 1, "channel": 9}]
    notes += [{"tick": 7920, "length": 0, "pitch": 60, "velocity": 200, "channel": 9}]
    body = """
      local bytes = use("smf").notes2bytes("Rhodes é", input)
      return (bytes:gsub(".", function(c) return string.format("%02x", c:byte()) end))
    """
    song = mido.MidiFile(file=io.BytesIO(bytes.fromhex(run_lua(lua, body, notes))))
    assert song.ticks_per_beat == 1920
    (track,) = song.tracks
    tick, struck, sounding, lengths = 0, [], {}, []
    for message in track:
        tick += message.time
        if message.type == "note_on":
            assert (message.channel, message.note) not in sounding, "struck before it was released"
            sounding[message.channel, message.note] = tick
            struck.append((tick, message.note, message.velocity, message.channel))
        elif message.type == "note_off":
            lengths.append(tick - sounding.pop((message.channel, message.note)))
    wanted = [(n["tick"], n["pitch"], min(n["velocity"], 127), n["channel"]) for n in notes]
    assert sorted(struck) == sorted(wanted)
    assert sorted(lengths) == sorted(max(1, n["length"]) for n in notes)
    assert not sounding


BUILD = """
  local request = use("request")
  local song = input.song
  local settings = request.settings(input.settings)
  local job = request.bytes2job(input.bytes)
  return request.build(json, job, "the token", song, settings, request.bytes2seed(input.bytes))
"""


def built(lua: str, root: Path, **changes: Any) -> dict[str, Any]:
    song = {
        "name": "Night Bus",
        "root": str(root),
        "daw": "ardour",
        "sample_rate": RATE,
        "clock": [[0, 0], [64, 40]],
        "metres": [{"beat": 0, "beats": 4, "unit": 4}],
        "keys": [],
        "sections": [{"name": "Intro", "label": "intro", "start": 0, "end": 16, "words": ""}],
        "tracks": [],
    }
    given = {"song": song | changes.pop("song", {}), "bytes": "0123456789abcdef", "settings": None}
    answer: dict[str, Any] = run_lua(lua, BUILD, given | changes)
    return answer


def test_the_request_passes_the_engines_own_check(lua: str, tmp_path: Path) -> None:
    raw = built(lua, tmp_path, settings={"style": "neo-soul", "seed": 7, "takes": 3.0, "stems": {"guitar": True}})
    assert raw.pop("token") == "the token"
    request = check_request(json.dumps(raw).encode(), (tmp_path,))
    assert isinstance(request, Render)
    assert (request.style, request.takes, [s.role for s in request.stems]) == ("neo-soul", 3, ["guitar"])
    assert request.job == "30313233-3435-4637-b839-616263646566"
    assert 1 <= request.seed < 2**31
    with pytest.raises(RequestError):
        check_request(json.dumps(raw | {"unknown": 1}).encode(), (tmp_path,))


def test_damaged_settings_become_the_defaults(lua: str, tmp_path: Path) -> None:
    for settings in (None, {}, {"style": 3, "seed": "x", "takes": 99, "stems": {"kazoo": True}}, {"stems": 1}):
        raw = built(lua, tmp_path, settings=settings)
        assert [s["role"] for s in raw["stems"]] == ["drums", "bass", "keys", "pad", "lead"]
        assert raw["style"] == ""
        assert raw["takes"] in (1, 8)
    assert run_lua(lua, 'return use("request").ROLES') == list(ROLES)


def test_the_data_folder_is_the_engines(lua: str) -> None:
    body = """
      local out = json.array()
      for i, env in ipairs(input) do
        out[i] = use("mailbox").data_folder(function(name) return env[name] end)
      end
      return out
    """
    environments = [
        {"HOME": "/home/me"},
        {"HOME": "/home/me", "XDG_DATA_HOME": "/data"},
        {"HOME": "/Users/me"},
        {"HOME": "/home/me", "STEMBRIDGE_DATA": "/elsewhere"},
        {"LOCALAPPDATA": "C:\\Users\\me\\AppData\\Local"},
    ]
    assert run_lua(lua, body, environments) == [
        "/home/me/.local/share/stembridge",
        "/data/stembridge",
        "/Users/me/Library/Application Support/stembridge",
        "/elsewhere",
        "C:\\Users\\me\\AppData\\Local\\stembridge",
    ]


def test_an_engine_is_seen_by_its_heartbeat(lua: str, tmp_path: Path) -> None:
    (tmp_path / "mailbox").mkdir()
    beat = tmp_path / "mailbox" / "engine.json"
    body = """
      local engine, why = use("mailbox").open(input, json, os.time):engine()
      return json.array({ engine and engine.token or json.null, why or json.null })
    """
    token, why = run_lua(lua, body, str(tmp_path))
    assert (token, "not running" in why) == (None, True)
    beat.write_text(json.dumps({"pid": 1, "version": "1", "token": "T", "time": time.time()}))
    assert run_lua(lua, body, str(tmp_path)) == ["T", None]
    beat.write_text(json.dumps({"pid": 1, "version": "1", "token": "T", "time": time.time() - 30}))
    token, why = run_lua(lua, body, str(tmp_path))
    assert (token, "last seen" in why) == (None, True)
    beat.write_text('{"pid": 1, "tok')
    assert run_lua(lua, body, str(tmp_path))[0] is None


def test_files_appear_by_renaming_under_a_hidden_name(lua: str, tmp_path: Path) -> None:
    body = """
      local mailbox, names, plain = use("mailbox"), json.array(), io.open
      io.open = function(path, ...) names[#names + 1] = path return plain(path, ...) end
      mailbox.write(input .. "/a.json", "one")
      mailbox.write(input .. "/a.json", "two")
      return names
    """
    names = run_lua(lua, body, str(tmp_path))
    assert {Path(name).name for name in names} == {".a.json.part"}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "two"
    missing = run_lua(
        lua, 'local ok, why = pcall(use("mailbox").write, input .. "/no/a", "x") return why', str(tmp_path)
    )
    assert "No such file" in missing
