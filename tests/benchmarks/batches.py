"""`python -m tests.benchmarks.batches`: what sharing a batch is worth, as ratios on this machine.

The plan model: plans one by one as a single row, one by one in the fixed width that keeps bytes apart from company, and
together. The parts model: windows of 256 steps one by one and in one batch (they are bound by arithmetic, so sharing
gains nothing and they stay alone). Takes of a request: composing with and without shared plans. One thread.

The renderers: stretches of four jobs by a call each, and three of them as guests in the call of the first. On a CUDA
GPU the network has its full size and calls have four rows; on a CPU it is small, and both one row a call (what a CPU
gets, see `engine.shelf.SHARED_ROWS`: nothing is shared then) and four are shown. Weights are random.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from unittest.mock import patch

import msgspec
import numpy as np
import torch

import engine.lelm.plan as lelm
from bridge.checkpoints import Checkpoint
from bridge.commands.demo import DEMO
from bridge.commands.render import file2request
from bridge.licences import MIT
from bridge.messages import Render
from engine.compose import Writers, compose_band, request2form
from engine.compose.opening import ComingTakes, request2question
from engine.diffusion.ace_step import AceStep
from engine.diffusion.parts import PartsModel
from engine.diffusion.placement import Placement
from engine.lelm.plan import BATCH, PlanModel, PlanWish, write_plans
from engine.listen import listen_tracks
from engine.rendering import Clip
from engine.report import JobCancelled
from engine.score import Key
from engine.sharing import Shared
from tests.benchmarks.renderers import FULL, SMALL, ace_step_pipe
from tests.engine.diffusion.stretches import silent_tick, stretch, tone

PLANS = 8
TAKES = 4
JOBS = 4
STRETCH_SECONDS = 2.0


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


def painted(rows: int) -> tuple[float, float]:
    """Seconds for one stretch of each of four jobs: by a call each, and together as far as calls have free rows."""
    device, size = ("cuda", FULL) if torch.cuda.is_available() else ("cpu", SMALL)
    torch.manual_seed(0)
    with torch.device(device):
        pipe = ace_step_pipe(size, "turbo")
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    counts = {}
    for name, module in pipe.components.items():
        if isinstance(module, torch.nn.Module):
            torch.nn.Module.to(module, device, dtype)
            counts[name] = sum(p.numel() for p in module.parameters())
    pipe.set_progress_bar_config(disable=True)
    checkpoint = Checkpoint("mine", "ace-step", "turbo", "random", ".", counts, "0" * 64, MIT, True, True)
    renderer = AceStep(checkpoint, Placement(device, dtype, rows=rows))
    renderer._pipe = pipe
    shared = Shared(renderer)
    wishes = [stretch(guide=tone(STRETCH_SECONDS, seed=n), seed=n) for n in range(JOBS)]
    answers: dict[int, Clip] = {}

    def one_by_one() -> None:
        for n, wish in enumerate(wishes):
            answers[n] = renderer.render([wish], silent_tick)[0]

    def together() -> None:
        got: dict[int, Clip] = {}
        turn = 0

        def guest(n: int) -> None:
            def until_its_turn(fraction: float) -> None:
                if turn >= n:
                    raise JobCancelled

            with suppress(JobCancelled):
                shared.along([wishes[n]], until_its_turn, lambda _, clip: got.update({n: clip}))

        with ThreadPoolExecutor(JOBS) as pool:
            guests = {n: pool.submit(guest, n) for n in range(1, JOBS)}
            while shared.offered < len(guests):
                time.sleep(0.001)
            for turn, wish in enumerate(wishes):
                if turn:
                    guests[turn].result()
                if turn not in got:
                    got[turn] = shared.render([wish], silent_tick)[0]
        assert all(np.array_equal(got[n].audio, answers[n].audio) for n in range(JOBS)), "company changed a byte"

    return seconds(one_by_one), seconds(together)


def renderers() -> None:
    """A network that paints, over jobs that wait for each other."""
    for rows in (1, JOBS) if not torch.cuda.is_available() else (JOBS,):
        alone, along = painted(rows)
        print(f"ACE-Step, {JOBS} jobs of a stretch of {STRETCH_SECONDS:g} s, {rows} rows a call: alone {alone:.2f} s, "
              f"guests in free rows {along:.2f} s: {alone / along:.2f} times as fast")  # fmt: skip


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
    renderers()


if __name__ == "__main__":
    main()
