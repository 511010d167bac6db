"""Training: resumes bit for bit, overfits a tiny set, hides what it should, makes the same songs again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from engine.diffusion.canvas import STREAMS
from engine.diffusion.network import PartsNet, PartsShape
from engine.diffusion.parts import PartsModel
from engine.grooves import book
from engine.lelm.network import LeLMConfig
from engine.lelm.plan import PlanModel
from engine.lelm.slots import CODES
from engine.training.corpus import Corpus, collect_vocabulary, load_corpus, save_corpus, song2arrays
from engine.training.loop import Schedule, export, train
from engine.training.masks import KINDS, by_kind, draw_mask, seeds
from engine.training.parts import TOKEN_WEIGHTS, Batches, held_out_loss
from engine.training.plan import batch, nats, plan_song
from engine.training.sharing import fold, share, token_features
from engine.training.songs import make_song


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    made = [make_song(i, book(), 4) for i in range(10)]
    vocabulary = collect_vocabulary(made)
    return Corpus(tuple(song2arrays(s, vocabulary) for s in made), tuple(s.groove for s in made), vocabulary)


def tiny_net(corpus: Corpus) -> PartsNet:
    torch.manual_seed(0)
    sizes = tuple(corpus.vocabulary.sizes[s] for s in STREAMS)
    return PartsNet(PartsShape(sizes, dim=48, inner=96, heads=2, layers=2, cell=12, head=32, window=64))


def run(corpus: Corpus, folder: Path, stops: tuple[int, ...]) -> dict[str, torch.Tensor]:
    """Trains 6 steps, interrupted at `stops`; the weights."""
    for stop in stops:
        net = tiny_net(corpus)
        batches = Batches(corpus, net.shape, rows=2, seed=1)
        train(
            net,
            lambda n, b=batches, m=net: (m.loss(b.batch(n), TOKEN_WEIGHTS)[0], {}),
            Schedule(6),
            folder,
            stop_at=stop,
        )
    return net.state_dict()


def test_a_resumed_training_is_the_same_training(corpus: Corpus, tmp_path: Path) -> None:
    whole = run(corpus, tmp_path / "whole", (6,))
    broken = run(corpus, tmp_path / "broken", (2, 5, 6))
    assert whole.keys() == broken.keys()
    assert all(torch.equal(whole[k], broken[k]) for k in whole)
    lines = [json.loads(x) for x in (tmp_path / "broken" / "log.jsonl").read_text().splitlines()]
    assert [x["step"] for x in lines] == [2, 5, 6]


def test_parts_net_overfits_two_windows(corpus: Corpus) -> None:
    net = tiny_net(corpus)
    batches = Batches(corpus, net.shape, rows=2, seed=1)
    fixed = batches.batch(0)
    adam = torch.optim.AdamW(net.parameters(), lr=4e-3)
    first = None
    for _ in range(120):
        loss, _ = net.loss(fixed, TOKEN_WEIGHTS)
        first = first or float(loss.detach())
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert first is not None
    assert float(net.loss(fixed, TOKEN_WEIGHTS)[0].detach()) < 0.1 * first


def test_plan_model_overfits_two_songs() -> None:
    torch.manual_seed(0)
    model = PlanModel(LeLMConfig(CODES, 48, 96, 4, 2))
    data = batch([plan_song(1), plan_song(2)], np.random.default_rng(0), 64)
    adam = torch.optim.AdamW(model.parameters(), lr=4e-3)
    first = float(nats(model, data).detach())
    for _ in range(80):
        adam.zero_grad()
        nats(model, data).backward()
        adam.step()
    assert float(nats(model, data).detach()) < 0.1 * first


def test_the_plan_never_sees_the_slot_it_predicts() -> None:
    torch.manual_seed(0)
    model = PlanModel(LeLMConfig(CODES, 48, 96, 4, 2)).eval()
    tokens, rows, _, _ = batch([plan_song(1)], np.random.default_rng(0), 64)
    with torch.inference_mode():
        before = model(tokens, rows)
        tokens[0, 20] = (tokens[0, 20] + 5) % CODES
        after = model(tokens, rows)
    assert torch.equal(before[:, :20], after[:, :20])
    assert not torch.allclose(before[:, 20], after[:, 20])


def test_songs_are_the_same_again_and_differ_from_each_other() -> None:
    first, again, other = make_song(5, book(), 1), make_song(5, book(), 1), make_song(5, book(), 2)
    assert first.canvas.notes == again.canvas.notes
    assert first.canvas.chords == again.canvas.chords
    assert first.canvas.notes != other.canvas.notes


def test_kick_and_bass_agree_in_varied_songs() -> None:
    """Variations move kick and bass together, so the share of bass notes on a kick stays near the book's."""

    def agreement(plain: bool) -> float:
        hits = total = 0
        for i in range(40):
            song = make_song(i, book(), 6, plain=plain)
            kicks = {round(n.start, 4) for n in song.canvas.notes["drums"] if n.pitch == 36}
            bass = {round(n.start, 4) for n in song.canvas.notes["bass"]}
            if kicks and bass:
                hits, total = hits + len(kicks & bass), total + len(bass)
        return hits / total

    assert abs(agreement(False) - agreement(True)) < 0.12


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_masks_hide_what_their_kind_says(corpus: Corpus, kind: str) -> None:
    song = max(corpus.songs, key=lambda s: s.steps)
    hidden = by_kind(kind, song, np.random.default_rng(2))
    assert hidden.shape == (song.steps, len(STREAMS))
    assert hidden.any()
    if kind == "all":
        assert hidden.all()
    if kind in ("bar", "bars"):
        for b in range(int(song.bar[-1]) + 1):
            inside = hidden[song.bar == b]
            assert (inside == inside[0]).all()


