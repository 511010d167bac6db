"""The front's side of Ray: joins a cluster, or starts one on this machine, and starts actors in it.

A cluster that is started here is guarded by Ray's own token authentication with a fresh token (its ports are open on
all of the machine's addresses, which Ray does not let one choose); for one that is joined, token and guard are its
owner's (`RAY_AUTH_MODE`, `RAY_AUTH_TOKEN`).
"""

from __future__ import annotations

import importlib.util
import logging
import os
import secrets
import socket
import subprocess
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from bridge.errors import StembridgeError
from bridge.paths import data_folder
from engine.cluster.guard import start_guard
from engine.cluster.needs import Needs
from engine.hardware import GIB
from engine.stages import program2hash

if TYPE_CHECKING:
    from ray.actor import ActorHandle

CLOSE_SECONDS = 5.0
REACH_SECONDS = 5.0
LOOK_SECONDS = 10.0
"""Between two looks for machines that have joined."""
STEMS_BYTES = round(0.25 * GIB)
"""Of the object store of a cluster that is started here: some stems on their way."""
CARRIED = ("STEMBRIDGE_", "OMP_NUM_THREADS", "PYTHONPATH")
"""Starts of the names of variables that actors shall have as the front has them."""

log = logging.getLogger(__name__)


def check_installed() -> None:
    """Raises `StembridgeError` where Ray is not there."""
    if importlib.util.find_spec("ray") is None:
        raise StembridgeError(
            "ray.absent", "Ray is not installed.", hint="Install it with `pip install 'stembridge[ray]'`."
        )


def reach(address: str) -> None:
    """Raises OSError or ValueError where nobody listens at host:port; Ray would try for a minute."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    socket.create_connection((host, int(port)), REACH_SECONDS).close()


class Cluster:
    """One engine's part of a Ray cluster. Nothing happens before `connect`; any thread may call."""

    def __init__(self, address: str, needs: Needs, places: int) -> None:
        """`address`: host:port, or "auto" (the cluster that RAY_ADDRESS names, else a new one on this machine).
        `places`: workers of this machine, for a cluster that is started here."""
        self._address = address
        self._needs = needs
        self._places = places
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._joined: Future[None] = Future()
        self._over = threading.Event()
        self._guard: subprocess.Popen[bytes] | None = None
        self.namespace = f"stembridge-{secrets.token_hex(8)}"

    def connect(self) -> None:
        """Joins or starts the cluster, once, and waits until that is done. Raises `StembridgeError`."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._live, name="ray", daemon=True)
                self._thread.start()
        self._joined.result()

    def start_worker(self, place: int, pipeline: str, stages_gib: float) -> ActorHandle[Any]:
        """An actor on this machine that runs jobs and plays stems; Ray starts it when there is room."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        from engine.cluster.actor import WorkerActor

        here = ray.get_runtime_context().get_node_id()
        name = f"worker-{place}-{secrets.token_hex(4)}"
        strategy = NodeAffinitySchedulingStrategy(here, soft=False)
        made = ray.remote(concurrency_groups=WorkerActor.THREADS)(WorkerActor)
        starting = made.options(scheduling_strategy=strategy, **self._options(name))
        handle: ActorHandle[Any] = starting.remote(name, place, pipeline, stages_gib)
        return handle

    def close(self) -> None:
        """Leaves the cluster: Ray ends this engine's actors, and the cluster itself where it was started here."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)

    def _live(self) -> None:
        """From joining to leaving in one thread, because what Ray starts on this machine ends with the thread that
        started it (Linux's parent-death signal); what does not, `engine.cluster.guard` ends."""
        try:
            log.info("ray: %s", self._join())
        except (RuntimeError, ValueError, OSError) as error:
            self._joined.set_exception(
                StembridgeError(
                    "ray.unreachable",
                    f"the Ray cluster {self._address!r} cannot be joined ({str(error).splitlines()[0]}).",
                    hint="Look with `ray status`; a guarded cluster wants RAY_AUTH_MODE and RAY_AUTH_TOKEN set.",
                )
            )
            return
        self._joined.set_result(None)
        self._look_for_machines()
        import ray

        ray.shutdown()

    def _join(self) -> str:
        """Ray reads its settings when it is imported, so they are made before."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        address = os.environ.get("RAY_ADDRESS", "") if self._address == "auto" else self._address
        if not address:
            os.environ["RAY_AUTH_MODE"] = "token"
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        import ray

        common = {"namespace": self.namespace, "log_to_driver": False, "configure_logging": False}
        if address:
            reach(address)
            ray.init(address=address, **common)
            return f"joined {address}"
        self._guard = start_guard()
        cpus = max(os.cpu_count() or 1, self._places * self._needs.cpus)
        ray.init(num_cpus=cpus, include_dashboard=False, object_store_memory=STEMS_BYTES, **common)
        return f"started a cluster on this machine, {ray.get_runtime_context().gcs_address}"

    def _options(self, name: str) -> dict[str, Any]:
        carried = {key: value for key, value in os.environ.items() if key.startswith(CARRIED)}
        return {
            "name": name,
            "num_cpus": self._needs.cpus,
            "num_gpus": self._needs.gpus,
            "memory": self._needs.memory,
            "runtime_env": {"env_vars": {**carried, "STEMBRIDGE_DATA": str(data_folder())}},
        }

    def _look_for_machines(self) -> None:
        """Starts on every other machine as many helpers as it holds; Ray restarts them there when they die."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        from engine.cluster.actor import HelperActor

        here = ray.get_runtime_context().get_node_id()
        made = ray.remote(concurrency_groups=HelperActor.THREADS)(HelperActor)
        helpers: dict[str, list[Any]] = {}
        while not self._over.wait(LOOK_SECONDS if helpers else 0.0):
            for node in ray.nodes():
                name, has = str(node["NodeID"]), node["Resources"]
                if not node["Alive"] or name == here or name in helpers:
                    continue
                count = self._needs.fits(has.get("CPU", 0), has.get("memory", 0), has.get("GPU", 0))
                strategy = NodeAffinitySchedulingStrategy(name, soft=False)
                helpers[name] = [
                    made.options(
                        scheduling_strategy=strategy, max_restarts=-1, **self._options(f"helper-{name[:8]}-{i}")
                    ).remote(program2hash())
                    for i in range(count)
                ]
                log.info("ray: machine %s helps with %d workers", node.get("NodeManagerHostname", name), count)
            helpers.setdefault(here, [])
