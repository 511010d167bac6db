"""A song without a clock is brought to one: tempi that drift, wander, are far off; sections that came too long."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.score import Key
from engine.song.align import Aligned, Heard, Run, align
from engine.song.conform import conform_song
from engine.song.hear import hear_song
from engine.song.wanted import Wanted
from engine.song.warp import run2pieces, warp
from tests.engine.song.songs import RATE, Audio, Floats, Plan, Song, make_song, tempo2beats

PLANS = (Plan(4, False, 0.1), Plan(8, True, 0.4), Plan(4, False, 0.9), Plan(4, True, 0.8))
BARS = tuple(plan.bars for plan in PLANS)
SINGS = tuple(plan.sings for plan in PLANS)


def wanted(bars: Sequence[int] = BARS, bpm: float = 120.0, sings: Sequence[bool] = SINGS) -> list[Wanted]:
    out: list[Wanted] = []
    for n, (count, sung) in enumerate(zip(bars, sings, strict=True)):
        start = out[-1].pulses[-1] if out else 0.0
        out.append(Wanted(f"S{n}", sung, start + np.arange(4 * count + 1) * 60.0 / bpm))
    return out


def samples(sections: Sequence[Wanted]) -> int:
    return round(sections[-1].pulses[-1] * RATE)


def silent(fraction: float) -> None:
    del fraction


def true_ms(song: Song, aligned: Aligned) -> Floats:
    """How far the song's true beats come to lie from the clock's pulses, by the pieces that are really stretched."""
    out = []
    for run in aligned.runs:
        for piece in run2pieces(run):
            inside = song.beats[(song.beats > piece.a - 0.02) & (song.beats < piece.b - 0.02)]
            at = piece.start + (inside - piece.a) / piece.factor
            nearest = run.target[np.abs(at[:, None] - run.target[None, :]).argmin(axis=1)]
            out.append(1000 * np.abs(at - nearest))
    return np.concatenate(out)


@pytest.mark.parametrize(
    ("tempo", "start"),
    [
        pytest.param(lambda x: 120 + 4 * x, 0.0, id="drift"),
        pytest.param(lambda x: 120 * (1 + 0.03 * np.sin(8 * np.pi * x)), 0.0, id="wander"),
        pytest.param(lambda x: 118.0, 2.3, id="late"),
        pytest.param(lambda x: 90.0, 0.0, id="far"),
    ],
)
def test_beats_come_within_ten_milliseconds(tempo: Callable[[float], float], start: float) -> None:
    song, sections = make_song(PLANS, tempo, start=start), wanted()
    done = conform_song(song.stems, RATE, sections, None, samples(sections), silent)
    assert done.before is not None
    assert done.before.median_ms > 40
    assert done.after is not None
    assert done.after.median_ms <= 10
    assert done.after.p99_ms <= 30
    assert {audio.shape for audio in done.stems.values()} == {(2, samples(sections))}
    heard = hear_song(song.stems, RATE, 120.0)
    assert heard is not None
    truly = true_ms(song, align(heard, sections))
    assert len(truly) >= 78
    assert np.median(truly) <= 10
    assert np.percentile(truly, 99) <= 20


def test_a_tempo_an_octave_off_is_read_in_the_clocks_octave() -> None:
    sections = wanted()
    song = make_song([Plan(2 * plan.bars, plan.sings, plan.bright) for plan in PLANS], lambda x: 236.0)
    done = conform_song(song.stems, RATE, sections, None, samples(sections), silent)
    assert done.bpm == pytest.approx(118.0, abs=1.0)
    assert done.after is not None
    assert done.after.median_ms <= 10


def test_sections_that_came_too_long_and_too_short_are_found_and_made_to_fit() -> None:
    """The song's second section is two bars longer than wanted, its third one shorter."""
    song = make_song((PLANS[0], Plan(10, True, 0.4), Plan(3, False, 0.9), PLANS[3]), lambda x: 120.0)
    sections = wanted()
    heard = hear_song(song.stems, RATE, 120.0)
    assert heard is not None
    found = align(heard, sections)
    assert found.first_bars == (0, 4, 14, 17, 21)
    assert len(found.remarks) == 2
    assert "8 of them were left out" in found.remarks[0]
    assert "heard again, without the voice" in found.remarks[1]
    done = conform_song(song.stems, RATE, sections, None, samples(sections), silent)
    assert done.after is not None
    assert done.after.median_ms <= 10
    assert done.after.count >= 76


