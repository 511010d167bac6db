"""Who sits where: every wanted stem gets one of the six streams the grooves and the parts model know.

A band has one stream of each kind, but a request may want two guitars or a pad and strings. The first stem of a
stream is its `leader`; the others (`rank` 1, 2, ...) are arranged around it by `engine.compose.doubles`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.errors import RequestError
from bridge.messages import StemWanted

ROLE_STREAM = {
    "drums": "drums", "bass": "bass", "keys": "comp", "guitar": "comp", "brass": "comp", "pad": "pad", "strings": "pad",
    "arp": "arp", "lead": "lead",
}  # fmt: skip
RANGES = {
    "bass": (28, 55), "keys": (48, 79), "guitar": (43, 76), "brass": (53, 79), "pad": (48, 79), "strings": (55, 88),
    "arp": (55, 91), "lead": (57, 88),
}  # fmt: skip
"""Lowest and highest MIDI pitch that a role plays."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A wanted stem on its stream. `rank` counts the stems of the same stream before it."""

    title: str
    role: str
    instrument: str
    stream: str
    rank: int


def stems2seats(stems: Sequence[StemWanted]) -> tuple[Seat, ...]:
    """Seats in the order of the request. Raises `RequestError` for vocals (`stem.vocals`) and for a name used twice.

    Brass leads the comp stream only when there are no keys and no guitar: stabs need a comp to answer to.
    """
    for i, stem in enumerate(stems):
        if stem.role == "vocals":
            raise RequestError(
                "stem.vocals",
                "no model that sings is installed, so there can be no vocals stem.",
                field=f"stems[{i}]",
                hint='Ask for a "lead" instead, or give the vocals as a context track.',
            )
        if stem.title in [s.title for s in stems[:i]]:
            raise RequestError(
                "stem.twice", f'two stems are called "{stem.title}".', field=f"stems[{i}].name", hint="Name them apart."
            )
    seats: dict[int, Seat] = {}
    ranks: dict[str, int] = {}
    for i, stem in sorted(enumerate(stems), key=lambda pair: pair[1].role == "brass"):
        stream = ROLE_STREAM[stem.role]
        rank = ranks.get(stream, 0)
        ranks[stream] = rank + 1
        seats[i] = Seat(stem.title, stem.role, stem.instrument, stream, rank)
    return tuple(seats[i] for i in range(len(stems)))


def in_range(pitch: int, role: str) -> int:
    """`pitch` moved by octaves into the range of `role`."""
    low, high = RANGES[role]
    while pitch < low:
        pitch += 12
    while pitch > high:
        pitch -= 12
    return pitch
