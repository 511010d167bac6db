"""SongGeneration's folders: what is taken, what is refused and by which name, the licence on the command line."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.checkpoints import read_register
from bridge.cli import main
from bridge.errors import RequestError
from bridge.licences import SONGGENERATION
from bridge.songgeneration import AUTO_PROMPT, ENCODER, changed_files, inspect_songgeneration, optional_file
from bridge.torchzip import NoTensors, read_shapes
from tests.engine.songgeneration_checkpoint import MODEL, write_checkpoint

NAME = "songgeneration-v2-large"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("official")
    write_checkpoint(root)
    return root


@pytest.fixture
def root(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the whole one, of links; a test may replace files."""
    monkeypatch.setenv("STEMBRIDGE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    copy = tmp_path / "copy"
    shutil.copytree(whole, copy, copy_function=os.link)
    return copy


def test_a_whole_one_is_known_by_its_shapes_and_every_file_is_hashed(root: Path) -> None:
    told: list[str] = []
    found = inspect_songgeneration(NAME, root / MODEL, tell=told.append)
    assert (found.family, found.variant, found.licence) == ("songgeneration", "v2", SONGGENERATION)
    assert not found.licence.commercial
    assert found.song is not None
    assert (found.song.width, found.song.main_layers, found.song.sub_layers, found.song.seconds) == (32, 2, 1, 20.0)
    assert found.runtime == str(root)
    assert len(told) == len(found.files) == 5
    assert all(len(file.sha256) == 64 and file.size > 0 for file in found.files)
    layers = 3 * (4 * 32 * 32 + 3 * 32 * 64 + 2 * 32)
    heads = 3 * 16_385 * 32 + (64 * 32 + 32) + (32 * 32 + 32)
    assert found.parameters["transformer"] == layers + heads
    assert found.parameters["renderer"] > 0
    assert found.parameters["vae"] > 0
    assert changed_files(found) == []
    assert optional_file(found, ENCODER) == root / ENCODER
    assert optional_file(found, AUTO_PROMPT) == root / AUTO_PROMPT


def test_safetensors_and_a_runtime_elsewhere_are_taken(root: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    folder = tmp_path / "apart" / "mine"
    folder.mkdir(parents=True)
    shutil.copy(root / MODEL / "config.yaml", folder)
    weights = torch.load(root / MODEL / "model.pt", weights_only=True)
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(RequestError, match="no folder ckpt"):
        inspect_songgeneration("mine", folder)
    for runtime in (root, root / "ckpt"):
        assert inspect_songgeneration("mine", folder, runtime).runtime == str(root)


def _no_config(root: Path) -> None:
    (root / MODEL / "config.yaml").unlink()


def _no_length(root: Path) -> None:
    (root / MODEL / "config.yaml").unlink()
    (root / MODEL / "config.yaml").write_text("lm: {dim: 32}\n")


def _cut_off(root: Path) -> None:
    raw = (root / MODEL / "model.pt").read_bytes()
    (root / MODEL / "model.pt").unlink()
    (root / MODEL / "model.pt").write_bytes(raw[: len(raw) // 2])


def _without(name: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        weights = torch.load(root / MODEL / "model.pt", weights_only=True)
        del weights[name]
        (root / MODEL / "model.pt").unlink()
        torch.save(weights, root / MODEL / "model.pt")

    return change


def _gone(path: str) -> Callable[[Path], None]:
    return lambda root: (root / path).unlink()


def _pointer(root: Path) -> None:
    path = root / "ckpt/model_septoken/model_2.safetensors"
    path.unlink()
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        pytest.param(_no_config, "config.yaml cannot be read", id="config"),
        pytest.param(_no_length, "max_dur", id="length"),
        pytest.param(_cut_off, "model.pt", id="cut off"),
        pytest.param(_without("audiolm.linears.1.weight"), "audiolm.linears.1.weight", id="head"),
        pytest.param(
            _without("audiolm.transformer2.model.layers.0.mlp.up_proj.weight"),
            "audiolm.transformer2.model.layers.0.mlp.up_proj.weight",
            id="layer",
        ),
        pytest.param(_gone(f"{MODEL}/model.pt"), "neither model.pt nor", id="model"),
        pytest.param(_gone("ckpt/vae/autoencoder_music_1320k.ckpt"), "autoencoder_music_1320k.ckpt", id="vae"),
        pytest.param(_gone("third_party/Qwen2-7B/merges.txt"), "third_party/Qwen2-7B", id="tokenizer"),
        pytest.param(_pointer, "pointer of git-lfs", id="pointer"),
    ],
)
def test_what_is_missing_or_damaged_is_named(root: Path, damage: Callable[[Path], None], told: str) -> None:
    damage(root)
    with pytest.raises(RequestError) as refused:
        inspect_songgeneration(NAME, root / MODEL)
    assert told in refused.value.message
    assert refused.value.hint


def test_the_fast_layout_is_refused_with_the_reason(root: Path) -> None:
    (root / MODEL / "lm_checkpoint").mkdir()
    with pytest.raises(RequestError, match="v2-fast"):
        inspect_songgeneration(NAME, root / MODEL)


def test_a_file_that_was_changed_or_copied_later_is_known(root: Path) -> None:
    found = inspect_songgeneration(NAME, root / MODEL)
    model = root / MODEL / "model.pt"
    raw = model.read_bytes()
    model.unlink()
    model.write_bytes(raw)
    assert changed_files(found) == []
    model.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    assert changed_files(found) == ["model.pt has changed"]
    model.unlink()
    assert changed_files(found) == ["model.pt is gone"]


def test_the_licence_is_shown_and_must_be_accepted(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "LICENSE").write_text("terms")
    assert main(["models", "add", NAME, str(root / MODEL)]) == 2
    said = capsys.readouterr().err
    assert "academic, research and education purposes only" in said
    assert str(root / "LICENSE") in said
    assert "--accept-licence" in said
    assert read_register() == ()
    assert main(["models", "add", NAME, str(root / MODEL), "--accept-licence"]) == 0
    said = capsys.readouterr()
    assert "academic, research and education purposes only" in said.err
    assert "hashing model.pt" in said.err
    (kept,) = read_register()
    assert (kept.name, kept.accepted) == (NAME, True)
    assert main(["models", "remove", NAME]) == 0


def test_getting_one_shows_the_licence_first_and_says_where_there_is_no_network(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    into = str(tmp_path / "into")
    assert main(["models", "get", NAME, "--into", into]) == 2
    assert "--accept-licence" in capsys.readouterr().err
    assert main(["models", "get", NAME, "--into", into, "--accept-licence"]) == 2
    said = capsys.readouterr().err
    assert "could not be fetched" in said
    assert "models add NAME FOLDER --runtime FOLDER" in said
    assert main(["models", "get", "songgeneration-v9", "--accept-licence"]) == 2
    assert "songgeneration-v2-large" in capsys.readouterr().err


def test_what_is_fetched_is_added(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub is a folder here: only the download itself is replaced."""
    asked = []

    def snapshot_download(repository: str, *, local_dir: Path, allow_patterns: list[str]) -> str:
        asked.append(repository)
        source = root if "Runtime" in repository else root / MODEL
        for path in sorted(p for p in source.rglob("*") if p.is_file()):
            name = path.relative_to(source)
            if any(name.match(pattern) for pattern in allow_patterns) and MODEL not in str(name):
                (local_dir / name).parent.mkdir(parents=True, exist_ok=True)
                os.link(path, local_dir / name)
        return str(local_dir)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    assert main(["models", "get", NAME, "--into", str(tmp_path / "into"), "--accept-licence"]) == 0
    assert asked == ["lglg666/SongGeneration-v2-large", "lglg666/SongGeneration-Runtime"]
    (kept,) = read_register()
    assert kept.folder == str(tmp_path / "into" / "songgeneration_v2_large")
    assert kept.runtime == str(tmp_path / "into" / "songgeneration_runtime")
    assert main(["models", "remove", NAME]) == 0


def test_code_in_a_pickle_is_never_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"state_dict": {"a": torch.zeros(2, 3), "b": Evil()}}, tmp_path / "evil.pt")
    assert read_shapes(tmp_path / "evil.pt") == {"a": (2, 3)}
    assert not (tmp_path / "ran").exists()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40))
def test_damaged_archives_are_refused_or_read_but_never_break(seed: int, count: int) -> None:
    import random
    import tempfile

    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pt"
        torch.save({"w": torch.zeros(3, 4), "v": torch.zeros(2)}, path)
        raw = bytearray(path.read_bytes())
        for _ in range(count):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        path.write_bytes(bytes(raw[: chance.randint(1, len(raw))] if chance.random() < 0.3 else raw))
        try:
            shapes = read_shapes(path)
        except NoTensors:
            return
        assert json.dumps({key: list(shape) for key, shape in shapes.items()})
