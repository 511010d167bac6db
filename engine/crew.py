"""All workers of an engine, each kept alive by its own `Keeper`: who is free, who has which job, who cannot work."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.messages import Event, Failed, ModelRow
from engine.keeper import Boss, Keeper, StartWorker
from engine.wire import Run


class Crew:
    """One keeper per entry of `starts`. To the boss they look like one: it hears that none can be started only when
    that holds for all. Use inside the event loop."""

    def __init__(self, starts: Sequence[StartWorker], boss: Boss) -> None:
        self._boss = boss
        self._keepers = [Keeper(start, self) for start in starts]

    @property
    def ready(self) -> bool:
        """Whether a worker has loaded its models."""
        return any(keeper.ready for keeper in self._keepers)

    @property
    def models(self) -> tuple[ModelRow, ...] | None:
        """What a worker said that it can do; None while none has been ready."""
        return next((keeper.models for keeper in self._keepers if keeper.models is not None), None)

    @property
    def broken(self) -> Failed | None:
        """Why no worker can be started; None while one can."""
        reasons = [keeper.broken for keeper in self._keepers]
        return reasons[0] if all(reasons) else None

    @property
    def idle(self) -> bool:
        """Whether a job can be given."""
        return any(keeper.idle for keeper in self._keepers)

    def start(self) -> None:
        """Starts the workers that are not there."""
        for keeper in self._keepers:
            keeper.start()

    @property
    def loading_for(self) -> float | None:
        """Seconds since workers began to load, where none is ready yet."""
        loading = [spent for keeper in self._keepers if (spent := keeper.loading_for) is not None]
        return max(loading) if loading and not self.ready else None

    @property
    def load_seconds(self) -> float | None:
        """How long a worker took to load its models; None while none has."""
        return next((k.load_seconds for k in self._keepers if k.load_seconds is not None), None)

    @property
    def keepers(self) -> tuple[Keeper, ...]:
        """Each worker's own."""
        return tuple(self._keepers)

    def run(self, run: Run) -> None:
        """Gives an idle worker a job; the others leave it alone from now on."""
        idle = next(keeper for keeper in self._keepers if keeper.idle)
        for keeper in self._keepers:
            if keeper is not idle:
                keeper.leave(run.request.job)
        idle.run(run)

    def release(self) -> int:
        """Starts all idle workers anew that have worked; see `Keeper.release`. Says how many."""
        return sum(keeper.release() for keeper in self._keepers)

    def stop(self, job: str, *, keep: bool = False) -> None:
        """See `Keeper.stop`; does nothing where no worker has the job."""
        for keeper in self._keepers:
            if keeper.job == job:
                keeper.stop(keep=keep)

    def leave(self, job: str) -> None:
        """A job that waits shall not be worked on; see `Keeper.leave`."""
        for keeper in self._keepers:
            keeper.leave(job)

    def close(self) -> None:
        """Kills the workers and starts no other."""
        for keeper in self._keepers:
            keeper.close()

    def worker_ready(self) -> None:
        """See `engine.keeper.Boss`."""
        self._boss.worker_ready()

    def worker_said(self, event: Event, fresh: bool) -> None:
        """See `engine.keeper.Boss`."""
        self._boss.worker_said(event, fresh)

    def worker_lost(self, job: str, why: str, last_words: str, took: bool) -> None:
        """See `engine.keeper.Boss`."""
        self._boss.worker_lost(job, why, last_words, took)

    def worker_broken(self) -> None:
        """See `engine.keeper.Boss`."""
        if self.broken:
            self._boss.worker_broken()
