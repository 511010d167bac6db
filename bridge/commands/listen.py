"""`stembridge listen CLIP`: what a MIDI file or an audio clip holds; `--html` draws an audio clip's profile."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from bridge.client import Client
from bridge.errors import RequestError
from bridge.messages import Heard
from bridge.pages.listen import heard2facts, heard2page
from bridge.terminal import exit_code, print_failure, print_json


def run(arguments: argparse.Namespace) -> int:
    """Asks the engine (started if none runs), prints its answer, and writes the page. Raises `RequestError` where the
    page cannot be written, or is asked for of a MIDI file."""
    path = arguments.file.resolve()
    with Client.connect(start=True, roots=[path.parent]) as client:
        answer = client.listen(str(path))
    if isinstance(answer, Heard) and arguments.html is not None:
        write_page(arguments.html, path.name, answer.result)
    if arguments.json:
        print_json(answer)
    elif isinstance(answer, Heard):
        print_heard(answer.result)
        if arguments.html is not None:
            print(f"{'page':>12}: {arguments.html}")
    else:
        print_failure(answer)
    return exit_code(answer)


def write_page(target: Path, name: str, heard: dict[str, Any]) -> None:
    """Writes the page of an audio clip's answer to the path `target`. Raises `RequestError`."""
    if heard["kind"] != "audio":
        raise RequestError("listen.page", "a page is drawn of audio only.", field="--html", hint="Leave --html out.")
    try:
        target.write_text(heard2page(name, heard), encoding="utf-8")
    except OSError as error:
        raise RequestError(
            "listen.page",
            f"the page cannot be written: {error.strerror}.",
            field=str(target),
            hint="Name a file in a folder that is there and is yours.",
        ) from error


def print_heard(heard: dict[str, Any]) -> None:
    """The answer for people: an audio clip's figures, all values of a MIDI file."""
    if heard["kind"] == "audio":
        for what, value, sure in heard2facts(heard):
            print(f"{what.lower():>12}: {value}" + (f"  ({sure})" if sure else ""))
        return
    for name, value in heard.items():
        print(f"{name:>12}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
