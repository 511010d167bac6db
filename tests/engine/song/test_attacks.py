"""What begins suddenly stays sudden when a song is stretched or transposed; what is held under it is not hurt."""

from __future__ import annotations

import numpy as np
import pytest

from engine.song.align import Run
from engine.song.attacks import find_attacks
from engine.song.warp import warp
from tests.engine.song.songs import RATE, Audio, Floats

HITS = np.arange(0.3, 5.4, 0.27)


def pad(seconds: float, hertz: tuple[float, ...]) -> Floats:
    t = np.arange(round(seconds * RATE)) / RATE
    tones = [0.08 * np.sin(2 * np.pi * f * t + n) for n, f in enumerate(hertz)]
    return np.asarray(np.sum(tones, axis=0), dtype=np.float64)


def played(snares: float, hertz: tuple[float, ...] = (220.0, 277.2, 329.6), seconds: float = 6.0) -> Audio:
    """Snares over a held chord."""
    rng, t = np.random.default_rng(1), np.arange(round(0.2 * RATE)) / RATE
    out = pad(seconds, hertz)
    for second in HITS:
        at = round(second * RATE)
        noise = rng.standard_normal(len(t)) * np.exp(-t / 0.008)
        out[at : at + len(t)] += snares * (0.5 * noise + 0.15 * np.sin(2 * np.pi * 190 * t) * np.exp(-t / 0.04))
    return np.tile(out.astype(np.float32), (2, 1))


def stretched(audio: Audio, speed: float, semitones: int = 0) -> Audio:
    source = np.arange(0.0, 6.0, 0.5)
    target = source / speed
    samples = round(float(target[-1]) * RATE)
    return warp(audio, [Run(source, target)], samples, RATE, lambda fraction: None, semitones=semitones)


def rise(audio: Audio, second: float) -> tuple[float, float]:
    """(milliseconds from a tenth of an attack's peak to nine tenths, milliseconds by which the latter comes late)."""
    around, width = round(0.06 * RATE), round(0.001 * RATE)
    at = round(second * RATE)
    energy = np.square(audio[0, at - around : at + around].astype(np.float64))
    level = np.sqrt(np.convolve(energy, np.ones(width) / width, "same"))
    level = np.clip(level - np.median(level[: around // 3]), 0.0, None)
    peak = int(level.argmax())
    low = np.nonzero(level[: peak + 1] < 0.1 * level[peak])[0]
    high = int(np.nonzero(level >= 0.9 * level[peak])[0][0])
    return 1000 * (high - low[-1]) / RATE, 1000 * (high - around) / RATE


@pytest.mark.parametrize("semitones", [0, 2, -2])
@pytest.mark.parametrize("speed", [0.8, 1.25])
def test_attacks_rise_as_fast_as_they_came_and_on_their_place(speed: float, semitones: int) -> None:
    """Stretching alone makes 1.5 ms 4 to 5 and up to 10, and some come 8 ms late."""
    audio = played(1.0)
    out = stretched(audio, speed, semitones)
    came = np.array([rise(audio, second) for second in HITS])
    made = np.array([rise(out, second / speed) for second in HITS[:-2]])
    assert np.median(made[:, 0]) <= np.median(came[:, 0]) + 0.7
    assert np.percentile(made[:, 0], 90) <= np.percentile(came[:, 0], 90) + 0.7
    assert abs(np.median(made[:, 1]) - np.median(came[:, 1])) < 0.7
    assert np.percentile(made[:, 1], 90) <= np.percentile(came[:, 1], 90) + 0.7


def test_attacks_are_found_and_nothing_else() -> None:
    found = np.array(find_attacks(played(1.0), RATE)) / RATE
    begins = found[found > 0.1]
    assert len(begins) == len(HITS)
    assert np.abs(begins - HITS).max() < 0.003
    assert [at for at in find_attacks(played(0.0), RATE) if at > 0.1 * RATE] == []
    assert find_attacks(np.zeros((2, RATE), np.float32), RATE) == []
    assert find_attacks(np.zeros((2, 10), np.float32), RATE) == []


@pytest.mark.parametrize("hertz", [(80.0,), (220.0, 277.2, 329.6)], ids=["bass", "chord"])
@pytest.mark.parametrize("speed", [0.8, 1.25])
def test_what_is_held_under_them_keeps_its_level(speed: float, hertz: tuple[float, ...]) -> None:
    from scipy.signal import butter, sosfiltfilt

    rng = np.random.default_rng(2)
    audio = np.tile(pad(6.0, hertz).astype(np.float32), (2, 1))
    click = np.diff(rng.standard_normal(1001)) * np.exp(-np.arange(1000) / 300)
    for second in HITS:
        at = round(second * RATE)
        audio[:, at : at + 1000] += (0.2 * click).astype(np.float32)
    out = sosfiltfilt(butter(4, 500, fs=RATE, output="sos"), stretched(audio, speed)[0].astype(np.float64))
    inner, frame = out[RATE // 2 : -RATE // 2], round(0.05 * RATE)
    level = 10 * np.log10(np.square(inner[: len(inner) // frame * frame].reshape(-1, frame)).mean(axis=1))
    assert level.min() > np.median(level) - 2.5
