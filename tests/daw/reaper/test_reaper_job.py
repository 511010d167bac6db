"""Requests out of verbs, and the course of a job, in plain Lua: without REAPER, with the engine's own judge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bridge import VERSION
from bridge.errors import RequestError
from bridge.messages import Render
from bridge.transport.mailbox import Heartbeat
from bridge.validate import check_request
from tests.daw import lua as plain
from tests.daw.lua import INTERPRETERS

pytestmark = pytest.mark.parametrize("lua", INTERPRETERS)
SCRIPTS = Path(__file__).parents[3] / "daw_scripts" / "reaper"
JOB = "30313233-3435-4637-b839-616263646566"
NEW = "40313233-3435-4637-b839-616263646566"


def run_lua(lua: str, body: str, given: Any = None) -> Any:
    return plain.run_lua(lua, body, given, scripts=SCRIPTS)


def song(root: Path, **changes: Any) -> dict[str, Any]:
    return {
        "name": "Night Bus",
        "root": str(root),
        "daw": "reaper 7.62",
        "sample_rate": 48_000,
        "clock": [[0, 0], [64, 32]],
        "metres": [{"beat": 0, "beats": 4, "unit": 4}],
        "keys": [],
        "sections": [
            {"name": "Verse", "label": "verse", "start": 0, "end": 16, "words": ""},
            {"name": "Chorus", "label": "chorus", "start": 16, "end": 32, "words": "big"},
        ],
        "tracks": [],
        "references": [],
    } | changes


ASK = """
  local verbs, settings = use("verbs"), use("settings").read(input.settings)
  local base = verbs.generate(input.job, input.song, settings, 7)
  base.seed, base.takes = 7, input.takes or 1
  local ok, made, name = pcall(function() return %s end)
  return { ok = ok, base = base, made = made, name = name or json.null }
