"""The band with models: untrained ones write noise, which must lose to the seeds and must be said."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import torch

from bridge.messages import Scope
from engine.compose import Writers
from engine.compose.candidates import SEED, WEIGHTS, choices2remarks, choose_versions, measure_section, total
from engine.compose.form import form2shape, request2form
from engine.compose.keys import Keys
from engine.compose.measure import chord_tone_rate, in_key_rate, kick_on_one, root_rate
from engine.compose.song import Song, seed_rows, seed_stream
from engine.compose.writers import write_canvas
from engine.diffusion.parts import PartsModel
from engine.grooves import groove, groove2chords
from engine.lelm.network import LeLMConfig
from engine.lelm.plan import PlanModel
from engine.lelm.slots import CODES
from engine.score import Key, Note
from tests.engine.compose.songs import composed, inside, silent, song
from tests.engine.diffusion.material import tiny_model

STREAMS = ("drums", "bass", "comp", "pad", "arp", "lead")
SHORT = (("Verse", "verse", 4), ("Chorus", "chorus", 4), ("Verse 2", "verse", 4))


@lru_cache(maxsize=1)
def writers() -> Writers:
    torch.manual_seed(0)
    plan = PlanModel(LeLMConfig(code_size=CODES, dim=32, inner=48, heads=2, layers=1, theta=10_000.0)).eval()
    return Writers(plan, tiny_model())


def pop(seed: int = 1) -> Song:
    request = song(SHORT, seed=seed)
    clock = request.arrangement.timeline()
    form = request2form(request.arrangement, clock)
    shapes = form2shape(form, clock, STREAMS, seed=seed)
    key = Key(7, "major", given=True)
    chords = tuple(c for f in form for c in groove2chords(groove("pop"), f.label, key, f.bars))
    return Song(shapes, chords, Keys.steady(key), groove("pop"), seed)


def noise(notes: tuple[Note, ...], seed: int) -> tuple[Note, ...]:
    """As many notes at random places with random pitches."""
    rng = np.random.default_rng(seed)
    low, high = min(n.pitch for n in notes), max(n.pitch for n in notes)
    end = max(n.end for n in notes)
    moved = [Note(float(rng.integers(int(end * 4))) / 4, 0.25, int(rng.integers(low, high + 1)), 80) for _ in notes]
    return tuple(sorted(moved, key=lambda n: (n.start, n.pitch)))


@pytest.mark.parametrize("stream", STREAMS)
def test_noise_loses_to_the_seed_in_every_section(stream: str) -> None:
    here = pop()
    seed = seed_stream(here, stream)
    drums = seed_stream(here, "drums")
    chosen, choices = choose_versions(here, stream, {SEED: seed, "model": noise(seed, 3)}, drums)
    assert chosen == seed
    assert choices
    assert all(c.version == SEED and c.score > dict(c.others)["model"] + 0.1 for c in choices)
    assert "seeds repeated by form rule" in choices2remarks(choices)[0]


def test_a_better_version_wins_and_silence_never_does() -> None:
    here = pop()
    seed = seed_stream(here, "lead")
    worse = tuple(Note(n.start, n.length, n.pitch + (6 if i % 2 else 0), n.velocity) for i, n in enumerate(seed))
    chosen, choices = choose_versions(here, "lead", {SEED: worse, "model": seed}, ())
    assert {c.version for c in choices} == {"model"}
    assert chosen == seed
    chosen, choices = choose_versions(here, "lead", {SEED: worse, "model": ()}, ())
    assert {c.version for c in choices} == {SEED}


@pytest.mark.parametrize("stream", STREAMS)
def test_metrics_are_shares_and_weights_add_up(stream: str) -> None:
    here = pop()
    seed = seed_stream(here, stream)
    shape = here.shapes[1]
    row = measure_section(here, stream, shape, seed, seed, seed_stream(here, "drums"), seed)
    assert sum(WEIGHTS[stream].values()) == pytest.approx(1.0)
    assert set(row) == set(WEIGHTS[stream])
    assert all(0.0 <= value <= 1.0 for value in row.values())
    assert total(stream, row) > 0.6


def test_the_canvas_gives_seeds_and_asks_for_the_rest() -> None:
    here = pop()
    notes = {s: seed_stream(here, s) for s in STREAMS}
    given = {s: seed_rows(here, s) for s in STREAMS}
    versions = write_canvas(writers(), here, notes, given, 5, silent)
    assert len(versions) == 2
    assert versions[0] != versions[1]
    for stream in STREAMS:
        for row in given[stream]:
            bar = here.bars[row].bar
            assert inside(versions[0][stream], bar.start, bar.end) == inside(notes[stream], bar.start, bar.end)
    assert any(versions[0][s] != notes[s] for s in STREAMS)
    assert write_canvas(Writers(), here, notes, given, 5, silent) == []


def test_the_band_with_models_is_deterministic_and_says_who_wrote_what() -> None:
    request = song(SHORT, key=("G", "major"), seed=3)
    score = composed(request, writers=writers())
    assert score == composed(request, writers=writers())
    text = "\n".join(score.remarks)
    assert "not loaded" not in text
    assert "plan model, draw 1" in text
    assert "drums: seeds repeated by form rule" in text
    assert all(c.pitch_classes <= score.key.scale for c in score.chords)


def test_an_edit_with_models_leaves_the_rest_identical() -> None:
    take = composed(song(SHORT, key=("G", "major"), seed=3), writers=writers())
    scope = Scope("job/take-1", ("Chorus",), ("lead", "bass"))
    new = composed(song(SHORT, key=("G", "major"), seed=4, scope=scope), writers=writers(), previous=take)
    chorus = take.sections[1]
    for part in take.parts:
        notes = new.part(part.name).notes
        outside = [n for n in part.notes if not chorus.start <= n.start < chorus.end]
        assert [n for n in notes if not chorus.start <= n.start < chorus.end] == outside
        if part.name not in ("lead", "bass"):
            assert notes == part.notes
        else:
            assert inside(notes, chorus.start, chorus.end) != inside(part.notes, chorus.start, chorus.end)


def test_a_cancel_goes_through() -> None:
    from engine.compose import compose_band
    from engine.report import JobCancelled
    from tests.engine.compose.songs import hearing

    request = song(SHORT)
    clock = request.arrangement.timeline()

    def stop(fraction: float) -> None:
        if fraction > 0.35:
            raise JobCancelled

    with pytest.raises(JobCancelled):
        compose_band(request, clock, request2form(request.arrangement, clock), hearing(request), writers(), stop)


@lru_cache(maxsize=1)
def shipped() -> Writers:
    return Writers(PlanModel.load(), PartsModel.load())


@pytest.mark.parametrize("style", ["pop", "swing jazz", "funk"])
def test_the_shipped_models_make_music_and_write_some_of_it(style: str) -> None:
    score = composed(
        song(SHORT, key=("A", "minor"), style=style, stems=("drums", "bass", "keys", "lead")), writers=shipped()
    )
    bars = [bar for section in score.sections for bar in section.bars]
    drums, bass, lead = (score.part(name).notes for name in ("drums", "bass", "lead"))
    assert kick_on_one(drums, bars) > 0.7
    assert root_rate(bass, bars, score.chords) > 0.8
    assert chord_tone_rate(lead, bars, score.chords) > 0.7
    assert all(in_key_rate(p.notes, score.key) >= 0.98 for p in score.parts if p.role != "drums")
    assert any("written by the parts model" in remark for remark in score.remarks)
    assert any(remark.startswith("measured:") for remark in score.remarks)


def test_an_edit_by_the_shipped_models_differs_and_leaves_the_rest() -> None:
    take = composed(song(SHORT, key=("A", "minor"), seed=3), writers=shipped())
    scope = Scope("job/take-1", ("Chorus",), ("bass",))
    new = composed(song(SHORT, key=("A", "minor"), seed=4, scope=scope), writers=shipped(), previous=take)
    assert [p for p in new.parts if p.name != "bass"] == [p for p in take.parts if p.name != "bass"]
    assert new.part("bass").notes != take.part("bass").notes
