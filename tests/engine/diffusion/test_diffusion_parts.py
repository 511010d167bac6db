"""Filling a canvas: what is given stays, the rest is written, seeds and cancelling hold, the shipped weights work."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.timeline import Bar, Metre
from engine.diffusion.canvas import STREAMS, Canvas
from engine.diffusion.context import canvas2context, recall, usual_cell
from engine.diffusion.parts import WEIGHTS, PartsModel, fill_parts, fill_parts_often
from engine.diffusion.sight import MARGIN, Sight, windows, windows_over
from engine.diffusion.tokens import notes2tokens
from engine.diffusion.vocabulary import FIRST, HOLD, REST
from engine.report import JobCancelled
from engine.score import FormSection, Note
from engine.training.evaluate import given_seeds
from engine.training.songs import make_song
from tests.engine.diffusion.material import empty_canvas, songs, tiny_model, vocabulary


def in_bars(canvas: Canvas, notes: Mapping[str, tuple[Note, ...]], *, given_bars: bool) -> dict[str, list[Note]]:
    """The notes that begin in bars that are (not) given."""
    out: dict[str, list[Note]] = {}
    for s, stream in enumerate(STREAMS):
        steps = [(n, canvas.grid.beat2step(n.start)) for n in notes[stream]]
        out[stream] = [n for n, t in steps if t is not None and canvas.given[canvas.grid.bar[t], s] == given_bars]
    return out


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 11), st.integers(0, 2**31), st.floats(0, 1), st.integers(1, 6))
def test_given_bars_come_back_untouched_and_the_rest_is_legal(number: int, seed: int, share: float, steps: int) -> None:
    whole = songs()[number].canvas
    mask = np.random.default_rng(seed).random(whole.given.shape) < share
    canvas = replace(whole, given=mask)
    out = fill_parts(tiny_model(), canvas, steps=steps, seed=seed)
    kept = in_bars(canvas, canvas.notes, given_bars=True)
    assert in_bars(canvas, out.notes, given_bars=True) == kept
    end = canvas.sections[-1].end
    for stream in STREAMS:
        assert list(out.notes[stream]) == sorted(out.notes[stream], key=lambda n: (n.start, n.pitch))
    for notes in in_bars(canvas, out.notes, given_bars=False).values():
        for note in notes:
            assert 0 <= note.pitch <= 127
            assert 1 <= note.velocity <= 127
            assert note.length > 0
            assert note.end <= end + 1e-6


def test_every_hidden_cell_is_written_and_holds_follow_something() -> None:
    canvas = empty_canvas(gap=2.0)
    out = fill_parts(tiny_model(), canvas, steps=5, seed=1)
    assert sum(len(n) for n in out.notes.values()) > 20
    cells = notes2tokens(out, vocabulary())
    assert ((cells == REST) | (cells == HOLD) | (cells >= FIRST)).all()
    bad = (cells[1:] == HOLD) & (cells[:-1] == REST)
    assert not bad.any()
    assert not (cells[:, 0] == HOLD).any()


def test_users_own_timing_survives_to_the_bit() -> None:
    canvas = empty_canvas()
    mask = canvas.given.copy()
    mask[1, 1] = True
    late = Note(4.013, 0.71, 41, 97, offset_ms=-3.5)
    early = Note(3.98, 0.5, 29, 55)
    dropped = Note(2.0, 0.5, 33, 80)
    out = fill_parts(tiny_model(), replace(canvas, given=mask, notes={"bass": (dropped, early, late)}), steps=3, seed=1)
    assert late in out.notes["bass"]
    assert early in out.notes["bass"]
    assert dropped not in out.notes["bass"]


def test_same_seed_same_notes_other_seed_other_notes() -> None:
    canvas = empty_canvas()
    first, again, other = (fill_parts(tiny_model(), canvas, steps=4, seed=s).notes for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_bars_of_mixed_metres_without_chords_are_filled() -> None:
    three, seven = Metre(0.0, 3, 4), Metre(6.0, 7, 8)
    bars = (Bar(0, 0.0, 3.0, three), Bar(1, 3.0, 6.0, three), Bar(2, 6.0, 9.5, seven), Bar(3, 9.5, 10.5, seven))
    section = FormSection("a", "verse", 0.0, 10.5, 0.5, 0, bars)
    canvas = replace(empty_canvas(), sections=(section,), chords=(), given=np.zeros((4, len(STREAMS)), dtype=bool))
    assert canvas.grid.steps == 12 + 12 + 14 + 4
    out = fill_parts(tiny_model(), canvas, steps=4, seed=1)
    assert any(n.start >= 9.5 for notes in out.notes.values() for n in notes)
    assert all(n.end <= 10.5 + 1e-6 for notes in out.notes.values() for n in notes)


def test_nothing_hidden_nothing_changes() -> None:
    canvas = songs()[0].canvas
    assert fill_parts(tiny_model(), canvas, seed=1).notes == dict(canvas.notes)


def test_cancel_raises_at_the_next_step() -> None:
    calls: list[float] = []

    def tick(fraction: float) -> None:
        calls.append(fraction)
        if len(calls) == 3:
            raise JobCancelled

    with pytest.raises(JobCancelled):
        fill_parts(tiny_model(), empty_canvas(), steps=10, seed=1, tick=tick)
    assert len(calls) == 3
    assert calls == sorted(calls)


@torch.inference_mode()
def test_batched_windows_equal_single_ones() -> None:
    net, size = tiny_model().net, 32
    context = canvas2context(songs()[1].canvas)
    cells = notes2tokens(songs()[1].canvas, vocabulary())
    masks = np.array(net.shape.masks, dtype=np.int16)
    looked = recall(context, cells, np.ones(cells.shape, bool), masks, slice(0, 2 * size))
    inputs = [torch.from_numpy(a[: 2 * size].astype(np.int64)) for a in (cells, looked, context.rows)]
    batch = [a.view(2, size, *a.shape[1:]) for a in inputs]
    both, _ = net.encode(*batch)
    for i in range(2):
        alone, _ = net.encode(*(a[i : i + 1] for a in batch))
        assert torch.allclose(alone[0], both[i], atol=1e-5)


@given(st.integers(1, 2000), st.sampled_from([16, 64, 256]), st.booleans())
def test_windows_cover_every_step(steps: int, width: int, shifted: bool) -> None:
    seen = np.zeros(steps, dtype=bool)
    for first, last in windows(steps, width, shifted=shifted):
        assert 0 <= first < last <= steps
        assert last - first <= width
        seen[first:last] = True
    assert seen.all()


def test_recall_reads_the_same_place_and_hides_what_is_hidden() -> None:
    canvas = empty_canvas()
    context = canvas2context(canvas)
    cells = np.arange(canvas.grid.steps, dtype=np.int16)[:, None].repeat(6, 1) % 50 + FIRST
    masks = np.full(6, 60, dtype=np.int16)
    visible = np.ones(cells.shape, bool)
    visible[16:32] = False
    looked = recall(context, cells, visible, masks, slice(None))
    assert (looked[32:48, 0] == 60).all()
    assert (looked[:16, 0] == 61).all()
    assert (looked[32:48, 2] == cells[:16]).all()
    assert (looked[:16, 7] == cells[96:112]).all()
    assert (looked[96:112, 6] == cells[:16]).all()


def test_usual_cell_is_the_most_frequent_visible_one() -> None:
    group = np.array([0, 0, 0, 1, 1, 2], dtype=np.int32)
    shown = np.array([[5], [5], [7], [9], [4], [9]], dtype=np.int16)
    assert usual_cell(group, shown, np.array([9], dtype=np.int16))[:, 0].tolist() == [5, 5, 5, 4, 4, 9]


def test_takes_of_one_canvas_are_what_they_are_alone() -> None:
    canvas = replace(songs()[0].canvas, given=given_seeds(songs()[0]))
    together = fill_parts_often(tiny_model(), canvas, steps=3, seeds=(4, 5, 4))
    alone = [fill_parts(tiny_model(), canvas, steps=3, seed=s) for s in (4, 5)]
    assert [t.notes for t in together] == [alone[0].notes, alone[1].notes, alone[0].notes]


def test_what_is_recalled_from_step_to_step_is_what_is_recalled_anew() -> None:
    canvas, model = songs()[1].canvas, tiny_model()
    cells, rng = notes2tokens(canvas, model.vocabulary), np.random.default_rng(3)
    hidden = np.zeros(cells.shape, dtype=bool)
    hidden[40:90, [1, 4]] = True
    sight = Sight(model.net, canvas, cells, hidden)
    for _ in range(3):
        hidden &= rng.random(hidden.shape) < 0.6
        sight.encode(cells, hidden, shifted=False)
        fresh = recall(sight.context, cells, ~hidden, sight.masks, slice(None))
        assert (sight.recalled == fresh).all()


def test_a_short_stretch_is_seen_through_one_narrow_window() -> None:
    hidden = np.zeros(2000, dtype=bool)
    hidden[1000:1064] = True
    assert list(windows_over(hidden, 256, shifted=True)) == [(1000 - MARGIN, 1064 + MARGIN)]
    hidden[1500] = True
    spans = list(windows_over(hidden, 256, shifted=False))
    assert all(any(a <= t < b for a, b in spans) for t in np.flatnonzero(hidden))
    assert len(spans) < len(list(windows(2000, 256, shifted=False)))
    assert list(windows_over(np.zeros(50, dtype=bool), 256, shifted=False)) == []


@pytest.fixture(scope="module")
def shipped() -> PartsModel:
    return PartsModel.load()


def test_shipped_weights_are_those_of_the_card() -> None:
    card = (WEIGHTS.parent / "README.md").read_text(encoding="utf-8")
    assert hashlib.sha256(WEIGHTS.read_bytes()).hexdigest() in card
    assert WEIGHTS.stat().st_size < 20e6


def test_shipped_weights_keep_a_seeded_groove(shipped: PartsModel) -> None:
    from engine.grooves import groove

    song = make_song(0, (groove("pop"),), 8, plain=True)
    mask = given_seeds(song)
    canvas = replace(song.canvas, given=mask)
    out = fill_parts(shipped, canvas, steps=8, seed=2)
    truth = in_bars(canvas, song.canvas.notes, given_bars=False)
    mine = in_bars(canvas, out.notes, given_bars=False)
    for stream, least in (("drums", 0.85), ("bass", 0.8)):
        a, b = ({round(n.start, 3) for n in notes[stream]} for notes in (truth, mine))
        assert 2 * len(a & b) / (len(a) + len(b)) > least


def test_damaged_weights_are_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from safetensors import SafetensorError

    broken = tmp_path / "parts.safetensors"
    broken.write_bytes(WEIGHTS.read_bytes()[:200_000])
    with pytest.raises(SafetensorError):
        PartsModel.load(broken)
