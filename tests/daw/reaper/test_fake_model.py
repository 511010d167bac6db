"""The fake REAPER's model: time, undo, media, tabs, restarts and the window behave as REAPER's do."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import rpp
import soundfile

from tests.daw.reaper.rig import HEAD, LuaError, Reaper, lua

RATE = 48_000


def test_regions_are_the_same_by_both_ways(oldest: Reaper, newest: Reaper) -> None:
    old = """
      local found = {}
      for i = 0, reaper.CountProjectMarkers(0) - 1 do
        local _, region, start, stop, name, number = reaper.EnumProjectMarkers3(0, i)
        found[i + 1] = { region, start, region and stop or start, name, number }
      end
      return found
    """
    new = """
      local found = {}
      for i = 0, reaper.GetNumRegionsOrMarkers(0) - 1 do
        local mark = reaper.GetRegionOrMarker(0, i, "")
        local function value(name) return reaper.GetRegionOrMarkerInfo_Value(0, mark, name) end
        local _, name = reaper.GetSetRegionOrMarkerInfo_String(0, mark, "P_NAME", "", false)
        found[i + 1] = { value("B_ISREGION") == 1, value("D_STARTPOS"), value("D_ENDPOS"), name, value("I_NUMBER") }
      end
      return found
    """
    expected = [[True, 0, 8, "Verse", 1], [False, 1, 1, "key=Am", 1]]
    assert oldest.eval(old) == newest.eval(old) == newest.eval(new) == expected
    assert newest.eval("return { reaper.EnumProjectMarkers3(0, 2) }")[0] == 0


def test_the_tempo_map(interpreter: str, tmp_path: Path) -> None:
    with Reaper(interpreter, "7.62", tmp_path) as reaper:
        points = [[0, 120, 4, 4], [2, 120, 0, 0, True], [6, 180, 7, 8], [6.5, 90, 3, 4]]
        reaper.do("keep.p = user.open('') user.tempo(keep.p, points)", points=points)
        # A ramp is linear in time: 4 s from 120 to 180 are 10 quarter notes; half a second at 180 is a bar cut short.
        found = reaper.eval(
            "local t = {} for i, s in ipairs({ 0, 2, 4, 6, 6.5, 7.5 }) do "
            "local qn = reaper.TimeMap_timeToQN_abs(0, s) t[i] = { qn, reaper.TimeMap_QNToTime_abs(0, qn), "
            "reaper.TimeMap2_timeToQN(0, s), reaper.TimeMap2_QNToTime(0, reaper.TimeMap2_timeToQN(0, s)) } end return t"
        )
        seconds = [0, 2, 4, 6, 6.5, 7.5]
        assert [row[0] for row in found] == pytest.approx([0, 4, 8.5, 14, 15.5, 17])
        assert [row[1] for row in found] == pytest.approx(seconds)
        # Counted in whole measures: 4/4 is cut after 2 of 4 beats, 7/8 after 1.5 of 3.5 quarter notes.
        assert [row[2] for row in found] == pytest.approx([0, 4, 8.5, 16, 19.5, 21])
        assert [row[3] for row in found] == pytest.approx(seconds)
        assert reaper.eval("return { reaper.TimeMap_GetTimeSigAtTime(0, 6.2) }") == [7, 8, 180]
        measures = reaper.eval(
            "local t = {} for i = 0, 5 do t[i + 1] = { reaper.TimeMap_GetMeasureInfo(0, i) } end return t"
        )
        assert [(row[1], row[2], row[3]) for row in measures] == [
            (0, 4, 4), (4, 8, 4), (8, 12, 4), (12, 14, 4), (14, 15.5, 7), (15.5, 18.5, 3)
        ]  # fmt: skip
        assert reaper.eval("return { reaper.GetTempoTimeSigMarker(0, 1) }") == [True, 2, 1, 0, 120, 0, 0, True]
        assert reaper.eval("return { reaper.TimeMap2_timeToBeats(0, 6.5 + 1 / 3) }")[:3] == [pytest.approx(0.5), 5, 3]


def test_undo_goes_back_one_step_and_kills_pointers(interpreter: str, tmp_path: Path) -> None:
    with Reaper(interpreter, "7.62", tmp_path) as reaper:
        reaper.do("keep.p = user.open('') user.track(keep.p, 'Mine')")
        before = reaper.dump()
        reaper.eval(
            """
            OLD = nil
            reaper.SetProjExtState(0, "stembridge", "job", "1")
            reaper.Undo_BeginBlock2(0)
            for i = 1, 3 do reaper.InsertTrackAtIndex(i, false) end
            reaper.AddProjectMarker2(0, true, 0, 4, "A", -1, 0)
            reaper.Undo_EndBlock2(0, "three tracks", -1)
            """
        )
        assert reaper.do("return { #keep.p.state.tracks, keep.p.history[keep.p.at].description }") == [
            4,
            "three tracks",
        ]
        gone = reaper.eval(
            "local tr = reaper.GetTrack(0, 0) reaper.Undo_DoUndo2(0) "
            "local valid = reaper.ValidatePtr2(0, tr, 'MediaTrack*') "
            "return { valid, reaper.CountTracks(0), (reaper.GetProjExtState(0, 'stembridge', 'job')) }"
        )
        assert gone == [False, 1, 1]
        reaper.do("keep.p.state.ext = {}")
        assert reaper.dump() == before
        reaper.check()
        reaper.eval("reaper.InsertTrackAtIndex(0, false)")
        assert reaper.do("return keep.p.unblocked") == ["new track"]
        with pytest.raises(LuaError, match="leave out the change of tracks"):
            reaper.eval(
                "reaper.Undo_BeginBlock2(0) reaper.InsertTrackAtIndex(0, false) reaper.Undo_EndBlock2(0, 'x', 4)"
            )
        reaper.do("fake.refusals, keep.p.blocks = {}, {}")
        reaper.do("fake.run('plain.lua', 'local x = reaper.CountTracks(0)')")
        assert reaper.do("return fake.notes") == ["an automatic undo point by plain.lua"]


def test_a_restart_keeps_what_was_saved(interpreter: str, tmp_path: Path, wav: Path) -> None:
    song = tmp_path / "song.rpp"
    with Reaper(interpreter, "7.62", tmp_path / "home") as reaper:
        reaper.do("keep.p = user.open(song) user.audio(user.track(keep.p, 'é'), wav, 1)", song=song, wav=wav)
        reaper.eval(
            "reaper.SetProjExtState(0, 'stembridge', 'job', '{\"a\": 1}') reaper.SetExtState('s', 'kept', '1', true) "
            "reaper.SetExtState('s', 'lost', '1', false)"
        )
        reaper.do("user.save(keep.p)")
        saved = reaper.dump()
    with Reaper(interpreter, "7.62", tmp_path / "home", boots=2) as reaper:
        reaper.do("keep.p = user.load(song)", song=song)
        assert reaper.dump() == saved == song.read_text()
        assert reaper.eval("return select(2, reaper.GetProjExtState(0, 'stembridge', 'job'))") == '{"a": 1}'
        assert reaper.eval("return { reaper.HasExtState('s', 'kept'), reaper.HasExtState('s', 'lost') }") == [
            True,
            False,
        ]
        assert reaper.eval("return reaper.GetTrackGUID(reaper.GetTrack(0, 0))") in saved


def test_sources_and_the_accessor(newest: Reaper, wav: Path, tmp_path: Path) -> None:
    facts = (
        "local s = reaper.PCM_Source_CreateFromFile(path) if not s then return false end "
        "local length, quarters = reaper.GetMediaSourceLength(s) "
        "local found = { length, quarters, reaper.GetMediaSourceSampleRate(s), reaper.GetMediaSourceNumChannels(s), "
        "reaper.GetMediaSourceType(s, '') } reaper.PCM_Source_Destroy(s) return found"
    )
    assert newest.eval(f"local path = {lua(wav)} {facts}") == [1, False, RATE, 2, "WAVE"]
    for bits in ("PCM_16", "PCM_24"):
        soundfile.write(tmp_path / f"{bits}.wav", np.zeros(441), 44_100, subtype=bits)
        assert newest.eval(f"local path = {lua(tmp_path / f'{bits}.wav')} {facts}") == [0.01, False, 44_100, 1, "WAVE"]
    (tmp_path / "cut.wav").write_bytes(wav.read_bytes()[:30])
    (tmp_path / "noise.wav").write_bytes(os.urandom(200))
    for name in ("absent", "cut", "noise"):
        assert newest.eval(f"local path = {lua(tmp_path / f'{name}.wav')} {facts}") is False
    newest.do("keep.item.takes[1].offset, keep.item.takes[1].fx = 0.25, {{name = 'gate', enabled = true, gain = 2.0}}")
    read = newest.eval(
        HEAD + "local a = reaper.CreateTakeAudioAccessor(take) local b = reaper.new_array(8) "
        "local some = reaper.GetAudioAccessorSamples(a, 48000, 2, 0.5, 4, b) local t = b.table() t[9] = some "
        "reaper.DestroyAudioAccessor(a) return t"
    )
    left = [2 * (0.75 * RATE + i) / 1e6 for i in range(4)]
    assert read == pytest.approx([v for x in left for v in (x, -x)] + [1], rel=1e-6)
    newest.check()


def test_a_full_disk_and_files_of_ones_own(newest: Reaper, tmp_path: Path) -> None:
    newest.do("fake.disk_left = 10")
    found = newest.eval(
        f"local f = io.open({lua(tmp_path / 'a.txt')}, 'wb') local a = f:write('12345678') "
        "local b, why = f:write('90abc') local c = f:close() return { a == f, b == nil, why, c == nil, io.type(f) }"
    )
    assert (found[0], found[1], found[3], found[4]) == (True, True, True, "closed file")
    assert "No space left" in found[2]
    assert (tmp_path / "a.txt").read_text() == "1234567890"
    newest.do("fake.disk_left = nil")


def test_a_window_is_clicked_by_its_label(interpreter: str, tmp_path: Path) -> None:
    script = """
      gfx.init("band", 200, 100, 0)
      gfx.setfont(1, "Arial", 14)
      local before = 0
      local function loop()
        if gfx.getchar() < 0 then return end
        gfx.x, gfx.y = 10, 10
        gfx.drawstr("Generate", 5, 110, 30)
        if gfx.mouse_cap == 1 and before == 0 and gfx.mouse_x > 10 and gfx.mouse_x < 110 and gfx.mouse_y < 30 then
          reaper.ShowConsoleMsg("clicked")
        end
        before = gfx.mouse_cap
        reaper.defer(loop)
      end
      reaper.defer(loop)
    """
    with Reaper(interpreter, "7.62", tmp_path) as reaper:
        reaper.do("fake.run('window.lua', script)", script=script)
        reaper.tick(2)
        with pytest.raises(LuaError, match="no 'Cancel' on the screen, but: Generate"):
            reaper.do("window.click('Cancel')")
        reaper.do("window.click('Generate')")
        reaper.tick(4)
        assert reaper.do("return fake.console") == ["clicked"]
        assert reaper.do("return fake.running()") == ["window.lua"]
        reaper.do("window.close()")
        reaper.tick(2)
        assert reaper.do("return fake.running()") == {}
        reaper.check()


def test_scripts_are_apart_and_are_told_of_a_second_start(interpreter: str, tmp_path: Path) -> None:
    loop = "x = (x or 0) + 1 reaper.ShowConsoleMsg(tostring(x)) local function l() reaper.defer(l) end l() "
    with Reaper(interpreter, "7.62", tmp_path) as reaper:
        reaper.do(
            "fake.run('a.lua', text) fake.run('b.lua', text)",
            text=loop + "reaper.atexit(function() reaper.ShowConsoleMsg('bye') end)",
        )
        assert reaper.do("return fake.console") == ["1", "1"]
        with pytest.raises(LuaError, match="task control"):
            reaper.do("fake.run('a.lua', text)", text=loop)
        reaper.do("fake.run('c.lua', text)", text="reaper.set_action_options(1) " + loop)
        reaper.do("fake.run('c.lua', text)", text=loop)
        assert reaper.do("return fake.running()") == ["a.lua", "b.lua", "c.lua"]
        reaper.tick()
        assert reaper.do("return fake.running()") == ["a.lua", "b.lua"]
        reaper.do("fake.quit()")
        assert reaper.do("return fake.console")[-2:] == ["bye", "bye"]


def test_two_projects_and_a_closed_one(interpreter: str, tmp_path: Path) -> None:
    with Reaper(interpreter, "7.62", tmp_path) as reaper:
        reaper.do("keep.a = user.open('/a.rpp') user.track(keep.a, 'A') keep.b = user.open('/b.rpp')")
        found = reaper.eval(
            "A, B = reaper.EnumProjects(0), reaper.EnumProjects(1) reaper.InsertTrackAtIndex(0, false) "
            "local other = reaper.ValidatePtr2(B, reaper.GetTrack(A, 0), 'MediaTrack*') "
            "return { reaper.CountTracks(A), reaper.CountTracks(B), other, select(2, reaper.EnumProjects(0)), "
            "reaper.EnumProjects(2) == nil }"
        )
        assert found == [1, 1, False, "/a.rpp", True]
        script = (
            "local a, n = reaper.EnumProjects(0), 0 "
            "local function l() n = n + 1 if n > 2 then reaper.CountTracks(a) end reaper.defer(l) end l()"
        )
        reaper.do("fake.run('keeps.lua', script) user.close(keep.a)", script=script)
        with pytest.raises(LuaError, match="it was closed"):
            reaper.tick(3)


def test_the_dump_is_read_by_another_reader(newest: Reaper, wav: Path) -> None:
    project = rpp.loads(newest.dump())
    tracks = project.findall("TRACK")
    assert [track.find("NAME")[1] for track in tracks] == ["Guitar", "Chords"]
    item = tracks[0].find("ITEM")
    assert (float(item.find("POSITION")[1]), float(item.find("LENGTH")[1])) == (2.0, 1.0)
    assert item.find("SOURCE").find("FILE")[1] == str(wav)
    assert [m[3] for m in project.findall("MARKER")] == ["Verse", "", "key=Am"]
