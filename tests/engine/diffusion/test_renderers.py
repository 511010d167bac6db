"""Both renderers, run for every task on real pipelines of tiny size, loaded from a folder."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bridge.errors import JobError, RequestError
from engine.diffusion.placement import Placement
from engine.diffusion.renderer import DiffusionRenderer
from engine.rendering import Clip, Stretch
from engine.report import JobCancelled
from engine.sharing import Shared
from tests.engine.diffusion.stretches import open_renderer, silent_tick, stretch, tone
from tests.patience import PATIENCE

KINDS = ("ace-turbo", "ace-base", "ace-sft", "sa-distilled", "sa-base")
QUICK = ("ace-turbo", "sa-distilled")
pytestmark = pytest.mark.usefixtures("few_steps")


@pytest.fixture(scope="module")
def renderers(checkpoints: dict[str, Path]) -> dict[str, DiffusionRenderer]:
    return {kind: open_renderer(folder) for kind, folder in checkpoints.items()}


def one(renderer: DiffusionRenderer, wish: Stretch) -> np.ndarray:
    (clip,) = renderer.render([wish], silent_tick)
    assert clip.rate == wish.guide.rate
    assert clip.audio.dtype == np.float32
    assert clip.audio.shape == (2, wish.guide.audio.shape[1])
    assert np.isfinite(clip.audio).all()
    assert clip.audio.std() > 1e-4
    return clip.audio


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("task", "wishes"),
    [
        ("cover", {}),
        ("repaint", {"earlier": tone(pitch=110.0), "holes": ((0.25, 0.5), (0.75, 1.0))}),
        ("text2music", {"role": "pad", "strength": 1.0}),
    ],
)
def test_every_checkpoint_does_what_all_can(
    renderers: dict[str, DiffusionRenderer], kind: str, task: str, wishes: dict[str, object]
) -> None:
    renderer, wish = renderers[kind], stretch(**wishes)
    assert renderer.task(wish) == task
    first = one(renderer, wish)
    assert np.array_equal(first, one(renderer, wish)), "the same seed must give the same bytes"
    assert not np.array_equal(first, one(renderer, replace(wish, seed=8)))


@pytest.mark.parametrize(
    ("task", "wishes"),
    [
        ("lego", {"others": tone(pitch=440.0)}),
        (
            "lego",
            {"role": "vocals", "lyrics": "[verse]\nla la", "guide": Clip(np.zeros((2, 44_100), np.float32), 44_100)},
        ),
        ("extract", {"role": "vocals", "lyrics": "[verse]\nla la"}),
    ],
)
def test_base_checkpoints_hear_the_others_and_sing(
    renderers: dict[str, DiffusionRenderer], task: str, wishes: dict[str, object]
) -> None:
    wish = stretch(**wishes)
    if task == "lego":
        wish = replace(wish, others=tone(pitch=440.0))
    renderer = renderers["ace-base"]
    assert renderer.task(wish) == task
    sound = one(renderer, wish)
    assert np.array_equal(sound, one(renderer, wish))
    if task == "lego":
        assert not np.array_equal(sound, one(renderer, replace(wish, others=tone(pitch=660.0))))
    if wish.role == "vocals":
        assert not np.array_equal(sound, one(renderer, replace(wish, lyrics="[verse]\nother words")))


@pytest.mark.parametrize("kind", QUICK)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000, 96_000])
def test_the_answer_is_as_long_as_the_guide_at_any_rate(
    renderers: dict[str, DiffusionRenderer], kind: str, channels: int, rate: int
) -> None:
    one(renderers[kind], stretch(guide=tone(0.37, rate, channels)))


@pytest.mark.parametrize("kind", QUICK)
@pytest.mark.parametrize("task", ["cover", "repaint", "text2music"])
def test_lengths_on_and_beside_a_latent_frame(renderers: dict[str, DiffusionRenderer], kind: str, task: str) -> None:
    rate, hop = (48_000, 1920) if kind.startswith("ace") else (44_100, 4096)
    for samples in [n * hop + d for n in (1, 6, 13) for d in (-1, 0, 1)]:
        guide = tone(samples / rate, rate)
        wish = stretch(guide=guide, role="pad", strength=1.0 if task == "text2music" else 0.6)
        if task == "repaint":
            wish = replace(wish, earlier=guide, holes=((0.0, samples / rate / 2),))
        one(renderers[kind], wish)


@pytest.mark.parametrize("kind", QUICK)
def test_what_it_is_told_is_heard(renderers: dict[str, DiffusionRenderer], kind: str) -> None:
    wish = stretch()
    usual = one(renderers[kind], wish)
    for other in (
        replace(wish, guide=tone(pitch=330.0)),
        replace(wish, words="bright picked bass"),
        replace(wish, bpm=90.0),
        replace(wish, tonic="C", mode="major"),
        replace(wish, beats=3),
        replace(wish, role="keys"),
        replace(wish, strength=0.3),
    ):
        assert not np.array_equal(usual, one(renderers[kind], other))


def test_the_reference_is_heard(renderers: dict[str, DiffusionRenderer]) -> None:
    wish = stretch(guide=tone(0.2))
    plain = one(renderers["ace-turbo"], wish)
    assert not np.array_equal(plain, one(renderers["ace-turbo"], replace(wish, reference=tone(2.0, 48_000, 1))))
    assert renderers["sa-distilled"].remarks(replace(wish, reference=tone(2.0)))


@pytest.mark.parametrize("kind", QUICK)
def test_strength_is_the_way_from_the_guide(checkpoints: dict[str, Path], kind: str) -> None:
    """With a network that says nothing, what is left is the guide's latents mixed with noise, step for step."""
    renderer = open_renderer(checkpoints[kind])
    pipe = renderer.open()
    for weights in pipe.transformer.parameters():
        weights.data.zero_()
    guide = tone()
    pure = one(renderer, stretch(guide=guide, strength=1.0))
    far = [float(np.abs(one(renderer, stretch(guide=guide, strength=s)) - pure).mean()) for s in (0.95, 0.75, 0.5, 0.3)]
    assert far == sorted(far)
    assert far[0] < far[-1]


