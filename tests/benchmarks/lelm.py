"""`make bench`, part `lelm`: SongGeneration's language model against the published loop's structure, and its limits.

The other side is `lelm_loop`, our own writing of that loop from its description; both sides have the same weights, one
thread, take turns, and must write the same greedy codes. Sizes are the mid-size configuration of the published numbers.
A song alone is bound by memory on a CPU (each step reads all weights and both rows' keys and values); songs together
read the weights, and the null row's prefix, once. The published loop writes songs one after the other only.
Drafting steps in 8 bits and verifying them in blocks does not pay for a song alone: a draft costs two thirds of a step
(keys and values are read as they are), a block of eight two to three steps.
Wall and processor seconds are both printed: on a busy computer only the second compares.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count, islice

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from engine.lelm.caches import Cache
from engine.lelm.checkpoint import SongTensors, lelm_config
from engine.lelm.choosing import SeededChance, SongSampling
from engine.lelm.conditions import Prefix
from engine.lelm.memory import plan_memory
from engine.lelm.network import LeLM
from engine.lelm.songbatch import write_songs
from engine.lelm.songconfig import SongConfig
from engine.lelm.songdecoding import MainLine, write_song
from engine.lelm.songnet import ReadPrefix, SongNet
from engine.llama import one_thread
from tests.benchmarks.lelm_loop import published_loop

MIDDLE = SongConfig(512, 1408, 8, 12, 4, 5e5, 5e5, 16_384, (0, 20, 20), 150, 25, 250, 300, 50, 2048, 2048)
LARGE = SongConfig(2048, 11_008, 16, 36, 12, 5e5, 5e5, 16_384, (0, 250, 250), 270, 25, 250, 600, 100, 10_000, 10_000)
PREFIX, FRAMES, SONGS = 602, 40, 8
SLOTS = (2, 4, 8)
GPUS = {"24 GB at 1.0 TB/s": (24, 1.008e12), "80 GB at 3.35 TB/s": (80, 3.35e12)}
THEIR_OPERATIONS = 4500
"""Of one step of the published loop, as its measurement counts them (with sampling; ours of it is greedy)."""


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


class Songs:
    """What both sides write: greedy songs of different words on one network, and the null row that they share."""

    def __init__(self, count: int) -> None:
        self.net = random_network(MIDDLE)
        generator = torch.Generator().manual_seed(1)

        def prefix() -> Prefix:
            one, two = (torch.randn(1, PREFIX, MIDDLE.dim, generator=generator) * 0.5 for _ in range(2))
            return one, two

        self.null = prefix()
        self.prefixes = [prefix() for _ in range(count)]
        self.unused = torch.randn(MIDDLE.code_size + 1, MIDDLE.dim, generator=generator)

    def published(self, song: int, length: int = PREFIX) -> Iterator[Tensor]:
        """The other side's loop over one song."""
        pairs = zip(self.prefixes[song], self.null, strict=True)
        one, two = (torch.cat([row[:, :length] for row in pair]) for pair in pairs)
        return published_loop(self.net, (one, two), FRAMES, self.unused)


class OtherSide:
    """The published loop's structure over the songs, one after the other: its batch mixes songs up."""

    def __init__(self, songs: Songs) -> None:
        self.songs, self.clock, self.reading = songs, Clock(), Clock()
        self.codes: list[Tensor] = []
        self._loop: Iterator[Tensor] = iter(())
        self._left = 0

    @property
    def done(self) -> bool:
        """Whether all songs are written."""
        return len(self.codes) == len(self.songs.prefixes) and not self._left

    def advance(self, steps: int) -> None:
        """Writes so many steps more, as far as there are songs. A song's first one, which reads its prefix, is kept
        apart."""
        while steps > 0 and not self.done:
            if not self._left:
                self._loop = self.songs.published(len(self.codes))
                with self.reading:
                    self.codes.append(next(self._loop))
                self._left = FRAMES + MIDDLE.delays[1] - 1
            part = min(steps, self._left)
            with self.clock:
                self.codes[-1] = list(islice(self._loop, part))[-1]
            self.clock.steps += part
            self._left -= part
            steps -= part


