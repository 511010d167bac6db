"""One renderer for several takes and jobs: what they ask for shares its calls where the shapes agree.

Nobody waits for company. Whoever finds the renderer free runs the next batch of all that wait, the oldest first, for
its owners, whoever they are; the others look meanwhile whether their own job shall stop. A renderer's answer depends on
its stretch alone, so company changes no byte. What one call breaks of, the others do not see: they are rendered again
without it. Guests ask for nothing of their own: they get the rows of others' calls that would be thrown away.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from engine.rendering import Clip, Renderer, Stretch, Task
from engine.report import POLL_SECONDS, Tick
from engine.trace import span


@dataclass(eq=False)
class Call:
    """What one take wants rendered now. `left`: numbers of the stretches that have no answer yet. A `guest` waits for
    free rows."""

    stretches: Sequence[Stretch]
    tick: Tick
    left: list[int] = field(default_factory=list)
    shapes: dict[int, Hashable] = field(default_factory=dict)
    answers: dict[int, Clip] = field(default_factory=dict)
    error: Exception | None = None
    told: float = 0.0
    guest: bool = False
    changed: threading.Event = field(default_factory=threading.Event)

    @property
    def ended(self) -> bool:
        """Whether its caller can have the answer, or the error."""
        return self.error is not None or not self.left

    def tell(self, fraction: float) -> None:
        """Says how far it is, which never goes back. An error of the caller's own ends this call."""
        self.told = max(self.told, fraction)
        try:
            self.tick(self.told)
        except Exception as error:
            self.error = error


Row = tuple[Call, int]


class Shared:
    """A `Renderer` over another one; any thread may call it."""

    def __init__(self, renderer: Renderer) -> None:
        """Nobody else renders by it meanwhile."""
        self.name, self.weights, self.licence = renderer.name, renderer.weights, renderer.licence
        self.window_seconds, self.batch = renderer.window_seconds, renderer.batch
        self.sings, self.matches_reference = renderer.sings, renderer.matches_reference
        self._renderer = renderer
        self._calls: list[Call] = []
        self._guests: list[Call] = []
        self._turn = threading.Lock()

    @property
    def waiting(self) -> int:
        """Calls that have no answer yet."""
        return len(self._calls)

    @property
    def offered(self) -> int:
        """Stretches of guests that wait for a free row."""
        return sum(len(call.left) for call in tuple(self._guests))

    def task(self, stretch: Stretch) -> Task:
        """See `engine.rendering.Renderer`."""
        return self._renderer.task(stretch)

    def remarks(self, stretch: Stretch) -> tuple[str, ...]:
        """See `engine.rendering.Renderer`."""
        return self._renderer.remarks(stretch)

    def shape(self, stretch: Stretch) -> Hashable:
        """See `engine.rendering.Renderer`."""
        with self._turn:
            return self._renderer.shape(stretch)

    def width(self, stretch: Stretch) -> int:
        """See `engine.rendering.Renderer`."""
        return self._renderer.width(stretch)

    def release(self) -> None:
        """See `engine.rendering.Renderer`."""
        self._renderer.release()

    def render(self, stretches: Sequence[Stretch], tick: Tick) -> list[Clip]:
        """See `engine.rendering.Renderer`."""
        call = Call(stretches, tick, list(range(len(stretches))))
        self._calls.append(call)
        try:
            while not call.ended:
                if self._turn.acquire(timeout=POLL_SECONDS):
                    try:
                        if not call.ended:
                            self._run(self._next())
                    finally:
                        self._turn.release()
                else:
                    tick(call.told)
        finally:
            self._calls.remove(call)
        if call.error is not None:
            raise call.error
        return [call.answers[i] for i in range(len(stretches))]

    def along(self, stretches: Sequence[Stretch], tick: Tick, keep: Callable[[int, Clip], None]) -> None:
        """Has stretches rendered in rows of others' calls that nobody needs, however long that takes. `keep` gets each
        one's number and answer soon after it is there. Raises what `tick` raises, and what their own call broke of."""
        call = Call(stretches, tick, list(range(len(stretches))), guest=True)
        kept = 0

        def hand_over() -> None:
            nonlocal kept
            for i in tuple(call.answers)[kept:]:
                kept += 1
                keep(i, call.answers[i])

        self._guests.append(call)
        try:
            while not call.ended:
                call.changed.wait(POLL_SECONDS)
                call.changed.clear()
                hand_over()
                tick(call.told)
        finally:
            self._guests.remove(call)
            hand_over()
        if call.error is not None:
            raise call.error

    def _next(self) -> list[Row]:
        """What waits, of the oldest one's shape, as much as goes into a call of the network; then guests, as many as
        make its last call full."""
        chosen: list[Row] = []
        for call in tuple(self._calls):
            self._choose(call, chosen, max(self.batch, 1))
        chosen = [(call, i) for call, i in chosen if not call.ended]
        if chosen and self._guests:
            call, i = chosen[0]
            full = len(chosen) + -len(chosen) % self._renderer.width(call.stretches[i])
            for guest in tuple(self._guests):
                self._choose(guest, chosen, full)
        return [(call, i) for call, i in chosen if not call.ended]

    def _choose(self, call: Call, chosen: list[Row], full: int) -> None:
        """Adds what the call has of the shape of those that are chosen, until there are so many."""
        for i in tuple(call.left):
            if call.ended or len(chosen) >= full:
                return
            try:
                if i not in call.shapes:
                    call.shapes[i] = self._renderer.shape(call.stretches[i])
            except Exception as error:
                call.error = error
                return
            if not chosen or call.shapes[i] == chosen[0][0].shapes[chosen[0][1]]:
                chosen.append((call, i))

    def _run(self, rows: Sequence[Row]) -> None:
        """Renders the rows for those of their callers who still want them."""
        if not rows:
            return
        calls = list(dict.fromkeys(call for call, _ in rows))
        done = {call: (len(call.answers), sum(c is call for c, _ in rows)) for call in calls}

        def tick(fraction: float) -> None:
            for call in calls:
                if call.error is None:
                    before, mine = done[call]
                    call.tell((before + mine * fraction) / len(call.stretches))
            hosts = [call.error for call in calls if not call.guest]
            if hosts[0] is not None and all(hosts):
                raise hosts[0]

        try:
            with span("render batch", rows=len(rows), calls=len(calls)):
                clips = self._renderer.render([call.stretches[i] for call, i in rows], tick)
        except Exception as error:
            wanted = [call for call in calls if call.error is None and not call.guest]
            for call in calls if wanted else ():
                if call.guest or len(calls) == 1:
                    call.error = call.error or error
        else:
            for (call, i), clip in zip(rows, clips, strict=True):
                call.answers[i] = clip
                call.left.remove(i)
                call.changed.set()
            return
        for call in calls:
            if call.error is None and not call.guest:
                self._run([row for row in rows if row[0] is call])


def share_renderers(renderers: Mapping[str, Renderer], known: dict[int, Shared]) -> dict[str, Renderer]:
    """The same by the same names, each machine shared; those that were shared before are `known`."""
    for machine in renderers.values():
        known.setdefault(id(machine), Shared(machine))
    return {name: known[id(machine)] for name, machine in renderers.items()}
