"""ACE-Step gets the settings that its checkpoint was made for, and the words that it knows."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from bridge.errors import RequestError
from engine.diffusion.ace_step import AceStep
from engine.diffusion.ace_step_presets import PRESETS, check_task
from engine.diffusion.ace_step_words import METRES, shorten, stretch2words, words2remarks
from tests.engine.diffusion.stretches import open_renderer, silent_tick, stretch, tone


def schedule_of(renderer: AceStep) -> list[float]:
    return [float(t) for t in renderer.open().scheduler.timesteps]


def test_turbo_takes_its_8_shifted_levels_and_no_guidance(checkpoints: dict[str, Path]) -> None:
    renderer = open_renderer(checkpoints["ace-turbo"])
    assert isinstance(renderer, AceStep)
    renderer.render([stretch(role="pad", strength=1.0)], silent_tick)
    levels = [1.0, 0.9545, 0.9, 0.8333, 0.75, 0.6429, 0.5, 0.3]
    assert schedule_of(renderer) == pytest.approx(levels, abs=1e-4)
    assert not renderer.open().do_classifier_free_guidance
    renderer.render([stretch(strength=0.7)], silent_tick)
    assert schedule_of(renderer) == pytest.approx(levels[4:], abs=1e-4), "a start lies on a level that it was made for"


@pytest.mark.parametrize("kind", ["ace-base", "ace-sft"])
def test_base_and_sft_take_50_even_steps_with_guidance(checkpoints: dict[str, Path], kind: str) -> None:
    renderer = open_renderer(checkpoints[kind])
    assert isinstance(renderer, AceStep)
    renderer.render([stretch(strength=1.0)], silent_tick)
    assert schedule_of(renderer) == pytest.approx([1.0 - i / 50 for i in range(50)], abs=1e-6)
    assert renderer.open().guidance_scale == 7.0
    assert renderer.open().do_classifier_free_guidance


def test_lego_runs_without_guidance_which_makes_it_collapse(checkpoints: dict[str, Path]) -> None:
    renderer = open_renderer(checkpoints["ace-base"])
    renderer.render([stretch(others=tone())], silent_tick)
    assert renderer.open().guidance_scale == 1.0
    assert not renderer.open().do_classifier_free_guidance


@pytest.mark.parametrize("variant", ["turbo", "sft"])
@pytest.mark.parametrize("task", ["lego", "extract"])
def test_only_base_was_trained_for_lego_and_extract(variant: str, task: str) -> None:
    with pytest.raises(RequestError, match="base checkpoints only"):
        check_task("mine", variant, task, "bass")  # type: ignore[arg-type]
    check_task("mine", "base", task, "bass")  # type: ignore[arg-type]


@pytest.mark.parametrize("variant", PRESETS)
def test_schedules_fall_from_1_and_starts_are_their_ends(variant: str) -> None:
    preset = PRESETS[variant]
    whole = preset.schedule()
    assert whole[0] == 1.0
    assert all(a > b > 0 for a, b in pairwise(whole))
    lengths = [len(preset.schedule_from(s / 20)) for s in range(1, 21)]
    assert lengths == sorted(lengths)
    assert lengths[-1] == preset.steps
    assert set(preset.tasks) <= set(preset.guidance)
    assert set(preset.tasks) <= set(preset.strength)


def test_the_words_are_the_model_s_own() -> None:
    words = stretch2words(stretch(bpm=92.4, beats=6, unit=8, tonic="F#", mode="dorian", role="arp"), "cover")
    assert (words.bpm, words.key, words.metre, words.track) == (92, "F# minor", "6", "synth")
    assert "synth" in words.caption
    assert words.caption.endswith("warm funk bass")
    assert words.lyrics == "[Instrumental]"
    sung = stretch2words(stretch(role="vocals", lyrics="[verse]\nla", language="de"), "lego")
    assert (sung.lyrics, sung.language, sung.track) == ("[verse]\nla", "de", "vocals")


def test_what_it_has_no_word_for_is_said() -> None:
    assert words2remarks(stretch()) == ()
    assert "7/8" in words2remarks(stretch(beats=7, unit=8))[0]
    assert stretch2words(stretch(beats=7, unit=8), "cover").metre == ""
    assert "20" in words2remarks(stretch(bpm=20.0))[0]
    assert stretch2words(stretch(bpm=20.0), "cover").bpm is None
    assert "avoid" in words2remarks(stretch(avoid="drums"))[0]
    assert "'tlh'" in words2remarks(stretch(role="vocals", language="tlh"))[0]
    assert (12, 8) not in METRES


def test_a_long_style_does_not_push_tempo_and_key_out(checkpoints: dict[str, Path]) -> None:
    pipe = open_renderer(checkpoints["ace-turbo"]).open()
    told = {"bpm": 93, "keyscale": "A minor", "timesignature": "4", "audio_duration": 10.0, "instruction": "Do:"}
    caption = "solo bass, " + "very long words about a sound, " * 40
    text, _ = pipe._format_prompt(prompt=pipe._fit(caption, **told), **told)
    ids = pipe.tokenizer(text, truncation=True, max_length=256).input_ids
    read = "".join(pipe.tokenizer.convert_ids_to_tokens(ids))
    assert "bpm: 93" in read
    assert "A minor" in read
    assert "solo bass" in read


def test_captions_are_cut_between_phrases() -> None:
    assert shorten("solo bass, warm, round, deep", 3) == "solo bass, warm, round"
    assert shorten("solo bass guitar", 3) == "solo bass"
    assert shorten("solo", 9) == ""
