"""Listening in steps: before every block of a clip the tick is called, which tells how far it is and may stop it.

A step takes a few hundredths of a second, so that a job that listens to twenty minutes is cancelled at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from engine.report import Tick

Item = TypeVar("Item")


def unheard(fraction: float) -> None:
    """A tick that nobody listens to."""


def each(items: Iterable[Item], count: float, tick: Tick, every: int = 1) -> Iterator[Item]:
    """The items, about `count` of them; `tick` is called before every one, or every so many. Raises what it raises."""
    for done, item in enumerate(items):
        if done % every == 0:
            tick(min(done / max(count, 1.0), 1.0))
        yield item
