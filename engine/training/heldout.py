"""Material that is never trained on, by source: whole grooves, MMA families, Freedoom pieces, collections of tunes.

`held_out("mma", 12)` makes the same songs every time. A source that is not installed raises `SourceMissing`.
"""

from __future__ import annotations

from itertools import islice

from engine.grooves import book
from engine.training.songs import HELD_OUT, Song, make_song
from engine.training.sources import charts, freedoom, mma, tunes

SOURCES = ("book", "freedoom", "mma", "tunes")
SEED = 99


def is_held_out(name: str) -> bool:
    """Whether songs made from `name` ("funk", "mma/bossanova", "freedoom/D_E2M1", "tunes/airdsAirs") are kept for
    judging."""
    source, _, rest = name.rpartition("/")
    if source == "freedoom":
        return freedoom.held_out(rest)
    return rest in {"mma": mma.HELD_OUT, "tunes": tunes.HELD_OUT}.get(source, HELD_OUT)


def held_out(source: str, count: int) -> tuple[Song, ...]:
    """Up to `count` songs of a source (one of `SOURCES`), the same every time. Raises `SourceMissing` where it is not
    installed, ValueError where there is no such source."""
    if source == "book":
        grooves = tuple(g for g in book() if g.name in HELD_OUT)
        return tuple(make_song(i, grooves, SEED) for i in range(count))
    if source == "freedoom":
        return tuple(islice(freedoom.songs(1 + count // 4, unseen=True), count))
    if source == "mma":
        return tuple(islice(mma.songs(2 * count, unseen=True, charts=charts.charts(unseen=True), seed=SEED), count))
    if source == "tunes":
        return tuple(islice(tunes.songs(8 * count, unseen=True, seed=SEED), count))
    raise ValueError(f"no source is called {source!r}: {', '.join(SOURCES)}")
