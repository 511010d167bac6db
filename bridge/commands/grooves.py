"""`stembridge grooves`: the styles that the band can play; hear them, look at them, add your own from a MIDI file.

The grooves belong to the engine, which answers in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
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
    elif verb == "draw" and "text" in answer:
        print(answer["text"])
    elif verb == "add":
        print(f"{answer['name']} can be played now: {answer['file']}")
        for remark in answer["remarks"]:
            print(f"  {remark}")
    else:
        print(answer["out"] + (f" ({answer['seconds']:.0f} s)" if "seconds" in answer else ""))
    return 0


def ask(verb: str, **wishes: Any) -> dict[str, Any]:
    """The engine's answer. Raises `RequestError` as it does, `StembridgeError` where it says nothing."""
    request = json.dumps({"verb": verb, **wishes})
    asked = subprocess.run(
        [sys.executable, "-m", "engine.groovebook", request], capture_output=True, text=True, check=False
    )
    try:
        answer: dict[str, Any] = json.loads(asked.stdout)
    except ValueError:
        last = asked.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise StembridgeError("engine.broken", last[0], hint="Run `stembridge doctor`.") from None
    if "error" in answer:
        raise RequestError(answer["error"], answer["message"], field=answer["field"], hint=answer["hint"])
    return answer


def _play(arguments: argparse.Namespace) -> dict[str, Any]:
    return {"name": arguments.name, "out": str(arguments.out.absolute()), "bpm": arguments.bpm}


def _draw(arguments: argparse.Namespace) -> dict[str, Any]:
    out = str(arguments.out.absolute()) if arguments.out else ""
    return {"name": arguments.name, "out": out, "level": arguments.level or ""}


def _add(arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "file": str(arguments.file.absolute()),
        "name": arguments.name,
        "title": arguments.title or "",
        "tags": arguments.tags or "",
        "like": arguments.like or "",
        "replace": arguments.replace,
    }


WISHES = {"list": lambda _: {}, "play": _play, "draw": _draw, "add": _add}


def _print_list(answer: dict[str, Any]) -> None:
    rows = [
        (
            row["name"] + (" *" if row["own"] else ""),
            row["title"],
            row["metre"],
            f"{row['bpm'][0]:.0f}-{row['bpm'][1]:.0f}",
            f"{row['versions']}",
            ", ".join(row["tags"][:6]),
        )
        for row in answer["grooves"]
    ]
    print_table(("name", "title", "metre", "bpm", "versions", "tags"), rows, left=(0, 1, 5))
    if any(row["own"] for row in answer["grooves"]):
        print("* yours")
    for problem in answer["damaged"]:
        print(f"stembridge: left out: {problem}", file=sys.stderr)
