"""The renderer on a tiny runtime folder: pieces, lengths, seeds, kinds, prompts, stopping, precision."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bridge.errors import JobError, RequestError
from engine.diffusion.songgeneration.oobleck import FRAME, MARGIN, load_side
from engine.diffusion.songgeneration.renderer import (
    KINDS,
    SILENT_BGM,
    SILENT_VOCAL,
    Kind,
    Prompt,
    SongRenderer,
    kinds2rows,
    prompt_frames,
)
from engine.diffusion.songgeneration.septoken import Septoken
from engine.diffusion.songgeneration.windows import count_windows, cut_windows, render_latents, seeded_noise
from engine.diffusion.steps import Steps
from engine.rendering import Audio, Clip
from engine.report import JobCancelled
from tests.engine.diffusion.songgeneration.songs import LENGTH, OVERLAP, WINDOW, apart, join, random_codes
from tests.engine.songgeneration_runtime import write_runtime


@pytest.fixture(scope="module")
def song(renderer: SongRenderer) -> dict[Kind, Audio]:
    """10 s."""
    return join(renderer.render(random_codes(LENGTH), seed=3))


def test_every_kind_is_as_long_as_its_codes_and_sounds(song: dict[Kind, Audio]) -> None:
    assert list(song) == list(KINDS)
    for audio in song.values():
        assert audio.shape == (2, LENGTH * FRAME)
        assert np.isfinite(audio).all()
        assert audio.std() > 0.01
    assert apart(song["vocal"], song["bgm"]) > 0.01
    assert apart(song["mixed"], song["bgm"]) > 0.01


@settings(max_examples=6, deadline=None)
@given(frames=st.integers(1, 2 * WINDOW))
def test_any_number_of_codes_gives_exact_samples(renderer: SongRenderer, frames: int) -> None:
    pieces = list(renderer.render(random_codes(frames), ("mixed",), seed=1))
    assert join(pieces)["mixed"].shape == (2, frames * FRAME)
    assert len(pieces) <= count_windows(frames, WINDOW)


@settings(max_examples=4, deadline=None)
@given(cuts=st.lists(st.integers(0, LENGTH), max_size=6))
def test_codes_in_pieces_give_the_same_bytes(renderer: SongRenderer, song: dict[Kind, Audio], cuts: list[int]) -> None:
    codes = random_codes(LENGTH)
    ends = [0, *sorted(cuts), LENGTH]
    pieces = [codes[:, a:b] for a, b in itertools.pairwise(ends)]
    again = join(renderer.render(pieces, ("vocal",), seed=3, frames=LENGTH))
    assert np.array_equal(again["vocal"], song["vocal"])


def test_a_window_is_made_before_the_next_one_has_codes(renderer: SongRenderer) -> None:
    asked = []

    def write() -> Iterator[Tensor]:
        for start in range(0, LENGTH, 10):
            asked.append(start)
            yield random_codes(LENGTH)[:, start : start + 10]

    pieces = renderer.render(write(), ("mixed",), seed=3, frames=LENGTH)
    assert asked == []
    first = next(pieces)
    assert first.audio["mixed"].shape[1] == (WINDOW - MARGIN) * FRAME
    assert asked[-1] == WINDOW  # one code beyond the window, so that it is known not to be the last
    assert len(join([first, *pieces])["mixed"][0]) == LENGTH * FRAME


def test_no_codes_are_no_sound(renderer: SongRenderer) -> None:
    assert list(renderer.render(random_codes(0), seed=1)) == []
    assert list(renderer.render([], seed=1, frames=0)) == []


def test_pieces_are_the_decoded_whole(renderer: SongRenderer, song: dict[Kind, Audio]) -> None:
    """Streamed decoding against decoding all latents at once."""
    latents = torch.cat(
        [window[..., : window.shape[-1] - (over or 0)] for window, over in latent_windows(renderer)], -1
    )
    assert latents.shape == (3, renderer.shape.latents, LENGTH)
    decoder = load_side(renderer._autoencoder, renderer.autoencoder, "decoder", "cpu")
    whole = decoder(latents).numpy()
    for row, kind in enumerate(KINDS):
        inside = slice(0, (LENGTH - MARGIN) * FRAME)  # at the very end the renderer sees what would come next
        assert apart(whole[row, :, inside], song[kind][:, inside]) < 1e-5


def test_only_windows_edges_differ_from_decoding_each_window(renderer: SongRenderer, song: dict[Kind, Audio]) -> None:
    """The published loop: every window decoded whole, cross-faded over what two windows share."""
    parts = [w for w, _overhang in latent_windows(renderer)]
    decoder = load_side(renderer._autoencoder, renderer.autoencoder, "decoder", "cpu")
    whole = np.zeros((2, 0), np.float32)
    edges = []
    for number, part in enumerate(parts):
        start = number * (WINDOW - OVERLAP)
        seen = part[2:] if not number else torch.cat([parts[number - 1][2:, :, -OVERLAP:], part[2:]], -1)
        sound = decoder(seen)[0].numpy()
        fade = np.linspace(0, 1, OVERLAP * FRAME, dtype=np.float32)
        if number:
            shared = whole[:, start * FRAME :] * (1 - fade) + sound[:, : OVERLAP * FRAME] * fade
            whole = np.concatenate([whole[:, : start * FRAME], shared, sound[:, OVERLAP * FRAME :]], 1)
            edges += [start, start + OVERLAP]
        else:
            whole = sound
    whole = whole[:, : LENGTH * FRAME]
    frames = np.abs(whole - song["bgm"]).reshape(2, LENGTH, FRAME).max((0, 2))
    near = np.zeros(LENGTH, bool)
    for edge in edges:
        near[max(0, edge - MARGIN) : edge + MARGIN] = True
    assert frames[~near].max() < 1e-5
    assert frames[near].max() > 1e-5


def latent_windows(renderer: SongRenderer) -> list[tuple[Tensor, int | None]]:
    """The latents behind `song`."""
    model = Septoken.load(renderer._file, device="cpu", dtype=torch.float32)
    windows = cut_windows([random_codes(LENGTH)], WINDOW)
    noise = seeded_noise(3, WINDOW, renderer.shape.latents)
    return list(render_latents(model, windows, partial(kinds2rows, KINDS), noise, Steps(1, lambda fraction: None)))


@pytest.mark.parametrize("kinds", [("mixed",), ("vocal",), ("bgm",), ("bgm", "vocal")])
def test_a_kind_is_the_same_alone_and_in_company(
    renderer: SongRenderer, song: dict[Kind, Audio], kinds: tuple[Kind, ...]
) -> None:
    alone = join(renderer.render(random_codes(LENGTH), kinds, seed=3))
    assert list(alone) == list(kinds)
    for kind in kinds:
        assert apart(alone[kind], song[kind]) < 1e-5


def test_same_seed_same_bytes_and_another_seed_another_sound(renderer: SongRenderer, song: dict[Kind, Audio]) -> None:
    again = join(renderer.render(random_codes(LENGTH), seed=3))
    assert all(np.array_equal(again[kind], song[kind]) for kind in KINDS)
    other = join(renderer.render(random_codes(LENGTH), seed=4))
    assert apart(other["mixed"], song["mixed"]) > 0.01


def test_noise_is_of_the_seed_and_the_window() -> None:
    noise = seeded_noise(7, WINDOW, 12)
    assert torch.equal(noise(2), seeded_noise(7, WINDOW, 12)(2))
    assert not torch.equal(noise(2), noise(3))
    assert not torch.equal(noise(2), seeded_noise(8, WINDOW, 12)(2))


def test_kinds_hear_silence_for_the_voice_they_leave_out() -> None:
    codes = random_codes(20)
    mixed, vocal, bgm = kinds2rows(KINDS, codes)
    assert torch.equal(mixed, codes)
    assert torch.equal(vocal[1], codes[1])
    assert (vocal[2] == SILENT_BGM).all()
    assert torch.equal(bgm[2], codes[2])
    assert (bgm[1] == SILENT_VOCAL).all()


def test_mixed_codes_are_not_heard(renderer: SongRenderer) -> None:
    codes = random_codes(60)
    other = codes.clone()
    other[0] = 0
    one, two = (join(renderer.render(c, ("mixed",), seed=1))["mixed"] for c in (codes, other))
    assert np.array_equal(one, two)


def tone(seconds: float, hertz: float, rate: int = 48000) -> Clip:
    line = 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return Clip(np.stack([line, -line]).astype(np.float32), rate)


def test_a_prompt_shapes_the_song_and_is_no_part_of_it(renderer: SongRenderer) -> None:
    codes = random_codes(70)
    prompt = Prompt(random_codes(251, seed=9), tone(10, 220), tone(10, 440))
    without = join(renderer.render(codes, seed=3))
    heard = join(renderer.render(codes, seed=3, prompt=prompt))
    again = join(renderer.render(codes, seed=3, prompt=prompt))
    for kind in KINDS:
        assert heard[kind].shape == (2, 70 * FRAME)
        assert np.array_equal(heard[kind], again[kind])
        assert apart(heard[kind], without[kind]) > 1e-3


def test_a_kind_hears_only_its_part_of_the_prompt(renderer: SongRenderer) -> None:
    codes, prompt_codes = random_codes(60), random_codes(251, seed=9)
    songs = [
        join(renderer.render(codes, ("vocal", "bgm"), seed=3, prompt=Prompt(prompt_codes, tone(10, 220), bgm)))
        for bgm in (tone(10, 440), tone(10, 880))
    ]
    assert apart(songs[0]["vocal"], songs[1]["vocal"]) < 1e-5
    assert apart(songs[0]["bgm"], songs[1]["bgm"]) > 1e-4


def test_codes_of_a_prompt_lie_on_its_latents() -> None:
    """251 codes and 10 s of sound are 250 frames of both; what is shorter counts."""
    assert prompt_frames(Prompt(random_codes(251), tone(10, 220), tone(10, 220)), 250) == 250
    assert prompt_frames(Prompt(random_codes(251), tone(10, 220, 44100), tone(10, 220, 44100)), 250) == 250
    assert prompt_frames(Prompt(random_codes(120), tone(10, 220), tone(10, 220)), 250) == 120
    assert prompt_frames(Prompt(random_codes(251), tone(4.01, 220), tone(10, 220)), 250) == 100


def test_the_song_after_a_prompt_is_not_late(renderer: SongRenderer) -> None:
    """Given as prompt what the window held anyway, each of the song's codes stands at its own frame."""
    known = random_codes(OVERLAP, seed=9)
    rows = partial(kinds2rows, ("mixed",))
    model = Septoken.load(renderer._file, device="cpu", dtype=torch.float32)
    heard: list[Tensor] = []

    def keep(codes: Tensor) -> Tensor:
        heard.append(codes)
        return rows(codes)

    windows = cut_windows([known, random_codes(80)], WINDOW)
    noise = seeded_noise(1, WINDOW, renderer.shape.latents)
    prompt = torch.zeros(1, OVERLAP, renderer.shape.latents)
    [(latents, overhang)] = render_latents(model, windows, keep, noise, Steps(1, lambda fraction: None), prompt)
    assert latents.shape[-1] - (overhang or 0) == 80
    assert torch.equal(heard[0][:, OVERLAP : OVERLAP + 80], random_codes(80))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_the_same_song(runtime: Path, song: dict[Kind, Audio], dtype: torch.dtype) -> None:
    half = SongRenderer.open(runtime, device="cpu", dtype=dtype)
    sound = join(half.render(random_codes(LENGTH), ("bgm",), seed=3))["bgm"]
    assert 0 < float((sound - song["bgm"]).std()) < 0.02 * float(song["bgm"].std())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_renders_the_same_song(runtime: Path, song: dict[Kind, Audio]) -> None:
    remote = SongRenderer.open(runtime, device="cuda", dtype=torch.float32)
    once, twice = (join(remote.render(random_codes(LENGTH), seed=3)) for _ in range(2))
    for kind in KINDS:
        assert np.array_equal(once[kind], twice[kind])
        assert apart(once[kind], song[kind]) < 1e-3


