"""The benchmark's networks of full size, as far as this goes without a GPU: on torch's meta device, which knows shapes
and holds no numbers."""

from __future__ import annotations

import torch

from tests.benchmarks.renderers import FULL, ace_step_pipe, stable_audio_pipe

FRAMES = 1500


def billions(*networks: torch.nn.Module) -> float:
    return sum(weights.numel() for network in networks for weights in network.parameters()) / 1e9


def test_ace_step_of_full_size_takes_a_minute_at_once() -> None:
    with torch.device("meta"), torch.no_grad():
        pipe = ace_step_pipe(FULL, "turbo")
        width = pipe.transformer.config.hidden_size
        latents = torch.empty(1, FRAMES, 64)
        flow = pipe.transformer(
            hidden_states=latents,
            timestep=torch.ones(1),
            timestep_r=torch.ones(1),
            encoder_hidden_states=torch.empty(1, 300, width),
            context_latents=torch.empty(1, FRAMES, 128),
            return_dict=False,
        )[0]
        assert flow.shape == latents.shape
        assert pipe.vae.decode(flow.transpose(1, 2)).sample.shape == (1, 2, 60 * 48_000)
    assert 2.0 <= billions(pipe.transformer, pipe.condition_encoder) <= 2.4


def test_stable_audio_of_full_size_takes_a_minute_at_once() -> None:
    with torch.device("meta"), torch.no_grad():
        pipe = stable_audio_pipe(FULL)
        frames = -(-60 * 44_100 // pipe.hop)
        shape = (1, pipe.transformer.config.io_channels, frames)
        context = pipe.transformer.config.cond_token_dim
        flow = pipe.transformer(
            torch.empty(shape),
            torch.ones(1),
            torch.empty(1, 64, context),
            torch.empty(1, context),
            return_dict=False,
        )[0]
        assert flow.shape == shape
        assert pipe.vae.decode(flow).sample.shape == (1, 2, frames * pipe.hop)
    assert 1.2 <= billions(pipe.transformer) <= 1.7
