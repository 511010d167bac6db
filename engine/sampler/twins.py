"""Twins: the same recordings under two names, found by measuring.

Two instruments are twins in a role when a phrase of theirs, level aside, differs by less than `TWIN_DB` in the mean
over time and 48 mel bands. The earlier one in the table stays; the later one is no candidate in that role.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.sampler.bank import MEASURE_RATE, Bank
from engine.sampler.catalogue import table
from engine.sampler.described import Described
from engine.sampler.instrument import Instrument
from engine.sampler.vector import log_mel

TWIN_DB = 2.2
RANGE_DB = 60.0

Image = NDArray[np.float32]


def image(bank: Bank, role: str, instrument: Instrument) -> Image:
    """float32 [frames, bands]: the role's test phrase in dB, its loudest value at 0, nothing below -60."""
    audio, _, _ = bank.phrase(table().roles[role], instrument)
    levels = log_mel(audio, MEASURE_RATE)
    return np.asarray(np.maximum(levels - levels.max(), -RANGE_DB), np.float32)


def difference(one: Image, two: Image) -> float:
    """dB: mean over frames and bands, the overall level aside, where either is above the floor."""
    length = min(len(one), len(two))
    gap = one[:length] - two[:length]
    heard = (one[:length] > 1 - RANGE_DB) | (two[:length] > 1 - RANGE_DB)
    if not heard.any():
        return 0.0
    gap = gap[heard]
    return float(np.abs(gap - np.median(gap)).mean())


@dataclass
class TwinSearch:
    """Goes through instruments in order."""

    _seen: dict[str, list[tuple[str, Image]]] = field(default_factory=dict)

    def without_twin_roles(self, bank: Bank, entry: Described) -> Described:
        """The entry with the roles in which it has no earlier twin; marked, and with all of them, where none is so."""
        instrument = Instrument(
            entry.name, entry.kind, entry.bank, entry.program, "", 0.0, 0.0, None, 0.0, kit=entry.kit,
            cents=entry.cents, font=entry.font, synth=entry.synth, skip_ms=entry.skip_ms,
        )  # fmt: skip
        kept, twin = {}, ""
        for role, row in entry.roles.items():
            mine = image(bank, role, instrument)
            seen = self._seen.setdefault(role, [])
            near = min(((difference(mine, other), name) for name, other in seen), default=(RANGE_DB, ""))
            if near[0] < TWIN_DB:
                twin = twin or near[1]
                continue
            kept[role] = row
            seen.append((entry.name, mine))
        return msgspec.structs.replace(entry, roles=kept) if kept else msgspec.structs.replace(entry, twin=twin)
