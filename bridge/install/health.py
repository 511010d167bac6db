"""What keeps a DAW and the engine from finding each other, each with how to mend it: `stembridge doctor`'s second half.

A finding is (what, whether it is in order, what was seen and what to do).
"""

from __future__ import annotations

import json
import os
import socket
import stat
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bridge import VERSION
from bridge.errors import StembridgeError
from bridge.install.lines import is_action_line
from bridge.install.places import DAWS, TITLES, Place, Surroundings, find_places
from bridge.install.scripts import KEYS_FILE, problems, read_record, record_path
from bridge.install.sources import Stamp, load_source, read_stamp
from bridge.messages import PROTOCOL
from bridge.transport.endpoint import ENDPOINT, Endpoint
from bridge.transport.mailbox import Heartbeat

Finding = tuple[str, bool, str]

HEARTBEAT_AGE = 10.0
"""Seconds without a heartbeat after which a running engine's mailbox counts as stuck."""
LIVE_OSC_PORT = 11055
"""Where the Live script listens for OSC from outside, unless its settings.json names another port."""
MAX_SETTINGS = 1 << 20


def engine_findings(
    endpoint: Endpoint | None, *, alive: bool, answers: bool, needed: bool, runtime: Path, data: Path
) -> list[Finding]:
    """The engine and its endpoint file. `alive`: its lock is held; `needed`: a DAW's script is installed here."""
    if not alive:
        if endpoint is not None:
            text = f"process {endpoint.pid} ended without tidying up {runtime / ENDPOINT}"
            return [("engine", False, f"{text}: stembridge engine start")]
        if needed:
            return [("engine", False, "not running, and the DAW scripts wait for it: stembridge engine start")]
        return [("engine", True, "not running (starts when needed)")]
    if endpoint is None:
        return [("engine", False, f"one runs, but {runtime / ENDPOINT} is gone: stembridge engine stop, then start")]
    if not answers:
        text = f"process {endpoint.pid} does not answer: stembridge engine stop, then start; its log is {endpoint.log}"
        return [("engine", False, text)]
    findings = [("engine", True, f"process {endpoint.pid}, version {endpoint.version}")]
    if endpoint.protocol != PROTOCOL:
        text = f"the engine speaks protocol {endpoint.protocol}, this command {PROTOCOL}"
        findings.append(("engine protocol", False, f"{text}: stembridge engine stop, then start"))
    elif endpoint.version != VERSION:
        text = f"the engine that runs is {endpoint.version}, installed is {VERSION}"
        findings.append(("engine version", False, f"{text}: stembridge engine stop, then start"))
    findings += token_findings([runtime / ENDPOINT, Path(endpoint.mailbox) / "engine.json"])
    findings += mailbox_findings(Path(endpoint.mailbox), data / "mailbox", time.time())
    return findings


def token_findings(files: Sequence[Path]) -> list[Finding]:
    """Whether only the user can read the files that hold the engine's token (where the system has such permissions)."""
    if os.name != "posix":
        return []
    open_files = [f for f in files if f.exists() and stat.S_IMODE(f.stat().st_mode) & 0o077]
    open_files += [f.parent for f in files if f.exists() and stat.S_IMODE(f.parent.stat().st_mode) & 0o022]
    if not open_files:
        return [("token", True, "only you can read it")]
    names = " ".join(str(f) for f in dict.fromkeys(open_files))
    return [("token", False, f"others can reach it: chmod go= {names}; then stembridge engine stop, and start it anew")]


def mailbox_findings(folder: Path, expected: Path, now: float) -> list[Finding]:
    """The folder through which REAPER and Ardour talk to the running engine. `expected`: where their scripts look."""
    if folder != expected:
        text = f"the engine's is {folder}, the scripts look in {expected}"
        return [("mailbox", False, f"{text}: start both with the same STEMBRIDGE_DATA")]
    if not os.access(folder / "requests", os.W_OK):
        return [("mailbox", False, f"{folder / 'requests'} cannot be written: give it back to your user")]
    try:
        beat = msgspec.json.decode((folder / "engine.json").read_bytes(), type=Heartbeat)
    except (OSError, msgspec.MsgspecError):
        return [
            ("mailbox", False, f"{folder / 'engine.json'} is missing or damaged: stembridge engine stop, then start")
        ]
    if now - beat.time > HEARTBEAT_AGE:
        text = f"no heartbeat for {now - beat.time:.0f} s: the disk may be full, or the engine stuck"
        return [("mailbox", False, f"{text}: stembridge engine stop, then start")]
    return [("mailbox", True, str(folder))]


