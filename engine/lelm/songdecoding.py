"""Writing one song: codebook 0 by the main transformer, then codebooks 1 and 2 over its kept hidden states.

Codebook 0 never sees the others, so it may run ahead as far as one likes: to its end (fastest), or a stretch at a time
so that the first frames can be heard while later ones are written. The codes are the same. What the published loop
computes and throws away is left out: main steps behind codebook 0's end (their inputs are known: one block), steps in
which the others have not begun (one block), everything behind the first end token.

Conventions: step s >= 1 writes codebook 0's frame s - 1 and the others' frame s - 1 - delay; it is predicted from what
step s - 1 holds. Frames at 25 a second.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.lelm.caches import Cache
from engine.lelm.choosing import Chance, SongSampling, choose, penalise
from engine.lelm.songnet import ReadPrefix, SongNet, guided
from engine.report import Tick

POLL = 25
"""Steps between looks at a GPU's end flag; a CPU looks at every step."""
STRETCH = 50
"""Steps that the main transformer goes ahead before the sub-transformer follows, where frames are wanted early."""
Frames = Callable[[Tensor], None]
"""Given codes [3, t] whenever more leading frames are final."""
Shape = Callable[[int, int, Tensor], Tensor]
"""(first codebook, step, logits [K, V]) -> logits: a caller's own rules, after guidance and before the penalty."""


class MainLine:
    """Codebook 0 of one song, step by step; keeps the hidden states that the others need."""

    def __init__(
        self,
        net: SongNet,
        rows: list[ReadPrefix],
        frames: int,
        sampling: SongSampling,
        chance: Chance,
        banned: Tensor | None = None,
        shape: Shape | None = None,
        cache: Cache | None = None,
    ) -> None:
        """`rows`: the conditional prefix, and the null one unless guidance is 1; `banned`: codes never written;
        `cache`: its rows of a cache that songs share."""
        self.net, self.frames, self.sampling, self.chance = net, frames, sampling, chance
        self.banned, self.shape = banned, shape
        self.delay = net.config.delays[1]
        self.prefix = rows[0].length
        steps = frames + self.delay
        self.cache: Cache | None = cache or net.main.new_cache(len(rows), self.prefix + steps, self.prefix)
        self.cache.fill([row.main for row in rows])
        self.hidden = torch.zeros(len(rows), steps, net.config.dim, dtype=net.dtype, device=net.device)
        self.codes = torch.full((1, steps + 1), net.config.special, device=net.device)
        self.step = 0
        self.known = 0
        self.limit = frames
        self.ended = False

    def advance(self, stop: int, tick: Callable[[], None]) -> None:
        """Writes steps up to `stop`, or to the end of the song, whose tail of hidden states it then adds."""
        while not self.ended and self.step < min(stop, self.frames):
            tick()
            assert self.cache is not None
            hidden = self.net.main.run(self.feed()[:, None], self.cache, self.prefix + self.step)[:, 0]
            self.take(hidden, self.net.head(guided(hidden, self.sampling.guidance)))
        self.finish()

    def feed(self) -> Tensor:
        """Embeddings [rows, D] of what the next step is predicted from."""
        return F.embedding(self.codes[:, self.step], self.net.emb).expand(self.hidden.shape[0], -1)

    def take(self, hidden: Tensor, logits: Tensor) -> None:
        """Writes the next step from its hidden states [rows, D] and guided logits [1, V]."""
        self.hidden[:, self.step] = hidden
        self.step += 1
        self._write(self.step, logits.float())
        if self.net.device == "cpu" or self.step % POLL == 0 or self.step == self.frames:
            self._look(self.step)

    def finish(self) -> None:
        """Adds the tail of hidden states where the song has ended."""
        self.known = max(self.known, self.step)
        if self.ended and self.cache is not None:
            self._tail(self.cache)
            # A long song's keys and values are gigabytes, and the sub-transformer's come next.
            self.cache = None

    def _write(self, step: int, logits: Tensor) -> None:
        if self.shape is not None:
            logits = self.shape(0, step, logits)
        if self.sampling.penalty_window and step > 1:
            recent = self.codes[:, max(1, step - self.sampling.penalty_window) : step]
            logits = penalise(logits, recent, self.net.config.code_size)
        if self.banned is not None:
            logits[:, self.banned] = -torch.inf
        chance = self.chance.main(step) if self.sampling.temperature else None
        self.codes[:, step] = choose(logits, self.sampling, chance, self.sampling.top_k)

    def _look(self, step: int) -> None:
        every = step if self.net.device == "cpu" else max(1, step - POLL + 1)
        ends = (self.codes[0, every : step + 1] == self.net.config.eos).nonzero()
        if len(ends):
            self.step = every + int(ends[0, 0])
            self.limit = self.step - 1
            self.codes[:, self.step + 1 :] = self.net.config.special
        self.ended = bool(len(ends)) or step == self.frames

    def _tail(self, cache: Cache) -> None:
        stop = self.limit + self.delay
        if stop > self.step:
            x = F.embedding(self.codes[:, self.step : stop], self.net.emb).expand(self.hidden.shape[0], -1, -1)
            self.hidden[:, self.step : stop] = self.net.main.run(x, cache, self.prefix + self.step)
        self.known = stop


