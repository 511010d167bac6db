"""What `tests.benchmarks.match` measured, kept in one JSON file, so that it can run in pieces and be reported whole."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np

from tests.benchmarks.match_measures import Measured


class Numbers(msgspec.Struct, frozen=True):
    """A `Measured`, in a file."""

    embedding: list[float]
    spectrum: list[float]
    width: list[float]
    dynamics: list[float]
    lufs: float

    @classmethod
    def of(cls, measured: Measured) -> Numbers:
        """The same numbers, rounded to what a file needs."""
        arrays = (measured.embedding, measured.spectrum, measured.width, measured.dynamics)
        embedding, spectrum, width, dynamics = (np.round(array, 6).tolist() for array in arrays)
        return cls(embedding, spectrum, width, dynamics, measured.lufs)

    def measured(self) -> Measured:
        """As the distances want it."""
        rows = (self.embedding, self.spectrum, self.width, self.dynamics)
        embedding, spectrum, width, dynamics = (np.array(row) for row in rows)
        return Measured(embedding, spectrum, width, dynamics, self.lufs)


class Clicks(msgspec.Struct, frozen=True):
    """Seconds at which a stem clicks by three counts: against it as the instrument `played` it, against that through
    the bus stage's fixed filters (`filtered`), and where it is `sharper` than what was played allows for."""

    played: list[float]
    filtered: list[float]
    sharper: list[float]


class Left(msgspec.Struct, frozen=True):
    """What matching left of one stem: `shifts` of onsets in ms by their first signs, `cents`; dBFS of blocks where the
    `guide` is silent and where the chosen instrument's `own` sound is; `clicks`; why it was `repaired`; shifts of
    onsets by their `attacks` (older files have none)."""

    stem: str
    instrument: str
    shifts: list[float]
    cents: list[float]
    guide: list[float]
    own: list[float]
    clicks: Clicks
    repaired: list[str]
    attacks: list[float] = []


class Tried(msgspec.Struct, frozen=True):
    """One reference of a set: what the half of it that was kept back measures, and every row."""

    set: str
    name: str
    judged: Numbers
    rows: dict[str, Numbers]
    left: list[Left]


class Costs(msgspec.Struct, frozen=True):
    """CPU seconds of choosing, and of the bus stage for a minute of so many stems."""

    stems: int
    choosing: float
    matching: float


class Kept(msgspec.Struct, frozen=True):
    """All that was measured so far."""

    tried: list[Tried] = []
    costs: Costs | None = None


def read(path: Path) -> Kept:
    """What the file holds; nothing where there is none yet."""
    return msgspec.json.decode(path.read_bytes(), type=Kept) if path.exists() else Kept()


def keep(path: Path, tried: Iterable[Tried], costs: Costs | None = None) -> Kept:
    """Puts new results in place of older ones of the same references."""
    old = read(path)
    rows = {(row.set, row.name): row for row in (*old.tried, *tried)}
    new = Kept(list(rows.values()), costs or old.costs)
    path.write_bytes(msgspec.json.encode(new))
    return new
