"""Lags of onsets at the edge of a stretch: what begins on its first sample, with nothing before it."""

from __future__ import annotations

import numpy as np
import pytest

from engine.conform.envelope import Audio, hop, mono2envelope, sample2frame
from engine.conform.lags import bar_lags, onset_lags
from tests.engine.conform.adversaries import moved

RATE = 48000
BEAT = RATE // 2
LENGTH = 8 * BEAT


def plucked(sharp: bool) -> Audio:
    """[1, samples] eight low notes, each on its beat: from one sample to the next, or within 5 ms; their partials beat,
    so that there is some rise in their decay as well."""
    time = np.arange(BEAT) / RATE
    out = np.zeros((1, LENGTH), np.float32)
    for beat in range(8):
        low = 41.2 * 2 ** (beat * 5 % 7 / 12)
        note = sum(np.cos(2 * np.pi * low * k * (1 + 0.004 * k) * time) / k for k in range(1, 40))
        edge = 1.0 if sharp else np.minimum(time / 0.005, 1.0)
        out[0, beat * BEAT : (beat + 1) * BEAT] = 0.1 * note * edge * np.exp(-6 * time)
    return out


@pytest.mark.parametrize("sharp", [True, False])
@pytest.mark.parametrize("ms", [-12.0, 0.0, 20.0, 40.0])
def test_what_begins_on_the_first_sample_is_as_late_as_the_rest(sharp: bool, ms: float) -> None:
    """Early ones were begun before the stretch: its first note is cut, and the others are told."""
    guide = plucked(sharp)
    heard = moved(guide, ms) if ms >= 0 else np.pad(guide, ((0, 0), (0, RATE)))[:, round(-ms * 48) :][:, :LENGTH]
    first, second = (mono2envelope(sound[0], RATE) for sound in (guide, heard))
    lags = onset_lags(first, second, np.arange(0.0, LENGTH, BEAT), RATE)
    told = lags.ms if ms >= 0 else lags.ms[1:]
    assert told == pytest.approx(np.full(len(told), ms), abs=0.3)
    assert ms < 0 or lags.fit[0] > 0.9
    bars = bar_lags(first, second, [(0, 4 * BEAT), (4 * BEAT, 8 * BEAT)], RATE)
    assert [bar.ms for bar in bars] == pytest.approx([ms, ms], abs=1.0)


def test_the_rise_of_what_begins_at_once_lies_whole_in_its_envelope() -> None:
    """As much of it as where silence precedes in the sound itself."""
    guide = plucked(True)
    late = np.pad(guide, ((0, 0), (RATE // 10, 0)))[:, :LENGTH]
    first, later = (mono2envelope(sound[0], RATE) for sound in (guide, late))
    zero, at = sample2frame(0, RATE), sample2frame(RATE // 10, RATE)
    assert at - zero == RATE // 10 // hop(RATE)
    assert first[:, : zero + 12].sum() == pytest.approx(later[:, at - zero : at + 12].sum(), rel=0.02)
    assert not first[:, : zero - 10].any()
