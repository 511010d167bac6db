"""Which programs run: a DAW reads its scripts when it starts, and REAPER writes its list of actions when it ends."""

from __future__ import annotations

import re
import subprocess
import sys

_PROGRAMS = {
    "reaper": re.compile(r"reaper(64)?(\.exe)?", re.IGNORECASE),
    "ableton": re.compile(r"(ableton )?live( \d+.*)?(\.exe)?|ableton live.*", re.IGNORECASE),
    "ardour": re.compile(r"ardour-?[\d.]*(\.exe)?", re.IGNORECASE),
}


def running_daws() -> set[str]:
    """Names ("reaper", ...) of the DAWs that run; empty where the system does not say."""
    command = ["tasklist", "/FO", "CSV", "/NH"] if sys.platform == "win32" else ["ps", "-A", "-o", "comm="]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return set()
    return programs2daws(told)


def programs2daws(told: str) -> set[str]:
    """The DAWs in a list of programs: a line each, as `ps` (name or path) or `tasklist` (CSV) gives it."""
    found = set()
    for line in told.splitlines():
        name = line.split('","')[0].strip().strip('"').replace("\\", "/").rpartition("/")[2]
        found |= {daw for daw, pattern in _PROGRAMS.items() if pattern.fullmatch(name)}
    return found
