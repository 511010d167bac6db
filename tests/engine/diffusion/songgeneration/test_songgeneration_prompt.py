"""A clip as codes: how many, of what, and at any rate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from bridge.errors import JobError
from engine.diffusion.resampling import resample
from engine.diffusion.songgeneration.mel import halve_rate, mel_bands, sound2mel
from engine.diffusion.songgeneration.prompt import PromptEncoder
from engine.rendering import Clip
from engine.report import JobCancelled
from tests.engine.songgeneration_runtime import write_runtime


@pytest.fixture(scope="module")
def encoder(runtime: Path) -> PromptEncoder:
    return PromptEncoder.open(runtime, device="cpu")


def clip(seconds: float, seed: int, gain: float = 0.2) -> Clip:
    """Tones that come and go."""
    random = np.random.default_rng(seed)
    at = np.arange(round(seconds * 48000)) / 48000
    sound = sum(
        np.sin(2 * np.pi * random.uniform(80, 3000) * at) * (np.sin(2 * np.pi * random.uniform(0.2, 3) * at) > 0)
        for _ in range(6)
    )
    return Clip((gain * np.stack([sound, 0.8 * np.asarray(sound)])).astype(np.float32), 48000)


@pytest.mark.parametrize(("seconds", "codes"), [(10, 251), (3.04, 77), (1.0, 26)])
def test_so_many_codes(encoder: PromptEncoder, seconds: float, codes: int) -> None:
    found = encoder.encode(clip(seconds, 1), clip(seconds, 2))
    assert found.shape == (3, codes)
    assert found.dtype == torch.int64
    assert found.min() >= 0
    assert found.max() < 16384


def test_what_each_row_hears(encoder: PromptEncoder) -> None:
    full, vocal, other = clip(3, 1), clip(3, 2), clip(3, 3)
    rows = encoder.encode(full, vocal)
    assert torch.equal(rows, encoder.encode(full, vocal))
    with_other = encoder.encode(full, other)
    assert torch.equal(with_other[0], rows[0])
    assert not torch.equal(with_other[1], rows[1])
    assert not torch.equal(with_other[2], rows[2])
    moved = Clip(full.audio + other.audio, 48000)
    assert torch.equal(encoder.encode(moved, Clip(vocal.audio + other.audio, 48000))[2], rows[2])
    assert torch.equal(encoder.encode(moved, vocal)[1], rows[1])


def test_only_the_first_ten_seconds_count(encoder: PromptEncoder) -> None:
    full, vocal = clip(14, 1), clip(14, 2)
    early = [Clip(c.audio[:, :480000], 48000) for c in (full, vocal)]
    assert torch.equal(encoder.encode(full, vocal), encoder.encode(*early))


def test_loudness_beyond_the_peak_does_not_count(encoder: PromptEncoder) -> None:
    full, vocal = clip(3, 1, gain=1.0), clip(3, 2, gain=1.0)
    louder = [Clip(c.audio * np.float32(4), 48000) for c in (full, vocal)]
    found = encoder.encode(*louder)
    assert (found[:2] == encoder.encode(full, vocal)[:2]).float().mean() > 0.9


def test_another_rate_is_heard_alike(encoder: PromptEncoder) -> None:
    full, vocal = clip(4, 1), clip(4, 2)
    slower = [Clip(resample(c.audio, 48000, 44100), 44100) for c in (full, vocal)]
    assert (encoder.encode(*slower) == encoder.encode(full, vocal)).float().mean() > 0.9


def test_it_stops_when_asked(encoder: PromptEncoder) -> None:
    told: list[float] = []

    def stop(fraction: float) -> None:
        told.append(fraction)
        if len(told) == 12:
            raise JobCancelled

    with pytest.raises(JobCancelled):
        encoder.encode(clip(2, 1), clip(2, 2), stop)
    assert told == [0.0] * 8 + [0.5] * 4  # two convolutions and six layers for the mixed codes, then the stems


def test_too_short_a_clip_is_refused(encoder: PromptEncoder) -> None:
    with pytest.raises(JobError, match=r"0\.50 s long"):
        encoder.encode(clip(0.5, 1), clip(0.5, 2))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bestrq.model.conformer.layers.2.self_attn.linear_q.weight", "layers.2.self_attn.linear_q.weight"),
        ("bestrq.model.conv.conv.1.bn3.running_mean", "conv.conv.1.bn3.running_mean"),
        ("rvq_bestrq_emb.quantizers.0.in_proj.bias", "in_proj.bias"),
    ],
)
def test_a_lost_tensor_is_named(tmp_path: Path, name: str, said: str) -> None:
    path = write_runtime(tmp_path) / "model_1rvq" / "model_2_fixed.safetensors"
    tensors = load_file(path)
    del tensors[name]
    path.unlink()
    save_file(tensors, path)
    with pytest.raises(JobError, match=said):
        PromptEncoder.open(tmp_path, device="cpu").encode(clip(2, 1), clip(2, 2))


def test_layers_that_nobody_listens_to_may_be_missing(tmp_path: Path, encoder: PromptEncoder) -> None:
    path = write_runtime(tmp_path) / "model_1rvq" / "model_2_fixed.safetensors"
    tensors = {n: t for n, t in load_file(path).items() if ".layers.6." not in n and ".layers.7." not in n}
    path.unlink()
    save_file(tensors, path)
    given = clip(2, 1), clip(2, 2)
    assert torch.equal(PromptEncoder.open(tmp_path, device="cpu").encode(*given), encoder.encode(*given))


def test_half_the_rate_keeps_the_tones_below_it() -> None:
    at = torch.arange(9600) / 48000
    low, high = (torch.sin(2 * torch.pi * hertz * at)[None] for hertz in (1000.0, 17000.0))
    expected = torch.sin(2 * torch.pi * 1000.0 * torch.arange(4800) / 24000)[None]
    inner = slice(100, -100)
    assert float((halve_rate(low) - expected)[:, inner].abs().max()) < 2e-3
    assert float(halve_rate(high)[:, inner].abs().max()) < 2e-3
    assert halve_rate(low[:, :-1]).shape == (1, 4800)


def test_mels_rise_with_a_tone() -> None:
    at = torch.arange(24000) / 24000
    peaks = [
        int(sound2mel(torch.sin(2 * torch.pi * hz * at)[None]).mean(-1).argmax()) for hz in (200.0, 1000.0, 5000.0)
    ]
    centres = (mel_bands() * torch.linspace(0, 12000, 1025)[:, None]).sum(0) / mel_bands().sum(0)
    for band, hertz in zip(peaks, (200.0, 1000.0, 5000.0), strict=True):
        assert abs(float(centres[band]) - hertz) < 0.06 * hertz + 15
    assert sound2mel(torch.zeros(2, 2400)).shape == (2, 128, 8)
