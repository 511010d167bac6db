"""The window, drawn by gfx or by ReaImGui, driven by its scripted mouse and keyboard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.daw.reaper.studio import ENDS, Studio, check_landed


def texts(studio: Studio) -> list[str]:
    """What stands in the window."""
    studio.reaper.tick(2)
    found = studio.reaper.do("local t = {} for i, one in ipairs(window.texts) do t[i] = one.text end return t")
    return list(found or [])


def click(studio: Studio, label: str) -> None:
    """A click on a text of the last frame: move, press, release."""
    studio.reaper.tick(2)
    studio.reaper.do("window.click(label)", label=label)
    studio.reaper.tick(4)


def settings(studio: Studio) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(studio.reaper.do("return keep.p.state.ext.STEMBRIDGE.SETTINGS"))
    return found


@pytest.fixture
def window(studio: Studio) -> Iterator[Studio]:
    """A project with two regions and the window open."""
    studio.regions(("Verse 1: sparse", 0, 4), ("Chorus", 4, 8))
    studio.run("window")
    studio.reaper.tick(10)
    yield studio
    studio.reaper.do("window.close()")
    studio.reaper.tick(3)
    assert "stembridge_window.lua" not in str(studio.reaper.do("return fake.running()"))
    assert studio.reaper.do("return window.open") is False


@ENDS
def test_it_shows_the_song(window: Studio) -> None:
    shown = texts(window)
    assert "song" in shown
    assert "Verse 1 (verse, 8 beats): sparse" in shown
    assert "Chorus (chorus, 8 beats)" in shown
    assert any("not running" in text for text in shown)
    assert {"[x] drums", "[x] bass", "[  ] keys"} <= set(shown)
    window.regions(("Outro", 8, 10))
    window.reaper.tick(60)
    assert "Outro (outro, 4 beats)" in texts(window)


@ENDS
def test_nothing_stands_outside_or_over_another(window: Studio) -> None:
    window.reaper.tick(3)
    shown = window.reaper.do("return window.texts")
    width = 560
    for i, one in enumerate(shown):
        assert not one["outside"], one
        assert not one["clipped"], one
        assert one["x"] + one["w"] <= width, one
        for other in shown[i + 1 :]:
            apart = (
                one["x"] + one["w"] <= other["x"] + 0.5
                or other["x"] + other["w"] <= one["x"] + 0.5
                or one["y"] + one["h"] <= other["y"] + 0.5
                or other["y"] + other["h"] <= one["y"] + 0.5
            )
            assert apart, (one, other)


@ENDS
def test_a_message_is_shown_to_its_end(window: Studio) -> None:
    names = ["A long name " * 6, "Another name " * 6]
    window.regions((names[0], 10, 14), (names[1], 12, 16))
    window.reaper.tick(60)
    told = " ".join(texts(window))
    assert "overlap" in told
    assert told.count("work on.") == 1
    click(window, "Generate band")
    window.finish()
    assert " ".join(texts(window)).count("work on.") == 2, "in the list of messages, too"


@ENDS
def test_a_band_by_mouse_alone(window: Studio) -> None:
    with window.engine() as engine:
        click(window, "[x] bass")
        click(window, "[  ] lead")
        assert {role for role, wanted in settings(window)["stems"].items() if wanted} == {"drums", "lead"}
        click(window, "Style: ")
        window.reaper.do("window.type('süß ♥') window.press(8) window.type('funk') window.press(13)")
        window.reaper.tick(4)
        click(window, "Seed: ")
        window.reaper.do("window.press(8) window.type('42') window.press(13)")
        window.reaper.tick(4)
        click(window, "Generate band")
        window.reaper.until(lambda: any("2 stems landed" in text for text in texts(window)), what="the message")
        (request,) = engine.requests
        assert ([s.role for s in request.stems], request.style, request.seed) == (["drums", "lead"], "süß funk", 42)
        for stem in engine.stems:
            check_landed(window.takes(), stem)
        window.finish()
    assert window.steps() == ["stembridge: Generate band"]
    assert window.reaper.do("return #fake.console") == 0, "what the window shows need not be in the console"


@ENDS
def test_a_field_is_left_as_it_was(window: Studio) -> None:
    click(window, "Style: ")
    window.reaper.do("window.type('no') window.press(27)")
    window.reaper.tick(4)
    assert "Style: " in texts(window)
    click(window, "Takes: ")
    window.reaper.do("window.type('99999') window.press(13)")
    window.reaper.tick(4)
    assert "Takes: 8" in texts(window)
    click(window, "Seed: ")
    window.reaper.do("window.type('x') window.press(13)")
    window.reaper.tick(4)
    assert "Seed: 0" in texts(window)


@ENDS
def test_progress_and_cancel(window: Studio) -> None:
    with window.engine(hold_after=1):
        click(window, "Generate band")
        window.reaper.until(lambda: "drums: on its track" in texts(window))
        window.reaper.until(lambda: any(text.startswith("Generate band  50 %") for text in texts(window)))
        assert "bass: waiting" in texts(window)
        click(window, "Cancel")
        window.reaper.until(lambda: any("Cancelled" in text for text in texts(window)))
        window.finish()


@ENDS
def test_a_reference_is_chosen(window: Studio) -> None:
    clip = window.song / "clip ♥.wav"
    window.reaper.do("fake.answer('GetUserFileNameForRead', path)", path=clip)
    click(window, "Choose clip")
    assert settings(window)["reference"] == str(clip)
    assert any(text.startswith("Reference: ") and "clip" in text for text in texts(window)) or len(str(clip)) > 90
    click(window, "No reference")
    assert settings(window)["reference"] == ""
    window.reaper.do("fake.answer('GetUserFileNameForRead', nil)")
    click(window, "Choose clip")
    assert settings(window)["reference"] == ""


@ENDS
def test_the_chosen_reference_is_matched(window: Studio) -> None:
    clip = window.song / "clip.wav"
    soundfile.write(clip, np.zeros(8000, dtype=np.float32), 8000)
    with window.engine() as engine:
        click(window, "Generate band")
        window.finish()
        click(window, "Match reference")
        window.finish()
        assert any("No audio item is selected" in text for text in texts(window))
        window.reaper.do("fake.answer('GetUserFileNameForRead', path)", path=clip)
        click(window, "Choose clip")
        click(window, "Match reference")
        window.finish()
        first, again = engine.requests
        assert [reference.audio for reference in again.arrangement.references] == [str(clip)]
        assert again.scope is not None
        assert (again.scope.take, again.scope.notes) == (f"{first.job}/take-1", "keep")


@ENDS
def test_a_part_is_added_by_the_window(window: Studio) -> None:
    with window.engine() as engine:
        click(window, "Generate band")
        window.finish()
        click(window, "Part: ")
        window.reaper.do("for _ = 1, 6 do window.press(8) end window.type('strings') window.press(13)")
        window.reaper.tick(4)
        click(window, "Add part")
        window.finish()
        assert [stem.role for stem in engine.requests[-1].stems] == ["drums", "bass", "strings"]


@ENDS
def test_the_tab_changes_under_the_window(window: Studio) -> None:
    window.open("other", "q", {"stems": {"pad": True}, "style": "calm"})
    window.reaper.do("keep.q.state.ext.STEMBRIDGE.ID = 'other'")
    window.reaper.tick(60)
    shown = texts(window)
    assert {"other", "Style: calm", "[x] pad", "[  ] drums"} <= set(shown)
    assert any("Nothing is marked" in text for text in shown)
    window.reaper.do("user.switch(keep.p)")
    window.reaper.tick(60)
    assert "song" in texts(window)


@ENDS
def test_idle_frames_cost_little(window: Studio) -> None:
    window.reaper.do("for i = 1, 300 do user.region(keep.p, 'Part ' .. i, 8 + i, 9 + i) end")
    window.reaper.tick(90)
    window.reaper.do("fake.worst = {}")
    window.reaper.tick(90)
    worst = window.reaper.do("return fake.worst")
    assert worst["virtual"] < 0.002, worst


@ENDS
def test_a_second_start_closes_it(studio: Studio) -> None:
    studio.run("window")
    studio.reaper.tick(3)
    if float(studio.version) >= 7.03:
        studio.run("window")
        studio.reaper.tick(3)
    else:
        studio.reaper.do("window.close()")
        studio.reaper.tick(3)
    assert studio.reaper.do("return { #fake.running(), window.open }") == [0, False]


@pytest.mark.parametrize("interpreter", ["lua5.3", "lua5.4"])
def test_the_same_by_reaimgui(interpreter: str, tmp_path: Path) -> None:
    with Studio(tmp_path, interpreter, "7.62", imgui=True) as desk, desk.engine() as engine:
        desk.open()
        desk.regions(("Verse", 0, 4))
        desk.run("window")
        desk.reaper.tick(30)
        shown = desk.reaper.do("return fake.imgui_hand.shown")
        assert {"song", "Verse (verse, 8 beats)", "drums", "Generate band", "Style", "Seed"} <= set(shown)
        desk.reaper.do(
            "local hand = fake.imgui_hand hand.enter('Style', 'süß') hand.enter('bass', false) hand.enter('Seed', 7) "
            "hand.enter('Takes', 99)"
        )
        desk.reaper.tick(3)
        kept = settings(desk)
        assert (kept["style"], kept["seed"], kept["takes"]) == ("süß", 7, 8)
        desk.reaper.do("fake.imgui_hand.enter('Takes', 1)")
        desk.reaper.tick(2)
        desk.reaper.do("fake.imgui_hand.press('Generate band')")
        desk.finish()
        (request,) = engine.requests
        assert ([s.role for s in request.stems], request.style, request.seed, request.takes) == (["drums"], "süß", 7, 1)
        check_landed(desk.takes(), engine.stems[0])
        assert any("1 stem landed" in text for text in desk.reaper.do("return fake.imgui_hand.shown"))
        desk.reaper.do("fake.imgui_hand.collapsed = true")
        desk.reaper.tick(3)
        desk.reaper.do("fake.imgui_hand.collapsed = false fake.imgui_hand.close()")
        desk.reaper.tick(3)
        assert "stembridge_window.lua" not in str(desk.reaper.do("return fake.running()"))
        desk.reaper.check()
