"""The page of a profile: whole, self-contained, and drawn of whatever a clip holds."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from lxml import etree

from bridge.commands.listen import write_page
from bridge.errors import RequestError
from bridge.pages.listen import heard2facts, heard2page
from engine.listen import listen_file
from tests.engine.listen.played_songs import RATE, play, steady
from tests.engine.listen.sounds import noise


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("page") / "song.wav"
    soundfile.write(path, play(steady(100.0, 8)).audio.T, RATE)
    return listen_file(path)


class Balance(HTMLParser):
    """Fails where tags do not close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def drawings(page: str) -> list[Any]:
    """The page's drawings as XML."""
    return [etree.fromstring(found) for found in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]


def test_the_page_is_whole_and_its_own(song: dict[str, Any]) -> None:
    page = heard2page("song.wav", song)
    reader = Balance()
    reader.feed(page)
    assert not reader.open
    assert len(drawings(page)) >= 4
    assert not re.search(r"<script|<link|<img|url\(|@import|src=|href=", page)
    assert set(re.findall(r"https?://[^\"]+", page)) == {"http://www.w3.org/2000/svg"}


def test_beats_and_bars_stand_over_the_waveform(song: dict[str, Any]) -> None:
    waves = drawings(heard2page("song.wav", song))[0]
    bars = [line for line in waves.iter("{*}line") if line.get("class") == "bar"]
    beats = [line for line in waves.iter("{*}line") if line.get("class") == "beat"]
    assert (len(bars), len(beats)) == (len(song["bars"]["downbeats"]), len(song["beats"]))
    width = float(waves.get("viewBox").split()[2])
    at = np.array([float(line.get("x1")) for line in bars])
    assert np.allclose(np.diff(at) / (width - 46 - 18), 2.4 / song["seconds"], atol=0.003)
    assert sum(r.get("class") == "wave" for r in waves.iter("{*}rect")) == len(song["picture"]["waveform"])


def test_a_long_clip_keeps_its_wave_in_sight_and_counts_minutes(song: dict[str, Any]) -> None:
    """Ten minutes have more bars than can be told apart: every fourth or so is drawn, and the page says so."""
    beats = np.arange(0.0, 600.0, 0.6).tolist()
    long = {**song, "seconds": 600.0, "beats": beats, "bars": {**song["bars"], "downbeats": beats[::4]}}
    page = heard2page("long.wav", long)
    waves = drawings(page)[0]
    bars = [float(line.get("x1")) for line in waves.iter("{*}line") if line.get("class") == "bar"]
    every = int(re.findall(r"One bar line in (\d+) is drawn", page)[0])
    assert every > 1
    assert len(bars) == -(-len(beats[::4]) // every)
    assert min(np.diff(bars)) >= 10.0
    assert not [line for line in waves.iter("{*}line") if line.get("class") == "beat"]
    labels = {t.text: float(t.get("x")) for t in waves.iter("{*}text")}
    assert {"0:00", "5:00", "10:00"} <= set(labels)
    assert labels["10:00"] <= 960 - 18
    assert "One bar line" not in heard2page("song.wav", song)


def test_names_are_text_and_never_markup(song: dict[str, Any]) -> None:
    page = heard2page('<img src=x onerror="alert(1)">&.wav', song)
    assert "<img" not in page
    assert "&lt;img" in page


@pytest.mark.parametrize("kind", ["silence", "noise", "one sample", "a click"])
def test_whatever_a_clip_holds_can_be_drawn(tmp_path: Path, kind: str) -> None:
    audio = {
        "silence": np.zeros((RATE, 2)),
        "noise": noise(6.0, rate=RATE),
        "one sample": np.full((1, 1), 0.5),
        "a click": np.eye(1, RATE, 5000).T,
    }[kind]
    path = tmp_path / "clip.wav"
    soundfile.write(path, audio, RATE)
    page = heard2page("clip.wav", listen_file(path))
    drawings(page)
    assert not re.search(r"[^a-z]nan[^a-z]|[^a-z]inf[^a-z]", page)


def test_figures_say_what_was_not_heard(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    soundfile.write(path, np.zeros(RATE), RATE)
    facts = {what: value for what, value, _ in heard2facts(listen_file(path))}
    assert {facts[what] for what in ("Tempo", "Bars", "Swing", "Key", "Loudness")} == {"not heard"}


def test_a_tempo_without_any_confidence_is_not_told_as_one(tmp_path: Path, song: dict[str, Any]) -> None:
    path = tmp_path / "noise.wav"
    soundfile.write(path, noise(6.0, rate=RATE), RATE)
    facts = {what: (value, sure) for what, value, sure in heard2facts(listen_file(path))}
    assert facts["Tempo"][0].startswith("nothing steady") or facts["Tempo"][0] == "not heard"
    assert (facts["Bars"][0], facts["Swing"][0]) == ("not heard", "not heard")
    assert {facts[what][1] for what in ("Tempo", "Bars", "Swing")} == {"confidence 0.00"}
    assert next(value for what, value, _ in heard2facts(song) if what == "Tempo").startswith("100.")


def test_a_page_that_cannot_be_written_is_one_clear_error(tmp_path: Path, song: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="cannot be written"):
        write_page(tmp_path / "nowhere" / "page.html", "song.wav", song)
    with pytest.raises(RequestError, match="audio only"):
        write_page(tmp_path / "page.html", "song.mid", {"kind": "midi"})
    assert not (tmp_path / "page.html").exists()
    write_page(tmp_path / "page.html", "song.wav", song)
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
