"""The register of checkpoints: what is taken, what is refused, what the licence says."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.checkpoints import (
    Checkpoint,
    add_checkpoint,
    find_checkpoint,
    folder2hash,
    inspect_checkpoint,
    read_register,
    register_path,
    remove_checkpoint,
)
from bridge.cli import main
from bridge.errors import RequestError
from bridge.licences import MIT, STABILITY, folder2licence

PARTS = {
    "ace-step": ("vae", "text_encoder", "tokenizer", "transformer", "condition_encoder", "scheduler"),
    "stable-audio-3": ("vae", "text_encoder", "tokenizer", "duration_embedder", "transformer", "scheduler"),
}
KEYS = ("_class_name", "vae", "transformer", "weight_map", "is_turbo", "w", "dtype", "shape", "data_offsets")
FILES = (
    "model_index.json",
    "transformer/config.json",
    "vae/diffusion_pytorch_model.safetensors",
    "vae/diffusion_pytorch_model.safetensors.index.json",
    "README.md",
)
CLASSES = {"ace-step": "AceStepPipeline", "stable-audio-3": "StableAudio3Pipeline"}


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    monkeypatch.setenv("STEMBRIDGE_DATA", str(folder))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    return folder


def safetensors(path: Path, shape: tuple[int, ...] = (3, 4)) -> None:
    size = 4
    for n in shape:
        size *= n
    header = json.dumps({"w": {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(size))


def make(folder: Path, family: str = "ace-step", **config: object) -> Path:
    """A checkpoint's files, without a network that could run."""
    index: dict[str, object] = {"_class_name": CLASSES[family], "_diffusers_version": "0.42.1"}
    for part in PARTS[family]:
        (folder / part).mkdir(parents=True)
        index[part] = ["diffusers", "Something"]
        name = "scheduler_config.json" if part == "scheduler" else "config.json"
        told = config if part == ("transformer" if family == "ace-step" else "scheduler") else {}
        (folder / part / name).write_text(json.dumps(told))
        if part not in ("tokenizer", "scheduler"):
            safetensors(folder / part / "diffusion_pytorch_model.safetensors")
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def test_added_checkpoints_are_read_back_and_removed(tmp_path: Path) -> None:
    assert read_register() == ()
    first = inspect_checkpoint("ace-step", make(tmp_path / "a", is_turbo=True))
    second = inspect_checkpoint("sa", make(tmp_path / "b", "stable-audio-3", stochastic_sampling=True))
    add_checkpoint(first)
    add_checkpoint(second)
    assert read_register() == (first, second)
    assert (first.variant, first.total, first.licence) == ("turbo", 4 * 12, MIT)
    assert (second.variant, second.family, second.licence) == ("distilled", "stable-audio-3", STABILITY)
    add_checkpoint(inspect_checkpoint("ace-step", tmp_path / "b"))
    assert [(c.name, c.family) for c in read_register()] == [("sa", "stable-audio-3"), ("ace-step", "stable-audio-3")]
    assert remove_checkpoint("sa").name == "sa"
    assert [c.name for c in read_register()] == ["ace-step"]
    with pytest.raises(RequestError, match="no checkpoint 'sa'"):
        remove_checkpoint("sa")
    assert not list(register_path().parent.glob("*.tmp"))


def test_a_change_by_another_process_is_seen(tmp_path: Path) -> None:
    add_checkpoint(inspect_checkpoint("mine", make(tmp_path / "a")))
    assert len(read_register()) == 1
    text = register_path().read_text().replace('"mine"', '"yours"')
    register_path().write_text(text)
    os.utime(register_path(), ns=(1, 1))
    assert [c.name for c in read_register()] == ["yours"]


def test_a_damaged_register_is_an_error_that_says_what_to_do() -> None:
    register_path().parent.mkdir(parents=True)
    register_path().write_text("{")
    with pytest.raises(RequestError, match="cannot be read") as problem:
        read_register()
    assert "add the checkpoints again" in problem.value.hint


