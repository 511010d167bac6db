"""`stembridge engine start|stop|status`: the background process that holds the models."""

from __future__ import annotations

import argparse

from bridge.client import engine_status, start_engine, stop_engine
from bridge.messages import encode
from bridge.paths import data_folder
from bridge.transport.lan import NAMED, PASS


def run(arguments: argparse.Namespace) -> int:
    """Starts, stops or shows the engine. Exit code 1 for a status or stop where none runs."""
    if arguments.action == "start":
        return _start(arguments)
    if arguments.action == "stop":
        stopped = stop_engine()
        print("engine stopped" if stopped else "no engine was running")
        return 0 if stopped else 1
    status = engine_status()
    if arguments.json:
        print("null" if status is None else encode(status).decode())
    elif status is None:
        print("no engine is running")
    else:
        state = "ready" if status.ready else "loading its models"
        print(f"engine {status.engine}, process {status.pid}, {state}, {status.jobs} unfinished jobs")
    return 0 if status else 1


def _start(arguments: argparse.Namespace) -> int:
    lan = ["--lan", arguments.lan] if arguments.lan else []
    if arguments.foreground:
        import os
        import sys

        roots = [word for root in arguments.root for word in ("--root", str(root.resolve()))]
        os.execv(sys.executable, [sys.executable, "-m", "engine.process", *roots, *lan])
    endpoint = start_engine(roots=[root.resolve() for root in arguments.root], options=lan)
    print(f"engine running (process {endpoint.pid})")
    if lan:
        print(f"reachable at {arguments.lan} by {data_folder() / PASS}: copy it to the other machine and let")
        print(f"{NAMED} name it there; whoever holds it may use this engine")
    return 0
