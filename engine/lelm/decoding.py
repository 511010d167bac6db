"""The one decoder of LeLM: delay pattern, guidance, sampling, static cache, a tick at every step.

Per step: logits of the last position -> guidance -> `shape` (the caller's constraints) -> one token per stream;
streams that have not begun or have ended hold the special token. Randomness comes from one seeded torch.Generator,
so the same weights, inputs and seed give the same tokens. Rows with seeds of their own are drawn from generators of
their own: which other rows they are decoded with then moves none of their draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.lelm.network import LeLM, guide
from engine.lelm.pattern import code_steps, steps_for, undelay
from engine.report import Tick

Shape = Callable[[int, Tensor], Tensor]
"""(step about to be written, logits [B, K, V]) -> logits."""
Conditions = Callable[[int, Tensor], Tensor]
"""(step that is fed, sequence so far [B, K, S]) -> conditions [B, 1, D] of that step."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a stream's token is drawn. `temperature` 0 is greedy; `top_k` 0 and `top_p` 1 keep every token."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0


GREEDY = Sampling(temperature=0.0)


def draw(logits: Tensor, sampling: Sampling, generator: torch.Generator) -> Tensor:
    """One token per row of logits [..., V]; the most probable one when greedy."""
    if sampling.temperature == 0.0:
        return logits.argmax(-1)
    p = torch.softmax(logits.float() / sampling.temperature, -1)
    if sampling.top_k:
        least = p.topk(min(sampling.top_k, p.shape[-1]), -1).values[..., -1:]
        p = p.where(p >= least, torch.zeros(()))
    if sampling.top_p < 1.0:
        ranked, order = p.sort(-1, descending=True)
        before = ranked.cumsum(-1) - ranked
        ranked = ranked.where(before < sampling.top_p * p.sum(-1, keepdim=True), torch.zeros(()))
        p = torch.zeros_like(p).scatter(-1, order, ranked)
    flat = torch.multinomial(p.reshape(-1, p.shape[-1]), 1, generator=generator)
    return flat.view(p.shape[:-1])


def rows_per_generator(rows: int, generators: int) -> int:
    """How many rows each of the generators draws. Raises ValueError unless there is one for all or one for each."""
    if generators not in (1, rows):
        raise ValueError(f"{generators} seeds for {rows} rows")
    return rows // generators


@torch.inference_mode()
def generate(
    model: LeLM,
    frames: int,
    *,
    rows: int = 1,
    sampling: Sequence[Sampling] = (GREEDY,),
    guidance: float | None = None,
    prefix: tuple[Tensor, Tensor] | None = None,
    conditions: Conditions | None = None,
    shape: Shape | None = None,
    seed: int | Sequence[int] = 0,
    tick: Tick = lambda fraction: None,
) -> Tensor:
    """Codes [rows, K, frames], `special` after a stream's end token. `seed`: one for all rows, or one for each.

    `sampling` has one entry per stream (the last one serves the rest). With `guidance` the prefix and conditions hold
    2 * rows rows, conditional ones first. Stops early when every stream of every row has ended.
    Raises what `tick` raises (`JobCancelled`), before the next step is computed.
    """
    config = model.config
    generators = [torch.Generator().manual_seed(s) for s in ([seed] if isinstance(seed, int) else seed)]
    share = rows_per_generator(rows, len(generators))
    steps, open_steps = steps_for(frames, config.delays), code_steps(frames, config.delays)
    fed = rows if guidance is None else 2 * rows
    cache = model.new_cache(fed, steps + (0 if prefix is None else prefix[0].shape[1]))
    sequence = torch.full((rows, config.streams, steps), config.special, dtype=torch.long)
    ended = torch.zeros(rows, config.streams, dtype=torch.bool)
    for step in range(1, steps):
        tick((step - 1) / (steps - 1))
        tokens = sequence[:, :, step - 1 : step].repeat(fed // rows, 1, 1)
        given = None if conditions is None else conditions(step - 1, sequence)
        logits = model(tokens, prefix=prefix if step == 1 else None, conditions=given, cache=cache)[:, :, -1]
        if guidance is not None:
            logits = guide(logits, guidance)
        if shape is not None:
            logits = shape(step, logits)
        for k in range(config.streams):
            how = sampling[min(k, len(sampling) - 1)]
            token = torch.cat(
                [draw(part, how, g) for part, g in zip(logits[:, k].split(share), generators, strict=True)]
            )
            closed = ended[:, k] | ~open_steps[k, step]
            sequence[:, k, step] = token.where(~closed, torch.tensor(config.special))
            ended[:, k] |= sequence[:, k, step] == config.eos
        if bool(ended.all()):
            break
    return undelay(sequence, frames, config.delays)