@pytest.mark.parametrize(
    ("config", "name", "variant"),
    [
        ({"is_turbo": True, "model_version": "base"}, "x", "turbo"),
        ({"model_version": "turbo"}, "x", "turbo"),
        ({"model_version": "base"}, "some-sft-thing", "base"),
        ({"is_turbo": False, "model_version": None}, "acestep-v15-base", "base"),
        ({}, "acestep-v15-xl-sft-diffusers", "sft"),
        ({}, "database", "sft"),
    ],
)
def test_the_kind_is_told_by_configuration_then_by_name(
    tmp_path: Path, config: dict[str, object], name: str, variant: str
) -> None:
    folder = make(tmp_path / "x", **config)
    assert inspect_checkpoint("mine", folder, source=f"someone/{name}").variant == variant
    assert inspect_checkpoint("mine", folder, variant="base").variant == "base"
    with pytest.raises(RequestError, match="no variant"):
        inspect_checkpoint("mine", folder, variant="distilled")


def damage_missing_part(folder: Path) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    del index["vae"]
    (folder / "model_index.json").write_text(json.dumps(index))


def damage_own_code(folder: Path) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    index["transformer"] = ["my_module", "Surprise"]
    (folder / "model_index.json").write_text(json.dumps(index))


def damage_other_class(folder: Path) -> None:
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))


def damage_no_json(folder: Path) -> None:
    (folder / "model_index.json").write_bytes(b"\xff\xfe\x00")


def damage_pickles(folder: Path) -> None:
    (folder / "vae" / "diffusion_pytorch_model.safetensors").rename(folder / "vae" / "diffusion_pytorch_model.bin")


def damage_cut_weights(folder: Path) -> None:
    path = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def damage_no_header(folder: Path) -> None:
    (folder / "transformer" / "diffusion_pytorch_model.safetensors").write_bytes(b"\xff" * 64)


def damage_missing_shard(folder: Path) -> None:
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (folder / "vae" / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("damage", [value for name, value in dict(globals()).items() if name.startswith("damage_")])
def test_what_is_no_whole_checkpoint_is_refused(tmp_path: Path, damage: object) -> None:
    folder = make(tmp_path / "a")
    inspect_checkpoint("mine", folder)
    damage(folder)  # type: ignore[operator]
    with pytest.raises(RequestError) as refused:
        inspect_checkpoint("mine", folder)
    assert refused.value.code in ("checkpoint.damaged", "checkpoint.kind")
    assert refused.value.hint


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner),
    max_leaves=12,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    name=st.sampled_from(FILES),
    data=JSON.map(json.dumps).map(str.encode) | st.binary(max_size=60),
    header=st.booleans(),
)
def test_no_bytes_in_its_files_do_harm(tmp_path: Path, name: str, data: bytes, header: bool) -> None:
    folder = tmp_path / "a"
    if not folder.exists():
        make(folder)
    path = folder / name
    before = path.read_bytes() if path.exists() else None
    path.write_bytes(struct.pack("<Q", len(data)) + data if header and name.endswith("safetensors") else data)
    try:
        with contextlib.suppress(RequestError):
            assert inspect_checkpoint("mine", folder).total >= 0
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_bytes(before)


@given(st.binary(max_size=80) | JSON.map(json.dumps).map(str.encode))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_no_bytes_in_the_register_do_harm(data: bytes) -> None:
    register_path().parent.mkdir(parents=True, exist_ok=True)
    register_path().write_bytes(data)
    os.utime(register_path(), ns=(0, zlib.crc32(data)))
    why = None
    try:
        found = read_register()
    except RequestError as error:
        why = error
    if why is None:
        assert all(isinstance(checkpoint, Checkpoint) for checkpoint in found)
    else:
        assert why.code == "checkpoint.register"
        assert str(register_path()) in why.message


