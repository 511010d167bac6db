"""`stembridge models`: the composers and renderers, whether they can be used, and under which licence."""

from __future__ import annotations

import argparse

from bridge.client import Client
from bridge.terminal import print_json, print_table


def run(arguments: argparse.Namespace) -> int:
    """Asks the engine (started if none runs)."""
    with Client.connect(start=True) as client:
        answer = client.models()
    if arguments.json:
        print_json(answer)
        return 0
    rows = [(m.name, m.kind, "yes" if m.available else "no", m.licence, m.note) for m in answer.models]
    print_table(("name", "kind", "usable", "licence", "note"), rows, left=(0, 1, 2, 3, 4))
    return 0
