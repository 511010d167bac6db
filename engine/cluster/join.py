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
import threading
from typing import TYPE_CHECKING, Any

from bridge.errors import StembridgeError
from bridge.paths import data_folder
from engine.cluster.needs import Needs
from engine.hardware import GIB
from engine.stages import program2hash

if TYPE_CHECKING:
    from ray.actor import ActorHandle

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


class Cluster:
    """One engine's part of a Ray cluster. Nothing happens before `connect`; any thread may call."""

    def __init__(self, address: str, needs: Needs, places: int) -> None:
        """`address`: "auto" (the cluster that runs on this machine, else a new one) or host:port. `places`: workers of
        this machine, for a cluster that is started here."""
        self._address = address
        self._needs = needs
        self._places = places
        self._lock = threading.Lock()
        self._connected = False
        self._over = threading.Event()
        self.namespace = f"stembridge-{secrets.token_hex(8)}"

    def connect(self) -> None:
        """Joins or starts the cluster, once. Raises `StembridgeError`."""
        with self._lock:
            if self._connected:
                return
            try:
                joined = self._join()
            except (ConnectionError, RuntimeError, ValueError, OSError) as error:
                raise StembridgeError(
                    "ray.unreachable",
                    f"the Ray cluster {self._address!r} cannot be joined ({str(error).splitlines()[0]}).",
                    hint="Look with `ray status`; a guarded cluster wants RAY_AUTH_MODE and RAY_AUTH_TOKEN set.",
                ) from error
            log.info("ray: %s", joined)
            self._connected = True
            threading.Thread(target=self._look_for_machines, name="machines", daemon=True).start()

    def start_worker(self, place: int, pipeline: str, stages_gib: float) -> ActorHandle[Any]:
        """An actor on this machine that runs jobs and plays stems; Ray starts it when there is room."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        from engine.cluster.actor import WorkerActor

        here = ray.get_runtime_context().get_node_id()
        name = f"worker-{place}-{secrets.token_hex(4)}"
        strategy = NodeAffinitySchedulingStrategy(here, soft=False)
        options = self._options(name, WorkerActor.THREADS)
        made = ray.remote(WorkerActor).options(scheduling_strategy=strategy, **options)
        handle: ActorHandle[Any] = made.remote(name, place, pipeline, stages_gib)
        return handle

    def close(self) -> None:
        """Leaves the cluster: Ray ends this engine's actors, and the cluster itself where it was started here."""
        self._over.set()
        with self._lock:
            if self._connected:
                import ray

                ray.shutdown()

    def _join(self) -> str:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        common: dict[str, Any] = {
            "namespace": self.namespace,
            "log_to_driver": False,
            "logging_level": "ERROR",
            "configure_logging": False,
        }
        import ray

        if self._address != "auto":
            ray.init(address=self._address, **common)
            return f"joined {ray.get_runtime_context().gcs_address}"
        try:
            ray.init(address="auto", **common)
            return f"joined {ray.get_runtime_context().gcs_address}"
        except ConnectionError:
            os.environ["RAY_AUTH_MODE"] = "token"
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        cpus = max(os.cpu_count() or 1, self._places * self._needs.cpus)
        ray.init(num_cpus=cpus, include_dashboard=False, object_store_memory=STEMS_BYTES, **common)
        return f"started a cluster on this machine, {ray.get_runtime_context().gcs_address}"

    def _options(self, name: str, threads: dict[str, int]) -> dict[str, Any]:
        carried = {key: value for key, value in os.environ.items() if key.startswith(CARRIED)}
        return {
            "name": name,
            "num_cpus": self._needs.cpus,
            "num_gpus": self._needs.gpus,
            "memory": self._needs.memory,
            "concurrency_groups": threads,
            "runtime_env": {"env_vars": {**carried, "STEMBRIDGE_DATA": str(data_folder())}},
        }

    def _look_for_machines(self) -> None:
        """Starts on every other machine as many helpers as it holds; Ray restarts them there when they die."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        from engine.cluster.actor import HelperActor

        here = ray.get_runtime_context().get_node_id()
        helpers: dict[str, list[Any]] = {}
        while not self._over.wait(LOOK_SECONDS if helpers else 0.0):
            for node in ray.nodes():
                name, has = str(node["NodeID"]), node["Resources"]
                if not node["Alive"] or name == here or name in helpers:
                    continue
                count = self._needs.fits(has.get("CPU", 0), has.get("memory", 0), has.get("GPU", 0))
                strategy = NodeAffinitySchedulingStrategy(name, soft=False)
                helpers[name] = [
                    ray.remote(HelperActor)
                    .options(
                        scheduling_strategy=strategy,
                        max_restarts=-1,
                        **self._options(f"helper-{name[:8]}-{i}", HelperActor.THREADS),
                    )
                    .remote(program2hash())
                    for i in range(count)
                ]
                log.info("ray: machine %s helps with %d workers", node.get("NodeManagerHostname", name), count)
            helpers.setdefault(here, [])
