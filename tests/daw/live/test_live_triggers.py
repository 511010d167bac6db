"""How the band is called: notes and controllers, names of clips, OSC from outside; and the settings behind them."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from stembridge import settings, wishes
from stembridge.trouble import Trouble
from stembridge.wishes import Names, Wish

from bridge.arrangement import LABELS, ROLES
from bridge.transport.osc_packet import message2packet, packet2messages
from tests.daw.live.conftest import Opener
from tests.daw.live.desk import NoiseEngine
from tests.daw.live.fake_live import FakeLive, Host
from tests.daw.live.test_live_scenarios import FRESH, GENERATE, REROLL, done, press, song

NAMES = Names(["Intro", "Verse 1", "Drop it"], ["drums", "bass", "Guitar 2"])


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("/gen", Wish("generate")),
        ("/gen drums chorus", Wish("generate", ("drums",), ("chorus",))),
        ("  /GEN Bass, Drums: dusty, slow ", Wish("generate", ("bass", "drums"), (), "dusty, slow")),
        ("/gen verse 1", Wish("generate", (), ("verse 1",))),
        ("/gen piano drop it", Wish("generate", ("keys",), ("drop it",))),
        ("/reroll guitar 2 intro", Wish("reroll", ("guitar 2",), ("intro",))),
        ("/add Gitarre", Wish("add", ("guitar",))),
        ("/continue refrain", Wish("continue", (), ("chorus",))),
        ("/take", Wish("take")),
        ("/stop", Wish("cancel")),
        ("Bass /gen", None),
        ("/", None),
        ("", None),
    ],
)
def test_words(text: str, wish: Wish | None) -> None:
    assert wishes.text2wish(text, NAMES) == wish


@pytest.mark.parametrize("text", ["/play", "/gen drmus", "/gen drums chrous"])
def test_words_that_are_not_known(text: str) -> None:
    with pytest.raises(Trouble, match=r"is no command|is neither a stem"):
        wishes.text2wish(text, NAMES)


def test_every_role_and_label_can_be_typed() -> None:
    for role in ROLES:
        assert wishes.words2wish("generate", role, Names()).stems == (role,)
    for label in LABELS:
        assert wishes.words2wish("generate", label, Names()).sections == (label,)


def test_the_map_is_what_the_settings_say(project: Path, runtime: Path, open_set: Opener) -> None:
    host = open_set(song("12.3.0", project))
    usual = {("cc", 15, 20 + i) for i in range(7)} | {("note", 15, 36 + i) for i in range(7)}
    assert set(host.instance._map) == usual
    host = open_set(song("12.3.0", project), midi_channel=2, midi_cc={"generate": 99}, midi_note={"cancel": 0})
    assert {("cc", 1, 99), ("note", 1, 0)} <= set(host.instance._map)


def test_notes_and_controllers() -> None:
    known = wishes.triggers(settings.DEFAULTS)
    for data, verb in (
        ((0xBF, 20, 127), "generate"), ((0xBF, 26, 64), "cancel"), ((0x9F, 36, 1), "generate"),
        ((0x9F, 41, 90), "take"),
        ((0xBF, 20, 63), None), ((0x9F, 36, 0), None), ((0x8F, 36, 64), None), ((0xB0, 20, 127), None), ((0xF8,), None),
        ((0xBF, 27, 127), None), ((0xF0, 1, 2, 0xF7), None), ((), None),
    ):  # fmt: skip
        assert wishes.midi2verb(data, known) == verb


def test_a_note_generates(project: Path, noise: NoiseEngine, open_set: Opener) -> None:
    live = song("11.3.25", project)
    host = open_set(live, sample_rate=8000)
    host.run_until(lambda: host.said("The engine is there"))
    host.script.receive_midi((0x9F, 36, 100))
    host.run_until(done(host, 1))
    assert live.names == ["1-MIDI", "Rhodes", *FRESH]


def test_a_clip_s_name_is_a_command(version: str, project: Path, noise: NoiseEngine, open_set: Opener) -> None:
    live = song(version, project)
    clip = live.user_midi(live.named("1-MIDI"), 8.0, 4.0)
    live.user_names_clip(clip, "/gen bass")
    live.view.values["detail_clip"] = clip
    host = open_set(live, sample_rate=8000)
    host.run_until(lambda: host.said("The engine is there"))
    for _ in range(5):
        host.tick()
    assert not host.script._band.busy
    live.user_names_clip(clip, "/gen drums: dusty")
    host.run_until(done(host, 1))
    (asked,) = noise.requests
    assert [(s.name, s.start, s.end) for s in asked.arrangement.sections] == [("Verse 1", 8.0, 12.0)]
    assert [stem.role for stem in asked.stems] == ["drums"]
    assert asked.style == "dusty"
    assert clip.values["name"] == "/gen drums: dusty"
    live.user_names_clip(clip, "/gen drums chorus")
    host.run_until(done(host, 2))
    assert [(s.name, s.start) for s in noise.requests[1].arrangement.sections] == [("Chorus", 16.0)]
    live.user_names_clip(clip, "/gen drums chrous")
    host.run_until(lambda: host.said("'chrous' is neither a stem"))
    live.user_names_clip(clip, "/reroll drums")
    host.run_until(done(host, 3))
    scope = noise.requests[2].scope
    assert scope is not None
    assert (scope.take, scope.stems, scope.start) == (f"{noise.requests[0].job}/take-1", ("drums",), 8.0)
    live.user_loop(100.0, 108.0)
    host.press(REROLL)
    host.run_until(lambda: host.said("The loop lies outside the take (beats 8 to 12)"))
    assert live.touched == []


@pytest.fixture
def phone() -> Iterator[socket.socket]:
    """A phone with TouchOSC on it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        one.setblocking(False)
        yield one


