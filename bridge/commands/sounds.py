"""`stembridge sounds`: every instrument and kit that can play; hear one, add your own banks, fetch larger ones.

The sounds belong to the engine, which answers in a process of its own; what it says on the way goes to the terminal.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from bridge.errors import RequestError, StembridgeError
from bridge.terminal import print_table


def run(arguments: argparse.Namespace) -> int:
    """One of the verbs; without one the list."""
    verb = arguments.verb or "list"
    answer = ask(verb, **WISHES[verb](arguments))
    if arguments.json:
        print(json.dumps(answer))
    elif verb == "list":
        _print_list(answer)
    elif verb == "play":
        print(f"{answer['name']} as {answer['role']}: {answer['out']} ({answer['seconds']:.1f} s)")
    elif verb == "remove":
        stays = f"; {answer['source']} stays where it is" if answer["stays"] else ""
        print(f"{answer['name']} is out of the catalogue{stays}.")
    else:
        _print_joined(answer)
    return 1 if answer.get("problems") else 0


def ask(verb: str, **wishes: Any) -> dict[str, Any]:
    """The engine's answer. Raises `RequestError` as it does, `StembridgeError` where it says nothing."""
    request = json.dumps({"verb": verb, **wishes})
    asked = subprocess.run(
        [sys.executable, "-m", "engine.soundbook", request], stdout=subprocess.PIPE, text=True, check=False
    )
    try:
        answer: dict[str, Any] = json.loads(asked.stdout)
    except ValueError:
        raise StembridgeError("engine.broken", "the engine said nothing.", hint="Run `stembridge doctor`.") from None
    if "error" in answer:
        raise RequestError(answer["error"], answer["message"], field=answer["field"], hint=answer["hint"])
    return answer


WISHES: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "list": lambda a: {"role": getattr(a, "role", None) or ""},
    "play": lambda a: {"name": a.name, "out": str(a.out.absolute()), "role": a.role or ""},
    "add": lambda a: {"file": str(a.file.absolute()), "role": a.role or "", "licence": a.licence or ""},
    "remove": lambda a: {"name": a.name},
    "get": lambda a: {"name": a.name, "archive": str(a.archive.absolute()) if a.archive else ""},
}


def _print_list(answer: dict[str, Any]) -> None:
    rows = [
        (
            row["role"],
            row["name"] + (" *" if row["bank"] else ""),
            row["family"],
            f"{row['brightness_hz'] / 1000:.2f}",
            f"{row['attack_ms']:.0f}",
            f"{row['width_db']:.0f}" if row["width_db"] > -60 else "mono",
            row["licence"],
        )
        for row in answer["sounds"]
    ]
    print_table(("role", "name", "family", "kHz", "attack ms", "width dB", "licence"), rows, left=(0, 1, 2, 6))
    for bank in answer["banks"]:
        state = "no longer where it was" if bank["missing"] else f"{bank['sounds']} sounds"
        print(f"* {bank['name']}: {bank['source']} ({state})")
    for more in answer["packages"]:
        if not more["here"]:
            print(f"stembridge sounds get {more['name']}: {more['title']} ({more['megabytes']} MB, {more['licence']})")


def _print_joined(answer: dict[str, Any]) -> None:
    for bank in answer["banks"]:
        print(f"{bank['name']}: {bank['sounds']} sounds of {bank['source']}")
        for remark in bank["remarks"]:
            print(f"  {remark}")
    for problem in answer["problems"]:
        print(f"stembridge: left out: {problem['message']} {problem['hint']}".rstrip(), file=sys.stderr)
