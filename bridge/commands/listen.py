"""`stembridge listen CLIP`: what a MIDI file or an audio clip holds."""

from __future__ import annotations

import argparse
import json

from bridge.client import Client
from bridge.messages import Heard
from bridge.terminal import exit_code, print_failure, print_json


def run(arguments: argparse.Namespace) -> int:
    """Asks the engine (started if none runs) and prints its answer."""
    path = arguments.file.resolve()
    with Client.connect(start=True, roots=[path.parent]) as client:
        answer = client.listen(str(path))
    if arguments.json:
        print_json(answer)
    elif isinstance(answer, Heard):
        for name, value in answer.result.items():
            print(f"{name:>12}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
    else:
        print_failure(answer)
    return exit_code(answer)
