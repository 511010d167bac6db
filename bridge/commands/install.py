"""`stembridge install DAW`: the script goes where the DAW looks for it, everywhere it is installed; `--uninstall`.

REAPER's actions are registered, so that no click is needed but the one that runs them. Live and Ardour are told once
by hand: Live has no file for it that a program may write, and Ardour's (`ui_scripts`) holds the user's own scripts in a
form that differs between versions and is written anew when Ardour ends, so that nothing put there could be taken away
again for certain.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path

from bridge.errors import StembridgeError
from bridge.install.places import TITLES, Place, Surroundings, find_places
from bridge.install.running import running_daws
from bridge.install.scripts import Record, install, read_record, record_path, uninstall
from bridge.install.sources import OUR_FOLDER, Source, load_source, read_stamp

CLICKS = {
    "reaper": (
        'In REAPER: Actions > Show action list, type "stembridge" and run "stembridge: Generate band"; '
        "give it a key or a toolbar button there if you like."
    ),
    "ableton": 'In Live: Settings > Link, Tempo & MIDI > Control Surface: choose "stembridge" (Input, Output: None).',
    "ardour": (
        'In Ardour: Edit > Lua Scripts > Script Manager > Action Hooks > New Hook: choose "stembridge", Add. Then '
        'Action Scripts: a free line, Add/Set, "stembridge: Generate band", Add; the same for the others. Ardour '
        "remembers it."
    ),
}
RESTART = {
    "reaper": "REAPER is running: close it and run this again before you open it, or it forgets the new actions.",
    "ableton": "Live is running: restart it, it looks for scripts only then.",
    "ardour": "Ardour is running: restart it, it keeps the scripts that it has read.",
}
REMOVED = "removed"
LEFT = {
    "ableton": 'If Live still has "stembridge" as Control Surface: Settings > Link, Tempo & MIDI: choose "None".',
    "ardour": (
        "Ardour keeps the hook and the actions that you added in its own settings: Edit > Lua Scripts > "
        "Script Manager: remove them there."
    ),
}
"""What only the user can take out of a DAW's own settings."""


@dataclass(frozen=True)
class Outcome:
    """What happened in one place."""

    place: Place
    done: str
    said: list[str] = field(default_factory=list)
    error: str = ""


def run(arguments: argparse.Namespace) -> int:
    """Installs or uninstalls in every place found. Exit code 1 where none was found or one could not be written."""
    daw = str(arguments.daw)
    places = find_places(daw, Surroundings.here(), arguments.folder)
    if not places:
        raise StembridgeError(
            "install.none",
            f"{TITLES[daw]} was not found here.",
            hint=f"Start it once so that it makes its folders, or name them: stembridge install {daw} --folder ...",
        )
    if arguments.uninstall:
        outcomes = [_uninstall(place) for place in places]
    else:
        source = load_source(daw)
        outcomes = [_install(place, source) for place in places]
    running = daw in running_daws()
    if arguments.json:
        for o in outcomes:
            told = {"daw": daw, "folder": str(o.place.base), "done": o.done, "said": o.said, "error": o.error}
            print(json.dumps({**told, "running": running}))
    else:
        _print(daw, outcomes, running=running, uninstalled=arguments.uninstall)
    return 1 if any(o.error for o in outcomes) else 0


def _install(place: Place, source: Source) -> Outcome:
    old = read_record(place)
    line_end = b"\r\n" if Surroundings.here().system == "win32" else b"\n"
    try:
        said = install(place, source, line_end=line_end)
    except StembridgeError as error:
        return Outcome(place, "failed", error=str(error))
    said += _to_add_again(old, read_record(place))
    version = source.stamp.version
    if old is None:
        done = f"version {version} installed"
    elif old.version == version:
        done = f"version {version} is up to date"
    else:
        done = f"version {old.version} replaced by {version}"
    return Outcome(place, done, [*said, *place.remarks])


def _to_add_again(old: Record | None, new: Record | None) -> list[str]:
    """Ardour keeps a copy of the scripts that were added in its manager: those that have changed since."""
    if old is None or new is None or new.daw != "ardour":
        return []
    changed = [n for n, digest in new.files.items() if n.count("/") == 1 and old.files.get(n, digest) != digest]
    names = ", ".join(Path(n).name for n in changed)
    return [f"Ardour keeps a copy of {names}: add it again in the script manager."] if changed else []


def _uninstall(place: Place) -> Outcome:
    try:
        said = uninstall(place)
    except StembridgeError as error:
        return Outcome(place, "failed", error=str(error))
    if said is not None:
        return Outcome(place, REMOVED, said)
    folder = record_path(place).parent
    stamp = read_stamp(folder) or read_stamp(folder / OUR_FOLDER)
    by_hand = [f"version {stamp.version} was put there by hand: delete {folder} yourself"] if stamp else []
    return Outcome(place, "nothing of stembridge is installed", by_hand)


def _print(daw: str, outcomes: list[Outcome], *, running: bool, uninstalled: bool) -> None:
    for outcome in outcomes:
        print(f"{outcome.place.title}: {outcome.error or outcome.done}")
        for text in outcome.said:
            print(f"  note: {text}")
    if all(outcome.error for outcome in outcomes):
        return
    if running:
        print(f"{TITLES[daw]} is running: restart it." if uninstalled else RESTART[daw])
    if not uninstalled:
        print(CLICKS[daw])
    elif daw in LEFT and any(outcome.done == REMOVED for outcome in outcomes):
        print(LEFT[daw])
