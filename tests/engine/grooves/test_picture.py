"""Pictures and sound of grooves, and the command that makes them."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
from PIL import Image

from bridge.cli import main
from bridge.errors import RequestError
from bridge.midifile import read_smf
from engine.grooves import book, groove, realise_bars
from engine.grooves.draw import groove2drawn
from engine.grooves.picture import Box, Text, draw_file, groove2picture
from engine.rehearsal import FORM, groove2rehearsal, rehearsal2audio


@pytest.fixture(autouse=True)
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMBRIDGE_DATA", str(tmp_path / "data"))


def test_a_picture_has_a_box_for_every_note() -> None:
    for name in ("tango", "bulerias", "bebop"):
        g = groove(name)
        picture = groove2picture(g)
        boxes = [s for s in picture.shapes if isinstance(s, Box)]
        assert all(b.x >= 0 and b.x + b.width <= picture.width and b.y + b.height <= picture.height for b in boxes)
        grey = [b for b in boxes if len(set(b.colour)) == 1 and b.height == 8]
        levels = ["intro", "verse", "chorus", "bridge", "ending", *(f"fill {i + 1}" for i in range(len(g.fills)))]
        struck = sum(len(groove2drawn(g, level).parts["drums"]) for level in levels)
        assert len(grey) == struck
        words = {s.words for s in picture.shapes if isinstance(s, Text)}
        assert {"kick", "verse", "chorus"} <= words


def test_pictures_are_written_as_svg_and_png(tmp_path: Path) -> None:
    g = groove("cumbia")
    draw_file(g, tmp_path / "a" / "cumbia.svg")
    root = ElementTree.parse(tmp_path / "a" / "cumbia.svg").getroot()
    assert len(root) == len(groove2picture(g).shapes) + 1
    draw_file(g, tmp_path / "cumbia.png")
    image = Image.open(tmp_path / "cumbia.png")
    assert image.size == (groove2picture(g).width, groove2picture(g).height)
    assert len(image.getcolors(1 << 20) or ()) > 10
    with pytest.raises(RequestError, match="neither"):
        draw_file(g, tmp_path / "cumbia.gif")


def test_an_unknown_level_is_refused() -> None:
    for level in ("refrain", "fill 9", "fill x"):
        with pytest.raises(RequestError, match="no level"):
            groove2drawn(groove("pop"), level)


def test_a_rehearsal_plays_every_level_of_every_groove() -> None:
    for g in book():
        rehearsal = groove2rehearsal(g)
        assert [s.label for s in rehearsal.score.sections] == [level for level, _, _ in FORM]
        drums = rehearsal.score.part("drums").notes
        for section in rehearsal.score.sections:
            assert any(section.start <= n.start < section.end for n in drums), (g.name, section.label)
        chorus = rehearsal.score.sections[2]
        plain = realise_bars(g, "chorus", chorus.bars, rehearsal.score.chords, rehearsal.score.key)["drums"]
        bar = chorus.bars[1]
        played = [(n.start, n.pitch) for n in drums if bar.start <= n.start < bar.end]
        assert played == [(n.start, n.pitch) for n in plain if bar.start <= n.start < bar.end]


def test_the_sound_begins_with_the_drums_and_falls_silent_in_the_stop() -> None:
    g = groove("polka")
    rehearsal = groove2rehearsal(g, 120.0)
    audio = rehearsal2audio(rehearsal, "polka")
    assert audio.shape[0] == 2
    assert float(np.abs(audio).max()) <= 1.0
    mono = np.abs(audio).max(axis=0)
    assert mono[:4800].max() > 0.02
    stop = rehearsal.score.sections[2].bars[-1]
    quarter = 24000
    first = round(stop.start * quarter)
    loud, quiet = mono[first : first + quarter], mono[first + round(1.7 * quarter) : first + 2 * quarter]
    assert float(np.sqrt((quiet**2).mean())) < 0.5 * float(np.sqrt((loud**2).mean()))


def test_the_command_lists_plays_draws_and_adds(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["grooves", "--json"]) == 0
    rows = json.loads(capfd.readouterr().out)["grooves"]
    assert {"name", "title", "metre", "bpm", "tags"} <= rows[0].keys()
    assert [row["name"] for row in rows] == [g.name for g in book()]
    assert main(["grooves", "play", "polka/2", "--out", str(tmp_path / "polka.wav"), "--bpm", "160"]) == 0
    info = soundfile.info(tmp_path / "polka.wav")
    assert (info.samplerate, info.channels) == (48000, 2)
    assert main(["grooves", "play", "polka", "--out", str(tmp_path / "polka.mid")]) == 0
    song = read_smf(tmp_path / "polka.mid")
    assert [text for _, text in song.markers] == [
        "Intro", "Verse", "fill", "Chorus", "stop", "Verse", "pickup", "Bridge", "fill", "Chorus", "Ending",
    ]  # fmt: skip
    assert main(["grooves", "add", str(tmp_path / "polka.mid"), "--name", "village", "--tags", "village"]) == 0
    assert (tmp_path / "data" / "grooves" / "village.groove").is_file()
    capfd.readouterr()
    assert main(["grooves"]) == 0
    assert "village *" in capfd.readouterr().out
    assert main(["grooves", "draw", "village", "--level", "verse"]) == 0
    assert "Village (village) - verse - 2/4" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["play", "nothing", "--out", "x.wav"], "there is no groove 'nothing'"),
        (["play", "pop", "--out", "x.mp3"], "neither .wav nor .mid"),
        (["play", "pop", "--out", "x.wav", "--bpm", "5"], "no tempo"),
        (["draw", "pop", "--out", "x.bmp"], "neither .svg nor .png"),
        (["draw", "pop", "--level", "refrain"], "no level 'refrain'"),
        (["add", "nowhere.mid", "--name", "mine"], "no such MIDI file"),
    ],
)
def test_the_command_refuses_in_words(words: list[str], message: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["grooves", *words]) == 2
    said = capfd.readouterr().err
    assert message in said
    assert "Traceback" not in said
