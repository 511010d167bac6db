"""What a user has and does in Ardour: a session with tempi and ranges, a chord idea, clicks on actions."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mido
import numpy as np
import soundfile
from numpy.typing import NDArray

from tests.daw.rig import HERE, Action, Ardour, Home, export_mix, lua_quote, run_headless

SCRIPTS = HERE.parents[1] / "daw_scripts" / "ardour"
VERBS = {
    "generate": "Generate band",
    "cancel": "Cancel",
    "reroll": "Re-roll selection",
    "continue": "Continue",
    "match": "Match reference",
    "next": "Next take",
}
ACTIONS = [Action(f"stembridge: {title}", SCRIPTS / f"stembridge_{name}.lua") for name, title in VERBS.items()]
HOOKS = [Action("stembridge", SCRIPTS / "stembridge.lua")]
GENERATE, CANCEL, REROLL, CONTINUE, MATCH, NEXT = (
    f'Editor:access_action("LuaAction", "script-{i}")' for i in range(1, len(VERBS) + 1)
)
RATE = 48_000
TICKS = 1920

TEMPI = ((0, 97.0), (20, 133.0))
RANGES = (("Intro", 4, 20), ("Verse", 20, 36), ("Chorus", 36, 52))
CHORDS = ((57, 60, 64), (53, 57, 60), (48, 52, 55), (55, 59, 62))
USE = f"local use = assert(loadfile({lua_quote(str(SCRIPTS / 'stembridge/use.lua'))}))()({lua_quote(f'{SCRIPTS}/')}) "


def write_chords(path: Path) -> None:
    """The user's idea: four bars of chords, Am F C G."""
    song = mido.MidiFile(ticks_per_beat=480)
    track = mido.MidiTrack()
    song.tracks.append(track)
    track.append(mido.MetaMessage("track_name", name="Chord idea", time=0))
    for chord in CHORDS:
        for pitch in chord:
            track.append(mido.Message("note_on", note=pitch, velocity=90, time=0))
        for i, pitch in enumerate(chord):
            track.append(mido.Message("note_off", note=pitch, velocity=0, time=0 if i else 4 * 480))
    song.save(path)


def make_session(
    home: Home,
    tempi: Sequence[tuple[float, float]] = TEMPI,
    ranges: Sequence[tuple[str, float, float]] = RANGES,
    metres: str = "",
) -> Path:
    """A session without tracks. Its ranges begin and end on the samples that Ardour gives the beats."""
    folder = home.root / "song"
    run_headless(
        home,
        HERE / "make_session.lua",
        SESSION_DIR=str(folder),
        TEMPI=" ".join(f"{beat}:{bpm}" for beat, bpm in tempi),
        METRES=metres,
        RATE=str(home.rate),
        RANGES=" ".join(f"{name}:{a}:{b}" for name, a, b in ranges),
    )
    return folder


def as_the_user(daw: Ardour, chords: Path) -> None:
    """Imports the chord idea at the verse, names its track, sets a marker for the key: what a user does by hand."""
    daw.run(
        f"""
        local files = C.StringVector()
        files:push_back({lua_quote(str(chords))})
        Editor:do_import(files, Editing.ImportDistinctFiles, Editing.ImportAsTrack, ARDOUR.SrcQuality.SrcBest,
          ARDOUR.MidiTrackNameSource.SMFTrackName, ARDOUR.MidiTempoMapDisposition.SMFTempoIgnore,
          Temporal.timepos_t.from_ticks({20 * TICKS}), ARDOUR.PluginInfo(), ARDOUR.Track(), false)
        for route in Session:get_tracks():iter() do route:set_name("Rhodes idea") end
        Editor:add_location_mark(Temporal.timepos_t(0))
        for place in Session:locations():list():iter() do
          if place:is_mark() then place:set_name("key=Am") end
        end
        Session:save_state("")
        """
    )


def survey(daw: Ardour) -> dict[str, Any]:
    """All tracks by name."""
    tracks = json.loads(daw.run(USE + f"return assert(loadfile({lua_quote(str(HERE / 'survey.lua'))}))(use)"))
    return {track["name"]: track for track in tracks}


def status(session: Path) -> dict[str, Any]:
    path = session / "stembridge" / "status.json"
    return json.loads(path.read_bytes()) if path.exists() else {}


RANGE_BORDERS = """
    local out = {}
    for place in Session:locations():list():iter() do
      if place:is_range_marker() then
        out[#out + 1] = place:name() .. "=" .. place:start():samples() .. "=" .. place:_end():samples()
      end
    end
    return table.concat(out, " ")
"""


def borders(daw: Ardour) -> dict[str, tuple[int, int]]:
    """First sample and end of each range, as Ardour says."""
    items = (item.split("=") for item in daw.run(RANGE_BORDERS).split())
    return {name: (int(start), int(end)) for name, start, end in items}


def bend_tempo(file: Path, start: float, end: float, bpm: tuple[float, float]) -> None:
    """Makes a ramp of the session's second tempo, as a user does by dragging: Ardour's Lua cannot.

    Ardour's ramp is linear in beats: omega is the slope of 1 / (superclock ticks a quarter note).
    """
    second = 282_240_000
    ticks = [second * 60 / b for b in bpm]
    omega = (1 / ticks[1] - 1 / ticks[0]) / (end - start)
    text = file.read_text()
    points = re.findall(r"<Tempo .*?/>", text)
    at = int(re.findall(r'sclock="(\d+)"', points[1])[0])
    late = round(at + math.log1p(ticks[0] * omega * (end - start)) / omega)
    ramped = re.sub(r'npm="[\d.]+" enpm="[\d.]+"', f'npm="{bpm[0]}" enpm="{bpm[1]}"', points[1])
    ramped = ramped.replace("Tempo::Constant", "Tempo::Ramped").replace('omega="0"', f'omega="{omega!r}"')
    text = text.replace(points[1], ramped)
    file.write_text(text.replace(points[2], re.sub(r'sclock="\d+"', f'sclock="{late}"', points[2])))


