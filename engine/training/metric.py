"""`python -m engine.training.metric`: how far apart the statistics of `engine.match.texture` are by music alone.

A sound here is a band of catalogue instruments behind an equaliser and a width control, all drawn at random. The same
sound plays several pieces of music; each is compared with another behind the bus stage as it is foreseen, just as a
choice compares. The mean distance of every kind of statistics is written down: a difference counts as much as music
alone does not explain it.

Everything is drawn from fixed seeds; about a minute and a half on one core.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bridge.timeline import Clock
from engine.match.choose import passage2levels
from engine.match.foresee import foresee_levels
from engine.match.frames import BANDS, Grid, Levels, power2db
from engine.match.profile import levels2profile
from engine.match.texture import KINDS, METRIC, RATE, kinds_away, levels2texture
from engine.sampler import Bank, candidates, render_part
from engine.score import Note, Part

ROLES = ("drums", "bass", "keys", "pad", "lead")
PIECES, INSTRUMENTS, SOUNDS = 12, 10, 60
SECONDS = 7.0
SEED = 5
Floats = NDArray[np.float64]


def main() -> None:
    """Measures and writes."""
    rng = np.random.default_rng(SEED)
    away = np.array([_away(pieces, int(rng.integers(1, PIECES))) for pieces in _sounds(rng)]).mean(axis=(0, 1))
    card = {
        "about": "how far apart one sound is in two pieces of music; written by python -m engine.training.metric",
        "sounds": SOUNDS,
        "pieces": PIECES,
        "seed": SEED,
        "usual": {kind: float(f"{value:.4g}") for kind, value in zip(KINDS, away, strict=True)},
    }
    METRIC.write_text(json.dumps(card) + "\n", encoding="utf-8")
    print(f"{METRIC.name}: {card['usual']} of {SOUNDS} sounds in {PIECES} pieces")


def _away(pieces: list[Levels], by: int) -> list[NDArray[np.float32]]:
    """[PIECES][kinds]: every piece's distances to the piece `by` places on, behind the bus stage that leads there."""
    found = []
    for levels, other in zip(pieces, [*pieces[by:], *pieces[:by]], strict=True):
        ours = levels2texture(foresee_levels(levels.total, levels2profile(other, Grid(RATE))))
        found.append(kinds_away(ours, levels2texture(power2db(other.total))))
    return found


def _sounds(rng: np.random.Generator) -> Iterator[list[Levels]]:
    """Levels of every piece in each sound."""
    bank = Bank.open()
    chosen = {}
    for role in ROLES:
        known = candidates(bank, role)
        chosen[role] = [known[i] for i in rng.permutation(len(known))[:INSTRUMENTS]]
    pieces = []
    for _ in range(PIECES):
        music, clock = make_music(rng)
        played = {}
        for role, part in music.items():
            sounds = (
                render_part(bank, part, i, clock, RATE, 0, int(SECONDS * RATE), 0, lambda _: None) for i in chosen[role]
            )
            played[role] = [passage2levels(sound) for sound in sounds]
        pieces.append(played)
    for _ in range(SOUNDS):
        who = {role: int(rng.integers(len(chosen[role]))) for role in ROLES}
        loud = {role: 10 ** (float(rng.normal(0, 3)) / 10) for role in ROLES}
        tone = 10 ** (_smooth(rng, 6.0) / 10)
        wide = 10 ** (_smooth(rng, 5.0) / 10)
        yield [_played([piece[r][who[r]] for r in ROLES], list(loud.values()), tone, wide) for piece in pieces]


def _played(levels: list[Levels], loud: list[float], tone: Floats, wide: Floats) -> Levels:
    mid = sum((row.mid * gain for row, gain in zip(levels, loud, strict=True)), np.zeros_like(levels[0].mid)) * tone
    side = sum((row.side * gain for row, gain in zip(levels, loud, strict=True)), np.zeros_like(mid)) * tone * wide
    heard = 2 * (mid + side).sum(axis=1)
    return Levels(mid.astype(np.float32), side.astype(np.float32), heard.astype(np.float32))


def _smooth(rng: np.random.Generator, spread: float) -> Floats:
    """[BANDS] dB, drawn at seven places and joined by straight lines."""
    return np.interp(np.arange(BANDS), np.linspace(0, BANDS - 1, 7), rng.normal(0, spread, 7))


def make_music(rng: np.random.Generator) -> tuple[dict[str, Part], Clock]:
    """Four bars for every role, of random tempo, key, chords and density."""
    clock = Clock.steady(float(rng.uniform(72, 150)), 32.0)
    root, minor = int(rng.integers(12)), bool(rng.integers(2))
    scale = np.array([0, 2, 3, 5, 7, 8, 10] if minor else [0, 2, 4, 5, 7, 9, 11])
    notes: dict[str, list[Note]] = {role: [] for role in ROLES}
    busy = {role: float(rng.uniform(0.25, 0.9)) for role in ROLES}
    for bar in range(6):
        degree, at = int(rng.integers(7)), 4.0 * bar
        chord = [int(scale[(degree + step) % 7]) + 12 * ((degree + step) // 7) for step in (0, 2, 4)]
        hold = float(rng.choice([1.0, 2.0, 4.0]))
        for beat in np.arange(0, 4, hold):
            notes["pad"] += [_note(rng, at + beat, hold * 0.95, 48 + root + p) for p in chord]
        for beat in np.arange(0, 4, 0.5):
            if rng.random() < busy["keys"]:
                notes["keys"] += [_note(rng, at + beat, 0.45, 60 + root + p) for p in chord]
            if rng.random() < busy["bass"] or beat == 0:
                notes["bass"].append(_note(rng, at + beat, 0.45, 33 + (root + chord[0]) % 12))
            if rng.random() < busy["lead"]:
                pitch = 67 + root + int(scale[int(rng.integers(7))])
                notes["lead"].append(_note(rng, at + beat, float(rng.choice([0.4, 0.9])), pitch))
            if rng.random() < 0.5 + busy["drums"] / 2:
                notes["drums"].append(_note(rng, at + beat, 0.1, 42))
        notes["drums"] += [_note(rng, at + b, 0.1, 36) for b in (0.0, float(rng.choice([1.5, 2.0, 2.5])))]
        notes["drums"] += [_note(rng, at + b, 0.1, 38) for b in (1.0, 3.0)]
    return {role: Part(role, role, tuple(sorted(n, key=lambda x: x.start))) for role, n in notes.items()}, clock


def _note(rng: np.random.Generator, start: float, length: float, pitch: int) -> Note:
    return Note(float(start), length, pitch, int(rng.integers(60, 115)))


if __name__ == "__main__":
    main()
