"""What the bus stage will make of a mix, foreseen in band levels and without any sound: fast enough to be asked for
every mix that a choice tries.

The same steps as `engine.match.design` in short: as loud as the reference, every band's levels brought to the
reference's quantiles, then every band's mean. What is left afterwards is what the bus stage cannot change.

Conventions: power [frames, BANDS]; dB.
"""

from __future__ import annotations

import numpy as np

from engine.match.design import MAX_MOVE_DB, match_levels
from engine.match.frames import Floats, power2db
from engine.match.profile import Profile


def foresee_levels(power: Floats, reference: Profile) -> Floats:
    """dB [frames, BANDS] of a mix of this power behind a bus stage that brings it to the reference."""
    own = power2db(power)
    wanted = float(np.sum(10 ** (reference.spectrum.astype(np.float64) / 10)))
    level = own + np.float32(10 * np.log10(wanted / max(float(power.sum(axis=1).mean()), 1e-14)))
    level = level + match_levels(level, reference)
    fixed = reference.spectrum - power2db((10 ** (level / 10)).mean(axis=0))
    return np.asarray(level + np.clip(fixed, -MAX_MOVE_DB, MAX_MOVE_DB), dtype=np.float32)
