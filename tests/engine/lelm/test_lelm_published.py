"""Every number of the published code that concerns the song model, from the official layout on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.lelm.checkpoint import read_song_tensors
from engine.lelm.choosing import SongSampling, choose, penalise
from engine.lelm.conditions import Conditions
from engine.lelm.network import LeLM, guide
from engine.lelm.pattern import code_steps, steps_for, undelay
from engine.lelm.songdecoding import MainLine, write_song
from engine.lelm.songnet import ReadPrefix, SongNet
from engine.lelm.text import SongText, null_style
from tests.engine.lelm.conftest import PARITY

CASES = sorted(path.name for path in PARITY.glob("lm_v*.npz")) or ["absent"]
NAMES = ("description", "prompt_audio", "type_info")


class Model:
    """A published tiny model, opened once."""

    def __init__(self, folder: Path, qwen: Path) -> None:
        tensors = read_song_tensors(folder)
        self.version, self.tensors = tensors.version, tensors
        self.conditions, self.text = Conditions(tensors), SongText(qwen, tensors.version)
        self.net = SongNet(tensors, 300)
        self.whole = LeLM(tensors.lelm).eval()
        self.whole.load_state_dict(tensors.network)


class Case:
    """One fixture file."""

    def __init__(self, path: Path) -> None:
        self.file, self.version = np.load(path), path.name[3:5]
        desc = str(self.file["desc"])
        self.lyric, self.style = str(self.file["lyric"]), None if desc == "None" else desc
        self.prompt = torch.from_numpy(self.file["prompt"])[0]
        self.kwargs: dict[str, Any] = json.loads(str(self.file["kwargs"]))
        self.eos_at: dict[str, int] = json.loads(str(self.file["eos_at"])) or {}

    def prefix(self) -> tuple[torch.Tensor, torch.Tensor]:
        one, two = (np.concatenate([self.file[f"cond{i}_{n}"] for n in NAMES], 1) for i in (1, 2))
        return torch.from_numpy(one), torch.from_numpy(two)

    @property
    def sampling(self) -> SongSampling:
        k = self.kwargs
        window = k.get("record_window", 150) if k.get("record_tokens", True) else 0
        temperature = k.get("temp", 1.0) if k["use_sampling"] else 0.0
        return SongSampling(temperature, k.get("top_k", 0), k.get("top_p", 0.0), k["cfg_coef"], window)

    def forced_ends(self, first: int, step: int, logits: torch.Tensor) -> torch.Tensor:
        for q, call in self.eos_at.items():
            if first <= int(q) < first + len(logits):
                logits[int(q) - first, -1] += 1000 if step > call else -1000
        return logits


class PublishedChance:
    """torch.multinomial's numbers on a CPU from seed 1234, in the order in which the published loop draws."""

    def __init__(self, steps: int, *, together: bool) -> None:
        state = torch.get_rng_state()
        torch.manual_seed(1234)
        self.rows = []
        for _ in range(steps):
            if together:
                self.rows.append(torch.empty(3, 16_385).exponential_(1))
            else:
                draws = torch.empty(1, 16_385).exponential_(1), torch.empty(2, 16_385).exponential_(1)
                self.rows.append(torch.cat(draws))
        torch.set_rng_state(state)

    def main(self, step: int) -> torch.Tensor:
        return self.rows[step - 1][:1]

    def sub(self, step: int) -> torch.Tensor:
        return self.rows[step - 1][1:]


@pytest.fixture(scope="module")
def models(published: dict[str, Path], qwen: Path) -> dict[str, Model]:
    return {version: Model(folder, qwen) for version, folder in published.items()}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, parity: Path) -> Case:
    return Case(parity / request.param)


@pytest.fixture
def model(models: dict[str, Model], case: Case) -> Model:
    return models[case.version]


def test_ids_and_conditions_are_equal(model: Model, case: Case) -> None:
    text, file = model.text, case.file
    rows = [text.lyric_ids(case.lyric), text.lyric_ids(None)]
    styles = [text.style_ids(case.style), text.style_ids(null_style(case.style))]
    for name, ids in (("lyric", rows), ("type", styles)):
        for row in (0, 1):
            assert ids[row] == file[f"{name}_ids"][row][file[f"{name}_mask"][row] > 0].tolist()
    ours = [
        model.conditions.prefix(rows[0], case.prompt, styles[0]),
        model.conditions.prefix(rows[1], None, styles[1]),
    ]
    for stream, theirs in enumerate(case.prefix()):
        assert torch.equal(torch.cat([row[stream] for row in ours]), theirs)


