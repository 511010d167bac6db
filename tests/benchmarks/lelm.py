"""`make bench`, part `lelm`: SongGeneration's language model against the published loop's structure, and its limits.

The other side is `lelm_loop`, our own writing of that loop from its description; both sides have the same weights, one
thread, take turns, and must write the same greedy codes. Sizes are the mid-size configuration of the published numbers.
Wall and processor seconds are both printed: on a busy computer only the second compares.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count, islice

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from engine.lelm.checkpoint import SongTensors, lelm_config
from engine.lelm.choosing import SeededChance, SongSampling
from engine.lelm.memory import plan_memory
from engine.lelm.network import LeLM
from engine.lelm.pattern import steps_for
from engine.lelm.songconfig import SongConfig
from engine.lelm.songdecoding import MainLine, write_song
from engine.lelm.songnet import SongNet
from engine.llama import one_thread
from tests.benchmarks.lelm_loop import published_loop

MIDDLE = SongConfig(512, 1408, 8, 12, 4, 5e5, 5e5, 16_384, (0, 20, 20), 150, 25, 250, 300, 50, 2048, 2048)
LARGE = SongConfig(2048, 11_008, 16, 36, 12, 5e5, 5e5, 16_384, (0, 250, 250), 270, 25, 250, 600, 100, 10_000, 10_000)
PREFIX, FRAMES = 602, 80
GPUS = {"24 GB at 1.0 TB/s": (24, 1.008e12), "80 GB at 3.35 TB/s": (80, 3.35e12)}
THEIR_OPERATIONS = 4500
"""Of one step of the published loop, as its measurement counts them (with sampling; ours of it is greedy)."""
SHARE = 10
"""Our steps between two turns of the other side."""


def random_network(config: SongConfig) -> LeLM:
    """A LeLM of these sizes with seeded random weights."""
    torch.manual_seed(0)
    net = LeLM(lelm_config(config)).eval().requires_grad_(False)
    for name, weight in net.named_parameters():
        if "emb" in name:
            weight.normal_(0, 0.5)
        elif weight.dim() > 1:
            weight.normal_(0, weight.shape[1] ** -0.5)
    return net


class Clock:
    """Wall seconds, seconds of this thread on a processor, and steps of one side; runs while it is entered."""

    def __init__(self) -> None:
        self.wall = self.processor = 0.0
        self.steps = 0

    def __enter__(self) -> None:
        self.wall -= time.perf_counter()
        self.processor -= time.thread_time()

    def __exit__(self, *_: object) -> None:
        self.wall += time.perf_counter()
        self.processor += time.thread_time()


def compare() -> list[tuple[str, str, str]]:
    """Both loops over one song, taking turns so that a busy computer slows both: (what, measured, bound)."""
    net = random_network(MIDDLE)
    tensors = SongTensors("v1", MIDDLE, net.state_dict(), {})
    generator = torch.Generator().manual_seed(1)
    one, two = (torch.randn(2, PREFIX, MIDDLE.dim, generator=generator) * 0.5 for _ in range(2))
    unused = torch.randn(MIDDLE.code_size + 1, MIDDLE.dim, generator=generator)
    song = SongNet(tensors, PREFIX + FRAMES + 20)
    null = song.read((one[1:], two[1:]))
    greedy = SongSampling(temperature=0.0)
    other = published_loop(net, (one, two), FRAMES, unused)
    read, theirs_read, ours, theirs = (Clock() for _ in range(4))
    told, slow = count(1), list[Tensor]()

    def turn(_: float) -> None:
        if next(told) % SHARE == 0:
            ours.__exit__()
            other_side(SHARE // 2)
            ours.__enter__()

    def other_side(steps: int) -> None:
        with theirs:
            slow.extend(islice(other, steps))

    with one_thread(), torch.inference_mode():
        with theirs_read:
            slow.append(next(other))
        with read:
            rows = [song.read((one[:1], two[:1])), null]
        chance = SeededChance(0, MIDDLE.code_size + 1, "cpu")
        with ours:
            fast = write_song(MainLine(song, rows, FRAMES, greedy, chance), rows, turn)
        other_side(steps_for(FRAMES, MIDDLE.delays))
        operations = count_operations(published_loop(net, (one[:, :2], two[:, :2]), FRAMES, unused))
    ours.steps, theirs.steps = FRAMES + MIDDLE.delays[1], len(slow) - 1
    same = "identical" if torch.equal(fast, slow[-1][0]) else "DIFFERENT"
    wall, processor = (
        (theirs.wall / theirs.steps) / (ours.wall / ours.steps),
        (theirs.processor / theirs.steps) / (ours.processor / ours.steps),
    )
    whole = (theirs.processor + theirs_read.processor) / (ours.processor + read.processor)
    return [
        ("greedy codes of both loops", same, "identical"),
        ("the published loop's structure: steps/s", _rates(theirs), "-"),
        ("its operations at a step (aten, nested ones too)", f"{operations:.0f}", f"{THEIR_OPERATIONS} published"),
        ("ours: steps/s", _rates(ours), "-"),
        ("ours to theirs", f"{wall:.2f} (wall), {processor:.2f} (processor)", ">= 5"),
        (f"a whole song of {FRAMES} frames, prefix and all", f"{whole:.2f} (processor)", "-"),
    ]


def _rates(clock: Clock) -> str:
    return f"{clock.steps / clock.wall:.1f} (wall), {clock.steps / clock.processor:.1f} (processor)"


def count_operations(loop: Iterator[Tensor], before: int = 60, steps: int = 4) -> float:
    """Operations of one step, when the penalty's window is full."""
    for _ in islice(loop, before):
        pass
    with profile(activities=[ProfilerActivity.CPU]) as watched:
        for _ in islice(loop, steps):
            pass
    counts = [int(event.count) for event in watched.key_averages() if event.key.startswith("aten::")]
    return sum(counts) / steps


def roofline() -> list[tuple[str, str, str]]:
    """v2-large of 270 s on two GPUs: bytes read at each step, counted on the list of its tensors; memory planned."""
    rows = []
    frames = LARGE.max_seconds * LARGE.frame_rate
    for kind in ("float16", "int8"):
        plan = plan_memory(LARGE, "v2", kind, frames)
        bound = "<= 16 GB" if kind == "float16" else "<= 10 GB"
        rows.append((f"v2-large, {kind}: memory planned", f"{plan.total / 1e9:.1f} GB", bound))
        for name, (size, speed) in GPUS.items():
            seconds = plan.song_bytes / speed
            fits = "fits" if plan.total / 1e9 < size else "does not fit"
            told = f"{seconds:.0f} s for {LARGE.max_seconds} s ({seconds / LARGE.max_seconds:.3f}), {fits}"
            rows.append((f"v2-large, {kind}, {name}: no faster than", told, "-"))
        per = f"{plan.main_step / 1e9:.2f} + {plan.sub_step / 1e9:.2f} GB"
        rows.append((f"v2-large, {kind}: weights read at a step", per, "-"))
    return rows


def main() -> None:
    """Prints the part's table."""
    rows = [*compare(), *roofline()]
    width = max(len(what) for what, _, _ in rows)
    for what, measured, bound in rows:
        print(f"{what:<{width}}  {measured:<48} {bound}")


if __name__ == "__main__":
    main()
