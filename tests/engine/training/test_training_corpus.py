"""The build of the training set, the round trip of tokens, weights carried over to another vocabulary, early stop."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.diffusion.canvas import STREAMS, Canvas
from engine.diffusion.network import PartsNet, PartsShape
from engine.diffusion.parts import PartsModel
from engine.diffusion.vocabulary import Vocabulary, choose_hits
from engine.grooves import book
from engine.score import Note
from engine.training import data
from engine.training.corpus import Corpus, collect_vocabulary, load_corpus, song2arrays
from engine.training.loop import Patience, Schedule, train, trained
from engine.training.parts import TOKEN_WEIGHTS, Batches, by_source, corrupt
from engine.training.roundtrip import round_trip
from engine.training.songs import HELD_OUT, Song, make_song
from engine.training.sources import SourceMissing
from engine.training.warm_start import RARE, carry_over, completed


@pytest.fixture(scope="module")
def made() -> list[Song]:
    return [make_song(i, book(), 14) for i in range(8)]


@pytest.fixture(scope="module")
def corpus(made: list[Song]) -> Corpus:
    vocabulary = collect_vocabulary(made)
    return Corpus(tuple(song2arrays(s, vocabulary) for s in made), tuple(s.groove for s in made), vocabulary)


def corpus_canvas() -> Canvas:
    return make_song(0, book(), 14).canvas


def tiny_net(vocabulary: Vocabulary) -> PartsNet:
    torch.manual_seed(0)
    sizes = tuple(vocabulary.sizes[s] for s in STREAMS)
    return PartsNet(PartsShape(sizes, dim=48, inner=96, heads=2, layers=2, cell=12, head=32, window=64))


def test_songs_of_the_vocabulary_come_back_whole_and_strange_ones_do_not(made: list[Song]) -> None:
    vocabulary = collect_vocabulary(made)
    kept = round_trip([s.canvas for s in made], vocabulary)
    assert all(onset == 1.0 and pitch >= 0.999 for onset, pitch in kept.values())
    notes = {**made[0].canvas.notes, "drums": tuple(Note(float(b), 0.2, 39 + b % 3 * 20, 90) for b in range(8))}
    strange = replace(made[0].canvas, notes=notes)
    onset, pitch = round_trip([strange], vocabulary)["drums"]
    assert onset == 1.0
    assert pitch < 0.9


def test_lines_keep_every_octave_that_instruments_have(made: list[Song]) -> None:
    vocabulary = collect_vocabulary(made)
    starts = range(0, 40)
    for stream, low, high in (("bass", 28, 70), ("arp", 33, 100), ("lead", 31, 105)):
        pitches = np.random.default_rng(1).integers(low, high, len(starts))
        notes = tuple(Note(b / 2, 0.25, int(p), 90) for b, p in zip(starts, pitches, strict=True))
        canvas = replace(made[0].canvas, notes={**dict.fromkeys(STREAMS, ()), stream: notes})
        assert round_trip([canvas], vocabulary)[stream] == (1.0, 1.0)


def test_every_drum_set_has_a_token_before_any_second_loudness() -> None:
    often = [((36, 1), (42, 1))] * 50 + [((36, 2), (42, 1))] * 40 + [((38, 1),)] * 3 + [((42, 1), (54, 1))]
    chosen = choose_hits(often, 4)
    assert {((36, 1), (42, 1)), ((38, 1),), ((42, 1), (54, 1))} <= set(chosen)
    assert len(set(chosen)) == len(chosen) == 4
    full = Vocabulary(chosen, {"comp": (), "pad": ()}).completed()
    assert full.drums[:4] == chosen
    assert {((38, 1), (54, 1)), ((54, 1),)} <= set(full.drums)
    assert len({tuple(p for p, _ in hits) for hits in full.drums[4:]}) == len(full.drums) - 4
    assert full.completed() == full


def test_exported_weights_read_more_and_write_it_rarely(corpus: Corpus) -> None:
    net = tiny_net(corpus.vocabulary)
    absent = Batches(corpus, net.shape, rows=2, seed=1).absent()
    full = completed(PartsModel(net, corpus.vocabulary), absent)
    assert full.net.shape.sizes == tuple(full.vocabulary.sizes[s] for s in STREAMS)
    lead = STREAMS.index("lead")
    before, after = net.heads[lead].token.bias, full.net.heads[lead].token.bias
    assert torch.equal(before[~absent[lead]], after[~absent[lead]])
    assert torch.allclose(before[absent[lead]] - RARE, after[absent[lead]])
    single = replace(corpus_canvas(), notes={**dict.fromkeys(STREAMS, ()), "comp": (Note(1.0, 1.0, 29, 90),)})
    assert round_trip([single], full.vocabulary)["comp"] == (1.0, 1.0)


def test_weights_carry_over_to_a_larger_vocabulary(made: list[Song], corpus: Corpus) -> None:
    small = collect_vocabulary(made[:3])
    old, new = tiny_net(small), tiny_net(corpus.vocabulary)
    added = carry_over(new, corpus.vocabulary, PartsModel(old, small))
    assert added["lead"] == 0
    assert added["drums"] == sum(h not in small.drums for h in corpus.vocabulary.drums) > 0
    before, after = old.state_dict(), new.state_dict()
    assert torch.equal(before["blocks.layers.0.mlp.up_proj.weight"], after["blocks.layers.0.mlp.up_proj.weight"])
    for i, hits in enumerate(corpus.vocabulary.drums):
        if hits in small.drums:
            at = small.drums.index(hits)
            assert torch.equal(before["heads.0.token.weight"][at], after["heads.0.token.weight"][i])
            assert torch.equal(before["cells.0.weight"][2 + at], after["cells.0.weight"][2 + i])
    assert torch.equal(before["cells.0.weight"][-2:], after["cells.0.weight"][-2:])
    wide = PartsNet(PartsShape(new.shape.sizes, dim=60, inner=96, heads=2, layers=2, cell=12, head=32, window=64))
    with pytest.raises(RuntimeError):
        carry_over(wide, corpus.vocabulary, PartsModel(old, small))


def test_tokens_that_no_song_holds_are_not_trained_away(corpus: Corpus) -> None:
    net = tiny_net(corpus.vocabulary)
    batches = Batches(corpus, net.shape, rows=2, seed=1)
    absent = batches.absent()
    assert absent[STREAMS.index("lead")].any()
    assert not absent[STREAMS.index("lead")].all()
    net.loss(batches.batch(0), TOKEN_WEIGHTS, absent)[0].backward()
    slopes = net.heads[STREAMS.index("lead")].token.bias.grad
    assert slopes[absent[STREAMS.index("lead")]].abs().max() == 0
    assert slopes[~absent[STREAMS.index("lead")]].abs().max() > 0


def test_corrupted_cells_are_asked_for_and_come_from_elsewhere(corpus: Corpus) -> None:
    song = max(corpus.songs, key=lambda s: s.steps)
    hidden = np.zeros(song.cells.shape, dtype=bool)
    hidden[:20] = True
    seen, asked = corrupt(song.cells, hidden, np.random.default_rng(2))
    assert (asked[:20]).all()
    assert (asked[20:][seen[20:] != song.cells[20:]]).all()
    assert 0 < (seen != song.cells).mean() < 0.06
    assert 0.02 < asked[20:].mean() < 0.14
    for s in range(len(STREAMS)):
        assert set(seen[:, s]) <= set(song.cells[:, s])


def test_half_precision_gives_the_same_loss_nearly(corpus: Corpus) -> None:
    net = tiny_net(corpus.vocabulary)
    batch = Batches(corpus, net.shape, rows=2, seed=1).batch(1)
    whole, report = net.loss(batch, TOKEN_WEIGHTS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        narrow, other = net.loss(batch, TOKEN_WEIGHTS)
    assert float(narrow.detach()) == pytest.approx(float(whole.detach()), rel=0.02)
    assert torch.equal(report[:, 2], other[:, 2])


def run(corpus: Corpus, folder: Path, stops: tuple[int, ...], values: list[float]) -> PartsNet:
    """Trains with a measurement every step whose values are given, interrupted at `stops`."""
    for stop in stops:
        net = tiny_net(corpus.vocabulary)
        batches = Batches(corpus, net.shape, rows=2, seed=1)
        log = folder / "log.jsonl"
        done = len(log.read_text().splitlines()) if log.exists() else 0
        rest = iter(values[done:])
        train(
            net,
            lambda n, b=batches, m=net: (m.loss(b.batch(n), TOKEN_WEIGHTS)[0], {}),
            Schedule(20),
            folder,
            stop_at=stop,
            every=1,
            held_out=lambda r=rest: {"x": next(r)},
            patience=Patience({"x": 1.0}, 2),
        )
    return net


def test_training_stops_early_and_keeps_its_best_weights_however_often_it_is_interrupted(
    corpus: Corpus, tmp_path: Path
) -> None:
    values = [3.0, 2.0, 2.5, 2.1, 1.0, 0.5]
    run(corpus, tmp_path / "whole", (20,), values)
    run(corpus, tmp_path / "broken", (2, 3, 20, 20), values)
    for folder in (tmp_path / "whole", tmp_path / "broken"):
        lines = [json.loads(x) for x in (folder / "log.jsonl").read_text().splitlines()]
        assert [x["step"] for x in lines] == [1, 2, 3, 4]
        assert lines[-1]["best_step"] == 2
    one, two = trained(tmp_path / "whole"), trained(tmp_path / "broken")
    assert all(torch.equal(one[k], two[k]) for k in one)
    two_steps = run(corpus, tmp_path / "two", (2,), values)
    last = torch.load(tmp_path / "two" / "checkpoint.pt", weights_only=True)["average"]
    assert all(torch.equal(one[k], last[k]) for k in one)
    assert any(not torch.equal(one[k], v) for k, v in two_steps.state_dict().items())


def test_the_build_goes_on_without_what_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def gone() -> None:
        raise SourceMissing("it is not installed")

    for source in (data.charts, data.freedoom, data.mma, data.tunes):
        monkeypatch.setattr(source, "origin", gone)
    out, card = tmp_path / "corpus.npz", tmp_path / "card.md"
    data.main(["--book", "5", "--held-out", "3", "--out", str(out), "--card", str(card)])
    said = capsys.readouterr().out
    assert said.count("left out: it is not installed") == 4
    built = load_corpus(out)
    assert len(built.songs) == 8
    assert set(by_source(built)) == {"book"}
    assert len(by_source(built)["book"].songs) == 3
    assert not set(built.grooves[:5]) & set(HELD_OUT)
    text = card.read_text(encoding="utf-8")
    assert "| book | 5 |" in text
    assert "1.000 / 1.000" in text
    assert all(name in text for name in HELD_OUT)
