"""The course of a job in Ardour's script, with a host of the test's own and a mailbox that the test fills."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bridge import VERSION
from tests.daw.lua import INTERPRETERS, run_lua

pytestmark = pytest.mark.parametrize("lua", INTERPRETERS)

JOB = "30313233-3435-4637-b839-616263646566"

HOST = """
  local root = input
  local mailbox = use("mailbox")
  local said, placed, saved, clock_us, steps, seconds = json.array(), json.array(), 0, 0, 1, os.time()
  local song = {
    name = "Song", root = root, daw = "ardour", sample_rate = 48000, clock = { { 0, 0 }, { 16, 8 } },
    metres = { { beat = 0, beats = 4, unit = 4 } }, keys = {}, tracks = {}, references = {}, remarks = {},
    sections = { { name = "Intro", label = "intro", start = 0, ["end"] = 16, words = "" } },
  }
  local landed, trouble, broken, recording, renumbered, undo, protocol = {}, nil, nil, false, nil, nil, nil
  local host = {
    folder = root .. "/session",
    now = function() return seconds end,
    now_us = function() return clock_us end,
    random = function(n) return ("0123456789abcdef"):sub(1, n) end,
    describe = function()
      local list = {}
      for i = 1, steps do
        list[i] = function()
          clock_us = clock_us + 400
          if broken then error(broken, 0) end
        end
      end
      return list, song
    end,
    landed = function() return landed end,
    recording = function() return recording end,
    place = function(stem, landing)
      placed[#placed + 1] = stem.stem .. " " .. landing.kind
      return trouble
    end,
    renumber = function(_, old, new) renumbered = old .. " -> " .. new end,
    finish = function(title) saved, undo = saved + 1, title end,
    say = function(kind, text) said[#said + 1] = kind .. ": " .. text end,
  }
  local job = "JOB"
  local function drop(name, value) mailbox.write(root .. "/mailbox/" .. name, json.encode(value)) end
  local function event(name, value) drop("jobs/" .. job .. "/" .. name, value) end
  local function beat(age, token)
    local time = seconds - (age or 0)
    drop("engine.json", { pid = 1, version = "1", token = token or "T", protocol = protocol, time = time })
  end
  local function stem(number, name, take)
    event(string.format("stem-%03d.json", number), {
      type = "stem", job = job, take = take or 1, stem = name, wav = "", midi = "", start_sample = 0, samples = 9,
      start_beat = 0,
    })
  end
  local function ask(what) mailbox.write(host.folder .. "/ask.json", json.encode({ ask = what, time = seconds })) end
  local function exists(path) return mailbox.read(root .. "/" .. path) ~= nil end
  local band = use("band").new(use, mailbox.open(root, json, host.now), host)
  local function ticks(count) for _ = 1, count do band:tick() end end
  local function taken() return os.remove(root .. "/mailbox/requests/" .. job .. ".json") ~= nil end
""".replace("JOB", JOB)

REPORT = """
  return {
    said = said, placed = placed, saved = saved, state = band.state, undo = undo, renumbered = renumbered,
    status = json.decode(mailbox.read(host.folder .. "/status.json") or "{}"),
    running = exists("session/running.json"), asked = exists("session/ask.json"),
    gone = exists("mailbox/jobs/" .. job .. "/gone"), posted = exists("mailbox/requests/" .. job .. ".json"),
  }
"""


def course(lua: str, root: Path, events: str, before: str = "") -> Any:
    """What is left after the events (Lua text). `before` runs before the band exists."""
    for folder in ("mailbox/requests", f"mailbox/jobs/{JOB}", "session/asked"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    head, tail = HOST.split("  local band =", 1)
    return run_lua(lua, f"{head}{before}\n  local band ={tail}{events}{REPORT}", str(root))


def test_a_whole_job(lua: str, tmp_path: Path) -> None:
    after = course(
        lua,
        tmp_path,
        """
        beat() ask("generate") ticks(2)
        assert(exists("mailbox/requests/" .. job .. ".json") and exists("session/running.json"))
        assert(json.decode(mailbox.read(root .. "/mailbox/requests/" .. job .. ".json")).token == "T")
        assert(taken())
        event("accepted.json", { type = "accepted", job = job, position = 0 })
        event("progress.json", { type = "progress", job = job, stage = "compose", fraction = 0.25, eta = 4.2 })
        ticks(6)
        assert(band.status.text == "compose: 25 %, 4 s left", band.status.text)
        stem(1, "drums") ticks(4)
        stem(2, "bass") stem(3, "lead")
        event("result.json", { type = "done", job = job, manifests = {}, seconds = 1, warnings = { "Mind the gap." } })
        ticks(20)
        """,
    )
    assert after["placed"] == [f"{name} {kind}" for name in ("drums", "bass", "lead") for kind in ("audio", "midi")]
    assert after["saved"] == 1
    assert after["said"][-1] == "done: The band has played: 3 stems landed.\nMind the gap."
    assert (after["state"], after["running"], after["gone"], after["asked"]) == ("idle", False, True, False)
    assert (after["status"]["kind"], after["status"]["stems"]) == ("done", 3)


def test_nothing_happens_without_an_engine(lua: str, tmp_path: Path) -> None:
    for beat in ("", "beat(6)"):
        after = course(lua, tmp_path, f'{beat} ask("generate") ticks(3)')
        (text,) = after["said"]
        assert text.startswith("error: The stembridge engine")
        assert (after["state"], after["posted"], after["running"]) == ("idle", False, False)


def test_a_failure_is_told_with_its_hint(lua: str, tmp_path: Path) -> None:
    after = course(
        lua,
        tmp_path,
        """
        beat() ask("generate") ticks(2) taken()
        event("result.json", { type = "failed", job = job, code = "x", message = "no sound.", hint = "Turn it on." })
        ticks(6)
        """,
    )
    assert after["said"][-1] == "error: no sound.\nTurn it on."
    assert (after["state"], after["saved"], after["gone"]) == ("idle", 0, True)


def test_what_cannot_be_read_from_the_session_is_told(lua: str, tmp_path: Path) -> None:
    after = course(lua, tmp_path, 'beat() broken = "Nothing is marked." ask("generate") ticks(2)')
    assert after["said"] == ["error: Nothing is marked."]
    assert (after["state"], after["posted"]) == ("idle", False)


def test_describing_takes_at_most_its_slice_of_a_tick(lua: str, tmp_path: Path) -> None:
    events = """
      beat() steps = 60 ask("generate")
      local longest = 0
      repeat
        local from = clock_us
        ticks(1)
        longest = math.max(longest, clock_us - from)
      until band.state ~= "describing"
      assert(longest <= 4400 and band.slowest_us <= 4400, longest)
    """
    after = course(lua, tmp_path, events)
    assert after["posted"]


def test_a_request_that_was_not_taken_is_taken_back(lua: str, tmp_path: Path) -> None:
    after = course(lua, tmp_path, 'beat() ask("generate") ticks(2) ask("cancel") ticks(1)')
    assert after["said"][-1] == "info: Cancelled before the band began."
    assert (after["state"], after["posted"], after["running"]) == ("idle", False, False)


def test_a_running_job_is_cancelled_by_the_engine(lua: str, tmp_path: Path) -> None:
    after = course(
        lua,
        tmp_path,
        """
        beat() ask("generate") ticks(2) taken()
        stem(1, "drums") ticks(4) ask("cancel") ticks(1)
        assert(exists("mailbox/jobs/" .. job .. "/cancel") and band.state == "waiting")
        event("result.json", { type = "cancelled", job = job }) ticks(6)
        """,
    )
    assert after["said"][-1] == "info: Cancelled.\nWhat had landed before stays: 1 stem."
    assert (after["state"], after["saved"], after["gone"]) == ("idle", 1, True)


def test_a_second_wish_is_refused_while_one_runs(lua: str, tmp_path: Path) -> None:
    events = 'beat() ask("generate") ticks(2) taken() ask("generate") ticks(2)'
    after = course(lua, tmp_path, events)
    assert "still playing" in after["said"][-1]
    assert (after["state"], after["posted"], after["asked"]) == ("waiting", False, False)


def test_an_old_wish_is_none_and_nothing_runs_to_be_cancelled(lua: str, tmp_path: Path) -> None:
    after = course(lua, tmp_path, 'beat() ask("generate") seconds = seconds + 61 beat() ticks(2)')
    assert (after["state"], after["said"], after["asked"]) == ("idle", [], False)
    after = course(lua, tmp_path, 'beat() ask("cancel") ticks(1)')
    assert after["said"] == ["info: Nothing is running."]


def test_a_stem_that_cannot_be_placed_does_not_stop_the_others(lua: str, tmp_path: Path) -> None:
    after = course(
        lua,
        tmp_path,
        """
        beat() ask("generate") ticks(2) taken()
        trouble = "landed on sample 3 instead of 4" stem(1, "drums") ticks(4) trouble = nil stem(2, "bass") ticks(4)
        event("result.json", { type = "done", job = job, manifests = {}, seconds = 1 }) ticks(6)
        """,
    )
    assert "error: drums (audio): landed on sample 3 instead of 4" in after["said"]
    assert after["said"][-1] == "done: The band has played: 1 stem landed."


def test_files_that_go_with_a_failed_job_are_no_second_error(lua: str, tmp_path: Path) -> None:
    events = """
      beat() ask("generate") ticks(2) taken()
      stem(1, "drums") ticks(4) stem(2, "bass") ticks(1)
      event("result.json", { type = "failed", job = job, code = "x", message = "no memory." })
      trouble = "No such file" ticks(8)
    """
    after = course(lua, tmp_path, events)
    assert [text for text in after["said"] if text.startswith("error")] == [
        "error: no memory.\nWhat had landed before stays: 1 stem."
    ]
    assert (after["state"], after["gone"]) == ("idle", True)


def test_nothing_is_imported_while_the_user_records(lua: str, tmp_path: Path) -> None:
    events = """
      beat() ask("generate") ticks(2) taken() recording = true
      stem(1, "drums") event("result.json", { type = "done", job = job, manifests = {}, seconds = 1 }) ticks(20)
      assert(#placed == 0 and band.state == "waiting")
      recording = false ticks(20)
    """
    after = course(lua, tmp_path, events)
    assert (after["placed"], after["state"]) == (["drums audio", "drums midi"], "idle")


def test_an_engine_that_falls_silent_is_told_once(lua: str, tmp_path: Path) -> None:
    events = 'beat() ask("generate") ticks(2) taken() seconds = seconds + 10 ticks(200)'
    after = course(lua, tmp_path, events)
    assert len([text for text in after["said"] if "stopped answering" in text]) == 1
    assert after["state"] == "waiting"
    after = course(lua, tmp_path, events + 'ask("cancel") ticks(1)')
    assert "given up" in after["said"][-1]
    assert (after["state"], after["running"]) == ("idle", False)


RESTARTED = """
  beat() ask("generate") ticks(2)
  local sent = mailbox.read(root .. "/mailbox/requests/" .. job .. ".json")
  assert(taken())
  event("accepted.json", { type = "accepted", job = job, position = 0 })
  stem(1, "drums") ticks(4)
  event("result.json", { type = "failed", job = job, code = "engine.restarted", message = "the engine was ended." })
  beat(0, "U") ticks(3)
  assert(band.state == "waiting" and not exists("mailbox/jobs/" .. job .. "/result.json"))
  local again = mailbox.read(root .. "/mailbox/requests/" .. job .. ".json")
  assert(again == sent:gsub('"token":"T"', '"token":"U"'), again)
"""


def test_a_restarted_engine_is_sent_the_same_request_and_nothing_lands_twice(lua: str, tmp_path: Path) -> None:
    events = """
      ticks(30)
      assert(band.state == "waiting" and #placed == 2, "what an earlier engine left is not looked at")
      taken() stem(1, "drums", 2) stem(2, "bass", 2)
      event("result.json", { type = "done", job = job, manifests = {}, seconds = 1 }) ticks(20)
    """
    after = course(lua, tmp_path, RESTARTED + events)
    assert after["placed"] == ["drums audio", "drums midi", "bass audio", "bass midi"]
    assert after["renumbered"] == "1 -> 2"
    assert "info: The engine was restarted; the band goes on." in after["said"]
    assert after["said"][-1].startswith("done: The band has played: 2 stems landed.")
    assert (after["state"], after["undo"]) == ("idle", "stembridge: Generate band")


def test_a_request_that_ends_every_engine_is_given_up(lua: str, tmp_path: Path) -> None:
    events = 'for i = 1, 9 do taken() beat(0, "U" .. i) ticks(20) end'
    after = course(lua, tmp_path, RESTARTED + events)
    assert (after["state"], after["running"]) == ("idle", False)
    assert "ended too often" in after["said"][-1]


def test_an_engine_of_another_protocol_is_not_asked_of_another_version_is(lua: str, tmp_path: Path) -> None:
    for protocol, word in ((7, "update the script (stembridge install ardour"), (0, "update the engine")):
        after = course(lua, tmp_path, f'protocol = {protocol} beat() ask("generate") ticks(2)')
        (text,) = after["said"]
        assert word in text
        assert (after["state"], after["posted"]) == ("idle", False)
    told = course(lua, tmp_path, 'beat() ask("generate") ticks(2)')["said"][-1]
    assert f"The stembridge engine has version 1, this script {VERSION}. They understand each other" in told


def test_a_damaged_stem_is_told_and_the_others_land(lua: str, tmp_path: Path) -> None:
    events = """
      beat() ask("generate") ticks(2) taken()
      mailbox.write(root .. "/mailbox/jobs/" .. job .. "/stem-001.json", "{oops")
      event("stem-002.json", { type = "stem", job = job, take = "one", stem = 7 })
      stem(3, "bass") event("result.json", { type = "done", job = job, manifests = {}, seconds = 1 }) ticks(20)
    """
    after = course(lua, tmp_path, events)
    assert after["placed"] == ["bass audio", "bass midi"]
    assert len([text for text in after["said"] if "cannot be read" in text]) == 2
    assert after["state"] == "idle"


def test_stems_that_an_edit_leaves_alone_do_not_land_again(lua: str, tmp_path: Path) -> None:
    before = """
      local asked = json.decode('{"job": "base", "seed": 3, "stems": [{"role": "drums"}, {"role": "bass"}]}')
      asked.project = { name = "Song", root = root, daw = "ardour" }
      asked.arrangement = song
      use("ledger").open(host.folder, mailbox, json):keep("base", asked, nil)
    """
    events = """
      beat()
      mailbox.write(host.folder .. "/ask.json", json.encode({
        ask = "reroll", take = "base/take-1", stems = { "bass" }, selection = { start = 4, stop = 8 }, time = seconds,
      }))
      ticks(2)
      local scope = json.decode(mailbox.read(root .. "/mailbox/requests/" .. job .. ".json")).scope
      assert(scope.take == "base/take-1" and scope.start == 4 and scope["end"] == 8 and scope.stems[1] == "bass")
      taken() stem(1, "drums") stem(2, "bass")
      event("result.json", { type = "done", job = job, manifests = {}, seconds = 1 }) ticks(20)
    """
    after = course(lua, tmp_path, events, before)
    assert after["placed"] == ["bass audio", "bass midi"]
    assert after["undo"] == "stembridge: Re-roll selection"
    assert "info: Re-rolling bass, beats 4 to 8" in "".join(after["said"])
    after = course(lua, tmp_path, events.replace("base/take-1", "nobody/take-1").split("ticks(2)")[0] + "ticks(2)")
    assert "not known any more" in after["said"][-1]


def test_a_reopened_session_goes_on_with_its_job(lua: str, tmp_path: Path) -> None:
    before = """
      mailbox.write(root .. "/session/running.json", json.encode({ job = "JOB" }))
      mailbox.write(root .. "/mailbox/jobs/JOB/accepted.json", json.encode({ type = "accepted" }))
      landed[1] = { job = "JOB", take = 1, kind = "audio", stem = "drums" }
    """.replace("JOB", JOB)
    events = """
      assert(band.state == "waiting")
      beat() stem(1, "drums") stem(2, "bass") event("result.json", { type = "done", job = job }) ticks(20)
    """
    after = course(lua, tmp_path, events, before)
    assert after["placed"] == ["drums midi", "bass audio", "bass midi"]
    assert after["state"] == "idle"


def test_a_job_that_the_mailbox_forgot_is_forgotten(lua: str, tmp_path: Path) -> None:
    before = 'mailbox.write(root .. "/session/running.json", json.encode({ job = "another" }))'
    after = course(lua, tmp_path, "ticks(1)", before)
    assert (after["state"], after["running"]) == ("idle", False)


def test_damaged_events_are_passed_over(lua: str, tmp_path: Path) -> None:
    after = course(
        lua,
        tmp_path,
        """
        beat() ask("generate") ticks(2) taken()
        mailbox.write(root .. "/mailbox/jobs/" .. job .. "/progress.json", "{oops")
        mailbox.write(root .. "/mailbox/jobs/" .. job .. "/result.json", "[1")
        ticks(9)
        """,
    )
    assert after["state"] == "waiting"
    assert json.dumps(after["said"]).count("oops") == 0


ACTION = """
  local folder, shown = input.folder, json.array()
  Session = { path = function() return folder .. "/" end }
  LuaDialog = {
    MessageType = {}, ButtonType = {},
    Message = function(_, text) return { run = function() shown[#shown + 1] = text end } end,
  }
  use("wish")[input.what]()
  return shown
"""


def test_an_action_notices_that_the_hook_is_not_there(lua: str, tmp_path: Path) -> None:
    folder = tmp_path / "stembridge"
    folder.mkdir()
    cancel = {"folder": str(tmp_path), "what": "cancel"}
    assert run_lua(lua, ACTION, cancel) == ["Nothing is running."]
    (folder / "running.json").write_text("{}")
    assert run_lua(lua, ACTION, cancel) == []
    wish = json.loads((folder / "ask.json").read_bytes())
    assert wish["ask"] == "cancel"
    (folder / "ask.json").write_text(json.dumps(wish | {"time": wish["time"] - 3}))
    (text,) = run_lua(lua, ACTION, cancel)
    assert "hook is not active" in text
    assert not (folder / "ask.json").exists()


def test_progress_is_told_from_the_status(lua: str, tmp_path: Path) -> None:
    progress = {"folder": str(tmp_path), "what": "progress"}
    assert run_lua(lua, ACTION, progress) == ["Nothing was asked in this session yet."]
    (tmp_path / "stembridge").mkdir()
    status = {"state": "waiting", "text": "compose: 25 %", "stems": 2}
    (tmp_path / "stembridge" / "status.json").write_text(json.dumps(status))
    assert run_lua(lua, ACTION, progress) == ["compose: 25 %\n2 stems landed so far."]
