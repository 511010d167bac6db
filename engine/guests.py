"""Jobs that wait are painted along with the one that runs, in rows of its renderer's calls that nobody needs.

A call of a renderer has always as many rows as its device takes, wanted or not. A waiting job that would be painted by
the same renderer composes its song and plays its guides meanwhile, and offers its stretches for those rows. It never
gets a call of its own, so the running job does not wait for it. What was painted is kept as a finished stage of the job
that it belongs to, and found there when that job's turn comes; nothing is written to its folder and nobody is told.

What a job becomes depends on its request alone, so company shows in nothing but time. A guest that breaks is left to
say so in its own turn. Where every stretch has a call of its own (see `engine.shelf.SHARED_ROWS`) there are no guests.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec
import numpy as np

from bridge.messages import PieceReady, StemReady
from engine.coming import Coming
from engine.pieces import Piece
from engine.rendering import Clip
from engine.report import POLL_SECONDS, JobCancelled
from engine.score import Part
from engine.stages import NO_STAGES, StageCache, stage2key

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Guest:
    """A coming job that is worked on in a thread of its own, and the `Reporter` of that work. While `silence` is there
    and not set, the work stands still."""

    coming: Coming
    left: bool = False
    silence: threading.Event | None = None
    thread: threading.Thread = field(default_factory=threading.Thread)

    @property
    def job(self) -> str:
        """Its id."""
        return self.coming.job

    def tick(self, fraction: float = 0.0) -> None:
        """Raises `JobCancelled` when it shall go."""
        while True:
            if self.left or self.coming.gone():
                raise JobCancelled(self.job)
            if self.silence is None or self.silence.wait(POLL_SECONDS):
                return

    def progress(self, stage: str, fraction: float, note: str = "") -> None:
        """See `engine.report.Reporter`; nobody is told."""
        self.tick()

    def stem(self, event: StemReady) -> None:
        """See `engine.report.Reporter`; nobody is told."""

    def piece(self, event: PieceReady) -> None:
        """See `engine.report.Reporter`; nobody is told."""


class Guests:
    """Those that are here now. `host` is called by the thread of a running job, one job at a time."""

    def __init__(self, work: Callable[[Guest], None]) -> None:
        """`work` is all that is done for a guest, in its thread; it calls the guest's `tick` often."""
        self._work = work
        self._here: dict[str, Guest] = {}
        self._may_compose = threading.Event()
        self._composing = threading.Lock()

    def __len__(self) -> int:
        return len(self._here)

    def host(self, job: str, poll: Callable[[], object]) -> None:
        """This job runs now. As a guest it leaves, with what it has; the others compose nothing until `go_on`. Raises
        what `poll` raises while it waits."""
        self._may_compose.clear()
        if job in self._here:
            self._dismiss(job)
            thread = self._here.pop(job).thread
            while thread.is_alive():
                thread.join(POLL_SECONDS)
                poll()

    def invite(self, coming: Sequence[Coming]) -> None:
        """These are the guests from now on: who is here stays, who is not named leaves."""
        named = {one.job for one in coming}
        for job in [job for job, guest in self._here.items() if job not in named or guest.coming.gone()]:
            self._dismiss(job)
            del self._here[job]
        for one in coming:
            if one.job not in self._here:
                guest = Guest(one)
                guest.thread = threading.Thread(target=self._run, args=(guest,), name="guest", daemon=True)
                self._here[guest.job] = guest
                guest.thread.start()

    def go_on(self) -> None:
        """The running job has composed all that it will."""
        self._may_compose.set()

    @contextmanager
    def composing(self, guest: Guest) -> Iterator[None]:
        """A block in which one guest composes, and only while the running job does not."""
        while not self._composing.acquire(timeout=POLL_SECONDS):
            guest.tick()
        try:
            guest.silence = self._may_compose
            guest.tick()
            yield
        finally:
            guest.silence = None
            self._composing.release()

    def _dismiss(self, job: str) -> None:
        self._here[job].left = True

    def _run(self, guest: Guest) -> None:
        try:
            self._work(guest)
        except JobCancelled:
            pass
        except Exception:
            log.warning("%s could not be painted along; it will say why in its own turn", guest.job, exc_info=True)


class _Head(msgspec.Struct, frozen=True):
    rate: int
    channels: int


@dataclass(frozen=True)
class Clips:
    """What a renderer has answered ahead to the first try of a take's pieces. `key`: of all that the take is made
    from."""

    stages: StageCache = NO_STAGES
    key: str = ""

    def find(self, part: Part, piece: Piece) -> Clip | None:
        """The answer, sample for sample, if it is there."""
        raw = None if piece.tries else self.stages.get(self._key(part, piece))
        if raw is None:
            return None
        line, _, samples = raw.partition(b"\n")
        head = msgspec.json.decode(line, type=_Head)
        return Clip(np.frombuffer(samples, np.float32).reshape(head.channels, -1).copy(), head.rate)

    def keep(self, part: Part, piece: Piece, clip: Clip) -> None:
        """For the job's own turn."""
        samples = np.ascontiguousarray(clip.audio, np.float32)
        head = msgspec.json.encode(_Head(clip.rate, samples.shape[0]))
        self.stages.put(self._key(part, piece), head + b"\n", samples.reshape(-1).view(np.uint8).data)

    def _key(self, part: Part, piece: Piece) -> str:
        return stage2key("clip", self.key, part.name, piece.window.first, piece.window.last, piece.stretch.seed)


NO_CLIPS = Clips()