"""


def ask(lua: str, root: Path, call: str, **changes: Any) -> dict[str, Any]:
    given = {"job": JOB, "song": song(root), "settings": {"stems": {"drums": True, "bass": True}}} | changes
    answer: dict[str, Any] = run_lua(lua, ASK % call, given)
    return answer


def checked(raw: dict[str, Any], root: Path) -> Render:
    request = check_request(json.dumps(raw).encode(), (root,))
    assert isinstance(request, Render)
    return request


def test_generate_is_a_whole_request(lua: str, tmp_path: Path) -> None:
    clip = tmp_path / "clip.wav"
    plain_wav(clip)
    references = [{"audio": str(clip), "from_second": 0.25, "seconds": 0.5}]
    answer = ask(lua, tmp_path, "base", song=song(tmp_path, references=references))
    request = checked(answer["base"], tmp_path)
    assert [s.title for s in request.stems] == ["drums", "bass"]
    assert request.scope is None
    assert request.arrangement.references[0].from_second == 0.25


def plain_wav(path: Path) -> None:
    import numpy as np
    import soundfile

    soundfile.write(path, np.zeros((48_000, 2), np.float32), 48_000, subtype="FLOAT")


def test_reroll_names_take_stems_and_beats(lua: str, tmp_path: Path) -> None:
    call = (
        f"verbs.reroll(base, '{NEW}', 99, input.song, {{ take = '{JOB}/take-1', stems = {{ 'bass', 'oboe' }}, "
        "start = 4.5, stop = 90 })"
    )
    request = checked(ask(lua, tmp_path, call)["made"], tmp_path)
    assert request.scope is not None
    assert (request.scope.take, request.scope.stems) == (f"{JOB}/take-1", ("bass",))
    assert (request.scope.start, request.scope.end) == (4.5, 32)
    assert (request.job, request.seed, request.takes) == (NEW, 99, 1)
    whole = call.replace("{ 'bass', 'oboe' }", "{}").replace("start = 4.5, stop = 90", "")
    scope = checked(ask(lua, tmp_path, whole)["made"], tmp_path).scope
    assert scope is not None
    assert (scope.stems, scope.start) == ((), None)


def test_reroll_of_what_is_not_there_is_explained(lua: str, tmp_path: Path) -> None:
    for wanted, word in (
        ("stems = {}, start = 40, stop = 50", "outside the take"),
        ("stems = { 'oboe' }", "no stem 'oboe'"),
    ):
        call = f"verbs.reroll(base, '{NEW}', 1, input.song, {{ take = 'x/take-1', {wanted} }})"
        answer = ask(lua, tmp_path, call)
        assert answer["ok"] is False
        assert word in answer["made"]


def test_add_keeps_all_stems_and_finds_a_free_name(lua: str, tmp_path: Path) -> None:
    for text, role, name in (
        ("guitar", "guitar", "guitar"),
        ("Bass", "bass", "Bass 2"),
        ("keys high", "keys", "keys high"),
    ):
        call = f"verbs.add(base, '{NEW}', 3, input.song, '{JOB}/take-1', verbs.text2stem('{text}'))"
        answer = ask(lua, tmp_path, call)
        request = checked(answer["made"], tmp_path)
        assert request.scope is not None
        assert answer["name"].lower() == name.lower()
        assert [s.title.lower() for s in request.stems] == ["drums", "bass", name.lower()]
        assert [n.lower() for n in request.scope.stems] == [name.lower()]
        assert request.stems[-1].role == role
    assert run_lua(lua, 'return use("verbs").text2stem("kazoo") == nil') is True
    organ = run_lua(lua, 'return use("verbs").text2stem(" Keys : church organ ")')
    assert organ == {"role": "keys", "name": "", "instrument": "church organ"}


def test_an_added_part_takes_its_wishes_along(lua: str, tmp_path: Path) -> None:
    text = "keys: church organ density=-0.5 register=0.25 space=bass"
    call = f"verbs.add(base, '{NEW}', 3, input.song, '{JOB}/take-1', verbs.text2stem('{text}'))"
    stem = checked(ask(lua, tmp_path, call)["made"], tmp_path).stems[-1]
    assert (stem.role, stem.instrument, stem.leave_space_for) == ("keys", "church organ", "bass")
    assert (stem.density, stem.register, stem.complexity) == (-0.5, 0.25, None)


def test_continue_match_and_next(lua: str, tmp_path: Path) -> None:
    clip = tmp_path / "clip.wav"
    plain_wav(clip)
    later = [{"name": "Outro", "label": "outro", "start": 32, "end": 40, "words": ""}]
    reference = [{"audio": str(clip), "from_second": 0, "seconds": 1}]
    changed = song(tmp_path, sections=later, references=reference, clock=[[0, 0], [80, 40]])
    other = {"other": changed}
    request = checked(
        ask(lua, tmp_path, f"verbs.continue(base, '{NEW}', 5, input.other, '{JOB}/take-1')", **other)["made"], tmp_path
    )
    assert (request.continues, [s.name for s in request.arrangement.sections]) == (f"{JOB}/take-1", ["Outro"])
    assert request.arrangement.clock[-1] == (80, 40)
    request = checked(
        ask(lua, tmp_path, f"verbs.match(base, '{NEW}', 5, input.other, '{JOB}/take-1')", **other)["made"], tmp_path
    )
    assert request.scope is not None
    assert (request.scope.take, request.scope.stems, request.scope.notes) == (f"{JOB}/take-1", (), "keep")
    assert request.arrangement.references[0].audio == str(clip)
    assert [s.name for s in request.arrangement.sections] == ["Verse", "Chorus"]
    request = checked(ask(lua, tmp_path, f"verbs.next(base, '{NEW}', input.song)", takes=3)["made"], tmp_path)
    assert (request.seed, request.takes, request.scope, request.continues) == (10, 1, None, "")


COURSE = """
  local log, box, now, clock = json.array(), {}, 0, 0
  local events = input.events
  function box.engine() return input.engine ~= json.null and input.engine or nil, "The engine is not there." end
  function box.post(_, name, text) log[#log + 1] = "post " .. json.decode(text).token end
  function box.take_back() return false end
  function box.accepted() end
  function box.progress() return input.progress end
  function box.stem(_, _, number)
    if type(events[number]) == "string" then return nil, events[number] end
    return events[number]
  end
  function box.result()
    local result = table.remove(input.results, 1)
    if type(result) == "string" then return nil, result end
    return result
  end
  function box.cancel() log[#log + 1] = "cancel" end
  function box.gone() log[#log + 1] = "gone" end
  local closed = input.closed or 0
  local host = {
    now = function() now = now + 0.0001 return now end,
    save = function() end,
    say = function(_, kind, text) log[#log + 1] = kind .. ": " .. text:gsub("\\n", " / ") end,
    find = function()
      if input.away and clock > input.away[1] and clock < input.away[2] then return nil end
      closed = closed - 1 if closed < 0 then return "proj", "/song.rpp" end
    end,
    landed = function()
      local names = {}
      for name in pairs(input.landed or {}) do names[name] = true end
      return names
    end,
    ready = function() return nil end,
    prepare = function(_, event, pause) pause() return { notes = {} } end,
    place = function(_, tasks) log[#log + 1] = "place " .. tasks[1].event.stem return input.problem end,
    unite = function(_, tasks) log[#log + 1] = "unite " .. #tasks end,
    finish = function() log[#log + 1] = "finish" end,
    playing = function() return false end,
  }
  local record = { job = "J", verb = "generate", title = "Generate band", project = { id = "P", path = "/song.rpp" } }
  local one = use("job").new(use, record, box, host)
  one:read(function(pause)
    for _ = 1, input.slow or 1 do pause() end
    if input.trouble then error(input.trouble, 0) end
    return { asked = { seed = 7, stems = { { role = "drums" }, { role = "bass" } }, scope = input.scope },
      text = '{"job":"J"}', path = input.asked or "/asked" }
  end)
  for tick = 1, input.ticks or 400 do
    clock = tick
    if tick == input.engine_at then input.engine = { token = "T", version = "1" } end
    if tick == input.cancel_at or tick == input.cancel_again_at then one:cancel() end
    one:tick()
    if one:is_over() then break end
  end
  return { log = log, state = record.state, band = record.band, text = one.text }
"""


def stem(name: str, take: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "type": "stem", "job": "J", "take": take, "stem": name, "role": name, "wav": f"/{name}.wav",
        "midi": f"/{name}.mid", "start_sample": 0, "start_beat": 0, "samples": 48_000, "channels": 2,
        "sample_rate": 48_000, "checks": {},
    } | changes  # fmt: skip


DONE = {"type": "done", "job": "J", "manifests": ["/J/take-1/manifest.json"], "warnings": ["mind this"]}
ENGINE = {"token": "T", "version": VERSION, "protocol": 1}


def course(lua: str, **given: Any) -> dict[str, Any]:
    plan = {"engine": ENGINE, "events": [stem("drums"), stem("bass")], "results": [DONE]} | given
    answer: dict[str, Any] = run_lua(lua, COURSE, plan)
    return answer


def test_a_job_lands_its_stems_then_says_so_and_unites_the_undo_steps(lua: str) -> None:
    answer = course(lua)
    assert answer["log"] == [
        "post T",
        "info: Generate band: the band was asked (seed 7).",
        "place drums",
        "place bass",
        "finish",
        "gone",
        "done: Generate band: 2 stems landed. / mind this",
        "unite 2",
    ]
    assert (answer["state"], answer["band"]) == ("over", "J")


def test_only_the_scopes_stems_land_and_none_twice(lua: str) -> None:
    assert "place drums" not in course(lua, scope={"stems": ["bass"]})["log"]
    landed = course(lua, landed={"landing J take-1 audio drums": True})["log"]
    assert [line for line in landed if line.startswith("place")] == ["place bass"]


def test_a_request_waits_for_an_engine_and_a_project(lua: str) -> None:
    log = course(lua, engine=None, engine_at=100)["log"]
    assert log[0].startswith("warning: The engine is not there. / The request is kept")
    assert log[1] == "post T"
    log = course(lua, closed=30)["log"]
    assert [line for line in log if line.startswith("place")] == ["place drums", "place bass"]


def test_a_project_closed_without_saving_gets_its_stems_again(lua: str) -> None:
    log = course(lua, results=[False] * 30 + [DONE], away=[40, 80])["log"]
    assert [line for line in log if line.startswith("place")] == ["place drums", "place bass"] * 2
    assert log[-1] == "unite 2"
    kept = course(lua, results=[False] * 30 + [DONE], away=[40, 80], landed={"landing J take-1 audio drums": True})[
        "log"
    ]
    assert [line for line in kept if line.startswith("place")] == ["place bass", "place bass"]


def test_what_an_engine_started_anew_has_lost_is_sent_again(lua: str, tmp_path: Path) -> None:
    asked = tmp_path / "asked.json"
    asked.write_text('{"job":"J"}')
    for code in ("token.wrong", "job.unknown"):
        lost = {"type": "failed", "code": code, "message": "lost", "hint": ""}
        log = course(lua, events=[], results=[lost, DONE], asked=str(asked))["log"]
        assert log.count("post T") == 2
        assert log[-1].startswith("done")
        log = course(lua, events=[], results=[lost] * 9, asked=str(asked))["log"]
        assert log.count("post T") == 3
        assert log[-1] == "error: Generate band: lost"


def test_protocols_that_differ_are_refused_with_what_to_do(lua: str) -> None:
    assert "update the engine" in course(lua, engine=ENGINE | {"protocol": 0})["log"][0]
    assert "stembridge install reaper" in course(lua, engine=ENGINE | {"protocol": 2})["log"][0]


def test_an_engine_of_another_version_is_asked_and_told(lua: str) -> None:
    log = course(lua, engine=ENGINE | {"version": "9.9.9"})["log"]
    assert log[0] == "post T"
    assert f"The stembridge engine has version 9.9.9, this script {VERSION}." in log[1]
    assert "stembridge install reaper" in log[1]
    assert "version" not in "".join(course(lua)["log"])


def test_failures_and_nonsense_are_said_and_end_the_job(lua: str) -> None:
    failed = {"type": "failed", "code": "disk.full", "message": "no space.", "hint": "Free some."}
    log = course(lua, results=[failed])["log"]
    assert log[-1] == "unite 2"
    assert log[-2] == "error: Generate band: no space. / Free some. / What had landed before stays: 2 stems."
    assert course(lua, trouble="Nothing is marked.")["log"] == ["error: Nothing is marked."]
    strange = [{"type": "stem"}, stem("bass", samples="many"), stem("keys", wav=3), stem("drums") | {"take": 1.0}]
    log = course(lua, events=strange)["log"]
    assert [line for line in log if line.startswith("place")] == ["place drums"]
    assert sum("left out" in line for line in log) == 3
    log = course(lua, events=["\x00garbage", stem("bass")], results=["[1, 2"])["log"]
    assert [line for line in log if line.startswith("place")] == ["place bass"]
    assert log[-1].startswith("error: Generate band: The engine's answer cannot be read.")
    log = course(lua, problem="cannot read")["log"]
    assert log.count("error: cannot read") == 2
    assert not any(line.startswith("unite") for line in log)


def test_cancel(lua: str) -> None:
    cancelled = {"type": "cancelled"}
    log = course(lua, events=[], results=[False] * 8 + [cancelled], cancel_at=10, progress={"stage": 3})["log"]
    assert "cancel" in log
    assert log[-1] == "info: Generate band: Cancelled."
    assert course(lua, engine=None, cancel_at=5)["log"][-1] == "info: Generate band: cancelled before the band began."
    gone = course(lua, events=[], results=[], cancel_at=20, cancel_again_at=60)
    assert gone["log"].count("cancel") == 1
    assert "given up here" in gone["log"][-1]
    read = course(lua, slow=10_000, cancel_at=5)
    assert read["log"] == ["info: Generate band: cancelled before the band began."]


def test_settings_that_make_no_sense_become_the_defaults(lua: str) -> None:
    for given in (None, {}, {"reference": 3, "style": [], "stems": 1}):
        found = run_lua(lua, 'return use("settings").read(input)', given)
        assert (found["reference"], found["style"], found["takes"]) == ("", "", 1)


def test_a_request_with_an_unknown_field_would_be_refused(lua: str, tmp_path: Path) -> None:
    raw = ask(lua, tmp_path, "base")["base"]
    with pytest.raises(RequestError):
        checked(raw | {"surprise": 1}, tmp_path)


def test_the_script_knows_the_heartbeats_fields(lua: str) -> None:
    assert {"token", "version", "time", "protocol"} <= set(Heartbeat.__struct_fields__)
    assert run_lua(lua, 'return use("version").protocol') == 1
