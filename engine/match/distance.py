"""How far two sounds are apart in what the bus stage works on: spectrum, levels, width, dynamics, loudness."""

from __future__ import annotations

import msgspec
import numpy as np

from engine.match.profile import Profile

LEAST_WIDTH, MOST_WIDTH = 1e-3, 1e3


class Distances(msgspec.Struct, frozen=True):
    """Mean absolute differences over bands in dB: `spectrum_db` of the mean levels, loudness left out; `levels_db` of
    the quantiles around each band's own mean; `width_db` of side to middle (None: the reference has one channel).
    `dynamics_db` of the spread of levels; `loudness_lu` of the whole and where it is fullest, their mean."""

    spectrum_db: float
    levels_db: float
    width_db: float | None
    dynamics_db: float
    loudness_lu: float

    @property
    def total(self) -> float:
        """All of them added up."""
        return self.spectrum_db + self.levels_db + (self.width_db or 0.0) + self.dynamics_db + self.loudness_lu


def profiles2distances(ours: Profile, reference: Profile) -> Distances:
    """Between a sound and its reference."""
    spectrum = ours.spectrum - reference.spectrum
    levels = ours.quantiles - ours.quantiles.mean(axis=1, keepdims=True)
    wanted = reference.quantiles - reference.quantiles.mean(axis=1, keepdims=True)
    width = None
    if ours.width is not None and reference.width is not None:
        both = (np.clip(w, LEAST_WIDTH, MOST_WIDTH) for w in (ours.width, reference.width))
        width = round(float(np.abs(10 * np.log10(next(both) / next(both))).mean()), 2)
    return Distances(
        round(float(np.abs(spectrum - np.median(spectrum)).mean()), 2),
        round(float(np.abs(levels - wanted).mean()), 2),
        width,
        round(abs(ours.spread_db - reference.spread_db), 2),
        round(abs(ours.lufs - reference.lufs), 2),
    )
