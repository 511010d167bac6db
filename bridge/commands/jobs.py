"""`stembridge jobs`: what the engine has done, does and will do; and the queue's order, pausing and going on."""

from __future__ import annotations

import argparse

from bridge.client import Client
from bridge.messages import Accepted, Event, Failed, JobList, JobRow, Progress
from bridge.terminal import print_failure, print_json, print_table


def run(arguments: argparse.Namespace) -> int:
    """Changes the queue as asked, then prints the job list of the running engine. Exit code 2 for a change refused."""
    with Client.connect(start=False) as client:
        changed = _change(client, arguments)
        if isinstance(changed, Failed) and changed.refused:
            print_failure(changed)
            return 2
        answer = client.jobs()
    if arguments.json:
        print_json(answer)
        return 0
    if changed is not None:
        print(_words(changed))
    if answer.paused:
        print("The queue is paused: `stembridge jobs --resume` goes on with it.")
    header = ("job", "project", "state", "stage", "done", "ready in")
    print_table(header, [_columns(row) for row in answer.jobs], left=(0, 1, 2, 3))
    return 0


def _change(client: Client, arguments: argparse.Namespace) -> Event | None:
    if arguments.pause is not None:
        return client.pause(arguments.pause)
    if arguments.resume is not None:
        return client.resume(arguments.resume)
    if arguments.move is not None:
        return client.move(arguments.move, arguments.to)
    return None


def _words(event: Event) -> str:
    if isinstance(event, Accepted):
        return f"{event.job}: place {event.position + 1} in the queue"
    if isinstance(event, Progress):
        return f"{event.job}: {event.stage}"
    if isinstance(event, JobList):
        return "the queue is paused" if event.paused else "the queue goes on"
    return f"{getattr(event, 'job', '')}: over"


def _columns(row: JobRow) -> tuple[str, ...]:
    state = row.state if row.priority == "interactive" else f"{row.state} ({row.priority})"
    ready = "" if row.eta is None else f"{row.eta:.0f} s"
    return row.job, row.project, state, row.stage, f"{row.fraction:.0%}", ready
