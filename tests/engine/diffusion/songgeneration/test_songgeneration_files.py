"""A runtime folder that is incomplete, damaged or foreign is refused by the name of the file and the tensor."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from bridge.errors import JobError
from engine.diffusion.songgeneration.layout import AUTOENCODER, AUTOENCODER_CONFIG, ONE_STREAM, SEPTOKEN, find_runtime
from engine.diffusion.songgeneration.prompt import PromptEncoder
from engine.diffusion.songgeneration.renderer import SongRenderer
from tests.engine.diffusion.songgeneration.songs import join, random_codes

Tensors = dict[str, Tensor]


@pytest.fixture
def copied(runtime: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(runtime / "ckpt", tmp_path / "ckpt"))


def heard(renderer: SongRenderer) -> bytes:
    """What it makes of a few codes."""
    return join(renderer.render(random_codes(8), ("bgm",), seed=1))["bgm"].tobytes()


def refusal(ckpt: Path) -> str:
    """Why the folder is refused, by opening it or at the first render."""
    with pytest.raises(JobError) as refused:
        list(
            SongRenderer.open(ckpt, device="cpu", dtype=torch.float32).render(
                torch.zeros(3, 4, dtype=torch.long), seed=1
            )
        )
    assert refused.value.code == "renderer.load"
    return str(refused.value)


def test_the_folder_or_its_ckpt(runtime: Path) -> None:
    assert find_runtime(runtime) == find_runtime(runtime / "ckpt")


@pytest.mark.parametrize("lost", [AUTOENCODER, AUTOENCODER_CONFIG])
def test_a_missing_file_is_named(copied: Path, lost: str) -> None:
    (copied / lost).unlink()
    assert lost in refusal(copied)


def test_a_foreign_folder_is_named_with_all_that_it_lacks(tmp_path: Path) -> None:
    said = refusal(tmp_path)
    assert all(name in said for name in (SEPTOKEN, AUTOENCODER, AUTOENCODER_CONFIG))


def test_without_the_mixed_tokenizer_songs_are_rendered_but_no_prompt_is_heard(copied: Path) -> None:
    (copied / ONE_STREAM).unlink()
    SongRenderer.open(copied, device="cpu", dtype=torch.float32)
    with pytest.raises(JobError, match="model_1rvq"):
        PromptEncoder.open(copied, device="cpu")


def _drop(name: str) -> Callable[[Tensors], None]:
    return lambda tensors: tensors.__delitem__(name)


def _put(name: str, value: Tensor) -> Callable[[Tensors], None]:
    return lambda tensors: tensors.__setitem__(name, value)


ESTIMATOR = "cfm_wrapper.estimator."


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_drop(f"{ESTIMATOR}h.1.attn.c_attn.bias"), f"lacks {ESTIMATOR}h.1.attn.c_attn.bias"),
        (_drop(f"{ESTIMATOR}wpe.weight"), f"lacks the tensor {ESTIMATOR}wpe.weight"),
        (_drop("mask_emb.weight"), "lacks the tensor mask_emb.weight"),
        (
            _put(f"{ESTIMATOR}h.2.ln_1.weight", torch.zeros(80)),
            f"lacks {ESTIMATOR}h.2.scale_shift_table, {ESTIMATOR}h.2.ln_1.bias",
        ),
        (_put(f"{ESTIMATOR}gate", torch.zeros(80)), f"not known: {ESTIMATOR}gate"),
        (_put("speaker.weight", torch.zeros(80)), "not known: speaker.weight"),
        (_put("rvq_bestrq_emb.quantizers.1.codebook.weight", torch.zeros(4, 4)), "quantizers.1.codebook.weight"),
        (_put(f"{ESTIMATOR}ln_f.weight", torch.zeros(81)), f"{ESTIMATOR}ln_f.weight is [81] instead of [80]"),
        (_put("mask_emb.weight", torch.zeros(3, 30)), "width 80, while its mask (30)"),
        (_put(f"{ESTIMATOR}wpe.weight", torch.zeros(198, 80)), "cannot overlap by a quarter"),
        (_put("normfeat.counts", torch.tensor([99_999.0])), "99999 frames only"),
        (_put("normfeat.counts", torch.tensor([float("nan")])), "normfeat.counts"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(copied: Path, change: Callable[[Tensors], None], said: str) -> None:
    tensors = load_file(copied / SEPTOKEN)
    change(tensors)
    (copied / SEPTOKEN).unlink()
    save_file(tensors, copied / SEPTOKEN)
    refused = refusal(copied)
    assert said in refused
    assert SEPTOKEN.rpartition("/")[2] in refused


def test_unused_tables_may_be_left_out(copied: Path, renderer: SongRenderer) -> None:
    tensors = load_file(copied / SEPTOKEN)
    unused = ("hubert.", "bestrq.", "cfm_wrapper.mlp.", "zero_cond", f"{ESTIMATOR}wte.", "normfeat.sum_target_x2")
    (copied / SEPTOKEN).unlink()
    save_file({n: t for n, t in tensors.items() if not n.startswith(unused)}, copied / SEPTOKEN)
    assert heard(SongRenderer.open(copied, device="cpu", dtype=torch.float32)) == heard(renderer)


def test_half_precision_files_are_read(copied: Path) -> None:
    tensors = load_file(copied / SEPTOKEN)
    half = {n: t.bfloat16() if n.startswith(ESTIMATOR) else t for n, t in tensors.items()}
    (copied / SEPTOKEN).unlink()
    save_file(half, copied / SEPTOKEN)
    renderer = SongRenderer.open(copied, device="cpu", dtype=torch.float32)
    assert len(list(renderer.render(torch.zeros(3, 4, dtype=torch.long), seed=1))) == 1


def test_latents_of_another_size_are_refused(copied: Path) -> None:
    state = torch.load(copied / AUTOENCODER, weights_only=True)["state_dict"]
    state["decoder.layers.0.weight_v"] = state["decoder.layers.0.weight_v"][:, :8].clone()
    state["encoder.layers.7.weight_v"] = state["encoder.layers.7.weight_v"][:16].clone()
    state["encoder.layers.7.weight_g"] = state["encoder.layers.7.weight_g"][:16].clone()
    state["encoder.layers.7.bias"] = state["encoder.layers.7.bias"][:16].clone()
    torch.save({"state_dict": state}, copied / AUTOENCODER)
    assert "12 channels of latents" in refusal(copied)


def test_an_autoencoder_of_other_frames_is_refused(copied: Path) -> None:
    state = torch.load(copied / AUTOENCODER, weights_only=True)["state_dict"]
    name = "decoder.layers.1.layers.1.weight_v"
    state[name] = state[name][..., :16].clone()
    torch.save({"state_dict": state}, copied / AUTOENCODER)
    assert "1536 samples of a latent frame, not 1920" in refusal(copied)


@pytest.mark.parametrize(
    ("key", "value"), [("sample_rate", 44100), ("final_tanh", True), ("use_snake", False)], ids=lambda v: str(v)
)
def test_another_kind_of_autoencoder_is_refused(copied: Path, key: str, value: object) -> None:
    path = copied / AUTOENCODER_CONFIG
    config = json.loads(path.read_text())
    (config if key in config else config["model"]["decoder"]["config"])[key] = value
    path.write_text(json.dumps(config))
    assert key in refusal(copied)


@pytest.mark.parametrize("name", [SEPTOKEN, AUTOENCODER, AUTOENCODER_CONFIG])
@pytest.mark.parametrize("damage", ["cut", "noise", "empty"])
def test_damaged_files_are_refused(copied: Path, name: str, damage: str) -> None:
    path = copied / name
    whole = path.read_bytes()
    path.unlink()
    path.write_bytes({"cut": whole[: len(whole) // 3], "noise": bytes(range(256)) * 40, "empty": b""}[damage])
    assert Path(name).name in refusal(copied)


def test_code_in_a_pickle_is_not_run(copied: Path, tmp_path: Path) -> None:
    trace = tmp_path / "ran"

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (str(trace),))

    torch.save({"state_dict": {"a": Bomb()}}, copied / AUTOENCODER, pickle_module=pickle)
    assert "more than tensors" in refusal(copied)
    assert not trace.exists()


def test_the_first_format_of_torch_is_read(copied: Path, renderer: SongRenderer) -> None:
    state = torch.load(copied / AUTOENCODER, weights_only=True)
    torch.save(state, copied / AUTOENCODER, _use_new_zipfile_serialization=False)
    again = SongRenderer.open(copied, device="cpu", dtype=torch.float32)
    assert heard(again) == heard(renderer)


def test_a_pickle_of_something_else_is_refused(copied: Path) -> None:
    torch.save({"state_dict": {"a": [1, 2]}}, copied / AUTOENCODER)
    assert AUTOENCODER.rpartition("/")[2] in refusal(copied)
    torch.save([1, 2], copied / AUTOENCODER)
    assert AUTOENCODER.rpartition("/")[2] in refusal(copied)