def send(phone: socket.socket, host: Host, address: str, tags: str = "", *values: object) -> None:
    packet = message2packet(f"/stembridge/live{address}", tags, values)
    phone.sendto(packet, ("127.0.0.1", host.script._remote.port))


def told(phone: socket.socket) -> list[tuple[str, list[object]]]:
    found: list[tuple[str, list[object]]] = []
    while True:
        try:
            message = packet2messages(phone.recv(8192))[0]
        except BlockingIOError:
            return found
        found.append((message.address, message.values))


def test_osc_from_outside(project: Path, noise: NoiseEngine, open_set: Opener, phone: socket.socket) -> None:
    live = song("12.0.5", project)
    host = open_set(live, sample_rate=8000)
    host.run_until(lambda: host.said("The engine is there"))
    phone.sendto(b"\x00garbage", ("127.0.0.1", host.script._remote.port))
    send(phone, host, "/style", "s", "lo-fi, warm")
    send(phone, host, "/stems", "s", "bass guitar")
    send(phone, host, "/seed", "f", 7.0)
    send(phone, host, "/generate", "f", 1.0)
    send(phone, host, "/generate", "f", 0.0)
    host.run_until(done(host, 1))
    (asked,) = noise.requests
    assert (asked.style, asked.seed, [stem.role for stem in asked.stems]) == ("lo-fi, warm", 7, ["bass", "guitar"])
    heard = told(phone)
    assert any(address == "/stembridge/live/progress" for address, _ in heard)
    assert any("Done: bass, guitar" in str(values) for _, values in heard)
    assert json.loads(live.data["stembridge"])["settings"] == {
        "style": "lo-fi, warm", "stems": ["bass", "guitar"], "seed": 7,
    }  # fmt: skip
    send(phone, host, "/reroll", "s", "bass chorus: louder")
    host.run_until(done(host, 2))
    again = noise.requests[1]
    assert again.scope is not None
    assert (again.scope.sections, again.scope.stems, again.style) == (("Chorus",), ("bass",), "louder")
    for address, tags, values, text in (
        ("/takes", "i", [99], "'99' cannot be the setting 'takes'"),
        ("/stems", "s", ["kazoo"], "'kazoo' cannot be the setting 'stems'"),
        ("/seed", "", [], "cannot be the setting 'seed'"),
        ("/dance", "", [], "OSC address /dance is not known"),
        ("/generate", "s", ["kazoo"], "'kazoo' is neither a stem"),
        ("/status", "", [], "Ready."),
    ):
        send(phone, host, address, tags, *values)
        answers: list[str] = []

        def has_come(text: str = text, answers: list[str] = answers) -> bool:
            answers.extend(str(values) for _, values in told(phone))
            return any(text in answer for answer in answers)

        host.run_until(has_come)


def test_settings_of_the_user(tmp_path: Path) -> None:
    assert settings.load(str(tmp_path)) == (settings.DEFAULTS, [])
    path = tmp_path / settings.FILE
    path.write_text('{"style": "dub", "midi_cc": {"generate": 1}, "seed": -1, "nonsense": 2, "versions": "lanes"}')
    found, wrong = settings.load(str(tmp_path))
    assert (found["style"], found["seed"], found["versions"]) == ("dub", 0, "lanes")
    assert found["midi_cc"] == {**settings.DEFAULTS["midi_cc"], "generate": 1}
    assert len(wrong) == 2
    for damaged in ("{", "[]", "\xff", "[" * 100_000):
        path.write_text(damaged, encoding="latin-1")
        found, wrong = settings.load(str(tmp_path))
        assert found == settings.DEFAULTS
        assert len(wrong) == 1


def test_warnings_stay_in_sight(project: Path, runtime: Path, open_set: Opener) -> None:
    host = open_set(song("12.3.0", project), speed=50.0)
    host.tick()
    host.press(GENERATE)
    host.run_until(lambda: sum("not running" in text for text in host.instance._shown) >= 3)
    assert sum("not running" in line for line in host.logged) == 1


def test_pressing_twice_asks_once(project: Path, noise: NoiseEngine, open_set: Opener) -> None:
    live = song("12.3.0", project)
    host = open_set(live, sample_rate=8000)
    host.run_until(lambda: host.said("The engine is there"))
    host.press(GENERATE)
    press(host, GENERATE)
    assert len(noise.requests) == 1


def test_an_unsaved_set(noise: NoiseEngine, open_set: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "temporary"))
    live = FakeLive("12.3.0")
    live.user_loop(0.0, 8.0)
    live.user_midi(live.user_track("Keys"), 0.0, 8.0, (60, 0.0, 1.0))
    host = open_set(live, sample_rate=8000, stems=["bass"])
    press(host, GENERATE)
    (asked,) = noise.requests
    assert asked.project.root == ""
    assert host.said("The set is not saved yet")
    assert (tmp_path / "temporary" / "stembridge" / "requests" / f"{asked.job}.json").is_file()
