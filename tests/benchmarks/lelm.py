"""`make bench`, part `lelm`: SongGeneration's language model against the published loop's structure, and its limits.

The other side is `lelm_loop`, our own writing of that loop from its description; both sides have the same weights, one
thread, and must write the same greedy codes. Sizes are the mid-size configuration of the published numbers. Wall and
processor seconds are both printed: on a busy computer only the second compares.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from engine.lelm.checkpoint import SongTensors, lelm_config
from engine.lelm.choosing import SeededChance, SongSampling
from engine.lelm.memory import plan_memory
from engine.lelm.network import LeLM
from engine.lelm.songconfig import SongConfig
from engine.lelm.songdecoding import MainLine, write_song
from engine.lelm.songnet import SongNet
from engine.llama import one_thread
from tests.benchmarks.lelm_loop import published_loop

MIDDLE = SongConfig(512, 1408, 8, 12, 4, 5e5, 5e5, 16_384, (0, 20, 20), 150, 25, 250, 300, 50, 2048, 2048)
LARGE = SongConfig(2048, 11_008, 16, 36, 12, 5e5, 5e5, 16_384, (0, 250, 250), 270, 25, 250, 600, 100, 10_000, 10_000)
PREFIX, FRAMES = 602, 80
GPUS = {"24 GB at 1.0 TB/s": (24, 1.008e12), "80 GB at 3.35 TB/s": (80, 3.35e12)}
Result = TypeVar("Result")


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


def timed(work: Callable[[], Result]) -> tuple[Result, float, float]:
    """Result, wall seconds, seconds of this thread on a processor."""
    wall, cpu = time.perf_counter(), time.thread_time()
    result = work()
    return result, time.perf_counter() - wall, time.thread_time() - cpu


def compare() -> list[tuple[str, str, str]]:
    """Both loops over one song: (what, measured, bound)."""
    net = random_network(MIDDLE)
    tensors = SongTensors("v1", MIDDLE, net.state_dict(), {})
    generator = torch.Generator().manual_seed(1)
    one, two = (torch.randn(2, PREFIX, MIDDLE.dim, generator=generator) * 0.5 for _ in range(2))
    unused = torch.randn(MIDDLE.code_size + 1, MIDDLE.dim, generator=generator)
    song = SongNet(tensors, PREFIX + FRAMES + 20)
    null = song.read((one[1:], two[1:]))
    greedy = SongSampling(temperature=0.0)

    def ours() -> Tensor:
        rows = [song.read((one[:1], two[:1])), null]
        chance = SeededChance(0, MIDDLE.code_size + 1, "cpu")
        return write_song(MainLine(song, rows, FRAMES, greedy, chance), rows, lambda fraction: None)

    steps = FRAMES + MIDDLE.delays[1]
    with one_thread(), torch.inference_mode():
        fast, wall, cpu = timed(ours)
        _, wall_read, cpu_read = timed(lambda: song.read((one[:1], two[:1])))
        slow, slow_wall, slow_cpu = timed(lambda: published_loop(net, (one, two), FRAMES, unused))
        _, slow_wall_read, slow_cpu_read = timed(lambda: published_loop(net, (one, two), 1, unused))
    # That run also takes the steps of one frame: 1 + 20 in all.
    each = (slow_cpu - slow_cpu_read) / (FRAMES - 1)
    each_wall = (slow_wall - slow_wall_read) / (FRAMES - 1)
    ours_each, ours_wall = (cpu - cpu_read) / steps, (wall - wall_read) / steps
    same = "identical" if torch.equal(fast, slow[0]) else "DIFFERENT"
    return [
        ("greedy codes of both loops", same, "identical"),
        ("the published loop's structure: steps/s", f"{1 / each_wall:.1f} (wall), {1 / each:.1f} (processor)", "-"),
        ("ours: steps/s", f"{1 / ours_wall:.1f} (wall), {1 / ours_each:.1f} (processor)", "-"),
        ("ours to theirs", f"{each_wall / ours_wall:.2f} (wall), {each / ours_each:.2f} (processor)", ">= 5"),
        ("a whole song of 80 frames, prefix and all", f"{slow_cpu / cpu:.2f} (processor)", "-"),
    ]


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
