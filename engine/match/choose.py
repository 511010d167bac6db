"""Who plays, chosen together for the whole band: the mix of passages whose texture comes nearest to the reference's
behind the bus stage.

Powers of instruments that play together add up, and what the bus stage makes of them is foreseen, so a mix is judged
without being made. Candidates are kept out that the bus stage could not bring to the reference's spectrum or width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.match.foresee import foresee_levels
from engine.match.frames import Audio, Floats, Grid, Levels, audio2levels, power2db
from engine.match.profile import Profile, levels2profile
from engine.match.room import power2fall
from engine.match.texture import RATE, distance, levels2texture, spectrum_residual

SWEEPS = 3
SPECTRUM_VETO_DB, WIDTH_VETO_DB = 1.0, 3.0
"""A choice may be so much worse than the guide's own sounds after the bus stage's greatest gains, and no more."""
GAIN, LEAST_GAIN = 0.3, 0.01
"""A change must make the distance smaller by so much; 1 is how far apart one sound is in two pieces of music. The least
is enough for drums, by which a mix moves most, and for sounds that are the reference's own."""


@dataclass(frozen=True)
class Wanted:
    """The reference as the choice sees it: its texture, what the bus stage knows of it, width per band in dB (None:
    unknown), how fast its bands fall in dB a second."""

    texture: Floats
    profile: Profile
    width: Floats | None
    fall: float


@dataclass(frozen=True)
class Chosen:
    """Index of each part's candidate; the texture's distance to the reference before (the first ones) and after."""

    indices: tuple[int, ...]
    before: float
    after: float


def passage2levels(audio: Audio, rate: int = RATE) -> Levels:
    """Levels of a passage [2, samples]; textures are compared at one rate only."""
    return audio2levels(audio, Grid(rate))


def clip2wanted(audio: Audio, rate: int = RATE) -> Wanted:
    """The reference [1 or 2, samples] at the passages' rate."""
    levels = passage2levels(audio if len(audio) == 2 else np.repeat(audio, 2, axis=0), rate)
    width = None if len(audio) == 1 else _width(levels.mid, levels.side)
    texture = levels2texture(power2db(levels.total))
    return Wanted(texture, levels2profile(levels, Grid(rate)), width, power2fall(levels.total, Grid(rate)))


def choose_together(
    options: Sequence[Sequence[Levels]], wanted: Wanted, gains: Sequence[float], rest: Levels | None = None
) -> Chosen:
    """One candidate for each part; the first of every part is what would play without a reference. `gains`: by how
    much another of each part must bring the whole nearer. `rest`: what sounds beside them and is not chosen."""
    picked = [0] * len(options)
    before = _score(options, picked, wanted, rest)
    best = before
    for _ in range(SWEEPS):
        changed = False
        for part, (candidates, gain) in enumerate(zip(options, gains, strict=True)):
            others = [[*picked[:part], k, *picked[part + 1 :]] for k in range(len(candidates)) if k != picked[part]]
            scored = [(_score(options, other, wanted, rest), other) for other in others]
            near = [(score, other) for score, other in scored if score.allowed(before)]
            score, other = min(near, key=lambda pair: pair[0].texture, default=(best, picked))
            if score.texture < best.texture - gain:
                picked, best, changed = other, score, True
        if not changed:
            break
    return Chosen(tuple(picked), before.texture, best.texture)


def mix2distance(playing: Sequence[Levels], wanted: Wanted) -> float:
    """How far the texture of these together is from the reference's, behind the bus stage as it is foreseen."""
    return _score([[levels] for levels in playing], [0] * len(playing), wanted, None).texture


@dataclass(frozen=True)
class _Score:
    texture: float
    spectrum: float
    width: float

    def allowed(self, guide: _Score) -> bool:
        """Neither veto falls."""
        return self.spectrum <= guide.spectrum + SPECTRUM_VETO_DB and self.width <= guide.width + WIDTH_VETO_DB


def _score(options: Sequence[Sequence[Levels]], picked: Sequence[int], wanted: Wanted, rest: Levels | None) -> _Score:
    playing = [candidates[index] for candidates, index in zip(options, picked, strict=True)]
    if rest is not None:
        playing.append(rest)
    mid, side = sum(p.mid for p in playing), sum(p.side for p in playing)
    assert isinstance(mid, np.ndarray)
    assert isinstance(side, np.ndarray)
    # What is too narrow the bus stage widens; what is too wide loses its side.
    width = 0.0 if wanted.width is None else float(np.abs(_width(mid, side) - wanted.width).mean())
    texture = levels2texture(foresee_levels(mid + side, wanted.profile))
    spectrum = power2db((mid + side).mean(axis=0))
    return _Score(distance(texture, wanted.texture), spectrum_residual(spectrum, wanted.profile.spectrum), width)


def _width(mid: Floats, side: Floats) -> Floats:
    return np.maximum(power2db(side.sum(axis=0) / np.maximum(mid.sum(axis=0), 1e-14)), np.float32(-40.0))