@pytest.mark.parametrize("name", ["auto", "guide", "", "A", "a/b", "x" * 41, "../x", "a b"])
def test_names_that_mean_something_else_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RequestError, match="cannot name a checkpoint"):
        inspect_checkpoint(name, make(tmp_path / "a"))


def test_the_hash_hears_configuration_names_and_sizes(tmp_path: Path) -> None:
    folder = make(tmp_path / "a")
    before = folder2hash(folder)
    moved = tmp_path / "elsewhere"
    shutil.copytree(folder, moved)
    assert folder2hash(moved) == before
    (moved / "README.md").write_text("words")
    assert folder2hash(moved) == before
    safetensors(moved / "vae" / "diffusion_pytorch_model.safetensors", (3, 5))
    assert folder2hash(moved) != before
    (folder / "transformer" / "config.json").write_text('{"is_turbo": true}')
    assert folder2hash(folder) != before


@pytest.mark.parametrize(
    ("card", "name", "permissive", "commercial"),
    [
        ("---\nlicense: mit\n---\n", "MIT", True, True),
        ('---\nlanguage: en\nlicense: "apache-2.0"\n---\n', "Apache-2.0", True, True),
        ("---\nlicense: cc-by-nc-4.0\n---\n", "CC-BY-NC-4.0", False, False),
        ("---\nlicense: other\nlicense_name: stable-audio-community\n---\n", STABILITY.name, False, True),
        ("---\nlicense: other\nlicense_name: my-own\n---\n", "my-own", False, False),
        ("no head\n---\nlicense: cc-by-nc-4.0\n---\n", "MIT", True, True),
        ("---\ntags: x\n---\nlicense: cc-by-nc-4.0", "MIT", True, True),
    ],
)
def test_the_model_card_s_licence_counts(
    tmp_path: Path, card: str, name: str, permissive: bool, commercial: bool
) -> None:
    (tmp_path / "README.md").write_text(card)
    found = folder2licence(tmp_path, MIT)
    assert (found.name, found.permissive, found.commercial) == (name, permissive, commercial)
    assert permissive or found.condition


def test_what_is_neither_folder_nor_in_reach_is_said_so(tmp_path: Path) -> None:
    assert find_checkpoint(str(tmp_path)) == tmp_path
    with pytest.raises(RequestError, match="no folder"):
        find_checkpoint(str(tmp_path / "nothing"))
    with pytest.raises(RequestError, match="the hub did not give it") as refused:
        find_checkpoint("nobody/nothing")
    assert "local folder" in refused.value.hint


def test_a_hub_id_means_the_files_in_the_hub_s_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's own client over a cache as it lays it out."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    kept = tmp_path / "cache" / "models--someone--tune-base"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text("a" * 40)
    folder = make(kept / "snapshots" / ("a" * 40))
    assert find_checkpoint("someone/tune-base") == folder
    assert main(["models", "add", "tune", "someone/tune-base"]) == 0
    (row,) = read_register()
    assert (row.source, row.folder, row.variant) == ("someone/tune-base", str(folder), "base")


def test_the_command_adds_shows_the_licence_and_forgets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ace, stable = make(tmp_path / "ace"), make(tmp_path / "sa", "stable-audio-3", stochastic_sampling=True)
    assert main(["models", "add", "ace-step", str(ace), "--variant", "base"]) == 0
    assert "ace-step can be used now" in capsys.readouterr().out
    assert main(["models", "add", "sa", str(stable)]) == 2
    told = capsys.readouterr().err
    assert "1 million US dollars" in told
    assert "--accept" in told
    assert [c.name for c in read_register()] == ["ace-step"]
    assert main(["models", "add", "sa", str(stable), "--accept", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accepted"] is True
    assert [(c.name, c.variant) for c in read_register()] == [("ace-step", "base"), ("sa", "distilled")]
    assert main(["models", "remove", "ace-step"]) == 0
    assert main(["models", "remove", "ace-step"]) == 2
    assert ace.is_dir()
