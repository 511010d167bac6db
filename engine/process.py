"""The engine's front process: sockets, queue, workers. Light: no torch; ready to answer in a fraction of a second.

    python -m engine.process [--root FOLDER]...

Runs in the foreground until SIGTERM, SIGINT or a `Shutdown` request; `bridge.client.start_engine` runs it detached.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bridge import VERSION
from bridge.errors import StembridgeError
from bridge.messages import PROTOCOL, Event
from bridge.paths import data_folder, default_roots
from bridge.transport.endpoint import (
    Endpoint,
    Ports,
    engine_lock,
    make_private,
    new_token,
    remove_endpoint,
    write_endpoint,
)
from bridge.transport.lan import open_keys, text2address, write_pass
from bridge.transport.mailbox import TICK, Mailbox
from bridge.transport.osc import OscServer
from bridge.transport.refusals import Refusals
from bridge.transport.zeromq import ZeroMQServer
from engine.desk import Desk
from engine.hardware import measure_hardware
from engine.keeper import StartWorker
from engine.logs import LEVELS, JsonLine, logging_to
from engine.memory import few_heaps
from engine.runner import IDLE_RELEASE, TIME_LIMIT, Runner
from engine.store.database import DATABASE, open_database
from engine.store.jobs import Kept, read_jobs
from engine.store.journal import Journal
from engine.store.lock import sole_holder
from engine.worker import PIPELINE, STAGES_GIB
from engine.worker_process import WorkerProcess

if TYPE_CHECKING:
    from engine.cluster.join import Cluster

LOG = "engine.log"
HEARTBEAT = 1.0
LAST_WORDS = 0.15
"""Seconds between the last event and the closing of the sockets, so that it gets out."""

log = logging.getLogger("engine")


class Front:
    """One engine: transports around a `Desk`."""

    def __init__(self, options: argparse.Namespace, form: JsonLine) -> None:
        """`form` writes the log's lines."""
        self._options = options
        self._form = form
        self._end = asyncio.Event()
        self._zeromq: ZeroMQServer | None = None
        self._lan: ZeroMQServer | None = None
        self._cluster: Cluster | None = None

    async def run(self) -> None:
        """Serves until told to end. Raises `StembridgeError` where a port is taken or a folder unusable."""
        options, data = self._options, make_private(data_folder())
        roots = tuple(dict.fromkeys([*default_roots(), *(root.resolve() for root in options.root)]))
        token = new_token()
        kept = read_kept(data / DATABASE)
        journal = Journal(data / DATABASE)
        starts, self._cluster = open_workers(options)
        limits = (options.time_limit, options.idle_release)
        runner = Runner(starts, journal, self._publish, data / "parked", *limits, options.trace)
        refusals = Refusals()
        desk = Desk(runner, roots, data / "results", self._end.set, refusals)
        self._form.job_of_worker = lambda: " ".join(job.id for job in runner.table.running)
        runner.restore(kept)
        mailbox = Mailbox(data / "mailbox", desk, token, refusals)
        osc = OscServer(desk, token, refusals)
        try:
            self._zeromq = open_zeromq(desk, token, refusals, options.zmq_port)
            if options.lan:
                self._lan = open_lan(desk, refusals, data, options.lan)
            await osc.open(options.osc_port)
            mailbox.open()
            ports = Ports(self._zeromq.port, self._zeromq.observer_port, osc.udp_port, osc.tcp_port)
            self._on_signals()
            write_endpoint(Endpoint(os.getpid(), VERSION, PROTOCOL, token, ports, str(mailbox.folder), str(data / LOG)))
            log.info("engine %s, process %d, %s", VERSION, os.getpid(), ports)
            runner.crew.start()
            asking = asyncio.create_task(ask_device(desk))
            await self._serve(desk, mailbox)
            asking.cancel()
            await desk.close()
            await asyncio.sleep(LAST_WORDS)
        finally:
            runner.crew.close()
            if self._cluster is not None:
                self._cluster.close()
            journal.close()
            remove_endpoint(os.getpid())
            mailbox.close()
            await osc.close()
            for server in (self._zeromq, self._lan):
                if server is not None:
                    server.close()
            log.info("the engine has ended")

    async def _serve(self, desk: Desk, mailbox: Mailbox) -> None:
        beat = 0.0
        while not self._end.is_set():
            now = time.monotonic()
            if now - beat >= HEARTBEAT:
                beat = now
                self._publish("", desk.pong())
                mailbox.beat()
            mailbox.tick()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._end.wait(), TICK)

    def _publish(self, job: str, event: Event) -> None:
        for server in (self._zeromq, self._lan):
            if server is not None:
                server.publish(job, event)

    def _on_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(self._end.set))