def script_findings(here: Surroundings, running: Callable[[], set[str]]) -> list[Finding]:
    """The script in every place of every DAW, and Live's port."""
    findings: list[Finding] = []
    for daw in DAWS:
        for place in find_places(daw, here):
            findings.append((TITLES[daw], *place_state(place)))
            if daw == "ableton" and read_record(place) is not None:
                findings.append(live_port(record_path(place).parent, "ableton" in running()))
    return findings


def any_installed(here: Surroundings) -> bool:
    """Whether a script of ours lies in any DAW's folder."""
    return any(read_record(place) is not None for daw in DAWS for place in find_places(daw, here))


def place_state(place: Place) -> tuple[bool, str]:
    """Whether the script in a place is whole and fits this engine."""
    mend = f"stembridge install {place.daw}"
    record = read_record(place)
    folder = record_path(place).parent
    if record is None:
        if record_path(place).exists():
            return False, f"{record_path(place)} is damaged: {mend}"
        stamp = read_stamp(folder) or read_stamp(folder / "stembridge")
        if stamp is not None:
            return False, f"version {stamp.version} was put there by hand ({folder}): {mend}"
        return True, f"script not installed ({mend} puts it into {place.base})"
    told = f"script {record.version} in {folder}"
    if record.protocol is not None and record.protocol != PROTOCOL:
        side = f"it speaks protocol {record.protocol}, the engine {PROTOCOL}"
        update = mend if record.protocol < PROTOCOL else "pip install -U stembridge"
        return False, f"{told}: {side}: {update}, then restart the DAW"
    if not os.access(folder, os.W_OK):
        return False, f"{told}: the folder cannot be written, so it cannot be updated: give it back to your user"
    wrong = problems(place, record)
    gone = [text for text in wrong if not text.endswith("was changed")]
    if gone:
        return False, f"{told}: {gone[0]}{f' and {len(gone) - 1} more' if gone[1:] else ''}: {mend}"
    try:
        source = load_source(place.daw)
    except StembridgeError as error:
        return False, f"{told}: {error}"
    newer = _outdated(record.version, record.files, source.stamp, {p.as_posix(): d for p, d in source.files.items()})
    if newer:
        return False, f"{told} is outdated ({newer}): {mend}, then restart the DAW"
    told = "; ".join([told, *_second_copy(place), *place.remarks])
    return True, told + (f" ({wrong[0].removesuffix('was changed')}changed by you)" if wrong else "")


def _second_copy(place: Place) -> list[str]:
    """REAPER shows every action twice where ReaPack or the user has installed the scripts, too."""
    try:
        lines = (place.base / KEYS_FILE).read_bytes().splitlines() if place.daw == "reaper" else []
    except OSError:
        return []
    if any(
        b"stembridge_generate.lua" in line and line.startswith(b"SCR") and not is_action_line(line) for line in lines
    ):
        return ["another copy is registered (by ReaPack?), so REAPER shows the actions twice: keep one of them"]
    return []


def _outdated(version: str, installed: dict[str, str], stamp: Stamp, files: dict[str, bytes]) -> str:
    """Why what is installed is not what this stembridge would install; "" where it is."""
    import hashlib

    if version != stamp.version:
        return f"this stembridge has {stamp.version}"
    if installed != {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}:
        return "this stembridge has newer files of the same version"
    return ""


def live_port(folder: Path, live_runs: bool) -> Finding:
    """Whether the port that the Live script wants for OSC from outside is free, or Live's own."""
    port = LIVE_OSC_PORT
    try:
        settings = folder / "settings.json"
        if settings.stat().st_size < MAX_SETTINGS:
            named = json.loads(settings.read_bytes()).get("osc_port", port)
            port = named if isinstance(named, int) and 0 <= named <= 65535 else port
    except (OSError, ValueError, AttributeError):
        pass
    if port == 0:
        return ("Live's OSC port", True, "closed by your settings")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if live_runs:
                return ("Live's OSC port", True, f"{port} is in use, and Live runs")
            why = (error.strerror or str(error)).lower()
            text = f"{port} cannot be used ({why}): another program or control surface has it; name another osc_port in"
            return ("Live's OSC port", False, f"{text} {folder / 'settings.json'}")
    return ("Live's OSC port", True, f"{port} is free")
