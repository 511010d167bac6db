"""`stembridge cancel JOB`: stops a queued or running job."""

from __future__ import annotations

import argparse

from bridge.client import Client
from bridge.messages import Cancelled
from bridge.terminal import print_failure


def run(arguments: argparse.Namespace) -> int:
    """Cancels and waits for the engine's word."""
    with Client.connect(start=False) as client:
        answer = client.cancel(arguments.job)
    if isinstance(answer, Cancelled):
        print(f"cancelled: {answer.job}")
        return 0
    print_failure(answer)
    return 2