@pytest.mark.parametrize("kind", QUICK)
def test_strength_0_is_the_guide_itself(renderers: dict[str, DiffusionRenderer], kind: str) -> None:
    guide = tone(0.5, channels=1)
    (clip,) = renderers[kind].render([stretch(guide=guide, strength=0.0)], silent_tick)
    assert np.array_equal(clip.audio, np.repeat(guide.audio, 2, axis=0))


@pytest.mark.parametrize("kind", QUICK)
@pytest.mark.parametrize("rows", [1, 4])
def test_a_stem_has_the_same_bytes_alone_and_in_company(checkpoints: dict[str, Path], kind: str, rows: int) -> None:
    renderer = open_renderer(checkpoints[kind], rows=rows)
    wishes = [
        stretch(),
        stretch(seed=8),
        stretch(guide=tone(pitch=330.0)),
        stretch(stem="keys", role="keys"),
        stretch(guide=tone(0.5)),
        stretch(strength=0.0),
        stretch(earlier=tone(pitch=110.0), holes=((0.5, 1.0),)),
        stretch(seed=9, earlier=tone(pitch=440.0), holes=((0.5, 1.0),)),
    ]
    assert len({renderer.shape(wish) for wish in wishes[:3]}) == 1
    alone = [renderer.render([wish], silent_tick)[0].audio for wish in wishes]
    assert len({sound.tobytes() for sound in alone}) == len(wishes)
    for order in (range(len(wishes)), range(len(wishes) - 1, -1, -1)):
        for i, clip in zip(order, renderer.render([wishes[i] for i in order], silent_tick), strict=True):
            assert np.array_equal(clip.audio, alone[i])


@pytest.mark.parametrize("kind", QUICK)
def test_takes_that_share_a_renderer_have_the_bytes_that_each_has_alone(
    checkpoints: dict[str, Path], kind: str
) -> None:
    renderer = open_renderer(checkpoints[kind], rows=4)
    takes = [[stretch(seed=n), stretch(seed=10 + n, role="keys", guide=tone(0.5))] for n in range(3)]
    alone = [[clip.audio for clip in renderer.render(take, silent_tick)] for take in takes]
    shared, start = Shared(renderer), threading.Barrier(len(takes))

    def ask(take: list[Stretch]) -> list[Clip]:
        start.wait(PATIENCE)
        return shared.render(take, silent_tick)

    with ThreadPoolExecutor(len(takes)) as pool:
        together = list(pool.map(ask, takes))
    for mine, clips in zip(alone, together, strict=True):
        assert all(np.array_equal(a, b.audio) for a, b in zip(mine, clips, strict=True))


