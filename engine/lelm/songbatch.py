"""Several songs at once in a fixed number of slots: weights are read once for all songs of a step.

Each song keeps its own place, chance, penalty and end; when one has ended the next takes its slot at once. First all
main lines, then all sub lines. Every step has the same shapes, whatever the songs do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from engine.lelm.caches import Cache
from engine.lelm.fused import FusedStack
from engine.lelm.replay import Replay
from engine.lelm.songdecoding import MainLine, SubLine
from engine.lelm.songnet import ReadPrefix, SongNet, guided

Line = TypeVar("Line", MainLine, SubLine)

ROUND = 64
"""The caches' part that is looked at grows in steps of so many positions."""
GPU_ROUND = 1024
"""The same where each reach is recorded as a graph: few recordings, at most a tenth more read in a long song."""
MakeLine = Callable[[int, list[ReadPrefix], Cache], MainLine]
"""(number of the song, its prefixes, its rows of the shared cache) -> its main line."""


@torch.inference_mode()
def write_songs(
    net: SongNet,
    read: Sequence[Callable[[], list[ReadPrefix]]],
    make: MakeLine,
    frames: int,
    *,
    rows: int,
    slots: int,
    guidance: float,
    tick: Callable[[], None],
) -> list[Tensor]:
    """Codes [3, t] of each song, in order. `read` gives a song's prefixes when its turn comes; `frames` of the longest
    song; `rows` of a song (2 with guidance). `tick` is called before every step of all slots."""
    prefixes: dict[int, list[ReadPrefix]] = {}
    lines: dict[int, MainLine] = {}
    slots = min(slots, len(read))
    first = read[0]()
    prefix = first[0].length
    positions = prefix + frames + net.config.delays[1]

    def begin_main(song: int, cache: Cache) -> MainLine:
        given = first if song == 0 else read[song]()
        lines[song] = make(song, given, cache)
        prefixes[song] = [row.behind_main() for row in given]
        return lines[song]

    def step_main(active: list[MainLine | None], step: Replay) -> None:
        empty = torch.zeros(rows, net.config.dim, dtype=net.dtype, device=net.device)
        x = torch.stack([empty if line is None else line.feed() for line in active], 1)
        hidden = step(x.flatten(0, 1), _places(active, rows, net), _reach(active, positions, net)).view(x.shape)
        logits = net.head(guided(hidden, guidance)[0])
        for slot, line in enumerate(active):
            if line is not None:
                line.take(hidden[:, slot], logits[slot : slot + 1])
                line.finish()

    _through_slots(net.main, rows, slots, (positions, prefix), len(read), begin_main, step_main, _main_over, tick)
    subs: dict[int, SubLine] = {}

    def begin_sub(song: int, cache: Cache) -> SubLine:
        subs[song] = SubLine(lines[song], prefixes.pop(song), cache)
        if not subs[song].done and lines[song].delay:
            subs[song].begin()
        return subs[song]

    def step_sub(active: list[SubLine | None], step: Replay) -> None:
        empty = torch.zeros(rows, net.config.dim, dtype=net.dtype, device=net.device)
        fed = [(empty, empty) if line is None else line.feed() for line in active]
        x = net.mix(*(torch.stack(part, 1) for part in zip(*fed, strict=True)))
        hidden = step(x.flatten(0, 1), _places(active, rows, net), _reach(active, positions, net)).view(x.shape)
        logits = net.heads(guided(hidden, guidance)[0])
        for slot, line in enumerate(active):
            if line is not None:
                line.take(logits[slot : slot + 1])

    _through_slots(net.sub, rows, slots, (positions, prefix), len(read), begin_sub, step_sub, _sub_over, tick)
    return [subs[song].read(subs[song].frames) for song in range(len(read))]


def _main_over(line: MainLine) -> bool:
    return line.ended


def _sub_over(line: SubLine) -> bool:
    return line.done


def _through_slots(
    stack: FusedStack,
    rows: int,
    slots: int,
    positions: tuple[int, int],
    songs: int,
    begin: Callable[[int, Cache], Line],
    step: Callable[[list[Line | None], Replay], None],
    over: Callable[[Line], bool],
    tick: Callable[[], None],
) -> None:
    """`positions`: of the longest song, and of these its prefix's. The cache's rows are all conditional ones, then all
    null ones: rows that begin with the same prefix follow each other."""
    cache = stack.new_cache(rows * slots, *positions)
    replay = Replay(stack, cache, rows * slots)
    active: list[Line | None] = [None] * slots
    waiting = iter(range(songs))
    while True:
        for slot in range(slots):
            line = active[slot]
            while line is None or over(line):
                song = next(waiting, None)
                line = None if song is None else begin(song, cache.part(slice(slot, None, slots)))
                if line is None:
                    break
            active[slot] = line
        if not any(line is not None for line in active):
            return
        tick()
        step(active, replay)


def _places(active: Sequence[MainLine | SubLine | None], rows: int, net: SongNet) -> Tensor:
    """Of all rows; an empty slot stands at its first place."""
    return torch.tensor([0 if line is None else _place(line) for line in active] * rows, device=net.device)


def _place(line: MainLine | SubLine) -> int:
    main = line.main if isinstance(line, SubLine) else line
    return main.prefix + line.step


def _reach(active: Sequence[MainLine | SubLine | None], positions: int, net: SongNet) -> int:
    furthest = 1 + max(_place(line) for line in active if line is not None)
    round_to = ROUND if net.device == "cpu" else GPU_ROUND
    return min(positions, -(-furthest // round_to) * round_to)
