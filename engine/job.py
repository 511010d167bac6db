"""One job: a request on its way, and what is known of it from the request alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeGuard

from bridge.messages import Cancelled, Done, Failed, Heard, Listen, Progress, Render, StemReady, encode

State = Literal["queued", "running", "paused", "parked", "done", "failed", "cancelled"]
Final = Done | Heard | Failed | Cancelled


@dataclass(slots=True)
class Job:
    """One request on its way; the request itself is forgotten when the job has ended.

    `first_take` is the number of its first take in `out`. `crashes`: workers that died of it; `halts`: engines that
    died during it. `overdue`: how it fails once it has stopped, for it ran too long. `arrived`, `started`: seconds of a
    monotonic clock. `marks`: (fraction, seconds since start) as reported.
    """

    id: str
    project: str
    request: Render | Listen | None
    body: str
    out: Path
    work: float
    kind: str
    first_take: int = 1
    client: str = ""
    priority: str = "interactive"
    number: int = 0
    rank: float = 0.0
    state: State = "queued"
    attempts: int = 0
    crashes: int = 0
    halts: int = 0
    arrived: float = 0.0
    started: float = 0.0
    progress: Progress | None = None
    stems: list[StemReady] = field(default_factory=list)
    final: Final | None = None
    cancelling: bool = False
    pausing: bool = False
    overdue: Failed | None = None
    marks: list[tuple[float, float]] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        """Whether the final event is there."""
        return self.final is not None

    @property
    def begun(self) -> bool:
        """Whether a worker has had it."""
        return self.attempts > 0


def paused(job: Job) -> Progress:
    """What a paused job's followers are told."""
    fraction = job.progress.fraction if job.progress else 0.0
    return Progress(job.id, "paused", fraction, note="The job is paused.")


def final2state(final: Final) -> State:
    """The state that a final event leads to."""
    if isinstance(final, Failed):
        return "failed"
    return "cancelled" if isinstance(final, Cancelled) else "done"


def request2job(request: Render | Listen, body: str, out: Path, number: int, client: str, first_take: int = 1) -> Job:
    """A new job; `body` is its `request2body`."""
    return Job(
        request.job,
        request.project.name,
        request,
        body,
        out,
        request2work(request),
        request2kind(request),
        first_take=first_take,
        client=client,
        priority=request.priority if isinstance(request, Render) else "interactive",
        number=number,
        rank=float(number),
    )


def request2body(request: Render | Listen) -> str:
    """A hash of what is asked: equal for two sendings of the same request, however it was spelt in JSON."""
    return hashlib.sha256(encode(request)).hexdigest()


def request2work(request: Render | Listen) -> float:
    """Stem-seconds to write: the measure by which ETAs scale."""
    if isinstance(request, Listen):
        return 1.0
    clock, scope = request.arrangement.timeline(), request.scope
    wanted = [s for s in request.arrangement.sections if not (scope and scope.sections) or s.name in scope.sections]
    seconds = sum(clock.beat2second(s.end) - clock.beat2second(s.start) for s in wanted)
    stems = len(scope.stems) if scope and scope.stems else len(request.stems)
    return max(seconds, 1.0) * max(stems, 1) * max(request.takes, 1)


def may_share(request: Render | Listen | None) -> TypeGuard[Render]:
    """Whether a waiting job's chords can be written and its stems painted along with another's: nothing has to be heard
    or read first."""
    if not isinstance(request, Render) or request.scope is not None or request.continues:
        return False
    arrangement = request.arrangement
    return not (arrangement.tracks or arrangement.references or request.soundfont)


def request2kind(request: Render | Listen) -> str:
    """Jobs of one kind go about equally fast per unit of work."""
    if isinstance(request, Listen):
        return "listen"
    return f"render {request.composer} {request.renderer}{' edit' if request.scope else ''}"
