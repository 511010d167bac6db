"""`stembridge engine start|stop|status|metrics`: the background process that holds the models."""

from __future__ import annotations

import argparse

from bridge.client import Client, engine_status, start_engine, stop_engine
from bridge.messages import Pong, encode
from bridge.metrics import stats2page, stats2prometheus
from bridge.paths import data_folder
from bridge.terminal import print_json
from bridge.transport.lan import NAMED, PASS

PASSED_ON = ("lan", "ray", "actors", "idle_release", "time_limit", "stages_gib", "log_level")
"""Options that the engine's process takes by the same name."""


def run(arguments: argparse.Namespace) -> int:
    """Starts, stops or shows the engine. Exit code 1 for a status, its figures or a stop where none runs."""
    if arguments.action == "start":
        return _start(arguments)
    if arguments.action == "stop":
        stopped = stop_engine()
        print("engine stopped" if stopped else "no engine was running")
        return 0 if stopped else 1
    if arguments.action == "metrics":
        return _metrics(arguments)
    status = engine_status()
    if arguments.json:
        print("null" if status is None else encode(status).decode())
    elif status is None:
        print("no engine is running")
    else:
        _show(status)
    return 0 if status else 1


def _show(status: Pong) -> None:
    """One line, then the figures."""
    state = "ready" if status.ready else "loading its models"
    print(f"engine {status.engine}, process {status.pid}, {state}, {status.jobs} unfinished jobs")
    with Client.connect() as client:
        print("\n".join(stats2page(client.stats().stats, client.jobs())))


def _metrics(arguments: argparse.Namespace) -> int:
    """All counters and gauges, in Prometheus' text format or as JSON."""
    with Client.connect() as client:
        answer = client.stats()
    if arguments.json:
        print_json(answer)
    else:
        print(stats2prometheus(answer.stats), end="")
    return 0


def _start(arguments: argparse.Namespace) -> int:
    options = engine_options(arguments)
    if arguments.foreground:
        import os
        import sys

        roots = [word for root in arguments.root for word in ("--root", str(root.resolve()))]
        os.execv(sys.executable, [sys.executable, "-m", "engine.process", *roots, *options])
    endpoint = start_engine(roots=[root.resolve() for root in arguments.root], options=options)
    print(f"engine running (process {endpoint.pid})")
    if arguments.lan:
        print(f"reachable at {arguments.lan} by {data_folder() / PASS}: copy it to the other machine and let")
        print(f"{NAMED} name it there; whoever holds it may use this engine")
    return 0


def engine_options(arguments: argparse.Namespace) -> list[str]:
    """What the engine's process is told."""
    words = [(f"--{name.replace('_', '-')}", getattr(arguments, name)) for name in PASSED_ON]
    given = [word for option, value in words if value not in (None, "") for word in (option, str(value))]
    return [*given, *(["--trace"] if arguments.trace else [])]
