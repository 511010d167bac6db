"""Stable Audio 3: noise levels, guidance, words."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from diffusers.pipelines.stable_audio_3.pipeline_stable_audio_3 import logsnr_sigma_schedule
from hypothesis import given
from hypothesis import strategies as st

from engine.diffusion.stable_audio import frames2seconds
from engine.diffusion.stable_audio_words import LOGSNR, level_for, levels_from, schedule, stretch2prompt, words2remarks
from tests.engine.diffusion.stretches import open_renderer, silent_tick, stretch, tone


@given(st.integers(2, 100), st.floats(0.01, 1.0))
def test_our_schedule_is_the_pipelines_own(steps: int, level: float) -> None:
    theirs = logsnr_sigma_schedule(steps, *LOGSNR, sigma_max=level)
    assert schedule(steps, level) == pytest.approx(theirs, abs=1e-5)


@given(st.sampled_from([8, 50]), st.floats(0.2, 1.0))
def test_strength_is_the_most_noise_that_a_sound_passes_through(steps: int, strength: float) -> None:
    assert max(schedule(steps, level_for(strength, steps))) == pytest.approx(strength, abs=1e-3)


@given(st.sampled_from([8, 50]), st.floats(0.01, 1.0), st.floats(0.01, 1.0))
def test_more_strength_is_never_less_noise(steps: int, a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert level_for(low, steps) <= level_for(high, steps) + 1e-9


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_a_duration_comes_back_as_the_frames_that_it_was_made_of(rate: int) -> None:
    hop = 4096
    for frames in range(1, 5000):
        assert math.ceil(frames2seconds(frames, hop, rate) * rate / hop) == frames


def test_an_entered_schedule_falls_from_the_entry() -> None:
    levels = levels_from(schedule(8, 1.0), 0.7)
    assert levels[0] == 0.7
    assert all(a > b for a, b in pairwise(levels))


def test_base_checkpoints_are_guided_away_from_what_to_avoid(checkpoints: dict[str, Path]) -> None:
    base, distilled = open_renderer(checkpoints["sa-base"]), open_renderer(checkpoints["sa-distilled"])
    for renderer, heard in ((base, True), (distilled, False)):
        (plain,) = renderer.render([stretch()], silent_tick)
        (led,) = renderer.render([stretch(avoid="harsh noise")], silent_tick)
        assert np.array_equal(plain.audio, led.audio) != heard
        assert bool(renderer.remarks(stretch(avoid="harsh noise"))) != heard
        assert not renderer.open().transformer._forward_hooks


def test_guidance_is_the_text_pipelines_own(checkpoints: dict[str, Path]) -> None:
    """Pure noise to sound with guidance: as `StableAudio3Pipeline` does it itself."""
    import torch
    from diffusers import StableAudio3Pipeline

    renderer = open_renderer(checkpoints["sa-base"])
    pipes = renderer.open()
    text = StableAudio3Pipeline(**pipes.vary.components)
    text.set_progress_bar_config(disable=True)
    seconds = 8192 / 44_100
    told = {"prompt": ["bass"], "duration": seconds, "num_inference_steps": 5, "output_type": "latent"}
    theirs = text(**told, guidance_scale=7.0, negative_prompt=["noise"], generator=torch.Generator().manual_seed(3))
    with torch.no_grad(), pipes.guided(7.0, ["noise"], seconds):
        ours = pipes.vary(**told, audio=torch.zeros(1, 2, 8192), generator=torch.Generator().manual_seed(3))
    assert torch.allclose(theirs.audios, ours.audios, atol=1e-4)


@pytest.mark.parametrize("kind", ["sa-base", "sa-distilled"])
def test_painted_holes_start_from_the_guide(checkpoints: dict[str, Path], kind: str) -> None:
    renderer = open_renderer(checkpoints[kind])
    wish = stretch(earlier=tone(pitch=110.0), holes=((0.25, 0.5),), strength=0.5)
    (one,) = renderer.render([wish], silent_tick)
    (other,) = renderer.render([replace(wish, guide=tone(pitch=330.0))], silent_tick)
    assert not np.array_equal(one.audio, other.audio)


def test_the_words_name_instrument_tempo_and_key_before_the_user_s() -> None:
    prompt = stretch2prompt(stretch(bpm=92.5))
    assert prompt == "solo bass, 92.5 BPM, A minor, 4/4 time, isolated stem, studio recording, warm funk bass"
    assert words2remarks(stretch(), "distilled") == ()