@pytest.mark.parametrize("heard", [0.0, 0.2, 0.5, 0.9])
def test_it_stops_at_any_step_and_is_as_before(renderer: SongRenderer, song: dict[Kind, Audio], heard: float) -> None:
    def stop(fraction: float) -> None:
        if fraction >= heard:
            raise JobCancelled

    with pytest.raises(JobCancelled):
        list(renderer.render(random_codes(LENGTH), seed=3, tick=stop))
    assert np.array_equal(join(renderer.render(random_codes(LENGTH), ("bgm",), seed=3))["bgm"], song["bgm"])


def test_progress_rises_to_one(renderer: SongRenderer) -> None:
    told: list[float] = []
    list(renderer.render(random_codes(LENGTH), seed=3, tick=told.append))
    assert told == sorted(told)
    assert told[0] == 0.0
    assert told[-1] == 1.0
    assert len(set(told)) > 30


def test_released_weights_are_read_again(runtime: Path, song: dict[Kind, Audio]) -> None:
    fresh = SongRenderer.open(runtime, device="cpu", dtype=torch.float32)
    for _ in range(2):
        assert np.array_equal(join(fresh.render(random_codes(LENGTH), seed=3))["bgm"], song["bgm"])
        fresh.release()
    assert fresh._model is None
    assert fresh._decoder is None


