"""Harmony and hands hold for everything written, in any key, mode, metre, style and seed; and can be switched off."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.arrangement import MODES, TONICS
from bridge.messages import Render, StemWanted
from engine.compose.measure import strong_beats
from engine.compose.seats import RANGES
from engine.score import SCALES, Note, Score
from tests.engine.compose.asking import changed, shipped
from tests.engine.compose.songs import composed, song

STEMS = ("drums", "bass", "keys", "guitar", "pad", "strings", "brass", "lead", "arp")
SECTIONS = (("Verse", "verse", 4), ("Chorus", "chorus", 4))
STYLES = ("pop", "funk", "swing jazz", "bossa nova", "metal", "reggae", "house", "neo-soul", "ambient", "shuffle blues")


def chord_under(score: Score, beat: float):
    return next(c for c in reversed(score.chords) if c.beat <= beat + 1e-6)


def meant(score: Score, note: Note):
    """The chord under a note, and the next one where the note is pushed into it."""
    here = chord_under(score, note.start)
    soon = min(note.start + 1.0 + 1e-6, note.end - 1e-6)
    ahead = next((c for c in score.chords if note.start < c.beat < soon), None)
    return [here] + ([ahead] if ahead else [])


def faults(score: Score) -> dict[str, int]:
    """How often each rule is broken, counted without the code that keeps them."""
    found = dict.fromkeys(("chord", "scale", "range", "hands", "mono", "stuck"), 0)
    strong = {round(b, 4) for f in score.sections for bar in f.bars for b in strong_beats(bar)}
    scale = {(score.key.tonic + d) % 12 for d in SCALES[score.key.mode]}
    for part in score.parts:
        for note in part.notes:
            inside = [f for f in score.sections if f.start - 1e-6 <= note.start and note.end <= f.end + 1e-6]
            found["stuck"] += not inside or note.length <= 0
        if part.role == "drums":
            continue
        low, high = RANGES[part.role]
        for note, after in pairwise([*part.notes, None]):
            tones = frozenset().union(*(c.pitch_classes for c in meant(score, note)))
            found["range"] += not low - 5 <= note.pitch <= high + 5
            outside = note.pitch % 12 not in scale | tones | {(score.key.tonic + 11) % 12}
            found["scale"] += outside
            if part.role == "lead" and round(note.start, 4) in strong and note.pitch % 12 not in tones:
                found["chord"] += after is None or abs(after.pitch - note.pitch) > 2
            begins = round(note.start, 4) in {round(c.beat, 4) for c in score.chords}
            found["chord"] += part.role == "bass" and begins and note.pitch % 12 not in tones
        if part.role in ("bass", "lead", "arp"):
            found["mono"] += sum(a.end > b.start + 1e-4 for a, b in pairwise(part.notes))
        strikes: dict[float, list[int]] = {}
        for note in part.notes:
            strikes.setdefault(round(note.start, 2), []).append(note.pitch)
        for pitches in strikes.values():
            found["hands"] += part.role == "guitar" and (len(pitches) > 6 or max(pitches) - min(pitches) > 31)
            if part.role == "keys":
                cuts = [(sorted(pitches)[:k], sorted(pitches)[k:]) for k in range(len(pitches) + 1)]
                fit = any(all(len(h) <= 5 and (not h or h[-1] - h[0] <= 16) for h in hands) for hands in cuts)
                found["hands"] += not fit
    return found


def asked(seed: int, key: tuple[str, str], metre: tuple[int, int], style: str, bpm: float = 112.0) -> Render:
    return song(SECTIONS, stems=STEMS, key=key, metre=metre, style=style, seed=seed, bpm=bpm)


@settings(max_examples=10, deadline=None)
@given(
    st.integers(0, 10_000), st.sampled_from(sorted(TONICS)), st.sampled_from(MODES),
    st.sampled_from([(4, 4), (3, 4), (6, 8), (5, 4), (7, 8)]), st.sampled_from(STYLES),
    st.sampled_from([60.0, 112.0, 200.0]),
)  # fmt: skip
def test_everything_written_keeps_every_rule(seed, tonic, mode, metre, style, bpm) -> None:
    score = composed(asked(seed, (tonic, mode), metre, style, bpm))
    assert not {rule: count for rule, count in faults(score).items() if count}


@settings(max_examples=5, deadline=None)
@given(
    st.integers(0, 10_000), st.sampled_from(STYLES), st.sampled_from([-1.0, 1.0]), st.sampled_from([-1.0, 1.0]),
    st.sampled_from([-1.0, 0.6, 1.0]),
)  # fmt: skip
def test_wishes_break_no_rule(seed, style, density, register, complexity) -> None:
    stems = tuple(
        StemWanted(r, density=density, register=None if r == "drums" else register, complexity=complexity,
                   leave_space_for="lead" if r in ("keys", "arp") else "")
        for r in STEMS
    )  # fmt: skip
    score = composed(changed(asked(seed, ("D", "dorian"), (4, 4), style), stems=stems))
    assert not {rule: count for rule, count in faults(score).items() if count}


def test_free_harmony_breaks_rules_that_safe_harmony_keeps() -> None:
    broken = 0
    for style in ("bossa nova", "metal", "swing jazz"):
        request = asked(3, ("F#", "locrian"), (4, 4), style)
        broken += sum(faults(composed(changed(request, harmony="free"))).values())
        assert not sum(faults(composed(request)).values())
    assert broken > 20


@pytest.mark.parametrize("harmony", ["safe", "free"])
def test_either_way_every_stem_plays(harmony: str) -> None:
    score = composed(changed(asked(1, ("C", "major"), (4, 4), "pop"), harmony=harmony))
    assert all(part.notes for part in score.parts)


def test_what_the_models_write_keeps_every_rule() -> None:
    score = composed(asked(2, ("E", "minor"), (4, 4), "funk"), writers=shipped())
    assert any("written by the parts model" in line for line in score.remarks)
    assert not {rule: count for rule, count in faults(score).items() if count}
