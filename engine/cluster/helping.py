"""The workers' side of Ray: who of the engine's other actors can be asked for a stem."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

from engine.worker import PipelineLike

if TYPE_CHECKING:
    from ray.actor import ActorHandle

    from engine.helpers import Helper, Helpers, StemTask
    from engine.sounds import Sound


class Helpful(PipelineLike, Protocol):
    """A pipeline whose stems others may play, and that plays theirs: `engine.pipeline.Pipeline`."""

    helpers: Helpers

    def stem(self, task: StemTask) -> Sound | None: ...


def is_helpful(pipeline: PipelineLike) -> TypeGuard[Helpful]:
    """Whether the pipeline takes part in that."""
    return hasattr(pipeline, "helpers")


class Peer:
    """One other actor."""

    def __init__(self, name: str, actor: ActorHandle[Any]) -> None:
        self._name = name
        self._actor = actor

    def stem(self, task: StemTask) -> Sound | None:
        """See `engine.helpers.Helper`. An actor that dies over it is its keeper's or Ray's business: the stem is played
        here then."""
        import ray

        try:
            sound: Sound | None = ray.get(self._actor.stem.options(concurrency_group="help").remote(task))
        except ray.exceptions.RayError as error:
            print(f"{self._name} could not play {task.part}: {str(error).splitlines()[0]}", file=sys.stderr, flush=True)
            return None
        if sound is not None:
            print(f"{task.part} was played by {self._name}", file=sys.stderr, flush=True)
        return sound


class Peers:
    """All other actors of the engine that are there, asked anew for every take."""

    def __init__(self, me: str) -> None:
        self._me = me

    def free(self) -> Sequence[Helper]:
        """See `engine.helpers.Helpers`."""
        import ray

        found: list[Helper] = []
        for name in sorted(ray.util.list_named_actors()):
            if name != self._me:
                try:
                    found.append(Peer(name, ray.get_actor(name)))
                except ValueError:  # it has died since
                    continue
        return found
