"""Plans share a batch: what each of them becomes does not depend on the company, to the bit."""

from __future__ import annotations

import random

import pytest
import torch

from engine.lelm.decoding import Sampling, generate
from engine.lelm.plan import BATCH, PlanModel, PlanWish, write_plan, write_plans
from engine.report import JobCancelled
from engine.score import Chord, Key
from tests.engine.lelm.test_lelm_plan import SONG, form

SECTIONS = form(SONG[:4])
SHORT = form(SONG[:2])
GIVEN = (Chord(8.0, 4.0, 9, "m", given=True),)


@pytest.fixture(scope="module")
def shipped() -> PlanModel:
    return PlanModel.load()


def wishes(chance: random.Random, count: int) -> list[PlanWish]:
    """Plans of two lengths, in any key, some around given chords."""
    return [
        PlanWish(
            chance.choice((SECTIONS, SECTIONS, SHORT)),
            Key(chance.randrange(12), chance.choice(("major", "minor", "dorian"))),
            chance.choice(((), GIVEN)),
            chance.randrange(1 << 40),
        )
        for _ in range(count)
    ]


def test_a_plan_is_the_same_alone_and_in_any_company(shipped: PlanModel) -> None:
    asked = wishes(random.Random(11), BATCH + 3)
    alone = [write_plan(shipped, w.sections, w.key, w.given, seed=w.seed) for w in asked]
    assert write_plans(shipped, asked) == alone
    assert write_plans(shipped, asked[::-1]) == alone[::-1]
    assert len(set(alone)) > 1


def test_rows_of_the_network_are_the_same_to_the_bit_wherever_they_stand(shipped: PlanModel) -> None:
    given = torch.randn(BATCH, 24, shipped.lelm.config.dim, generator=torch.Generator().manual_seed(4))

    def logits(rows: torch.Tensor) -> torch.Tensor:
        cache, seen = shipped.lelm.new_cache(BATCH, rows.shape[1]), []
        with torch.inference_mode():
            for step in range(rows.shape[1]):
                tokens = torch.full((BATCH, 1, 1), 7)
                seen.append(shipped.lelm(tokens, conditions=rows[:, step : step + 1], cache=cache)[:, 0, -1])
        return torch.stack(seen, 1)

    together = logits(given)
    for row in range(BATCH):
        others = torch.zeros_like(given)
        others[(row + 1) % BATCH] = given[row]
        assert torch.equal(logits(others)[(row + 1) % BATCH], together[row])


def test_rows_with_their_own_seeds_do_not_move_each_other_s_draws(shipped: PlanModel) -> None:
    hot = (Sampling(temperature=2.0),)
    one, two = (generate(shipped.lelm, 12, rows=3, sampling=hot, seed=seeds) for seeds in ([5, 6, 7], [5, 8, 9]))
    assert torch.equal(one[0], two[0])
    assert not torch.equal(one[1], two[1])
    with pytest.raises(ValueError, match="2 seeds for 3 rows"):
        generate(shipped.lelm, 12, rows=3, sampling=hot, seed=[1, 2])


def test_a_batch_is_cancelled_as_a_plan_is(shipped: PlanModel) -> None:
    told: list[float] = []

    def tick(fraction: float) -> None:
        told.append(fraction)
        if len(told) == 5:
            raise JobCancelled

    with pytest.raises(JobCancelled):
        write_plans(shipped, wishes(random.Random(2), 6), tick=tick)
    assert len(told) == 5


def test_no_wish_and_no_bar_are_no_trouble(shipped: PlanModel) -> None:
    assert write_plans(shipped, []) == []
    assert write_plans(shipped, [PlanWish((), Key(0, "major"), GIVEN, 1)]) == [GIVEN]