@pytest.mark.parametrize(
    "codes",
    [torch.full((3, 5), 16384), torch.full((3, 5), -1), torch.zeros(2, 5, dtype=torch.long), torch.zeros(3, 5)],
    ids=["end", "negative", "two rows", "floats"],
)
def test_codes_that_no_codebook_has_are_refused(renderer: SongRenderer, codes: Tensor) -> None:
    with pytest.raises(JobError) as refused:
        list(renderer.render(codes, seed=1))
    assert refused.value.code == "song.codes"


def test_mixed_codes_alone_as_v2_fast_has_them(tmp_path: Path) -> None:
    write_runtime(tmp_path, stems=False, window=WINDOW)
    fast = SongRenderer.open(tmp_path, device="cpu", dtype=torch.float32)
    assert fast.kinds == ("mixed",)
    assert fast.shape.estimator.heads == 30
    codes = random_codes(60)
    sound = join(fast.render(codes, ("mixed",), seed=1))["mixed"]
    assert sound.shape == (2, 60 * FRAME)
    codes[1:] = 0
    assert np.array_equal(join(fast.render(codes, ("mixed",), seed=1))["mixed"], sound)
    with pytest.raises(RequestError, match="mixed, not vocal"):
        fast.render(codes, ("mixed", "vocal"), seed=1)
