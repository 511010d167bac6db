"""The catalogue: every instrument that can be chosen, described once by measuring (`catalogue.json`).

The file is written by `python -m engine.sampler.cataloguing` and holds the hashes of what it was measured from. Reading
it costs a few milliseconds; nothing is rendered.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.sampler.vector import vector

CATALOGUE = Path(__file__).parent / "catalogue.json"


class InRole(msgspec.Struct, frozen=True):
    """What was measured on a role's test phrase at velocity 90: `lufs` at unity gain, `peak` of a kit's hardest hit,
    `attack_ms` to half of the peak, `brightness_hz`, `fall` in dB/s, `width_db` side to mid, `bands` [48] in dB."""

    lufs: float
    peak: float
    attack_ms: float
    brightness_hz: float
    fall: float
    width_db: float
    bands: tuple[float, ...]


class Described(msgspec.Struct, frozen=True):
    """An instrument. `family`: what kind of instrument it is; `low`..`high`: MIDI pitches that sound; `velocity_db`:
    how much louder velocity 110 is than 40; `skip_ms`: how late it would speak, left out of every note; `cents`: how it
    is tuned; `credit`: whose sound it is. `twin`: the entry it measures like (then no reference chooses it). `roles`:
    what was measured, the first is its own. `off_cents`: what is left of its mistuning, median over keys;
    `waver_cents`: by how much a held note moves meanwhile (both 0 for kits). `late_ms`: what is left of its latency,
    from a note's sample to where its energy rises most, median over keys and touches."""

    name: str
    kind: str
    family: str
    font: str
    bank: int
    program: int
    kit: str
    synth: str
    words: tuple[str, ...]
    licence: str
    credit: str
    low: int
    high: int
    velocity_db: float
    cents: int
    skip_ms: float
    roles: dict[str, InRole]
    twin: str = ""
    off_cents: float = 0.0
    waver_cents: float = 0.0
    late_ms: float = 0.0

    @property
    def role(self) -> str:
        """The role it is listed under."""
        return next(iter(self.roles))

    def vector(self, role: str) -> NDArray[np.float64]:
        """float [52]: see `engine.sampler.vector`. Raises KeyError for a role it is not described in."""
        row = self.roles[role]
        return vector(row.bands, row.brightness_hz, row.attack_ms, row.fall, row.width_db)


class CatalogueFile(msgspec.Struct, frozen=True):
    """`inputs`: SHA-256 of everything that was measured, by path under this folder."""

    inputs: dict[str, str]
    entries: tuple[Described, ...]


@lru_cache(maxsize=1)
def catalogue() -> CatalogueFile:
    """The shipped catalogue."""
    return msgspec.json.decode(CATALOGUE.read_bytes(), type=CatalogueFile)


@lru_cache(maxsize=1)
def shipped() -> dict[str, Described]:
    """The shipped instruments by name."""
    return {entry.name: entry for entry in catalogue().entries}