def test_seed_masks_show_two_bars_of_each_label(corpus: Corpus) -> None:
    song = max(corpus.songs, key=lambda s: s.steps)
    hidden = seeds(song, 2, fills=False)
    shown = {(int(song.context.label_of[t]), int(song.bar[t])) for t in np.flatnonzero(~hidden.all(1))}
    labels = [label for label, _ in shown]
    assert set(labels) == set(song.context.label_of.tolist())
    assert all(labels.count(label) <= 2 for label in labels)


def test_masks_depend_on_the_generator_alone(corpus: Corpus) -> None:
    song = corpus.songs[0]
    assert (draw_mask(song, np.random.default_rng(1)) == draw_mask(song, np.random.default_rng(1))).all()


def test_corpus_survives_the_disk_and_splits_by_groove(corpus: Corpus, tmp_path: Path) -> None:
    save_corpus(tmp_path / "corpus.npz", corpus)
    again = load_corpus(tmp_path / "corpus.npz")
    assert again.grooves == corpus.grooves
    assert again.vocabulary == corpus.vocabulary
    for a, b in zip(corpus.songs, again.songs, strict=True):
        assert (a.cells == b.cells).all()
        assert (a.context.looks == b.context.looks).all()
        assert (a.fill == b.fill).all()
    name = corpus.grooves[0]
    assert set(corpus.only([name]).grooves) == {name}
    assert name not in corpus.without([name]).grooves
    assert len(corpus.only([name]).songs) + len(corpus.without([name]).songs) == len(corpus.songs)


def test_exported_weights_load_as_a_model(corpus: Corpus, tmp_path: Path) -> None:
    net = tiny_net(corpus)
    path = tmp_path / "parts.safetensors"
    export(net, PartsModel(net, corpus.vocabulary).metadata(), path)
    model = PartsModel.load(path)
    assert model.vocabulary == corpus.vocabulary
    assert model.net.shape == net.shape
    for name, value in model.net.state_dict().items():
        assert torch.allclose(value, net.state_dict()[name], atol=2e-3)
    with safe_open(path, framework="pt") as file:
        assert set(file.metadata()) == {"shape", "vocabulary"}


def test_held_out_loss_falls_when_the_net_learns(corpus: Corpus) -> None:
    net = tiny_net(corpus)
    batches = Batches(corpus, net.shape, rows=4, seed=1)
    before = held_out_loss(net, batches, "cells", 8)["cells"]
    adam = torch.optim.AdamW(net.parameters(), lr=3e-3)
    for n in range(30):
        adam.zero_grad()
        net.loss(batches.batch(n), TOKEN_WEIGHTS)[0].backward()
        adam.step()
    assert held_out_loss(net, batches, "cells", 8)["cells"] < 0.8 * before


def test_sharing_changes_nothing_at_first_and_folds_into_plain_weights(corpus: Corpus) -> None:
    net = tiny_net(corpus)
    batches = Batches(corpus, net.shape, rows=2, seed=1)
    plain = held_out_loss(net, batches, "cells", 8)
    share(net, corpus.vocabulary)
    assert held_out_loss(net, batches, "cells", 8) == plain
    adam = torch.optim.AdamW(net.parameters(), lr=3e-3)
    for n in range(3):
        adam.zero_grad()
        net.loss(batches.batch(n), TOKEN_WEIGHTS)[0].backward()
        adam.step()
    learnt = held_out_loss(net, batches, "cells", 8)
    assert learnt != plain
    fold(net)
    assert net.state_dict().keys() == tiny_net(corpus).state_dict().keys()
    assert held_out_loss(net, batches, "cells", 8)["cells"] == pytest.approx(learnt["cells"], abs=1e-4)


def test_tokens_that_share_a_hit_share_a_feature(corpus: Corpus) -> None:
    features = token_features(corpus.vocabulary, "drums")
    assert len(features) == len(corpus.vocabulary.drums)
    kicks = [i for i, hits in enumerate(corpus.vocabulary.drums) if (36, 1) in hits]
    others = [i for i, hits in enumerate(corpus.vocabulary.drums) if (36, 1) not in hits]
    exact = [c for c in range(features.shape[1]) if all(features[k, c] for k in kicks)]
    assert any(not features[others][:, c].any() for c in exact)
