"""The fuzzing, short, in every test run: all inputs that once found something, then random changes of valid ones.

`python -m tests.fuzz TARGET --seconds N` runs longer, guided by coverage (needs the extra `fuzz`).
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fuzz.mutate import mutated
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
ROUNDS = 150


@pytest.mark.parametrize("target", TARGETS)
def test_what_was_kept_does_no_harm(target: str, tmp_path: Path) -> None:
    kept = sorted((CORPUS / target).glob("*"))
    valid = seeds(target, tmp_path)
    assert valid, "without a valid input nothing is proven"
    for data in [b"", *valid, *(path.read_bytes() for path in kept)]:
        TARGETS[target](data)  # raises what it has not promised: that is the finding


@pytest.mark.parametrize("target", TARGETS)
def test_random_changes_do_no_harm(target: str, tmp_path: Path) -> None:
    rng = random.Random(f"stembridge {target}")
    known = [*seeds(target, tmp_path), *(path.read_bytes() for path in sorted((CORPUS / target).glob("*")))]
    for _ in range(ROUNDS):
        TARGETS[target](mutated(rng.choice(known), known, rng))