# After the tempo was bent; the first range begins between two ticks, as one drawn without snapping does.
MOVE_RANGES = """
    local function at(beat) return Temporal.timepos_t.from_ticks(beat * 1920) end
    local new = {
      Intro = { Temporal.timepos_t(12345), at(16) }, Verse = { at(16), at(32) }, Refrain = { at(32), at(41) },
    }
    for place in Session:locations():list():iter() do
      local span = new[place:name()]
      if span then place:set(span[1], span[2]) end
    end
"""


CLICK = """
    local shown = {}
    local here = setmetatable({ LuaDialog = {
      MessageType = LuaDialog.MessageType, ButtonType = LuaDialog.ButtonType,
      Message = function(_, text) return { run = function() shown[#shown + 1] = text end } end,
      Dialog = function() return { run = function() return ANSWER end } end,
    } }, { __index = _ENV })
    local function use(name)
      local path = FOLDER .. "stembridge/" .. name .. ".lua"
      if not io.open(path) then path = FOLDER .. "../lua/" .. name .. ".lua" end
      local chunk = assert(loadfile(path, "t", here))()
      return type(chunk) == "function" and chunk(use) or chunk
    end
    use("wish")[WHAT]()
    return table.concat(shown, "|")
"""


def click(daw: Ardour, what: str, answer: str = "nil") -> str:
    """What an action says: its own code inside Ardour, with windows that close themselves. `answer` (Lua): what the
    user fills into its dialog."""
    folder = lua_quote(f"{SCRIPTS}/")
    return daw.run(CLICK.replace("FOLDER", folder).replace("WHAT", lua_quote(what)).replace("ANSWER", answer))


def import_audio(daw: Ardour, path: Path, track: str, sample: int, cut: int) -> None:
    """Puts a sound without fades on a track of that name at `sample` and cuts `cut` samples off its front."""
    daw.run(
        f"""
        local files, before = C.StringVector(), {{}}
        files:push_back({lua_quote(str(path))})
        for route in Session:get_tracks():iter() do before[route:name()] = true end
        Editor:do_import(files, Editing.ImportDistinctFiles, Editing.ImportAsTrack, ARDOUR.SrcQuality.SrcBest,
          ARDOUR.MidiTrackNameSource.SMFTrackName, ARDOUR.MidiTempoMapDisposition.SMFTempoIgnore,
          Temporal.timepos_t({sample}), ARDOUR.PluginInfo(), ARDOUR.Track(), false)
        for route in Session:get_tracks():iter() do
          if not before[route:name()] then
            for region in route:to_track():playlist():region_list():iter() do
              if {cut} > 0 then region:trim_front(Temporal.timepos_t({sample + cut})) end
              region:to_audioregion():set_fade_in_active(false)
              region:to_audioregion():set_fade_out_active(false)
            end
            route:set_name({lua_quote(track)})
          end
        end
        Session:save_state("")
        """
    )


def select_bars(daw: Ardour, start: float, end: float) -> None:
    """Selects time: the user drags with the range tool. Here by way of the loop, which can be set to exact beats."""
    daw.run(
        f"""
        local function at(beat) return Temporal.timepos_t.from_ticks(math.floor(beat * {TICKS})) end
        Editor:set_loop_range(at({start}), at({end}), "loop")
        Editor:access_action("Editor", "select-loop-range")
        """
    )


def select_track(daw: Ardour, name: str) -> None:
    """Clicks on a track's header."""
    daw.run(
        f"""
        for _ = 1, 100 do
          Editor:access_action("Editor", "select-next-route")
          if Session:route_by_name({lua_quote(name)}):is_selected() then return end
        end
        error("the track cannot be selected")
        """
    )


def select_region(daw: Ardour, track: str) -> None:
    """Clicks on the first region of a track."""
    daw.run(
        f"""
        local regions = ArdourUI.SelectionList()
        for region in Session:route_by_name({lua_quote(track)}):to_track():playlist():region_list():iter() do
          regions:push_back(Editor:regionview_from_region(region))
          break
        end
        Editor:set_selection(regions, ArdourUI.SelectionOp.Set)
        """
    )


def let_go(daw: Ardour) -> None:
    """Selects nothing."""
    daw.run("Editor:deselect_all()")


def save_up_to(daw: Ardour, end: int) -> None:
    """Makes the session's range, which an export renders, the one from sample 0 to `end`; and saves."""
    daw.run(
        "local whole = Session:locations():session_range_location() "
        f"whole:set_start(Temporal.timepos_t(0), false) whole:set_end(Temporal.timepos_t({end}), false) "
        'Session:save_state("")'
    )


def read_mix(home: Home, session: Path, samples: int) -> NDArray[np.float64]:
    """The session's mix [samples, 2], rendered by Ardour."""
    path = home.root / "mix.wav"
    export_mix(home, session, "song", path, samples)
    mix, rate = soundfile.read(path, always_2d=True)
    assert rate == home.rate
    return np.asarray(mix)