def turns(ours: Clock, other: OtherSide, every: int, steps: int) -> Callable[..., None]:
    """A tick of ours that lets the other side write `steps` steps at every so many of its calls."""
    told = count(1)

    def tick(*_: float) -> None:
        if next(told) % every == 0:
            ours.__exit__()
            other.advance(steps)
            ours.__enter__()

    return tick


def compare() -> list[tuple[str, str, str]]:
    """Both sides over the same songs, taking turns so that a busy computer slows both: (what, measured, bound)."""
    songs = Songs(SONGS)
    other = OtherSide(songs)
    greedy = SongSampling(temperature=0.0)
    steps = FRAMES + MIDDLE.delays[1]
    reading, alone = Clock(), Clock()
    together = {slots: Clock() for slots in SLOTS}
    with one_thread(), torch.inference_mode():
        net = SongNet(SongTensors("v1", MIDDLE, songs.net.state_dict(), {}), PREFIX + steps)
        null = net.read(songs.null)
        with reading:
            rows = [[net.read(prefix), null] for prefix in songs.prefixes]

        def line(song: int, given: list[ReadPrefix], cache: Cache | None = None) -> MainLine:
            chance = SeededChance(song, MIDDLE.code_size + 1, "cpu")
            return MainLine(net, given, FRAMES, greedy, chance, cache=cache)

        with alone:
            fast = [write_song(line(0, rows[0]), rows[0], turns(alone, other, 10, 10))]
        found: list[list[Tensor]] = []
        given = [partial(rows.__getitem__, song) for song in range(SONGS)]
        for slots, clock in together.items():
            # Each way of ours is interleaved with about as many of their steps.
            tick = turns(clock, other, 10, 12 * slots // SONGS)
            with clock:
                codes = write_songs(net, given, line, FRAMES, rows=2, slots=slots, guidance=1.5, tick=tick)
            found.append(codes)
            clock.steps = SONGS * steps
        other.advance(SONGS * steps)
        operations = count_operations(songs.published(0, 2))
    alone.steps = steps

    def same(codes: list[Tensor]) -> str:
        both = zip(codes, other.codes, strict=False)
        return "identical" if all(torch.equal(mine, theirs[0]) for mine, theirs in both) else "DIFFERENT"

    whole = (other.clock.processor + other.reading.processor) / (together[max(SLOTS)].processor + reading.processor)
    rows_ = [
        ("the published loop's structure, song after song: steps/s", _rates(other.clock), "-"),
        ("its operations at a step (aten, nested ones too)", f"{operations:.0f}", f"{THEIR_OPERATIONS} published"),
        ("ours, one song alone: steps/s", _rates(alone), "-"),
        ("ours, one song alone, to theirs", _ratios(alone, other.clock, same(fast)), "-"),
    ]
    for (slots, clock), codes in zip(together.items(), found, strict=True):
        what, bound = f"ours, {SONGS} songs, {slots} at a time", ">= 5" if slots == max(SLOTS) else "-"
        rows_ += [
            (f"{what}: steps/s", _rates(clock), "-"),
            (f"{what}, to theirs", _ratios(clock, other.clock, same(codes)), bound),
        ]
    return [*rows_, (f"{SONGS} songs of {FRAMES} frames, prefixes and all", f"{whole:.2f} (processor)", "-")]


def _rates(clock: Clock) -> str:
    return f"{clock.steps / clock.wall:.1f} (wall), {clock.steps / clock.processor:.1f} (processor)"


def _ratios(ours: Clock, theirs: Clock, codes: str) -> str:
    wall, processor = (
        (theirs.wall / theirs.steps) / (ours.wall / ours.steps),
        (theirs.processor / theirs.steps) / (ours.processor / ours.steps),
    )
    return f"{wall:.2f} (wall), {processor:.2f} (processor), codes {codes}"


def count_operations(loop: Iterator[Tensor], before: int = 52, steps: int = 4) -> float:
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