@pytest.mark.parametrize("kind", QUICK)
def test_a_call_has_always_the_same_rows_and_lasts_no_longer_than_a_window(
    checkpoints: dict[str, Path], kind: str
) -> None:
    renderer = open_renderer(checkpoints[kind], rows=4)
    sizes: list[int] = []
    renderer.open().transformer.register_forward_pre_hook(
        lambda _, inputs, told: sizes.append(len(inputs[0] if inputs else told["hidden_states"])), with_kwargs=True
    )
    for count in (1, 2, 5):
        renderer.render([stretch(seed=n) for n in range(count)], silent_tick)
    assert set(sizes) == {4}
    silence = [Clip(np.zeros((2, 8000 * seconds), np.float32), 8000) for seconds in (10, 30, 31, 50, 100, 120)]
    assert [renderer.width(stretch(guide=guide)) for guide in silence] == [4, 4, 3, 2, 1, 1]
    assert open_renderer(checkpoints[kind]).width(stretch()) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_progress_rises_to_1(renderers: dict[str, DiffusionRenderer], kind: str) -> None:
    told: list[float] = []
    renderers[kind].render([stretch(earlier=tone(), holes=((0.2, 0.4), (0.5, 0.7))), stretch()], told.append)
    assert told[0] == 0.0
    assert told[-1] == 1.0
    assert told == sorted(told)
    assert len(set(told)) > 8


