"""`stembridge models`: the composers and renderers, why `auto` takes which; `add`, `get` and `remove` checkpoints.

Adding loads nothing: it looks at the files, shows the licence and writes the register that the engine reads. Getting
shows the licence first, fetches the files from the hub, and adds them.
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
from bridge.hubmodels import fetch_songgeneration, models_folder, name2repository
from bridge.licences import SONGGENERATION, Licence
from bridge.songgeneration import inspect_songgeneration, is_songgeneration
from bridge.terminal import print_json, print_table


def run(arguments: argparse.Namespace) -> int:
    """One of the verbs; without one the list."""
    if arguments.verb == "add":
        return _add(arguments)
    if arguments.verb == "get":
        return _get(arguments)
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
    if is_songgeneration(folder):
        return _add_song(arguments, folder, arguments.runtime, source)
    if arguments.runtime is not None or arguments.int8:
        raise RequestError(
            "checkpoint.runtime",
            f"--{'int8' if arguments.int8 else 'runtime'} belongs to SongGeneration; {source} is none of its models.",
            hint="Its folder holds config.yaml and model.pt.",
        )
    found = inspect_checkpoint(arguments.name, folder, source, arguments.variant or "")
    if not found.licence.permissive:
        _ask(found.name, found.licence, [folder], arguments.accept)
        found = msgspec.structs.replace(found, accepted=True)
    return _keep(arguments, found)


def _get(arguments: argparse.Namespace) -> int:
    """Fetches one of SongGeneration's models and its runtime, then adds them."""
    check_name(arguments.name)
    name2repository(arguments.name)
    into = (arguments.into or models_folder()).expanduser().resolve()
    _ask(arguments.name, SONGGENERATION, [into], arguments.accept)
    folder, runtime = fetch_songgeneration(arguments.name, into)
    arguments.accept = True
    return _add_song(arguments, folder, runtime, str(folder))


def _add_song(arguments: argparse.Namespace, folder: Path, runtime: Path | None, source: str) -> int:
    """Hashing gigabytes takes a while and says so; the licence is asked for what is known to be whole."""

    def tell(file: str) -> None:
        print(f"hashing {file}", file=sys.stderr)

    found = inspect_songgeneration(arguments.name, folder, runtime, source, tell)
    _ask(found.name, found.licence, [folder, folder.parent, Path(found.runtime)], arguments.accept)
    return _keep(arguments, msgspec.structs.replace(found, accepted=True, int8=arguments.int8))


def _keep(arguments: argparse.Namespace, found: Checkpoint) -> int:
    add_checkpoint(found)
    what = f"{found.family}, {found.variant}, {found.total / 1e9:.2g} billion weights, {found.licence.name}"
    _say(arguments, found, f"{found.name} can be used now ({what}). `stembridge models` shows what it needs.")
    return 0


def _ask(name: str, licence: Licence, folders: list[Path], accepted: bool) -> None:
    """Shows the licence and asks, unless it was accepted on the command line. Raises `RequestError` for a no."""
    texts = [path for folder in folders for path in sorted(folder.glob("LICENSE*"))]
    where = f" Its text: {texts[0]}." if texts else ""
    print(f"{name} stands under: {licence.name} ({licence.condition}).{where}", file=sys.stderr)
    if accepted:
        return
    if sys.stdin.isatty():
        print("Do you accept it? Type yes: ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() == "yes":
            return
    raise RequestError(
        "licence.not_accepted",
        f"{name} was not added: its licence must be accepted first.",
        hint="Read it, then give --accept-licence.",
    )


def _say(arguments: argparse.Namespace, checkpoint: Checkpoint, text: str) -> None:
    if arguments.json:
        print(msgspec.json.encode(checkpoint).decode())
    else:
        print(text)
