"""Stems that another worker plays: what it is sent, and who can be asked. Alone, a worker plays all of its own."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bridge.messages import PieceReady, Render, StemReady
from engine.report import ShareReporter
from engine.sampler import Instrument
from engine.score import Part, Score
from engine.sounds import Sound
from engine.stages import program2hash
from engine.stems import StemMaker


@dataclass(frozen=True)
class StemTask:
    """One part of a take to be played: all that its sound depends on.

    `instrument` is who plays it where the task comes from, `program` a hash of the program there
    (`engine.stages.program2hash`): a helper that would choose or compute otherwise refuses.
    """

    request: Render
    score: Score
    part: str
    instrument: Instrument
    program: str


class Helper(Protocol):
    """Another worker that has nothing to do just now."""

    def stem(self, task: StemTask) -> Sound | None:
        """The sound as the asking worker would make it, to the bit; None where it cannot or will not. Waits for it."""


class Helpers(Protocol):
    """Who can be asked."""

    def free(self) -> Sequence[Helper]:
        """The helpers at this moment; each may be given one stem at a time."""


class NoHelpers:
    """There is one worker."""

    def free(self) -> Sequence[Helper]:
        """See `Helpers`."""
        return ()


NO_HELPERS = NoHelpers()


class SharedStems:
    """A take's stems, played here and by helpers, each by whoever is free first. Any thread may ask for one."""

    def __init__(self, stems: StemMaker, helpers: Helpers) -> None:
        """Edits, and sounds that are the user's own files, are not given away: a helper may be on another machine."""
        self._stems = stems
        mine = stems.previous is not None or bool(stems.request.soundfont)
        asked = () if mine else helpers.free()
        self._free: queue.SimpleQueue[Helper] = queue.SimpleQueue()
        for helper in asked:
            self._free.put(helper)
        self.count = len(asked)
        """Helpers of this take."""

    def make(self, part: Part, share: ShareReporter, at: float, width: float) -> Sound:
        """See `StemMaker.make`; the same to the bit. A helper that refuses or dies is not asked again."""
        with contextlib.suppress(queue.Empty):
            helper = self._free.get_nowait()
            share.progress(f"guide: {part.name}", at)
            instrument = self._stems.instrument(part)
            sound = helper.stem(StemTask(self._stems.request, self._stems.score, part.name, instrument, program2hash()))
            if sound is not None:
                self._free.put(helper)
                return sound
        return self._stems.make(part, share, at, width)


class Unheard:
    """A reporter to nobody: who asked for the stem tells how far the take is."""

    def progress(self, stage: str, fraction: float, note: str = "") -> None:
        """See `engine.report.Reporter`."""

    def stem(self, event: StemReady) -> None:
        """See `engine.report.Reporter`."""

    def piece(self, event: PieceReady) -> None:
        """See `engine.report.Reporter`."""