class Stopper:
    """Asks to stop when the progress has come to a certain step."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.levels: list[float] = []

    def __call__(self, fraction: float) -> None:
        if not self.levels or fraction > self.levels[-1]:
            self.levels.append(fraction)
        if len(self.levels) > self.after:
            raise JobCancelled


@pytest.mark.parametrize("kind", QUICK)
@pytest.mark.parametrize("task", ["cover", "repaint"])
def test_a_cancel_at_any_step_stops_there_and_leaves_it_usable(
    checkpoints: dict[str, Path], kind: str, task: str
) -> None:
    renderer = open_renderer(checkpoints[kind])
    wish = stretch() if task == "cover" else stretch(earlier=tone(), holes=((0.2, 0.5),))
    whole = one(renderer, wish)
    runs: list[int] = []
    handle = renderer.open().transformer.register_forward_hook(lambda *_: runs.append(1))
    random = torch.random.get_rng_state()
    one(renderer, wish)
    steps = len(runs)
    for after in range(steps + 1):
        runs.clear()
        with pytest.raises(JobCancelled):
            renderer.render([wish], Stopper(after))
        assert len(runs) == after, "no step is run after the one that heard of it"
    handle.remove()
    assert torch.equal(random, torch.random.get_rng_state()), "nobody else's random numbers are touched"
    assert np.array_equal(whole, one(renderer, wish))


@pytest.mark.parametrize("kind", QUICK)
def test_a_cancel_between_two_layers_is_heeded(checkpoints: dict[str, Path], kind: str) -> None:
    renderer = open_renderer(checkpoints[kind])
    renderer.open()
    calls = 0

    def tick(_fraction: float) -> None:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise JobCancelled

    with pytest.raises(JobCancelled):
        renderer.render([stretch()], tick)
    assert calls == 5


@pytest.mark.parametrize("kind", QUICK)
def test_component_by_component_it_sounds_the_same_even_after_a_cancel(checkpoints: dict[str, Path], kind: str) -> None:
    whole = open_renderer(checkpoints[kind])
    parts = type(whole)(whole.checkpoint, Placement("cpu", torch.float32, offload=True))
    wish = stretch()
    sound = one(whole, wish)
    assert np.array_equal(sound, one(parts, wish))
    with pytest.raises(JobCancelled):
        parts.render([wish], Stopper(3))
    assert np.array_equal(sound, one(parts, wish))
    parts.release()
    assert np.array_equal(sound, one(parts, wish))


@pytest.mark.parametrize(
    ("kind", "dtype"), [*((kind, torch.bfloat16) for kind in KINDS), *((kind, torch.float16) for kind in QUICK)]
)
def test_half_precision_sounds_nearly_the_same(checkpoints: dict[str, Path], kind: str, dtype: torch.dtype) -> None:
    whole = open_renderer(checkpoints[kind])
    half = type(whole)(whole.checkpoint, Placement("cpu", dtype))
    for wish in (stretch(), stretch(earlier=tone(pitch=110.0), holes=((0.25, 0.5),))):
        exact, rough = one(whole, wish), one(half, wish)
        assert np.abs(exact - rough).mean() < 0.2 * np.abs(exact).mean()


@pytest.mark.parametrize("kind", QUICK)
def test_numbers_that_run_over_are_an_error_and_no_sound(checkpoints: dict[str, Path], kind: str) -> None:
    renderer = open_renderer(checkpoints[kind])
    next(renderer.open().transformer.parameters()).data.fill_(float("nan"))
    with pytest.raises(JobError) as problem:
        renderer.render([stretch()], silent_tick)
    assert problem.value.code == "renderer.not_finite"


@pytest.mark.parametrize("kind", QUICK)
def test_where_a_batch_does_not_fit_it_goes_one_by_one(
    checkpoints: dict[str, Path], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer = open_renderer(checkpoints[kind], rows=4)
    wishes = [stretch(), stretch(seed=8)]
    usual = renderer.render(wishes, silent_tick)
    room, run = 1, renderer._run

    def narrow(pipe: object, rows: list[Stretch], steps: object) -> list[np.ndarray]:
        if len(rows) > room:
            raise torch.OutOfMemoryError("no room")
        return run(pipe, rows, steps)  # type: ignore[arg-type,return-value]

    monkeypatch.setattr(renderer, "_run", narrow)
    single = renderer.render(wishes, silent_tick)
    assert all(np.abs(a.audio - b.audio).max() < 1e-3 for a, b in zip(usual, single, strict=True))
    room, bytes_now = 4, renderer.render(wishes[:1], silent_tick)[0].audio
    assert np.array_equal(bytes_now, single[0].audio), "it stays so, whatever memory there is later"
    room = 0
    with pytest.raises(JobError) as problem:
        renderer.render(wishes, silent_tick)
    assert problem.value.code == "memory.full"


@pytest.mark.parametrize("kind", QUICK)
def test_memory_is_given_back_and_taken_again(checkpoints: dict[str, Path], kind: str) -> None:
    renderer = open_renderer(checkpoints[kind])
    assert not renderer.loaded
    before = one(renderer, stretch())
    assert renderer.loaded
    renderer.release()
    assert not renderer.loaded
    renderer.release()
    assert np.array_equal(before, one(renderer, stretch()))


def test_a_window_that_is_too_long_is_refused(renderers: dict[str, DiffusionRenderer]) -> None:
    long = Clip(np.zeros((1, 8000 * 140), np.float32), 8000)
    with pytest.raises(JobError, match="140 s at once"):
        renderers["ace-turbo"].render([stretch(guide=long)], silent_tick)


@pytest.mark.parametrize("kind", QUICK)
def test_a_hole_as_long_as_the_window_is_no_repainting(renderers: dict[str, DiffusionRenderer], kind: str) -> None:
    whole = stretch(earlier=tone(pitch=110.0), holes=((0.0, 0.5), (0.5, 1.0)))
    assert renderers[kind].task(whole) == "cover"
    assert np.array_equal(one(renderers[kind], whole), one(renderers[kind], stretch()))
    assert renderers[kind].task(replace(whole, holes=((0.0, 0.5),))) == "repaint"


@pytest.mark.parametrize("kind", ["ace-turbo", "ace-sft"])
def test_a_task_that_was_not_trained_is_refused_with_the_reason(
    renderers: dict[str, DiffusionRenderer], kind: str
) -> None:
    with pytest.raises(RequestError, match="base checkpoints only") as refused:
        renderers[kind].task(stretch(role="vocals", lyrics="la", others=tone()))
    assert refused.value.code == "renderer.task"
    assert renderers[kind].task(stretch(others=tone())) == "cover", "with company it covers, it does not refuse"


def test_stable_audio_does_not_sing_and_nobody_sings_nothing(renderers: dict[str, DiffusionRenderer]) -> None:
    with pytest.raises(RequestError, match="cannot sing"):
        renderers["sa-base"].render([stretch(role="vocals", lyrics="la")], silent_tick)
    with pytest.raises(RequestError, match="nothing to sing"):
        renderers["ace-base"].render([stretch(role="vocals", others=tone())], silent_tick)
    assert renderers["ace-base"].sings
    assert not renderers["ace-turbo"].sings