class SubLine:
    """Codebooks 1 and 2 of one song, as far as the main line is."""

    def __init__(self, main: MainLine, rows: list[ReadPrefix], cache: Cache | None = None) -> None:
        """`cache`: its rows of a cache that songs share."""
        self.main, self.net, self.sampling = main, main.net, main.sampling
        self.rows = rows
        self.cache = cache
        if cache is not None:
            cache.fill([row.sub for row in rows])
        self.codes = torch.full((2, main.frames + main.delay + 1), self.net.config.special, device=self.net.device)
        self.step = 0
        self.cut = main.frames
        """Frames before the first end token of any codebook, as far as is known."""

    @property
    def frames(self) -> int:
        """Frames that are final."""
        return max(0, min(self.step - self.main.delay, self.cut, self.main.limit))

    @property
    def done(self) -> bool:
        """Whether nothing more is to be written."""
        return self.main.ended and self.step - self.main.delay >= min(self.cut, self.main.limit)

    def advance(self, tick: Callable[[], None]) -> None:
        """Writes all steps whose hidden states are known."""
        while not self.done and self.step < self.main.known:
            tick()
            if self.step < self.main.delay:
                self.begin()
            else:
                hidden = self._run(self.step, self.step + 1)[:, -1]
                self.take(self.net.heads(guided(hidden, self.sampling.guidance)))

    def begin(self) -> None:
        """Runs the steps that hold nothing yet, as far as they are known, in one block."""
        first, self.step = self.step, min(self.main.delay, self.main.known)
        self._run(first, self.step)

    def feed(self) -> tuple[Tensor, Tensor]:
        """What the next step is predicted from: other codebooks' embeddings and main hidden states, [rows, D] each."""
        x2 = self.net.others(self.codes[:, self.step]).expand(self.main.hidden.shape[0], -1)
        return x2, self.main.hidden[:, self.step]

    def take(self, logits: Tensor) -> None:
        """Writes the next step from guided logits [1, 2 V]."""
        self.step += 1
        self._write(self.step, logits.float().view(2, -1))
        last = self.step >= self.main.limit + self.main.delay
        if self.net.device == "cpu" or self.step % POLL == 0 or last:
            self._look(self.step)

    def _inputs(self, first: int, stop: int) -> Tensor:
        x2 = self.net.others(self.codes[:, first:stop]).expand(self.main.hidden.shape[0], -1, -1)
        return self.net.mix(x2, self.main.hidden[:, first:stop])

    def _run(self, first: int, stop: int) -> Tensor:
        if self.cache is None:
            prefix = self.main.prefix
            self.cache = self.net.sub.new_cache(len(self.rows), prefix + self.main.frames + self.main.delay, prefix)
            self.cache.fill([row.sub for row in self.rows])
        return self.net.sub.run(self._inputs(first, stop), self.cache, self.main.prefix + first)

    def _write(self, step: int, logits: Tensor) -> None:
        if self.main.shape is not None:
            logits = self.main.shape(1, step, logits)
        if self.sampling.penalty_window and step > 1:
            recent = self.codes[:, max(1, step - self.sampling.penalty_window) : step]
            logits = penalise(logits, recent, self.net.config.code_size)
        chance = None if self.sampling.sub_is_best else self.main.chance.sub(step)
        self.codes[:, step] = choose(logits, self.sampling, chance, 0)

    def _look(self, step: int) -> None:
        first = max(self.main.delay + 1, step - POLL + 1)
        ends = (self.codes[:, first : step + 1] == self.net.config.eos).any(0).nonzero()
        if len(ends):
            self.cut = min(self.cut, first + int(ends[0, 0]) - 1 - self.main.delay)

    def read(self, frames: int) -> Tensor:
        """Codes [3, frames] on the CPU."""
        start = self.main.delay + 1
        both = torch.cat((self.main.codes[:, 1 : 1 + frames], self.codes[:, start : start + frames]))
        return both.cpu()


@torch.inference_mode()
def write_song(main: MainLine, rows: list[ReadPrefix], tick: Tick, on_frames: Frames | None = None) -> Tensor:
    """Codes [3, t] of a song, cut at the first end token of any codebook.

    `tick` is called before every step of either transformer, with the share of the work that is done.
    """
    sub = SubLine(main, rows)
    told, work = 0, 2 * main.frames + main.delay

    def step() -> None:
        tick(min(1.0, (main.step + sub.step) / work))

    while not sub.done:
        ahead = main.frames if on_frames is None else main.step + STRETCH
        main.advance(ahead, step)
        sub.advance(step)
        if on_frames is not None and sub.frames > told:
            told = sub.frames
            on_frames(sub.read(told))
    return sub.read(sub.frames)
