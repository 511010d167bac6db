"""The fake REAPER itself: whatever REAPER would refuse is seen to be refused."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.daw.lua import INTERPRETERS
from tests.daw.reaper.rig import HEAD, SCRIPTS, SIGNATURES, LuaError, Reaper

REFERENCE = Path(os.environ.get("STEMBRIDGE_DAW_API") or Path(__file__).parents[4] / "shared" / "daw_api")

REFUSED = {
    "reaper.NoSuchFunction()": "not in the list",
    "reaper.CountTracks = nil": "is written to",
    "reaper.GetTrack(p)": "got no value",
    "reaper.GetTrack(p, 0, 0)": "takes 2 arguments",
    "reaper.GetTrack(p, '0')": "integer expected, got string",
    "reaper.GetTrack(p, 0.5)": "no integer representation",
    "reaper.GetTrack(p, nil)": "integer expected, got nil",
    "reaper.GetTrack(1, 0)": "ReaProject expected",
    "reaper.GetTrack(tr, 0)": "ReaProject expected, got MediaTrack",
    "reaper.GetTrackName(item)": "MediaTrack expected, got MediaItem",
    "reaper.GetTrackName(nil)": "MediaTrack expected, got nil",
    "reaper.GetTrackName({})": "MediaTrack expected, got table",
    "reaper.GetActiveTake(take)": "MediaItem expected, got MediaItem_Take",
    "reaper.TimeMap_timeToQN_abs(p, 0/0)": "not finite",
    "reaper.SetTrackSelected(tr, 1)": "boolean expected",
    "reaper.GetExtState('stembridge', 7)": "string expected",
    "reaper.GetExtState('stembridge', 'a\\0b')": "NUL",
    "reaper.GetSetMediaTrackInfo_String(tr, 'P_NAME', '\\xff', true)": "not UTF-8",
    "reaper.GetSetMediaTrackInfo_String(tr, 'P_NAME', 'two\\nlines', true)": "control character",
    "reaper.GetSetMediaTrackInfo_String(tr, 'P_NOSUCH', '', false)": "P_NOSUCH",
    "reaper.GetSetMediaTrackInfo_String(tr, 'GUID', '{}', true)": "GUID",
    "reaper.defer(nil)": "function expected",
    "local _ = tr.name": "attempt to index",
    "for _ in pairs(tr) do end": "attempt to index",
    "reaper.SetMediaItemInfo_Value(item, 'D_POSITION', -1)": "D_POSITION = -1",
    "reaper.SetMediaItemInfo_Value(item, 'D_NOSUCH', 1)": "cannot set D_NOSUCH",
    "reaper.GetMediaItemInfo_Value(item, 'position')": "knows no position",
    "reaper.SetMediaItemInfo_Value(item, 'B_LOOPSRC', 2)": "B_LOOPSRC = 2",
    "reaper.SetMediaItemInfo_Value(item, 'I_FIXEDLANE', 1)": "without fixed lanes",
    "reaper.SetMediaItemInfo_Value(item, 'I_CURTAKE', 1)": "no take 1",
    "reaper.SetMediaItemTakeInfo_Value(take, 'D_PLAYRATE', 0)": "D_PLAYRATE = 0",
    "reaper.SetMediaTrackInfo_Value(tr, 'I_FOLDERDEPTH', 2)": "I_FOLDERDEPTH = 2",
    "reaper.SetMediaTrackInfo_Value(tr, 'IP_TRACKNUMBER', 2)": "cannot set IP_TRACKNUMBER",
    "reaper.SetMediaTrackInfo_Value(tr, 'I_CUSTOMCOLOR', 255)": "without 0x1000000",
    "reaper.SetMediaTrackInfo_Value(tr, 'C_LANEPLAYS:3', 1)": "no such lane",
    "reaper.AddProjectMarker2(p, true, 4, 4, 'empty', -1, 0)": "a region or marker from",
    "reaper.AddProjectMarker2(p, false, -1, 0, 'early', -1, 0)": "a region or marker from",
    "reaper.AddProjectMarker2(p, false, 1, 0, 'red', -1, 255)": "without 0x1000000",
    "reaper.ColorToNative(256, 0, 0)": "ColorToNative: 256",
    "reaper.InsertTrackInProject(p, 9, 0)": "a new track at 9",
    "reaper.InsertTrackInProject(p, 0, 4)": "flags 4",
    "reaper.CreateNewMIDIItemInProj(tr, 4, 4, false)": "a MIDI item from",
    "reaper.CreateNewMIDIItemInProj(tr, -1, 4, false)": "a MIDI item from",
    "reaper.MIDI_CountEvts(take)": "not a MIDI take",
    "reaper.MIDI_InsertNote(midi, false, false, 0, 0, 0, 60, 100, false)": "ticks 0 to 0",
    "reaper.MIDI_InsertNote(midi, false, false, 0, 9, 16, 60, 100, false)": "channel 16",
    "reaper.MIDI_InsertNote(midi, false, false, 0, 9, 0, 128, 100, false)": "pitch 128",
    "reaper.MIDI_InsertNote(midi, false, false, 0, 9, 0, 60, 0, false)": "velocity 0",
    "reaper.MIDI_InsertNote(midi, false, false, -1, 9, 0, 60, 9, false)": "ticks -1",
    "reaper.MIDI_InsertNote(midi, false, false, 0, 9, 0, 60, 9, true) reaper.MIDI_GetNote(midi, 0)": "before MIDI_Sort",
    "reaper.MIDI_SetAllEvts(midi, 'abc')": "ends inside an event",
    "reaper.MIDI_SetAllEvts(midi, string.pack('<i4Bs4', -1, 0, '\\xB0\\x7B\\x00'))": "before the one in front",
    "reaper.MIDI_SetAllEvts(midi, string.pack('<i4Bs4', 0, 0, '\\x90\\x40\\x00'))": "all-notes-off",
    "reaper.MIDI_SetAllEvts(midi, string.pack('<i4Bs4i4Bs4', 0, 0, '\\x90\\x40\\x40', 9, 0, '\\xB0\\x7B\\x00'))": (
        "never ends"
    ),
    "reaper.MIDI_SetAllEvts(midi, string.pack('<i4Bs4', 0, 0, '\\x90\\x40'))": "not a MIDI message",
    "reaper.MIDI_SetAllEvts(midi, string.pack('<i4Bs4', 0, 0, '\\x90\\x40\\x80'))": "data byte over 127",
    "local s = reaper.GetMediaItemTake_Source(take) reaper.PCM_Source_Destroy(s)": "that a take plays",
    "reaper.SetMediaItemTake_Source(midi, reaper.GetMediaItemTake_Source(take))": "second take",
    "reaper.new_array(0)": "size 0",
    "local _ = reaper.new_array(4)[5]": "array index 5",
    "reaper.new_array(4)[1] = 'x'": "array[1]",
    "reaper.GetAudioAccessorSamples(reaper.CreateTakeAudioAccessor(take), 48000, 2, 0, 4, reaper.new_array(7))": (
        "array is too small"
    ),
    "local a = reaper.CreateTakeAudioAccessor(take) for _ = 1, 2 do reaper.DestroyAudioAccessor(a) end": "is gone",
    "reaper.SetProjExtState(p, 'stembridge', 'job', 'a\\nb')": "line break",
    "reaper.SetExtState('stembridge', 'job', 'a\\nb', true)": "line break",
    "reaper.GetSetProjectInfo(p, 'PROJECT_SRATE', 44100, true)": "changes the user's",
    "reaper.GetSetProjectInfo(p, 'NO_SUCH', 0, false)": "knows no NO_SUCH",
    "reaper.GetSet_LoopTimeRange2(p, true, false, 4, 2, false)": "from 4.0 to 2.0",
    "reaper.Undo_EndBlock2(p, 'x', -1)": "without Undo_BeginBlock2",
    "reaper.Undo_BeginBlock2(p) reaper.Undo_EndBlock2(p, '', -1)": "without a description",
    "reaper.Undo_BeginBlock2(p) reaper.Undo_DoUndo2(p)": "inside an undo block",
    "reaper.ValidatePtr2(p, tr, 'MediaTrack')": "knows no MediaTrack",
    "reaper.ValidatePtr2(p, nil, 'MediaTrack*')": "userdata expected",
    "reaper.MB('Hello', 'stembridge', 0)": "nobody expects: MB: stembridge: Hello",
    "reaper.GetUserInputs('t', 2, 'a,b', 'x')": "1 values for 2 fields",
    "reaper.GetUserInputs('t', 17, 'a', 'x')": "17 fields",
    "reaper.ExecProcess('stembridge engine start', 0)": "stops REAPER",
    "reaper.Main_OnCommand(40044, 0)": "no command 40044",
    "reaper.PreventUIRefresh(-1)": "more off than on",
    "reaper.GetRegionOrMarkerInfo_Value(p, reaper.GetRegionOrMarker(p, 0, ''), 'D_POS')": "knows no D_POS",
    "local m = reaper.GetRegionOrMarker(p, 0, '') reaper.DeleteProjectMarker(p, 1, false) "
    "reaper.AddProjectMarker2(p, false, 1, 0, 'key=Am', 1, 0) reaper.GetRegionOrMarkerInfo_Value(p, m, 'D_STARTPOS')": (
        "is gone"
    ),
    "os.execute('true')": "os.execute",
    "os.exit()": "os.exit",
    "io.popen('ls')": "io.popen",
    "io.write('x')": "io.write",
    "print('x')": "print goes nowhere",
    "gfx.drawstr('x')": "without a window",
    "gfx.init('w', 100, 100) gfx.colour = 1": "gfx.colour cannot be set",
    "gfx.init('w', 100, 100) gfx.w = 1": "gfx.w cannot be set",
    "gfx.init('w', 100, 100) gfx.rect(1, 2, 3)": "gfx.rect takes 4 to 5",
    "gfx.init('w', 100, 100) gfx.rect(1, 2, 3, 'x')": "argument 4 is no number",
    "gfx.init('w', 100, 100) gfx.drawstr('\\xff')": "not UTF-8",
    "gfx.init('w', 100, 100) gfx.setfont(3)": "was never set",
    "gfx.init('w', 100, 100) gfx.nosuch()": "not in the list",
    "gfx.init('w', 100, 100) gfx.showmenu('a|b')": "nobody expects: menu",
}  # fmt: skip

STILL_OPEN = {
    "reaper.PreventUIRefresh(1)": ("PreventUIRefresh stands at 1", "fake.frozen = 0"),
    "reaper.Undo_BeginBlock2(p)": ("an open undo block", "keep.p.blocks = {}"),
    "reaper.SetMediaTrackInfo_Value(tr, 'I_FREEMODE', 2)": ("without UpdateTimeline", ""),
    "reaper.MIDI_InsertNote(midi, false, false, 0, 9, 0, 60, 9, true)": ("an unsorted MIDI take", ""),
}
"""What must not be left behind at the end of a tick, and how the test mends it."""


CLEAN = """
fake.refusals, fake.crashes, fake.notes, fake.frozen, window.open = {}, {}, {}, 0, false
keep.p.blocks, keep.p.touched, model.accessors, model.free_sources = {}, {}, {}, {}
"""


def test_what_reaper_refuses_is_refused_and_remembered(newest: Reaper) -> None:
    for text, why in REFUSED.items():
        newest.do(CLEAN)
        with pytest.raises(LuaError):
            newest.eval(HEAD + text)
        refusals = newest.do("return fake.refusals")
        assert refusals, text
        assert why in refusals[0], text
    newest.do(CLEAN)


def test_what_is_left_open_is_refused(newest: Reaper) -> None:
    for text, (why, mend) in STILL_OPEN.items():
        newest.do(CLEAN)
        newest.eval(HEAD + text)
        assert any(why in refusal for refusal in newest.do("return fake.refusals")), text
        newest.do(f"{mend} fake.refusals = {{}}")


def test_a_caught_refusal_still_fails_the_check(newest: Reaper) -> None:
    newest.eval("pcall(reaper.CountTracks, 'x') pcall(function() return reaper.NoSuch end)")
    with pytest.raises(AssertionError, match="ReaProject expected"):
        newest.check(notes=False)
    newest.do("fake.refusals = {}")


def test_each_version_knows_what_it_had(interpreter: str, tmp_path: Path) -> None:
    came = {
        "CountTracks": "5.62",
        "set_action_options": "7.03",
        "InsertTrackInProject": "7.18",
        "GetRegionOrMarker": "7.62",
        "AddRegionOrMarker": "7.72",
    }
    for version in ("6.19", "7.0", "7.61", "7.62", "7.72"):
        with Reaper(interpreter, version, tmp_path / version) as reaper:
            for name, since in came.items():
                there = float(version) >= float(since)
                assert reaper.eval(f"return reaper.APIExists('{name}')") is there
                ok = reaper.eval(f"return (pcall(function() return reaper.{name} end))")
                assert ok is there, (version, name)
            assert reaper.eval("return reaper.GetAppVersion()") == f"{version}/linux-x86_64"
            if version == "6.19":
                for text in ("'I_FREEMODE', 2", "'C_LANEPLAYS:0', 1"):
                    reaper.do("keep.p = user.open('') user.track(keep.p, 'x')")
                    with pytest.raises(LuaError, match=r"came with 7\.0"):
                        reaper.eval(f"reaper.SetMediaTrackInfo_Value(reaper.GetTrack(0, 0), {text})")


def test_numbers_are_what_each_version_makes_of_them(oldest: Reaper, newest: Reaper) -> None:
    kinds = (
        "local _, notes = reaper.MIDI_CountEvts(midi) local _, _, _, start, _, _, pitch = reaper.MIDI_GetNote(midi, 0) "
        "return { math.type(reaper.CountTracks(p)), math.type(notes), math.type(start), math.type(pitch), "
        "math.type(reaper.GetMediaItemInfo_Value(item, 'I_CURTAKE')), type(tr), type(reaper.new_array(2)) }"
    )
    assert oldest.eval(HEAD + kinds) == ["integer", "float", "float", "float", "float", "userdata", "userdata"]
    assert newest.eval(HEAD + kinds) == ["integer", "integer", "float", "integer", "float", "userdata", "userdata"]


IMGUI_REFUSED = {
    "reaper.ImGui_Text(ctx, 'x')": "outside of Begin and End",
    "reaper.ImGui_End(ctx)": "outside of Begin and End",
    "reaper.ImGui_Begin(ctx, '')": "without a name",
    "reaper.ImGui_Begin(ctx, 'w') reaper.ImGui_Begin(ctx, 'v')": "inside of another",
    "reaper.ImGui_Begin(ctx, 'w') for _ = 1, 2 do reaper.ImGui_Button(ctx, 'OK') end": "two widgets",
    "reaper.ImGui_Begin(ctx, 'w') reaper.ImGui_Button(ctx, '')": "without a label",
    "reaper.ImGui_Begin(ctx, 'w') reaper.ImGui_Checkbox(ctx, 'a', 1)": "boolean expected",
    "reaper.ImGui_Begin(ctx, 'w') reaper.ImGui_InputInt(ctx, 'a', 1.5)": "no integer representation",
    "reaper.ImGui_Begin(ctx, 'w') reaper.ImGui_ProgressBar(ctx, 2)": "ImGui_ProgressBar: 2",
    "reaper.ImGui_Begin({}, 'w')": "ImGui_Context expected",
}


def test_reaimgui_is_as_strict(interpreter: str, tmp_path: Path) -> None:
    with Reaper(interpreter, "7.62", tmp_path / "without") as reaper:
        assert reaper.eval("return reaper.APIExists('ImGui_Begin')") is False
        with pytest.raises(LuaError, match="came with an extension"):
            reaper.eval("reaper.ImGui_CreateContext('x')")
    with Reaper(interpreter, "7.62", tmp_path / "with", imgui=True) as reaper:
        for text, why in IMGUI_REFUSED.items():
            reaper.do("fake.refusals, fake.crashes, fake.imgui_hand.contexts = {}, {}, {}")
            with pytest.raises(LuaError):
                reaper.eval("local ctx = reaper.ImGui_CreateContext('x') " + text)
            assert why in reaper.do("return fake.refusals")[0], text
        reaper.do("fake.refusals = {}")
        reaper.eval("reaper.ImGui_Begin(reaper.ImGui_CreateContext('x'), 'w')")
        assert "ImGui_Begin without ImGui_End" in reaper.do("return fake.refusals")[0]
        kept = (
            "local ctx, n = reaper.ImGui_CreateContext('x'), 0 local function l() n = n + 1 "
            "if n == 4 then reaper.ImGui_Begin(ctx, 'w') end reaper.defer(l) end l()"
        )
        reaper.do("fake.run('idle.lua', kept)", kept=kept)
        with pytest.raises(LuaError, match="this one is gone"):
            reaper.tick(5)


def test_colours_are_those_of_the_system(interpreter: str, tmp_path: Path) -> None:
    red = (
        "reaper.Undo_BeginBlock2(0) reaper.InsertTrackAtIndex(0, false) reaper.SetMediaTrackInfo_Value("
        "reaper.GetTrack(0, 0), 'I_CUSTOMCOLOR', reaper.ColorToNative(255, 2, 1) | 0x1000000) "
        "reaper.Undo_EndBlock2(0, 'x', -1) return reaper.ColorToNative(255, 2, 1)"
    )
    found = []
    for system, native in (("Win64", 0x0102FF), ("Other", 0xFF0201)):
        with Reaper(interpreter, "7.62", tmp_path / system, system=system) as reaper:
            assert reaper.eval(red) == native
            found.append([line for line in reaper.dump().splitlines() if "PEAKCOL" in line])
    assert found[0] == found[1] == [f"    PEAKCOL {0x1000000 | 0x0102FF}"]


def test_the_list_is_what_the_documentation_says() -> None:
    if not (REFERENCE / "reaper_functions.tsv").exists():
        pytest.skip(f"no reaper_functions.tsv in {REFERENCE} (STEMBRIDGE_DAW_API names its folder)")
    documented = {}
    for row in (REFERENCE / "reaper_functions.tsv").read_text().splitlines()[1:]:
        name, since, signature = row.split("\t")
        documented[name.removeprefix("lua_")] = (since, signature)
    newer = {}
    for row in SIGNATURES.read_text().splitlines()[1:]:
        name, since, signature = row.split("\t")
        if name in documented:
            assert documented[name] == (since, signature)
        elif not name.startswith("ImGui_"):
            newer[name] = since
    assert all(float(since) > 7 for since in newer.values()), newer
    assert set(newer.values()) == {"7.03", "7.18", "7.62", "7.72"}


def test_both_interpreters_are_there() -> None:
    """A run without them would skip everything above and say nothing."""
    missing = [param.values[0] for param in INTERPRETERS if shutil.which(str(param.values[0])) is None]
    if missing:
        pytest.skip(f"not installed: {missing}")
    for param in INTERPRETERS:
        name = str(param.values[0])
        said = subprocess.run([name, "-v"], capture_output=True, text=True, check=True)
        assert said.stdout.startswith(f"Lua {name.removeprefix('lua')}")


def test_every_function_that_the_script_names_is_in_the_list() -> None:
    known = {row.split("\t")[0] for row in SIGNATURES.read_text().splitlines()[1:]}
    for path in SCRIPTS.rglob("*.lua"):
        named = set(re.findall(r"\breaper\.(\w+)", path.read_text())) | set(
            re.findall(r"\bImGui_\w+", path.read_text())
        )
        assert named <= known, f"{path.name}: {sorted(named - known)}"
