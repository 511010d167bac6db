"""LeLM's network: cached == whole, batched == single, guidance, Llama parity, the published model's numbers."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.lelm.decoding import generate
from engine.lelm.network import SONGGENERATION_V2_LARGE, LeLM, LeLMConfig, guide
from engine.lelm.pattern import delay, undelay
from engine.llama import Cache, Llama, LlamaShape, one_thread

ONE = LeLMConfig(40, 48, 96, 4, 2)
THREE = LeLMConfig(40, 48, 96, 4, 3, 2, 5e5, 1e5, (0, 3, 3))
PARITY = Path(os.environ.get("STEMBRIDGE_PARITY") or Path(__file__).parents[4] / "shared" / "parity")
needs_parity = pytest.mark.skipif(
    not PARITY.is_dir(), reason=f"no folder {PARITY} of parity fixtures (STEMBRIDGE_PARITY names one)"
)


def tokens(config: LeLMConfig, rows: int, steps: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randint(0, config.code_size, (rows, config.streams, steps), generator=generator)


def model(config: LeLMConfig) -> LeLM:
    torch.manual_seed(0)
    return LeLM(config).eval()


@pytest.mark.parametrize("config", [ONE, THREE], ids=["plan", "songgeneration"])
@torch.inference_mode()
def test_cached_steps_equal_the_whole(config: LeLMConfig) -> None:
    net, given = model(config), tokens(config, 2, 9)
    prefix = (torch.randn(2, 4, 48), torch.randn(2, 4, 48))
    whole = net(given, prefix=prefix)
    cache = net.new_cache(2, 13)
    parts = [net(given[:, :, :1], prefix=prefix, cache=cache)]
    parts += [net(given[:, :, i : i + 1], cache=cache) for i in range(1, 9)]
    assert torch.allclose(torch.cat(parts, 2), whole, atol=1e-5)


@pytest.mark.parametrize("config", [ONE, THREE], ids=["plan", "songgeneration"])
@torch.inference_mode()
def test_batched_rows_equal_single_rows(config: LeLMConfig) -> None:
    net, given = model(config), tokens(config, 3, 7)
    whole = net(given)
    for row in range(3):
        assert torch.allclose(net(given[row : row + 1])[0], whole[row], atol=1e-5)


@torch.inference_mode()
def test_other_streams_never_reach_stream_zero() -> None:
    net, given = model(THREE), tokens(THREE, 1, 6)
    changed = given.clone()
    changed[:, 1:] = 7
    assert torch.equal(net(given)[:, 0], net(changed)[:, 0])
    assert not torch.allclose(net(given)[:, 1], net(changed)[:, 1])


def test_guidance_formula() -> None:
    logits = torch.tensor([[[3.0, 1.0]], [[1.0, 2.0]]])
    assert torch.equal(guide(logits, 1.5), torch.tensor([[[4.0, 0.5]]]))
    assert torch.equal(guide(logits, 1.0), logits[:1])


def test_a_second_run_of_several_positions_on_a_cache_is_refused() -> None:
    stack = Llama(LlamaShape(16, 32, 2, 1))
    cache = Cache(stack.shape, 1, 8)
    stack(torch.zeros(1, 3, 16), cache)
    with pytest.raises(ValueError, match="one position"):
        stack(torch.zeros(1, 2, 16), cache)


def test_llama_parity_with_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=10, hidden_size=64, intermediate_size=160, num_attention_heads=4, num_key_value_heads=4,
        num_hidden_layers=3, rms_norm_eps=1e-5, rope_theta=5e5, max_position_embeddings=64,
        rope_parameters={"rope_type": "default", "rope_theta": 5e5}, attn_implementation="eager",
    )  # fmt: skip
    torch.manual_seed(1)
    theirs = transformers.LlamaModel(config).eval()
    ours = Llama(LlamaShape(64, 160, 4, 3, 5e5)).eval()
    state = {k: v for k, v in theirs.state_dict().items() if k in ours.state_dict()}
    ours.load_state_dict(state)
    x = torch.randn(2, 11, 64)
    with torch.inference_mode():
        assert (ours(x) - theirs(inputs_embeds=x).last_hidden_state).abs().max() < 1e-5


def test_parameter_names_are_the_published_ones() -> None:
    with torch.device("meta"):
        names = {k: tuple(v.shape) for k, v in LeLM(SONGGENERATION_V2_LARGE).state_dict().items()}
    assert names["emb.0.weight"] == names["layer2_emb.2.weight"] == (16386, 2048)
    assert names["transformer.lm_head.weight"] == names["linears.1.weight"] == (16385, 2048)
    assert names["transformer2.model.layers.11.self_attn.q_proj.weight"] == (2048, 2048)
    assert names["transformer.model.layers.35.mlp.down_proj.weight"] == (2048, 11008)
    assert names["mlp.0.weight"] == (2048, 4096)
    assert names["mlp.2.bias"] == (2048,)


def published(version: str = "v2") -> LeLM:
    """The tiny model of the fixtures with its regenerated weights."""
    sys.path.insert(0, str(PARITY))
    try:
        import weights  # type: ignore[import-not-found]
    finally:
        sys.path.pop(0)
    listed = json.loads((PARITY / f"lm_state_dict_{version}.json").read_text())
    shapes = {k.removeprefix("audiolm."): v[0] for k, v in listed.items()}
    net = LeLM(LeLMConfig(16_384, 64, 160, 4, 3, 2, 5e5, 1e5, (0, 6, 6))).eval()
    state = weights.lm_weights({k: shapes[k] for k in net.state_dict()})
    net.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})
    return net


def prefix_of(case: np.lib.npyio.NpzFile) -> tuple[torch.Tensor, torch.Tensor]:
    names = ("description", "prompt_audio", "type_info")
    first, second = (np.concatenate([case[f"cond{i}_{n}"] for n in names], 1) for i in (1, 2))
    return torch.from_numpy(first), torch.from_numpy(second)


@needs_parity
@torch.inference_mode()
def test_teacher_forced_logits_are_the_published_ones() -> None:
    case = np.load(PARITY / "lm_v2_greedy_cfg.npz")
    logits = published()(torch.from_numpy(case["tf_seq"]).repeat(2, 1, 1), prefix=prefix_of(case)).numpy()
    assert np.abs(logits[..., :64] - case["tf_logits_head"]).max() < 1e-4
    assert np.abs(logits[..., -64:] - case["tf_logits_tail"]).max() < 1e-4
    assert (logits.argmax(-1) == case["tf_logits_argmax"]).all()


@needs_parity
def test_greedy_tokens_are_the_published_ones() -> None:
    case = np.load(PARITY / "lm_v2_greedy_norec.npz")
    wanted = case["tokens"]
    codes = generate(published(), wanted.shape[2], guidance=1.5, prefix=prefix_of(case))
    assert (codes.numpy() == wanted).all()


@needs_parity
@pytest.mark.parametrize("frames", [1, 7, 20])
def test_delay_pattern_is_the_published_one(frames: int) -> None:
    case = np.load(PARITY / f"lm_pattern_T{frames}.npz")
    sequence, mask = delay(torch.from_numpy(case["z"]), (0, 6, 6), 16_385)
    assert (sequence.numpy() == case["seq"]).all()
    assert (mask.numpy() == case["mask"]).all()
    assert (undelay(sequence, frames, (0, 6, 6)).numpy() == case["back"]).all()


def test_one_thread_is_for_a_while_only() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
