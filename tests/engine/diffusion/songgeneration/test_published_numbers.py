"""What the published code gave on tiny weights, in every fixture file that is there."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from engine.diffusion.songgeneration import musicfm, oobleck
from engine.diffusion.songgeneration.estimator import Estimator, EstimatorShape, embed_times
from engine.diffusion.songgeneration.flow import Solver, Window
from engine.diffusion.songgeneration.mel import MEAN, STD, halve_rate, sound2mel
from engine.diffusion.songgeneration.musicfm import LAYER, MODEL, Hearing
from engine.diffusion.songgeneration.oobleck import FRAME, StreamDecoder, load_side
from engine.diffusion.songgeneration.quantizer import check_codebook, load_codebook
from engine.diffusion.songgeneration.septoken import ESTIMATOR, FIRST, Septoken
from engine.diffusion.songgeneration.tensors import load_tensors, shapes_of
from engine.diffusion.songgeneration.windows import cut_windows, render_latents
from engine.diffusion.steps import Steps
from tests.engine.diffusion.songgeneration.published import (
    FOLDER,
    apart,
    fixtures,
    in_memory,
    make_weights,
    read_arrays,
    read_shapes,
)

LATENTS, SOUND = 1e-4, 1e-5
"""Tolerances."""
COVERED = ("flow_tiny*", "septoken_*", "rvq*", "prompt_tokenizer*", "vae_tiny*", "vae_full*")


def no_steps() -> Steps:
    return Steps(1, lambda fraction: None)


@pytest.fixture(scope="module")
def septoken(published: Path) -> Septoken:
    """Two layers at the published width, whose window the fixtures give."""
    shapes = read_shapes("septoken_state_dict_2layer.json")
    used = {n: s for n, s in shapes.items() if not n.startswith(("bestrq.", f"{ESTIMATOR}wte"))}
    return Septoken.load(in_memory(make_weights(used)), device="cpu", dtype=torch.float32)


@pytest.fixture(scope="module")
def tiny_vae(published: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.nn.Module]:
    return load_autoencoder("vae_state_dict_tiny.json", tmp_path_factory.mktemp("vae"))


def load_autoencoder(shapes: str, folder: Path) -> dict[str, torch.nn.Module]:
    file = in_memory(make_weights(read_shapes(shapes)))
    config = folder / "config.json"
    decoder = {"config": {"use_snake": True, "final_tanh": False}}
    config.write_text(json.dumps({"sample_rate": 48000, "model": {"decoder": decoder}}))
    shape = oobleck.read_shape(file, config)
    return {side: load_side(file, shape, side, "cpu") for side in ("encoder", "decoder")}  # type: ignore[arg-type]


def test_every_fixture_of_the_renderer_is_read(published: Path) -> None:
    read = {path.name for pattern in COVERED for path in FOLDER.glob(f"{pattern}.npz")}
    assert {path.name for path in FOLDER.glob("*.npz") if not path.name.startswith("lm_")} == read


@pytest.mark.parametrize("name", fixtures("flow_tiny*.npz"))
def test_estimator_and_solver(published: Path, name: str) -> None:
    weights = make_weights(read_shapes("estimator_state_dict_tiny.json"))
    given = read_arrays(name)
    del weights["wte.weight"]

    def network(out: int) -> Estimator:
        # the head count is not among the fixture's numbers; no other one than 4 gives them
        estimator = Estimator(EstimatorShape(64, 128, 3, heads=4, positions=64, times=512, out=out))
        estimator.load_state_dict(weights)
        return estimator.requires_grad_(False)

    times = [float(given[f"t{k}"]) for k in range(4)]
    assert apart(embed_times(torch.tensor(times), 512), given["time_emb"]) < LATENTS
    whole = network(64)
    frames = torch.cat([given[key] for key in ("mask_input", "incontext", "mu", "x0")], -1) + whole.wpe.weight[:40]
    for k, modulation in enumerate(whole.modulate(times)):
        assert apart(whole(frames, whole.rotary(40), modulation), given[f"est_t{k}"]) < LATENTS
    solver = Solver(network(12))
    for held in (0, 10):
        window = Window(given["x0"], given["mu"], given["mask_input"][0], given["incontext"][:, :held])
        for guidance in (1.0, 1.5):
            solved = solver.solve(window, no_steps(), guidance)
            assert torch.equal(solved[:, :held], given["incontext"][:, :held])
            assert apart(solved[:, held:], given[f"euler_inc{held}_g{guidance}"][:, held:]) < LATENTS


@pytest.mark.parametrize("name", fixtures("rvq*.npz"))
def test_codes_and_conditions(published: Path, name: str) -> None:
    given = read_arrays(name)
    shapes = {n: s for n, s in read_shapes("septoken_state_dict_2layer.json").items() if n.startswith(FIRST)}
    file = in_memory(make_weights(shapes))
    check_codebook(file, FIRST)
    codes = given["codes"][:, 0]
    condition = load_codebook(file, FIRST, "out_proj").codes2condition(codes)
    assert apart(condition.transpose(1, 2), given["from_codes"]) < LATENTS
    assert torch.equal(load_codebook(file, FIRST, "in_proj").nearest(given["latents"].transpose(1, 2)), codes)


@pytest.mark.parametrize("name", fixtures("septoken_*.npz"))
def test_windows_and_their_sound(septoken: Septoken, tiny_vae: dict[str, torch.nn.Module], name: str) -> None:
    given = read_arrays(name)
    vocal, bgm = given["vocal"][0, 0], given["bgm"][0, 0]
    codes = torch.stack([torch.full_like(vocal, 5), vocal, bgm])  # the renderer does not hear the mixed ones
    noise = given["noise"].view(-1, *given["noise"].shape[-2:])
    size = noise.shape[1]
    known = None
    if "true_latents" in given:
        same = (given["latents"][0].T - given["true_latents"][0]).abs().amax(-1) < SOUND
        held = int(same.long().cumprod(0).sum())
        assert 0 < held < size
        known = given["true_latents"][:, :held]
    windows = list(cut_windows([codes], size))
    assert len(windows) == len(noise)
    stream = StreamDecoder(tiny_vae["decoder"])
    sound, done = [], 0
    rendered = render_latents(septoken, windows, lambda c: c[None], noise.__getitem__, no_steps(), known)
    expected = given["latents"].view(len(noise), -1, size)
    for window, (latents, overhang) in zip(windows, rendered, strict=True):
        first = done if window.number else (0 if known is None else known.shape[1])
        target = expected[window.number][None, :, first : first + latents.shape[-1]]
        assert apart(latents, target) < LATENTS
        sound.append(stream.feed(latents, overhang))
        done = size // 4
    if "wav_len" in given:
        whole = torch.cat(sound, -1)[0]
        assert whole.shape[1] == int(given["wav_len"]) == len(vocal) * FRAME
        assert apart(whole[:, :48000], given["wav_head"]) < SOUND
        assert apart(whole[:, -48000:], given["wav_tail"]) < SOUND


@pytest.mark.parametrize("name", fixtures("vae_tiny*.npz"))
def test_autoencoder_whole_and_in_chunks(tiny_vae: dict[str, torch.nn.Module], name: str) -> None:
    given = read_arrays(name)
    whole = tiny_vae["decoder"](given["z"])
    stream = StreamDecoder(tiny_vae["decoder"])
    cuts = (0, 5, 21, 150, 151, given["z"].shape[-1])
    pieces = [stream.feed(given["z"][..., a:b], 0 if b == cuts[-1] else None) for a, b in pairwise(cuts)]
    for sound in (whole, torch.cat(pieces, -1)):
        for head, tail in (("y_full_head", "y_full_tail"), ("y_chunk_head", "y_chunk_tail")):
            assert apart(sound[..., :40000], given[head]) < SOUND
            assert apart(sound[..., -40000:], given[tail]) < SOUND
        assert abs(float(sound.double().sum()) - float(given["y_sum"][0])) < 1.0
    mean, scale = tiny_vae["encoder"](given["wav"]).chunk(2, 1)
    assert apart(mean, given["enc_mean"]) < SOUND
    assert apart(scale, given["enc_scale"]) < SOUND


@pytest.mark.parametrize("name", fixtures("vae_full*.npz"))
def test_autoencoder_of_the_published_size(published: Path, tmp_path: Path, name: str) -> None:
    given = read_arrays(name)
    network = load_autoencoder("vae_state_dict_full.json", tmp_path)
    with torch.inference_mode():
        assert apart(network["decoder"](given["z"]), given["y"]) < SOUND
        assert apart(network["encoder"](given["wav"]), given["h"]) < SOUND


@pytest.mark.parametrize("name", fixtures("prompt_tokenizer*.npz"))
def test_prompt_tokenizer(published: Path, name: str) -> None:
    given = read_arrays(name)
    assert apart(halve_rate(given["mono48"]), given["r24"]) < SOUND
    mel = sound2mel(given["r24"])
    assert apart(mel * STD + MEAN, given["mel"]) < LATENTS
    deepest = max(int(key[1:]) for key in given if key[0] == "h")
    shapes = {n: s for n, s in read_shapes("septoken_state_dict_2layer.json").items() if n.startswith(MODEL)}
    deeper = tuple(f"{MODEL}{LAYER}{k}." for k in range(deepest, 12))
    needed = {n: s for n, s in shapes.items() if not n.startswith(deeper)}
    file = in_memory(make_weights(needed))
    network = Hearing(musicfm.read_shape(file, deepest))
    load_tensors(network, file, {n: MODEL + n for n in shapes_of(network)})
    states = network(mel)
    for key in given:
        if key[0] == "h":
            assert apart(states[int(key[1:])], given[key]) < LATENTS
