"""`doctor` on everything that can be wrong between a DAW and the engine: each is found, and says how to mend it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path, PurePosixPath

import msgspec
import pytest

import bridge
from bridge import VERSION
from bridge.commands.demo import DEMO
from bridge.commands.doctor import PACKAGES, demo_song
from bridge.errors import RequestError
from bridge.install.health import (
    any_installed,
    engine_findings,
    live_port,
    mailbox_findings,
    place_state,
    script_findings,
    token_findings,
)
from bridge.install.places import Place, Surroundings
from bridge.install.scripts import Record, install, record_path
from bridge.install.sources import load_source, read_stamp, scripts_folder
from bridge.messages import PROTOCOL
from bridge.transport.endpoint import Endpoint, Ports, write_endpoint
from bridge.transport.mailbox import Heartbeat
from bridge.validate import raw2request
from tests.daw.lua import INTERPRETERS, run_lua


def told(findings: list[tuple[str, bool, str]]) -> str:
    """What is wrong, in one text."""
    return "\n".join(f"{what}: {detail}" for what, ok, detail in findings if not ok)


def running(folder: Path, **changes: object) -> Endpoint:
    """The files of an engine that runs well."""
    mailbox = folder / "data/mailbox"
    (mailbox / "requests").mkdir(parents=True)
    mailbox.chmod(0o700)
    endpoint = Endpoint(4711, VERSION, PROTOCOL, "t", Ports(1, 2, 3, 4), str(mailbox), str(folder / "log"))
    endpoint = msgspec.structs.replace(endpoint, **changes)
    write_endpoint(endpoint, folder / "runtime")
    beat = Heartbeat(4711, VERSION, PROTOCOL, "t", time.time())
    (mailbox / "engine.json").write_bytes(msgspec.json.encode(beat))
    (mailbox / "engine.json").chmod(0o600)
    return endpoint


def findings(folder: Path, endpoint: Endpoint | None, **changes: bool) -> list[tuple[str, bool, str]]:
    state = {"alive": True, "answers": True, "needed": True} | changes
    return engine_findings(endpoint, runtime=folder / "runtime", data=folder / "data", **state)


def test_an_engine_that_runs_well_has_nothing_wrong(tmp_path: Path) -> None:
    assert told(findings(tmp_path, running(tmp_path))) == ""


def test_an_engine_that_does_not_run_matters_where_a_script_waits_for_it(tmp_path: Path) -> None:
    assert told(findings(tmp_path, None, alive=False, needed=False)) == ""
    assert "stembridge engine start" in told(findings(tmp_path, None, alive=False))
    endpoint = running(tmp_path)
    assert "process 4711 ended without tidying up" in told(findings(tmp_path, endpoint, alive=False, needed=False))
    assert "does not answer" in told(findings(tmp_path, endpoint, answers=False))
    assert "is gone" in told(findings(tmp_path, None))


def test_another_version_or_protocol_is_told_apart(tmp_path: Path) -> None:
    old = running(tmp_path, version="0.0.9")
    assert told(findings(tmp_path, old)).startswith(
        f"engine version: the engine that runs is 0.0.9, installed is {VERSION}"
    )
    other = msgspec.structs.replace(old, protocol=PROTOCOL + 1)
    assert told(findings(tmp_path, other)).startswith(f"engine protocol: the engine speaks protocol {PROTOCOL + 1}")


@pytest.mark.skipif(os.name != "posix", reason="permissions of this kind")
@pytest.mark.parametrize("broken", ["runtime/endpoint.json", "data/mailbox/engine.json"])
def test_a_token_that_others_can_read_is_found(tmp_path: Path, broken: str) -> None:
    endpoint = running(tmp_path)
    (tmp_path / broken).chmod(0o644)
    assert f"chmod go= {tmp_path / broken}" in told(findings(tmp_path, endpoint))
    (tmp_path / broken).chmod(0o600)
    (tmp_path / broken).parent.chmod(0o777)
    assert f"chmod go= {(tmp_path / broken).parent}" in told(findings(tmp_path, endpoint))
    assert token_findings([tmp_path / "gone"]) == [("token", True, "only you can read it")]


def test_a_mailbox_elsewhere_damaged_or_stuck_is_found(tmp_path: Path) -> None:
    running(tmp_path)
    mailbox, now = tmp_path / "data/mailbox", time.time()
    assert "STEMBRIDGE_DATA" in told(mailbox_findings(mailbox, tmp_path / "other", now))
    assert "no heartbeat for" in told(mailbox_findings(mailbox, mailbox, now + 60))
    (mailbox / "engine.json").write_text("{")
    assert "missing or damaged" in told(mailbox_findings(mailbox, mailbox, now))
    (mailbox / "requests").rmdir()
    assert "cannot be written" in told(mailbox_findings(mailbox, mailbox, now))


def reaper(base: Path) -> Place:
    base.mkdir(parents=True, exist_ok=True)
    return Place("reaper", base, "REAPER")


def rewrite(place: Place, **changes: object) -> None:
    """Changes what is written down about an installed script."""
    record = msgspec.json.decode(record_path(place).read_bytes(), type=Record)
    record_path(place).write_bytes(msgspec.json.encode(msgspec.structs.replace(record, **changes)))


def test_every_state_of_a_script_is_told(tmp_path: Path) -> None:
    place = reaper(tmp_path / "REAPER")
    assert place_state(place) == (True, f"script not installed (stembridge install reaper puts it into {place.base})")
    install(place, load_source("reaper"))
    folder = tmp_path / "REAPER/Scripts/stembridge"
    assert place_state(place) == (True, f"script {VERSION} in {folder}")
    rewrite(place, version="0.0.1")
    assert "is outdated (this stembridge has" in place_state(place)[1]
    rewrite(place, version=VERSION, protocol=PROTOCOL - 1)
    assert "stembridge install reaper, then restart the DAW" in place_state(place)[1]
    rewrite(place, protocol=PROTOCOL + 1)
    assert "pip install -U stembridge" in place_state(place)[1]
    rewrite(place, protocol=PROTOCOL)
    assert place_state(place)[0]
    with (tmp_path / "REAPER/reaper-kb.ini").open("ab") as keys:
        keys.write(b'SCR 4 0 RSother "Script: x" "ReaPack/stembridge_generate.lua"\n')
    assert "shows the actions twice" in place_state(place)[1]
    generate = folder / "stembridge_generate.lua"
    original = generate.read_bytes()
    generate.write_bytes(original + b"-- mine\n")
    ok, text = place_state(place)
    assert ok, "a change of the user's is no fault"
    assert "changed by you" in text
    generate.unlink()
    assert "stembridge_generate.lua is missing: stembridge install reaper" in place_state(place)[1]
    install(place, load_source("reaper"))
    assert place_state(place)[0], "and that mends it"
    (tmp_path / "REAPER/reaper-kb.ini").write_bytes(b"")
    assert "our lines are gone from reaper-kb.ini" in place_state(place)[1]
    record_path(place).write_bytes(b"{")
    assert "damaged" in place_state(place)[1]
    record_path(place).unlink()
    assert "was put there by hand" in place_state(place)[1]


def test_newer_files_of_the_same_version_count_as_outdated(tmp_path: Path) -> None:
    place = reaper(tmp_path)
    real = load_source("reaper")
    files = {**real.files, PurePosixPath("Scripts/stembridge/extra.lua"): b"x"}
    install(place, dataclasses.replace(real, files=files))
    assert "newer files of the same version" in place_state(place)[1]


def test_live_s_port_is_free_taken_or_its_own(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        (tmp_path / "settings.json").write_text(json.dumps({"osc_port": port}))
        _, ok, text = live_port(tmp_path, live_runs=False)
        assert not ok
        assert f"{port} cannot be used" in text
        assert "settings.json" in text
        assert live_port(tmp_path, live_runs=True)[1], "Live itself has it"
    assert live_port(tmp_path, live_runs=False) == ("Live's OSC port", True, f"{port} is free")
    (tmp_path / "settings.json").write_text('{"osc_port": 0}')
    assert live_port(tmp_path, live_runs=False)[1:] == (True, "closed by your settings")
    (tmp_path / "settings.json").write_text("[]")
    assert live_port(tmp_path, live_runs=True)[1], "damaged settings are the script's business"


def test_all_places_are_looked_at(tmp_path: Path) -> None:
    for folder in (".config/REAPER", ".config/ardour7", ".config/ardour8"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / ".config/REAPER/reaper.ini").touch()
    (tmp_path / ".wine/drive_c/users/me/Documents/Ableton/User Library").mkdir(parents=True)
    here = Surroundings("linux", tmp_path, root=tmp_path)
    assert not any_installed(here)
    library = tmp_path / ".wine/drive_c/users/me/Documents/Ableton/User Library"
    install(Place("ableton", library, "Live"), load_source("ableton"))
    assert any_installed(here)
    found = script_findings(here, lambda: {"ableton"})
    assert [what for what, _, _ in found] == ["REAPER", "Ableton Live", "Live's OSC port", "Ardour", "Ardour"]
    assert all(ok for _, ok, _ in found), found


@pytest.mark.parametrize("daw", ["reaper", "ableton", "ardour"])
def test_the_scripts_carry_the_engine_s_version_and_protocol(daw: str) -> None:
    stamp = read_stamp(scripts_folder() / daw / "stembridge")
    assert stamp is not None
    assert (stamp.version, stamp.protocol) == (VERSION, PROTOCOL)


def test_every_script_file_is_packaged() -> None:
    """What the wheel leaves out could not be installed from it."""
    import fnmatch
    import tomllib

    root = Path(bridge.__file__).parents[1]
    packaging = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert "daw_scripts*" in packaging["packages"]["find"]["include"]
    patterns = [*packaging["package-data"]["*"], "*.py"]
    for daw in ("reaper", "ableton", "ardour"):
        for path in load_source(daw).files:
            assert any(fnmatch.fnmatch(path.name, pattern) for pattern in patterns), path
    folders = {path.parent for path in scripts_folder().rglob("*.lua")} | {scripts_folder() / "ableton/stembridge"}
    assert all(part.isidentifier() for folder in folders for part in folder.relative_to(root).parts)


def test_the_command_installs_lists_and_removes(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for folder in (".config/REAPER", "REAPER", ".config/ardour7"):
        (home / folder).mkdir(parents=True)
        (home / folder / "reaper.ini").touch()
    (home / "REAPER/reaper").touch()
    before = sorted(str(p) for p in home.rglob("*"))
    environment = {**os.environ, "HOME": str(home), "STEMBRIDGE_RUNTIME": str(tmp_path / "rt")}
    environment |= {"STEMBRIDGE_DATA": str(tmp_path / "data")}
    environment.pop("XDG_CONFIG_HOME", None)

    def stembridge(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "bridge.cli", *words]
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=Path(bridge.__file__).parents[1], check=False
        )

    done = stembridge("install", "reaper")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(f"version {VERSION} installed") == 2
    assert "portable" in done.stdout
    assert "Show action list" in done.stdout
    rows = [json.loads(line) for line in stembridge("install", "reaper", "--json").stdout.splitlines()]
    assert [row["done"] for row in rows] == [f"version {VERSION} is up to date"] * 2
    missing = stembridge("install", "ableton")
    assert missing.returncode == 1
    assert "--folder" in missing.stderr
    assert stembridge("install", "ableton", "--folder", str(tmp_path / "gone")).returncode == 1
    assert "Script Manager" in stembridge("install", "ardour").stdout
    record = home / ".config/ardour7/scripts/stembridge/installed.json"
    loader = home / ".config/ardour7/scripts/stembridge.lua"
    told = json.loads(record.read_bytes())
    loader.write_bytes(b"older")
    told["files"]["scripts/stembridge.lua"] = hashlib.sha256(b"older").hexdigest()
    record.write_text(json.dumps({**told, "version": "0.0.1"}))
    updated = stembridge("install", "ardour").stdout
    assert f"version 0.0.1 replaced by {VERSION}" in updated
    assert "keeps a copy of stembridge.lua: add it again" in updated
    assert "add it again" not in stembridge("install", "ardour").stdout
    for daw in ("reaper", "ardour"):
        gone = stembridge("install", daw, "--uninstall").stdout
        assert "removed" in gone
        assert ("Script Manager: remove them there" in gone) == (daw == "ardour")
    assert sorted(str(p) for p in home.rglob("*")) == before
    assert "nothing of stembridge is installed" in stembridge("install", "ardour", "--uninstall").stdout
    by_hand = home / ".config/ardour7/scripts/stembridge"
    by_hand.mkdir(parents=True)
    (by_hand / "version.lua").write_text('return { version = "0.0.1", protocol = 1 }')
    told_so = stembridge("install", "ardour", "--uninstall").stdout
    assert f"version 0.0.1 was put there by hand: delete {by_hand} yourself" in told_so


def test_doctor_looks_for_every_package_that_the_engine_needs() -> None:
    pyproject = tomllib.loads((Path(bridge.__file__).parents[1] / "pyproject.toml").read_text())
    needed = {re.split(r"[<>=; ]", line)[0] for line in pyproject["project"]["dependencies"]}
    assert set(PACKAGES) == needed | {"tinysoundfont"}, "tinysoundfont is installed without its dependencies"


def test_an_installed_package_has_no_demo_and_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert demo_song() == [("demo song", True, str(DEMO))]
    monkeypatch.setattr("bridge.commands.demo.DEMO", tmp_path / "examples" / "demo" / "request.json")
    ((_, ok, said),) = demo_song()
    assert ok
    assert "checkout" in said
    (tmp_path / "pyproject.toml").write_text("")
    assert demo_song() == [("demo song", False, str(tmp_path / "examples/demo/request.json"))]


@pytest.mark.parametrize(
    ("version", "side"), [(PROTOCOL - 1, "Update the DAW script"), (PROTOCOL + 1, "Update the engine")]
)
@pytest.mark.parametrize("more", [{}, {"a_field_of_tomorrow": 1}])
def test_a_request_of_another_protocol_says_which_side_to_update(version: int, side: str, more: dict[str, int]) -> None:
    with pytest.raises(RequestError) as refused:
        raw2request(json.dumps({"type": "ping", "version": version, **more}).encode())
    assert refused.value.code == "message.version"
    assert refused.value.hint.startswith(side)


@pytest.mark.parametrize("interpreter", INTERPRETERS)
@pytest.mark.parametrize(("daw", "home"), [("reaper", "Scripts/stembridge"), ("ardour", "scripts")])
def test_installed_scripts_find_their_modules(tmp_path: Path, interpreter: str, daw: str, home: str) -> None:
    """The shared ones, too, which lie elsewhere in the checkout."""
    install(Place(daw, tmp_path, daw), load_source(daw))
    names = [p.stem for p in (scripts_folder() / "lua").glob("*.lua")]
    loaded = run_lua(
        interpreter,
        "local n = {} for i, m in ipairs(input) do n[i] = type(use(m)) end return n",
        names,
        scripts=tmp_path / home,
    )
    assert loaded == ["table"] * len(names)
    assert run_lua(interpreter, "return use('version').protocol", scripts=tmp_path / home) == PROTOCOL
