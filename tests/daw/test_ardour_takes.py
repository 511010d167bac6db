"""Plain Lua of Ardour's script under Lua 5.3 and 5.4: which take a wish is about, and cuttings out of WAV files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.daw.lua import INTERPRETERS, run_lua

pytestmark = pytest.mark.parametrize("lua", INTERPRETERS)

CHOOSE = """
  local takes = use("takes")
  local book = use("ledger").open(input.folder, use("mailbox"), json)
  local heard = {}
  for _, item in ipairs(input.heard) do
    local job, take = item.take:match("^(.*)/take%-(%d+)$")
    local landing = { job = job, take = math.tointeger(tonumber(take)), kind = "audio", stem = item.stem }
    heard[#heard + 1] = { landing = landing, selected = item.selected }
  end
  local ok, take, record, stems = pcall(takes[input.how], heard, book, input.selection)
  return { ok = ok, take = take, job = ok and record.request.job or json.null, stems = json.array(stems) }
"""


class Song:
    """A ledger on disk. Jobs: A plays beats 0-16, B is A with another bass, N the next take of all, C goes on to 32."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "asked").mkdir()
        self.number = 0
        self.keep("A", 0, 16)
        self.keep("B", 0, 16, after="A/take-1", scope={"take": "A/take-1", "stems": ["bass"]})
        self.keep("N", 0, 16, after="B/take-1")
        self.keep("C", 16, 32, after="B/take-1")

    def keep(self, job: str, start: float, end: float, after: str | None = None, scope: Any = None) -> None:
        request = {"job": job, "arrangement": {"sections": [{"start": start, "end": end}]}}
        self.number += 1
        record = {"request": request | ({"scope": scope} if scope else {}), "number": self.number}
        (self.folder / "asked" / f"{job}.json").write_text(json.dumps(record | ({"after": after} if after else {})))

    def ask(self, lua: str, plays: str, selected: Sequence[str] = (), bars: Any = None, how: str = "choose") -> Any:
        """`plays`: "drums=A bass=B": the take 1 of which job each track plays."""
        heard = [
            {"stem": stem, "take": f"{job}/take-1", "selected": stem in selected}
            for stem, job in (item.split("=") for item in plays.split())
        ]
        given = {"folder": str(self.folder), "heard": heard, "how": how}
        return run_lua(lua, CHOOSE, given if bars is None else given | {"selection": bars})


def test_the_newest_take_that_has_what_is_on_the_tracks_is_meant(lua: str, tmp_path: Path) -> None:
    song = Song(tmp_path)
    for plays, selected, take, stems in (
        ("drums=A bass=A", (), "A/take-1", []),
        ("drums=A bass=A", ("bass",), "A/take-1", ["bass"]),
        ("drums=A bass=B", (), "B/take-1", []),
        ("drums=A bass=B", ("drums",), "B/take-1", ["drums"]),
        ("drums=N bass=N keys=A", ("drums", "bass"), "N/take-1", ["drums", "bass"]),
        ("drums=N bass=N keys=A", ("keys",), "A/take-1", ["keys"]),
    ):
        found = song.ask(lua, plays, selected)
        assert (found["ok"], found["take"], found["stems"]) == (True, take, stems), plays


def test_tracks_of_different_takes_are_no_take(lua: str, tmp_path: Path) -> None:
    song = Song(tmp_path)
    for plays, selected, why in (
        ("drums=N bass=N keys=A", ("drums", "keys"), "different takes"),
        ("", (), "not played"),
    ):
        found = song.ask(lua, plays, selected)
        assert (found["ok"], why in found["take"]) == (False, True)


def test_the_selected_bars_say_which_take_is_meant(lua: str, tmp_path: Path) -> None:
    song = Song(tmp_path)
    plays = "drums=A bass=B drums=C bass=C"
    assert song.ask(lua, plays)["take"] == "C/take-1"
    assert song.ask(lua, plays, bars={"start": 4, "stop": 8})["take"] == "B/take-1"
    assert song.ask(lua, plays, bars={"start": 15, "stop": 20})["take"] == "C/take-1"
    outside = song.ask(lua, plays, bars={"start": 40, "stop": 44})
    assert (outside["ok"], "time selection" in outside["take"]) == (False, True)


def test_what_ends_last_is_gone_on_with(lua: str, tmp_path: Path) -> None:
    song = Song(tmp_path)
    assert song.ask(lua, "drums=C bass=C drums=N bass=N", how="last")["take"] == "C/take-1"
    assert song.ask(lua, "drums=N bass=N", how="last")["take"] == "N/take-1"
    assert song.ask(lua, "drums=unknown", how="last")["ok"] is False


def test_lines_of_a_comment(lua: str) -> None:
    body = """
      local takes = use("takes")
      local landing = { job = "a-b.c", take = 12, kind = "midi", stem = "guitar 2 #1" }
      local comment = "my own words\\n" .. takes.landing2line(landing, "77") .. "\\nstembridge nonsense"
      local found = takes.comment2landings(comment)
      local own, other = takes.playing(comment, { ["77"] = true }), takes.playing(comment, { ["78"] = true })
      return { count = #found, same = takes.name(found[1]) == "a-b.c/take-12" and found[1].stem == landing.stem,
        own = #own, other = #other }
    """
    assert run_lua(lua, body) == {"count": 1, "same": True, "own": 1, "other": 0}


def test_a_ledger_numbers_and_follows(lua: str, tmp_path: Path) -> None:
    body = """
      local book = use("ledger").open(input, use("mailbox"), json)
      book:keep("one", { job = "one" }, nil)
      book:keep("two", { job = "two", scope = { take = "one/take-1", stems = { "bass" } } }, "one/take-1")
      book:keep("three", { job = "three", scope = { take = "two/take-1" } }, "two/take-1")
      return { number = book:read("three").number, root = book:root("three"), none = book:read("four") == nil,
        bass = book:origin("two/take-1", "bass"), keys = book:origin("two/take-1", "keys"),
        all = book:origin("three/take-1", "keys") }
    """
    (tmp_path / "asked").mkdir()
    assert run_lua(lua, body, str(tmp_path)) == {
        "number": 3,
        "root": "one",
        "none": True,
        "bass": "two/take-1",
        "keys": "one/take-1",
        "all": "three/take-1",
    }
    (tmp_path / "asked" / "three.json").write_text("{oops")
    assert run_lua(lua, 'return use("ledger").open(input, use("mailbox"), json):read("three") == nil', str(tmp_path))


COPY = """
  local step = use("wavfile").copying(input.paths, input.start, input.count, input.rate, input.out)
  local ok, more, steps = true, true, 0
  while ok and more do
    ok, more = pcall(step)
    steps = steps + 1
  end
  return { ok = ok, why = tostring(more), steps = steps }
"""


def cut(lua: str, out: Path, paths: Sequence[Path], start: int, count: int, rate: int = 48_000) -> Any:
    given = {"paths": [str(p) for p in paths], "start": start, "count": count, "rate": rate, "out": str(out)}
    return run_lua(lua, COPY, given)


@pytest.mark.parametrize(
    ("subtype", "form"), [("FLOAT", "WAV"), ("PCM_24", "WAV"), ("PCM_16", "WAVEX"), ("FLOAT", "RF64")]
)
def test_a_cutting_is_the_file_to_the_bit(lua: str, tmp_path: Path, subtype: str, form: str) -> None:
    sound = np.random.default_rng(1).uniform(-1, 1, (30_000, 2))
    soundfile.write(tmp_path / "whole.wav", sound, 48_000, subtype=subtype, format=form)
    whole, _ = soundfile.read(tmp_path / "whole.wav")
    answer = cut(lua, tmp_path / "cut.wav", [tmp_path / "whole.wav"], 1_234, 20_001)
    assert answer["ok"], answer["why"]
    assert answer["steps"] > 3, "in small steps"
    found, rate = soundfile.read(tmp_path / "cut.wav")
    assert rate == 48_000
    assert soundfile.info(tmp_path / "cut.wav").subtype == subtype
    assert np.array_equal(found, whole[1_234 : 1_234 + 20_001])
    assert {p.name for p in tmp_path.iterdir()} == {"whole.wav", "cut.wav"}


def test_two_channels_in_two_files_become_one(lua: str, tmp_path: Path) -> None:
    sound = np.random.default_rng(2).uniform(-1, 1, (10_000, 2)).astype(np.float32)
    paths = [tmp_path / "sound%L.wav", tmp_path / "sound%R.wav"]
    for channel, path in enumerate(paths):
        soundfile.write(path, sound[:, channel], 44_100, subtype="FLOAT")
    assert cut(lua, tmp_path / "both.wav", paths, 100, 9_000, 44_100)["ok"]
    found, _ = soundfile.read(tmp_path / "both.wav", dtype="float32")
    assert np.array_equal(found, sound[100:9_100])


def test_a_cutting_ends_with_its_file_and_what_is_none_is_refused(lua: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", np.ones(500) * 0.25, 24_000)
    assert cut(lua, tmp_path / "cut.wav", [tmp_path / "short.wav"], 400, 5_000)["ok"], "200 frames of it at 48 kHz"
    assert soundfile.info(tmp_path / "cut.wav").frames == 300
    (tmp_path / "no.wav").write_bytes(b"RIFF\x00\x00")
    (tmp_path / "torn.wav").write_bytes((tmp_path / "short.wav").read_bytes()[:40])
    for name in ("no.wav", "torn.wav", "missing.wav"):
        answer = cut(lua, tmp_path / "x.wav", [tmp_path / name], 0, 100)
        assert (answer["ok"], "no WAV file" in answer["why"]) == (False, True)
    assert cut(lua, tmp_path / "x.wav", [tmp_path / "short.wav"], 2_000, 100)["ok"] is False
    assert not list(tmp_path.glob("*x.wav*"))