def open_workers(options: argparse.Namespace) -> tuple[list[StartWorker], Cluster | None]:
    """How the workers are started: one process, or as many Ray actors as fit. Raises `StembridgeError` without Ray."""
    if not options.ray:
        words = ("--pipeline", options.pipeline, "--stages-gib", str(options.stages_gib))
        return [functools.partial(WorkerProcess, words)], None
    from engine.cluster.handle import ActorWorker
    from engine.cluster.join import Cluster, check_installed
    from engine.cluster.needs import home_places, measure_needs

    check_installed()
    needs = measure_needs()
    places = options.actors or home_places(needs)
    cluster = Cluster(options.ray, needs, places)
    work = (options.pipeline, options.stages_gib)
    return [functools.partial(ActorWorker, cluster, place, *work) for place in range(places)], cluster


async def ask_device(desk: Desk) -> None:
    """Finds out what the models run on; the system may take seconds to say."""
    desk.device = await asyncio.to_thread(measure_hardware)


def read_kept(path: Path) -> Kept:
    """What an earlier engine has left. Raises `StembridgeError` as `open_database` does."""
    with contextlib.closing(open_database(path)) as connection:
        return read_jobs(connection)


def open_zeromq(desk: Desk, token: str, refusals: Refusals, port: int) -> ZeroMQServer:
    """The ZeroMQ sockets. Raises `StembridgeError` where the port is taken."""
    import zmq

    try:
        return ZeroMQServer(desk, token, port=port, refusals=refusals)
    except zmq.ZMQError as error:
        raise StembridgeError(
            "port.taken", f"ZeroMQ port {port} cannot be used ({error}).", hint="Choose another."
        ) from error


def open_lan(desk: Desk, refusals: Refusals, data: Path, wanted: str) -> ZeroMQServer:
    """Sockets on an address of this machine for those who hold the pass. Raises `StembridgeError`."""
    import zmq

    address, port = text2address(wanted)
    keys = open_keys(data)
    try:
        server = ZeroMQServer(
            desk, keys.token, port=port, observer_port=port + 1, host=address, keys=keys, refusals=refusals
        )
    except zmq.ZMQError as error:
        raise StembridgeError(
            "lan.address",
            f"{wanted} cannot be used ({error}).",
            hint="Name an address of this machine, a free port.",
        ) from error
    ports = Ports(server.port, server.observer_port, 0, 0)
    path = write_pass(
        data, Endpoint(os.getpid(), VERSION, PROTOCOL, keys.token, ports, "", "", address=address, curve=keys.client)
    )
    log.warning("reachable from other machines at %s:%d for whoever holds %s", address, port, path)
    return server


@contextlib.contextmanager
def sole_engine(data: Path) -> Iterator[None]:
    """Held for the life of an engine. Raises `StembridgeError` where another one works on the same data folder."""
    with sole_holder(data / "data.lock", 0.3) as alone:
        if not alone:
            hint = "Use that engine, end it, or set STEMBRIDGE_DATA to a folder of this one's own."
            raise StembridgeError("data.in_use", "another engine works with this folder.", field=str(data), hint=hint)
        yield


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options of the front process."""
    parser = argparse.ArgumentParser(prog="engine.process", description="stembridge's background engine.")
    parser.add_argument("--root", type=Path, action="append", default=[], help="a folder that requests may name")
    parser.add_argument("--zmq-port", type=int, default=0, help="port for requests (default: the system chooses)")
    parser.add_argument(
        "--osc-port", type=int, default=0, help="UDP and TCP port for OSC (default: the system chooses)"
    )
    parser.add_argument("--lan", metavar="ADDRESS[:PORT]", default="", help="be reachable there, encrypted, by pass")
    parser.add_argument("--ray", metavar="auto|ADDRESS", default="", help="run the workers as actors of a Ray cluster")
    parser.add_argument("--actors", type=int, default=0, help="workers of this machine (default: as many as fit)")
    parser.add_argument("--pipeline", default=PIPELINE, help="module:Class that does the work")
    parser.add_argument("--stages-gib", type=float, default=STAGES_GIB, help="size of the store of finished stages")
    parser.add_argument("--time-limit", type=float, default=TIME_LIMIT, help="seconds that a job may run")
    text = "seconds without a job after which idle models are released (0: never)"
    parser.add_argument("--idle-release", type=float, default=IDLE_RELEASE, help=text)
    parser.add_argument("--log-level", choices=LEVELS, default="info", help="what goes into the log")
    parser.add_argument("--trace", action="store_true", help="write a timeline of every job")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs an engine in the foreground. Exit code 0 after an orderly end, 4 where one runs already, else 1."""
    options = parse(argv)
    few_heaps()
    try:
        data = make_private(data_folder())
        with engine_lock(), sole_engine(data), logging_to(data / LOG, options.log_level) as form:
            try:
                with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                    runner.run(Front(options, form).run())
            except StembridgeError as error:
                log.error("%s", error)
                raise
            except BaseException:
                log.exception("the engine broke")
                raise
    except StembridgeError as error:
        print(f"stembridge: {error}", file=sys.stderr)
        return 4 if error.code == "engine.running" else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
