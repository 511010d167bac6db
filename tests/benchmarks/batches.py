"""`python -m tests.benchmarks.batches`: what sharing a batch is worth, as ratios on this machine.

The plan model: plans one by one as a single row, one by one in the fixed width that keeps bytes apart from company, and
together. The parts model: windows of 256 steps one by one and in one batch (they are bound by arithmetic, so sharing
gains nothing and they stay alone). Takes of a request: composing with and without shared plans. One thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from unittest.mock import patch

import msgspec
import torch

import engine.lelm.plan as lelm
from bridge.commands.demo import DEMO
from bridge.commands.render import file2request
from bridge.messages import Render
from engine.compose import Writers, compose_band, request2form
from engine.compose.opening import ComingTakes, request2question
from engine.diffusion.parts import PartsModel
from engine.lelm.plan import BATCH, PlanModel, PlanWish, write_plans
from engine.listen import listen_tracks
from engine.score import Key

PLANS = 8
TAKES = 4


def seconds(work: Callable[[], object]) -> float:
    """The better of two runs."""
    times = []
    for _ in range(2):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def plans(model: PlanModel, request: Render) -> None:
    """Chords of a whole song, eight times."""
    form = tuple(request2form(request.arrangement, request.arrangement.timeline()))
    wishes = [PlanWish(form, Key(9, "minor"), (), seed) for seed in range(PLANS)]

    def one_by_one() -> None:
        for wish in wishes:
            write_plans(model, [wish])

    with patch.object(lelm, "BATCH", 1):
        alone = seconds(one_by_one)
    padded = seconds(one_by_one)
    together = seconds(partial(write_plans, model, wishes))
    print(f"plan model, {PLANS} plans of {len(form)} sections: one row at a time {alone:.2f} s, at the fixed width of")
    print(f"  {BATCH} rows {padded:.2f} s, together {together:.2f} s: {alone / together:.1f} times as fast as one row")


def windows(model: PartsModel) -> None:
    """One step of the parts model over four windows."""
    shape = model.net.shape
    steps, rows = shape.window, 4
    chance = torch.Generator().manual_seed(1)
    with torch.inference_mode():
        x = torch.randn(rows, steps, shape.dim, generator=chance)
        stack = model.net.blocks
        single = seconds(lambda: [stack(x[i : i + 1]) for i in range(rows)])
        batch = seconds(lambda: stack(x))
    print(f"parts model, 4 windows of {steps} steps: one by one {single:.3f} s, in a batch {batch:.3f} s: "
          f"{single / batch:.2f} times as fast")  # fmt: skip


def takes(writers: Writers, request: Render) -> None:
    """Composing four takes of the demo song, its chords left to the model."""
    clock = request.arrangement.timeline()
    form, heard = request2form(request.arrangement, clock), listen_tracks(request.arrangement, clock)
    wanted = [msgspec.structs.replace(request, seed=seed) for seed in range(TAKES)]

    def compose(coming: bool) -> None:
        asked = [partial(request2question, take, clock, form, heard) for take in wanted]
        known = ComingTakes()
        known.expect(asked)
        mine = Writers(writers.plan, None, known if coming else None)
        for take in wanted:
            compose_band(take, clock, form, heard, mine, lambda fraction: None)

    alone, shared = seconds(partial(compose, False)), seconds(partial(compose, True))
    print(f"{TAKES} takes of the demo song, all of composing but the parts model: alone {alone:.2f} s, plans shared "
          f"{shared:.2f} s: {alone / shared:.2f} times as fast")  # fmt: skip


def main() -> None:
    """Prints the ratios."""
    torch.set_num_threads(1)
    request = file2request(DEMO)
    open_chords = msgspec.structs.replace(request.arrangement, tracks=())
    request = msgspec.structs.replace(request, arrangement=open_chords)
    writers = Writers(PlanModel.load(), PartsModel.load())
    assert writers.plan is not None
    assert writers.parts is not None
    plans(writers.plan, request)
    windows(writers.parts)
    takes(writers, request)


if __name__ == "__main__":
    main()