@torch.inference_mode()
def test_logits_of_every_step_are_the_published_ones(model: Model, case: Case) -> None:
    file = case.file
    forced = model.whole(torch.from_numpy(file["tf_seq"]).repeat(2, 1, 1), prefix=case.prefix()).numpy()
    assert np.abs(forced[..., :64] - file["tf_logits_head"]).max() < 1e-4
    assert np.abs(forced[..., -64:] - file["tf_logits_tail"]).max() < 1e-4
    assert np.abs(forced.max(-1) - file["tf_logits_max"]).max() < 1e-4
    assert np.abs(forced.mean(-1) - file["tf_logits_mean"]).max() < 1e-4
    assert (forced.argmax(-1) == file["tf_logits_argmax"]).all()
    raw = model.whole(torch.from_numpy(file["seq_in"]).repeat(2, 1, 1), prefix=case.prefix()).numpy()
    raw = raw.transpose(2, 0, 1, 3)
    for q, call in case.eos_at.items():
        at = np.arange(len(raw))
        raw[:, :, int(q), -1] += np.where(at >= call, 1000, -1000)[:, None]
    assert np.abs(raw[..., :32] - file["raw_head"]).max() < 1e-4
    assert np.abs(raw[..., -1] - file["raw_eos"]).max() < 2e-4
    assert (raw.argmax(-1) == file["raw_argmax"]).all()
    if "raw_first4_full" in file:
        assert np.abs(raw[:4] - file["raw_first4_full"]).max() < 1e-4


@pytest.mark.parametrize("early", [False, True], ids=["main-first", "streamed"])
@torch.inference_mode()
def test_tokens_are_the_published_ones(model: Model, case: Case, early: bool) -> None:
    wanted, sampling = torch.from_numpy(case.file["tokens_cut"])[0], case.sampling
    one, two = case.prefix()
    rows: list[ReadPrefix] = [model.net.read((one[n : n + 1], two[n : n + 1])) for n in (0, 1)]
    rows = rows if sampling.guidance != 1.0 else rows[:1]
    chance = PublishedChance(int(case.file["steps"]) + 1, together=sampling.top_p > 0)
    banned = torch.unique(case.prompt[0])
    banned = banned[banned < 16_384]
    line = MainLine(
        model.net, rows, case.kwargs["max_gen_len"], sampling, chance, banned if len(banned) else None, case.forced_ends
    )
    heard: list[torch.Tensor] = []
    codes = write_song(line, rows, lambda fraction: None, heard.append if early else None)
    assert torch.equal(codes, wanted)
    assert all(torch.equal(part, wanted[:, : part.shape[1]]) for part in heard)


@torch.inference_mode()
def test_every_written_column_is_the_published_one_behind_an_end_too(model: Model, case: Case) -> None:
    """Our lines stop where the song is cut; the published loop goes on until all codebooks have ended."""
    file, sampling, config = case.file, case.sampling, model.tensors.lelm
    given, frames = torch.from_numpy(file["seq_in"]), case.kwargs["max_gen_len"]
    logits = model.whole(given.repeat(2, 1, 1), prefix=case.prefix()).permute(2, 0, 1, 3)
    valid = code_steps(frames, config.delays)
    chance = PublishedChance(len(logits) + 1, together=sampling.top_p > 0)
    banned = torch.unique(case.prompt[0])
    written = torch.full((1, 3, steps_for(frames, config.delays)), config.special)
    ended = torch.zeros(3, dtype=torch.bool)
    for step in range(1, len(logits) + 1):
        assert torch.equal(written[0, :, step - 1], given[0, :, step - 1])
        at = logits[step - 1]
        guided = at[0] if sampling.guidance == 1.0 else guide(at, sampling.guidance)[0]
        guided = case.forced_ends(0, step, guided)
        if sampling.penalty_window and step > 1:
            recent = written[0, :, max(1, step - sampling.penalty_window) : step]
            guided = penalise(guided, recent, config.code_size)
        guided[0, banned[banned < config.code_size]] = -torch.inf
        drawn = sampling.temperature > 0
        best = sampling.sub_is_best
        first = choose(guided[:1], sampling, chance.main(step) if drawn else None, sampling.top_k)
        column = torch.cat((first, choose(guided[1:], sampling, None if best else chance.sub(step), 0)))
        column[~valid[:, step] | ended] = config.special
        ended |= column == config.eos
        written[0, :, step] = column
    assert torch.equal(undelay(written, frames, config.delays), torch.from_numpy(file["tokens"]))
    if case.eos_at:
        assert bool(ended.all())
        assert file["tokens"].shape[2] > file["tokens_cut"].shape[2]
