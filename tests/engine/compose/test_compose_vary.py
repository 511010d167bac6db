"""Small changes keep a bar a bar: on the grid, in chord or scale, inside, and different."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.timeline import Bar, Metre
from engine.compose.pitches import in_order, scale_tones
from engine.compose.vary import vary_bar
from engine.grooves import book, groove, realise
from engine.score import Chord, Key

KEY = Key(2, "dorian", given=True)
CHORDS = (Chord(0.0, 4.0, 2, "m7"), Chord(4.0, 4.0, 7, "7"))
BAR = Bar(0, 0.0, 4.0, Metre(0.0, 4, 4))
GROOVES = [g.name for g in book() if (g.beats, g.unit) == (4, 4)]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(GROOVES), st.sampled_from(("drums", "bass", "comp", "pad", "arp", "lead")), st.integers(0, 10**6)
)
def test_a_varied_bar_is_like_the_bar(name: str, stream: str, seed: int) -> None:
    played = groove(name)
    notes = in_order(realise(played, "chorus", stream, BAR, 0, CHORDS, KEY))
    varied = vary_bar(stream, notes, BAR, CHORDS, KEY, np.random.default_rng(seed), steps=played.steps_per_quarter)
    if not notes:
        assert varied == ()
        return
    assert abs(len(varied) - len(notes)) <= 6
    starts = {round(n.start, 4) for n in notes}
    assert len({round(n.start, 4) for n in varied} - starts) <= 1
    step = played.steps_per_quarter
    for note in varied:
        assert 0.0 <= note.start < 4.0
        assert note.start * step == pytest.approx(round(note.start * step), abs=1e-3)
    if stream in ("comp", "pad"):
        before = {n.pitch % 12 for n in notes}
        assert {n.pitch % 12 for n in varied} <= before
    elif stream != "drums":
        allowed = scale_tones(KEY, CHORDS[0]) | scale_tones(KEY, CHORDS[1]) | {n.pitch % 12 for n in notes}
        assert {n.pitch % 12 for n in varied} <= allowed


@pytest.mark.parametrize("stream", ["drums", "bass", "comp", "arp", "lead"])
def test_a_change_changes_something_in_most_bars(stream: str) -> None:
    changed = []
    for k, name in enumerate(GROOVES):
        played = groove(name)
        notes = in_order(realise(played, "chorus", stream, BAR, 0, CHORDS, KEY))
        if notes:
            rng = np.random.default_rng(k)
            changed.append(vary_bar(stream, notes, BAR, CHORDS, KEY, rng, steps=played.steps_per_quarter) != notes)
    assert sum(changed) / len(changed) > 0.9
