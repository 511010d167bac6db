"""Wishes for single stems are met measurably, step by step, and touch nothing when they are not made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from bridge.messages import StemWanted
from engine.score import Note
from tests.engine.compose.songs import SHORT, composed, song

ROLES = ("drums", "bass", "keys", "lead", "arp")
STYLES = ("pop", "funk", "bossa nova", "house", "hard rock")
STEPS = (-1.0, -0.5, None, 0.5, 1.0)

Measure = Callable[[Sequence[Note]], float]


def strikes(notes: Sequence[Note]) -> dict[float, list[int]]:
    """Pitches by beat."""
    out: dict[float, list[int]] = {}
    for note in notes:
        out.setdefault(round(note.start, 3), []).append(note.pitch)
    return out


def count(notes: Sequence[Note]) -> float:
    return len(strikes(notes))


def height(notes: Sequence[Note]) -> float:
    return float(np.mean([n.pitch for n in notes]))


def syncopation(notes: Sequence[Note]) -> float:
    """Share of strikes between the beats."""
    return float(np.mean([abs(beat - round(beat)) > 0.05 for beat in strikes(notes)]))


def colours(notes: Sequence[Note]) -> float:
    """Pitch classes of a strike in the mean."""
    return float(np.mean([len({p % 12 for p in pitches}) for pitches in strikes(notes).values()]))


def measured(style: str, field: str, measure: Measure, roles: Sequence[str] = ROLES) -> dict[str, list[float]]:
    """The measure of each role at `STEPS`, from the least wish to the greatest."""
    out: dict[str, list[float]] = {role: [] for role in roles}
    for step in STEPS:
        wish: dict[str, Any] = {field: step}
        stems = tuple(StemWanted(role, **wish) for role in roles)
        for part in composed(song(SHORT, stems=stems, style=style, seed=3, key=("A", "minor"))).parts:
            out[part.role].append(measure(part.notes))
    return out


@pytest.mark.parametrize("style", STYLES)
def test_density_halves_and_nearly_doubles_what_is_struck(style: str) -> None:
    for role, got in measured(style, "density", count).items():
        assert got == sorted(got), role
        assert got[0] / got[2] == pytest.approx(0.5, abs=0.1), role
        # Drums in sixteenths are full sooner than at twice as much.
        assert got[4] / got[2] > (1.1 if role == "drums" else 1.7), role


@pytest.mark.parametrize("style", STYLES)
def test_register_moves_a_stem_as_far_as_its_instrument_goes(style: str) -> None:
    for role, got in measured(style, "register", height, ROLES[1:]).items():
        assert got == sorted(got), role
        assert got[4] - got[0] > (6.0 if role == "bass" else 9.0), role
        assert got[4] - got[2] <= 13.0, role


@pytest.mark.parametrize("style", STYLES)
def test_complexity_sets_between_the_beats_and_colours_chords(style: str) -> None:
    placed = measured(style, "complexity", syncopation)
    for role, got in placed.items():
        assert got[4] >= got[2] - 0.01, role
        assert got[2] >= got[0] - 0.03, role
    assert sum(got[4] - got[0] > 0.1 for role, got in placed.items()) >= 3
    voiced = measured(style, "complexity", colours, ("keys",))["keys"]
    assert voiced == sorted(voiced)


def test_a_stem_that_leaves_space_is_struck_with_the_other_less_often() -> None:
    def together(rival: str) -> float:
        stems = (StemWanted("drums"), StemWanted("bass"), StemWanted("keys", leave_space_for=rival), StemWanted("lead"))
        parts = {p.role: p.notes for p in composed(song(SHORT, stems=stems, seed=3, key=("A", "minor"))).parts}
        mine, theirs = strikes(parts["keys"]), strikes(parts["lead"])
        return sum(beat in theirs for beat in mine) / len(mine)

    assert together("lead") < 0.6 * together("")


def test_wishes_of_nought_change_nothing() -> None:
    plain = composed(song(SHORT, stems=ROLES, seed=3)).parts
    wished = tuple(StemWanted(r, density=0.0, complexity=0.0, register=None if r == "drums" else 0.0) for r in ROLES)
    assert composed(song(SHORT, stems=wished, seed=3)).parts == plain
