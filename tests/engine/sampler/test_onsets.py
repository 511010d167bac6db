"""Rendered onsets against the score, judged by the checks' own onset measure, which knows nothing of the sampler."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.timeline import Clock
from engine.checks.onsets import measure_onsets
from engine.sampler import Bank, choose_instrument, render_part
from engine.score import Note, Part
from tests.engine.sampler.fonts import RATE

CLOCK = Clock.steady(110, 80)
PLAYED = [
    ("drums", "acoustic kit"),
    ("drums", "electronic kit"),
    ("drums", "808 kit"),
    ("bass", "picked bass"),
    ("bass", "slap bass"),
    ("keys", "grand piano"),
    ("keys", "rhodes"),
    ("guitar", "clean guitar"),
    ("lead", "saw lead"),
    ("arp", "harp"),
    ("drums", "studio kit"),
    ("drums", "analog 909 kit"),
    ("drums", "beat kit"),
    ("drums", "dusty kit"),
    ("drums", "hand drum kit"),
    ("bass", "analog bass"),
    ("bass", "808 bass"),
    ("keys", "studio grand"),
    ("keys", "concert piano"),
    ("keys", "bright rhodes"),
    ("guitar", "mandolin"),
    ("lead", "mono saw lead"),
    ("arp", "saw pluck"),
]


@pytest.mark.parametrize(("role", "words"), PLAYED, ids=[words for _, words in PLAYED])
def test_onsets_lie_where_the_score_says(bank: Bank, role: str, words: str) -> None:
    rng = np.random.default_rng(3)
    pitches = {"drums": [36, 38, 42, 45, 49], "bass": list(range(28, 45))}.get(role, list(range(52, 79)))
    notes = [
        Note(0.5 * k + (0.0 if k % 3 else 0.25), 0.4, int(rng.choice(pitches)), int(rng.integers(60, 115)))
        for k in range(60)
    ]
    part = Part(role, role, tuple(sorted(notes, key=lambda n: n.start)))
    samples = CLOCK.beat2sample(31, RATE)
    audio = render_part(
        bank, part, choose_instrument(bank, role, words, ""), CLOCK, RATE, 0, samples, 0, lambda fraction: None
    )
    onsets = measure_onsets(audio, part, CLOCK, RATE, 0)
    assert len(onsets.differences) >= 15
    assert onsets.median_ms is not None
    assert onsets.median_ms <= (0.5 if role == "drums" else 2.0)
    assert float(np.percentile(np.abs(onsets.differences), 99)) <= 10.0
    late = measure_onsets(np.roll(audio, int(0.006 * RATE), axis=1), part, CLOCK, RATE, 0)
    assert late.median_ms is not None
    assert late.median_ms > 4.0