def test_a_song_that_ends_early_leaves_silence_and_says_so() -> None:
    song, sections = make_song(PLANS[:2], lambda x: 120.0), wanted()
    done = conform_song(song.stems, RATE, sections, None, samples(sections), silent)
    assert done.lost == ("S2", "S3")
    assert any('"S2", "S3"' in remark for remark in done.remarks)
    end = round(12 * 4 * 0.5 * RATE)
    assert np.abs(done.stems["bgm"][:, end + RATE // 10 :]).max() == 0.0
    assert np.abs(done.stems["bgm"][:, :end]).max() > 0.1


def test_what_has_no_pulse_stands_as_it_came_and_says_so() -> None:
    sections = wanted()
    rng = np.random.default_rng(3)
    tone = np.sin(2 * np.pi * 220 * np.arange(20 * RATE) / RATE) + 1e-4 * rng.standard_normal(20 * RATE)
    stems = {"bgm": np.tile(tone.astype(np.float32) * 0.1, (2, 1))}
    done = conform_song(stems, RATE, sections, None, samples(sections), silent)
    assert done.bpm is None or done.after is None
    if done.bpm is None:
        assert np.array_equal(done.stems["bgm"][:, : 20 * RATE], stems["bgm"])
        assert "off the clock" in done.remarks[0]


@pytest.mark.parametrize(("tonic", "semitones"), [(9, 0), (10, 1), (7, -2), (3, 0)])
def test_a_near_key_is_reached_and_a_far_one_is_told(tonic: int, semitones: int) -> None:
    """The songs are in A minor."""
    song, sections = make_song(PLANS[:2], lambda x: 120.0), wanted(BARS[:2], sings=SINGS[:2])
    done = conform_song(song.stems, RATE, sections, Key(tonic, "minor", True), samples(sections), silent)
    assert done.semitones == semitones
    told = " ".join(done.remarks)
    assert ("transposed" in told) == (semitones != 0)
    assert ("too far" in told) == (tonic == 3)
    if semitones:
        freed = conform_song(song.stems, RATE, sections, None, samples(sections), silent)
        moved, kept = (_peak_hertz(c.stems["vocal"]) for c in (done, freed))
        assert 12 * np.log2(moved / kept) == pytest.approx(semitones, abs=0.2)


def _peak_hertz(audio: Audio) -> float:
    part = audio[0, 9 * RATE : 9 * RATE + RATE // 3].astype(np.float64)
    level = np.abs(np.fft.rfft(part * np.hanning(len(part)), 1 << 18))
    return float(level.argmax() * RATE / (1 << 18))


def test_attacks_stay_sharp() -> None:
    """Of a click's energy hardly any lies before it after stretching, and its peak stays."""
    beats = tempo2beats(32, lambda x: 120 + 6 * x, 0.3)
    rng = np.random.default_rng(1)
    shape = np.exp(-np.arange(4800) / 480)
    audio = np.zeros((2, round((beats[-1] + 0.5) * RATE)), np.float32)
    for beat in beats[:-1]:
        at = round(beat * RATE)
        audio[:, at : at + 4800] += (0.5 * rng.standard_normal(4800) * shape).astype(np.float32)
    target = np.arange(33) * 0.5
    out = warp(audio, [Run(beats, target)], 16 * RATE, RATE, silent)
    for k in range(1, 31):
        at = round(target[k] * RATE)
        near = out[0, at - 2400 : at + 4800].astype(np.float64)
        before, after = np.sum(near[: 2400 - 240] ** 2), np.sum(near[2400 - 240 :] ** 2)
        assert before < 0.01 * after
        assert np.abs(near).max() > 0.75


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.floats(-0.04, 0.04), st.floats(2.0, 12.0))
def test_a_held_tone_along_any_map_has_neither_clicks_nor_holes(seed: int, depth: float, waves: float) -> None:
    beats = tempo2beats(24, lambda x: 110 * (1 + depth * np.sin(waves * x + seed)))
    seconds = beats[-1] + 1.0
    t = np.arange(round(seconds * RATE)) / RATE
    audio = np.tile((0.4 * np.sin(2 * np.pi * (200 + seed % 50) * t)).astype(np.float32), (2, 1))
    target = np.arange(25) * 60.0 / 110
    out = warp(audio, [Run(beats, target)], round(target[-1] * RATE), RATE, silent)[0].astype(np.float64)
    inner = out[RATE // 20 : -RATE // 20]
    frame = RATE // 50
    level = np.sqrt(np.square(inner[: len(inner) // frame * frame].reshape(-1, frame)).mean(axis=1))
    assert level.min() > 0.28 / 2
    assert np.abs(np.diff(inner)).max() < 2.5 * 0.4 * 2 * np.pi * 250 / RATE


def test_one_map_moves_both_stems_alike_and_the_voice_rests_where_bars_are_heard_again() -> None:
    both = np.tile(np.random.default_rng(0).standard_normal(4 * RATE).astype(np.float32) * 0.1, (2, 1))
    runs = [
        Run(np.array([0.0, 1.0, 2.01]), np.array([0.0, 1.0, 2.0])),
        Run(np.array([1.0, 2.01]), np.array([2.0, 3.0]), False),
    ]
    voice = warp(both, runs, 3 * RATE, RATE, silent, voice=True)
    band = warp(both, runs, 3 * RATE, RATE, silent)
    first = 2 * RATE - RATE // 8
    assert np.array_equal(voice[:, :first], band[:, :first])
    assert np.abs(voice[:, 2 * RATE + RATE // 50 :]).max() == 0.0
    assert np.abs(band[:, 2 * RATE + RATE // 50 :]).max() > 0.1


@given(
    st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=8),
    st.integers(1, 60),
    st.integers(0, 1000),
)
def test_any_division_is_monotone_and_fills_the_sections_it_has(
    asked: list[tuple[int, bool]], bars: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    heard = Heard(np.arange(4 * bars + 1) * 0.48, np.arange(bars + 1) * 4, rng.random(bars), rng.random(bars + 1))
    sections = wanted([count for count, _ in asked], sings=[sung for _, sung in asked])
    found = align(heard, sections)
    assert list(found.first_bars) == sorted(found.first_bars)
    assert len(found.first_bars) == len(asked) + 1
    at = [(run.target[0], run.target[-1]) for run in found.runs]
    assert at == sorted(at)
    held = sum(len(run.target) - 1 for run in found.runs)
    there = [section for section in sections if section.name not in found.lost]
    assert held == sum(section.count for section in there)
    for run in found.runs:
        assert len(run.source) == len(run.target)
        assert np.all(np.diff(run.source) > 0)
        assert np.all(np.diff(run.target) > 0)
