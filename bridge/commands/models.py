"""`stembridge models`: the composers and renderers, why `auto` takes which; `add` and `remove` the user's checkpoints.

Adding loads nothing: it looks at the files, shows the licence and writes the register that the engine reads.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from bridge.checkpoints import (
    Checkpoint,
    add_checkpoint,
    check_name,
    find_checkpoint,
    inspect_checkpoint,
    remove_checkpoint,
)
from bridge.client import Client
from bridge.errors import RequestError
from bridge.terminal import print_json, print_table


def run(arguments: argparse.Namespace) -> int:
    """One of the verbs; without one the list."""
    if arguments.verb == "add":
        return _add(arguments)
    if arguments.verb == "remove":
        gone = remove_checkpoint(arguments.name)
        _say(arguments, gone, f"{gone.name} is forgotten; its files stay in {gone.folder}.")
        return 0
    return _list(arguments)


def _list(arguments: argparse.Namespace) -> int:
    """Asks the engine (started if none runs)."""
    with Client.connect(start=True) as client:
        answer = client.models()
    if arguments.json:
        print_json(answer)
        return 0
    rows = [
        (
            m.name,
            m.kind,
            "auto" if m.auto else "yes" if m.available else "no",
            m.licence if m.commercial else f"{m.licence} (not for sale)",
            f"{m.memory_gib:.1f}" if m.memory_gib else "",
            m.note,
        )
        for m in answer.models
    ]
    print_table(("name", "kind", "usable", "licence", "GiB", "note"), rows, left=(0, 1, 2, 3, 5))
    return 0


def _add(arguments: argparse.Namespace) -> int:
    check_name(arguments.name)
    folder = find_checkpoint(arguments.source)
    source = str(folder.resolve()) if Path(arguments.source).expanduser().is_dir() else arguments.source
    found = inspect_checkpoint(arguments.name, folder, source, arguments.variant or "")
    if not found.licence.permissive:
        _ask(found, arguments.accept)
        found = msgspec.structs.replace(found, accepted=True)
    add_checkpoint(found)
    what = f"{found.family}, {found.variant}, {found.total / 1e9:.2g} billion weights, {found.licence.name}"
    _say(arguments, found, f"{found.name} can be used now ({what}). `stembridge models` shows what it needs.")
    return 0


def _ask(found: Checkpoint, accepted: bool) -> None:
    """Shows the licence and asks, unless it was accepted on the command line. Raises `RequestError` for a no."""
    licence = found.licence
    texts = sorted(Path(found.folder).glob("LICENSE*"))
    where = f" Its text: {texts[0]}." if texts else ""
    print(f"{found.name} stands under: {licence.name} ({licence.condition}).{where}", file=sys.stderr)
    if accepted:
        return
    if sys.stdin.isatty():
        print("Do you accept it? Type yes: ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() == "yes":
            return
    raise RequestError(
        "licence.not_accepted",
        f"{found.name} was not added: its licence must be accepted first.",
        hint="Read it, then give --accept.",
    )


def _say(arguments: argparse.Namespace, checkpoint: Checkpoint, text: str) -> None:
    if arguments.json:
        print(msgspec.json.encode(checkpoint).decode())
    else:
        print(text)
