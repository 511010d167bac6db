"""The decoder: sampling rules, seeds, end tokens, cancelling; the delay pattern as a property."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.lelm.decoding import GREEDY, Sampling, draw, generate
from engine.lelm.network import LeLM, LeLMConfig
from engine.lelm.pattern import code_steps, delay, steps_for, undelay
from engine.report import JobCancelled

CONFIG = LeLMConfig(30, 48, 96, 4, 2, 1, 1e4, 1e4, (0, 2, 4))


@pytest.fixture(scope="module")
def net() -> LeLM:
    torch.manual_seed(0)
    return LeLM(CONFIG).eval()


@given(st.integers(1, 30), st.lists(st.integers(0, 9), min_size=1, max_size=4))
def test_delay_goes_forth_and_back(frames: int, delays: list[int]) -> None:
    codes = torch.arange(2 * len(delays) * frames).view(2, len(delays), frames)
    sequence, mask = delay(codes, delays, -1)
    assert sequence.shape[2] == steps_for(frames, delays)
    assert torch.equal(undelay(sequence, frames, delays), codes)
    assert torch.equal(mask, sequence[0] >= 0)
    assert torch.equal(mask, code_steps(frames, delays))
    assert not mask[:, 0].any()


def test_same_seed_same_codes_other_seed_other_codes(net: LeLM) -> None:
    hot = (Sampling(1.0),)
    first, again, other = (generate(net, 12, rows=2, sampling=hot, seed=s) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_greedy_decoding_equals_the_argmax_of_a_whole_forward(net: LeLM) -> None:
    codes = generate(net, 10, shape=lambda step, logits: logits[..., : CONFIG.code_size])
    sequence, mask = delay(codes, CONFIG.delays, CONFIG.special)
    with torch.inference_mode():
        best = net(sequence)[..., : CONFIG.code_size].argmax(-1)[0]
    assert torch.equal(best[:, :-1][mask[:, 1:]], sequence[0, :, 1:][mask[:, 1:]])


def test_guidance_of_one_equals_the_conditional_rows_alone(net: LeLM) -> None:
    prefix = torch.randn(2, 3, 48), torch.randn(2, 3, 48)
    alone = generate(net, 8, prefix=(prefix[0][:1], prefix[1][:1]))
    assert torch.equal(generate(net, 8, prefix=prefix, guidance=1.0), alone)


def test_an_ended_stream_stays_ended(net: LeLM) -> None:
    def end_first_stream_at_step_4(step: int, logits: torch.Tensor) -> torch.Tensor:
        logits = logits.clone()
        logits[:, :, CONFIG.eos] = -torch.inf
        if step == 4:
            logits[:, 0, CONFIG.eos] = torch.inf
        return logits

    codes = generate(net, 8, shape=end_first_stream_at_step_4)[0]
    assert codes[0, 3] == CONFIG.eos
    assert (codes[0, 4:] == CONFIG.special).all()
    assert (codes[1:] < CONFIG.code_size).all()


def test_cancel_raises_before_the_next_step(net: LeLM) -> None:
    seen: list[float] = []

    def tick(fraction: float) -> None:
        seen.append(fraction)
        if len(seen) == 4:
            raise JobCancelled

    with pytest.raises(JobCancelled):
        generate(net, 50, tick=tick)
    assert len(seen) == 4
    assert seen == sorted(seen)


def test_top_k_and_top_p_cut_the_tail() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]])).repeat(4000, 1)
    generator = torch.Generator().manual_seed(0)
    assert set(draw(logits, Sampling(1.0, top_k=2), generator).tolist()) == {0, 1}
    assert set(draw(logits, Sampling(1.0, top_p=0.7), generator).tolist()) == {0, 1}
    assert set(draw(logits, Sampling(1.0, top_p=0.4), generator).tolist()) == {0}
    plain = draw(logits, Sampling(1.0), generator)
    assert abs(float((plain == 0).float().mean()) - 0.5) < 0.04
    cold = draw(logits, Sampling(0.5), generator)
    assert abs(float((cold == 0).float().mean()) - 0.25 / (0.25 + 0.09 + 0.0225 + 0.0025)) < 0.04
    assert set(draw(logits, GREEDY, generator).tolist()) == {0}
