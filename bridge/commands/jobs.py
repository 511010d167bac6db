"""`stembridge jobs`: what the engine has done, does and will do."""

from __future__ import annotations

import argparse

from bridge.client import Client
from bridge.terminal import print_json, print_table


def run(arguments: argparse.Namespace) -> int:
    """Prints the job list of the running engine."""
    with Client.connect(start=False) as client:
        answer = client.jobs()
    if arguments.json:
        print_json(answer)
        return 0
    rows = [(r.job, r.project, r.state, r.stage, f"{r.fraction:.0%}") for r in answer.jobs]
    print_table(("job", "project", "state", "stage", "done"), rows, left=(0, 1, 2, 3))
    return 0
