"""The published files' whole lists of tensors are read without their data; what is missing or surplus is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.errors import JobError
from engine.diffusion.songgeneration import musicfm, oobleck, septoken
from engine.diffusion.songgeneration.quantizer import check_codebook
from engine.diffusion.songgeneration.septoken import FIRST, SECOND
from tests.engine.diffusion.songgeneration.published import listed, read_shapes


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    decoder = {"config": {"use_snake": True, "final_tanh": False}}
    path.write_text(json.dumps({"sample_rate": 48000, "model": {"decoder": decoder}}))
    return path


def test_renderer_of_the_published_size(published: Path) -> None:
    shape = septoken.read_shape(listed(read_shapes("septoken_state_dict_full.json")))
    assert (shape.estimator.layers, shape.estimator.heads, shape.estimator.width) == (16, 20, 2200)
    assert (shape.estimator.inner, shape.estimator.positions, shape.estimator.out) == (4400, 1000, 64)
    assert shape.streams == ((FIRST, 1), (SECOND, 2))
    assert (shape.condition, shape.mask, shape.codes) == (2048, 24, 16384)


def test_the_released_file_holds_other_networks_too(published: Path) -> None:
    shapes = read_shapes("septoken_state_dict_full.json")
    shapes |= {f"hubert.encoder.layers.{k}.weight": (1024, 1024) for k in range(277)}
    assert septoken.read_shape(listed(shapes)).estimator.layers == 16


def test_prompt_tokenizers_of_the_published_size(published: Path) -> None:
    file = listed(read_shapes("septoken_state_dict_full.json"))
    for layers in (3, 6, 7, 12):
        shape = musicfm.read_shape(file, layers)
        assert (shape.channels, shape.width, shape.inner, shape.heads, shape.kernel) == (512, 1024, 4096, 16, 31)
    assert check_codebook(file, FIRST) == check_codebook(file, SECOND) == (16384, 1024)


def test_autoencoder_of_the_published_size(published: Path, config: Path) -> None:
    shape = oobleck.read_shape(listed(read_shapes("vae_state_dict_full.json")), config)
    assert (shape.channels, shape.strides, shape.multiples, shape.latents) == (
        128,
        (2, 4, 4, 6, 10),
        (1, 2, 4, 8, 16),
        64,
    )


def test_the_rules_of_names_are_the_published_map(published: Path, config: Path) -> None:
    file = listed(read_shapes("vae_state_dict_full.json"))
    names = oobleck.check_names(file, oobleck.read_shape(file, config))
    given = json.loads((published / "vae_key_rename_to_diffusers.json").read_text())
    assert {theirs: own for own, theirs in names.items()} == given


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("septoken_state_dict_full.json", "cfm_wrapper.estimator.h.15.mlp.c_proj.bias"),
        ("septoken_state_dict_full.json", "cfm_wrapper.estimator.proj_out.weight"),
        ("septoken_state_dict_full.json", "rvq_bestrq_bgm_emb.quantizers.0.out_proj.weight_v"),
        ("septoken_state_dict_full.json", "normfeat.sum_x2"),
        ("vae_state_dict_full.json", "decoder.layers.3.layers.1.bias"),
        ("vae_state_dict_full.json", "encoder.layers.7.weight_g"),
    ],
)
def test_a_lost_and_a_surplus_tensor_are_named(published: Path, config: Path, name: str, lost: str) -> None:
    def read(shapes: dict[str, tuple[int, ...]]) -> object:
        file = listed(shapes)
        return oobleck.read_shape(file, config) if name.startswith("vae") else septoken.read_shape(file)

    shapes = read_shapes(name)
    whole = dict(shapes)
    del shapes[lost]
    with pytest.raises(JobError, match=f"lacks .*{lost}"):
        read(shapes)
    with pytest.raises(JobError, match=f"not known: .*{lost}_more"):
        read({**whole, f"{lost}_more": (1,)})
    with pytest.raises(JobError, match=lost):
        read({**whole, lost: (*whole[lost][:-1], whole[lost][-1] + 1)})


def test_an_unknown_network_is_refused_by_name(published: Path) -> None:
    shapes = {**read_shapes("septoken_state_dict_full.json"), "speaker_emb.weight": (10, 1024)}
    with pytest.raises(JobError, match=r"not known: speaker_emb\.weight"):
        septoken.read_shape(listed(shapes))


def fast_shapes(mask: int) -> dict[str, tuple[int, ...]]:
    """What is known of v2-fast's renderer: the same structure for mixed codes alone, 39 layers of width 1200."""
    sizes = {2200: 1200, 6600: 3600, 13200: 7200, 4400: 4800}
    block = f"{septoken.ESTIMATOR}h.0."
    shapes = {}
    for name, shape in read_shapes("septoken_state_dict_full.json").items():
        if name.startswith(f"{septoken.ESTIMATOR}h.") and not name.startswith(block):
            continue
        if not name.startswith(SECOND):
            shapes[name] = tuple(sizes.get(size, size) for size in shape)
    layer = {name.removeprefix(block): shape for name, shape in shapes.items() if name.startswith(block)}
    shapes |= {f"{septoken.ESTIMATOR}h.{k}.{name}": shape for k in range(39) for name, shape in layer.items()}
    return {**shapes, "mask_emb.weight": (3, mask)}


def test_the_layout_of_v2_fast(published: Path) -> None:
    shape = septoken.read_shape(listed(fast_shapes(mask=48)))
    assert (shape.estimator.layers, shape.estimator.heads, shape.estimator.width) == (39, 30, 1200)
    assert shape.streams == ((FIRST, 0),)


def test_a_v2_fast_of_another_structure_is_refused_with_its_sizes(published: Path) -> None:
    with pytest.raises(JobError, match=r"width 1200, while its mask \(24\), condition \(1024\) and latents \(2 x 64\)"):
        septoken.read_shape(listed(fast_shapes(mask=24)))
