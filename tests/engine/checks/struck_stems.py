"""Small stems for the tests of the checks: parts with known notes, and an instrument that starts on the sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bridge.timeline import Clock, second2sample
from engine.score import Note, Part

RATE = 48000
Audio = NDArray[np.float32]

CHORDS = ((57, 60, 64), (53, 57, 60), (48, 52, 55), (55, 59, 62))


def clock_with_tempo_change(bars: int = 16) -> Clock:
    """112 bpm, from the middle on 126 bpm, and a ramp of dense pairs between."""
    half = bars * 2.0
    pairs, second = [(0.0, 0.0)], half * 60 / 112
    pairs.append((half, second))
    for k in range(1, 17):
        second += 0.25 * 60 / (112 + 14 * k / 16)
        pairs.append((half + k / 4, second))
    pairs.append((bars * 4.0, second + (bars * 4.0 - half - 4) * 60 / 126))
    return Clock.from_pairs(pairs)


def make_part(role: str, bars: int = 16, seed: int = 0) -> Part:
    """Chords on four places of a bar (keys), eighths (bass), long chords (pad) or a beat (drums), with micro-timing."""
    rng = np.random.default_rng(seed)
    notes: list[Note] = []

    def add(start: float, length: float, pitches: tuple[int, ...]) -> None:
        late = float(rng.normal(0, 4)) if start else 0.0
        notes.extend(Note(start, length, p, int(rng.integers(70, 110)), late) for p in pitches)

    for bar in range(bars):
        chord = CHORDS[bar % 4]
        if role == "keys":
            for at in (0.0, 1.5, 2.5, 3.0):
                add(bar * 4 + at, 0.4, chord)
        elif role == "bass":
            for at in np.arange(0, 4, 0.5):
                add(bar * 4 + float(at), 0.4, (chord[0] - 12,))
        elif role == "pad":
            add(bar * 4.0, 3.9, chord)
        else:
            for at in (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5):
                add(bar * 4 + at, 0.1, ((36,) if at in (0, 2, 2.5) else (38,) if at in (1, 3) else (42,)))
    return Part(role, role, tuple(sorted(notes, key=lambda n: (n.start, n.pitch))))


def play(part: Part, clock: Clock, start_sample: int, samples: int, *, cents: float = 0.0, swell: float = 0.0) -> Audio:
    """[2, samples] of struck strings and noise drums; every note on its sample. `swell`: seconds of slow attack."""
    out = np.zeros((2, samples), np.float32)
    for note in part.notes:
        on = second2sample(clock.beat2second(note.start) + note.offset_ms / 1000, RATE) - start_sample
        off = second2sample(clock.beat2second(note.end) + note.offset_ms / 1000, RATE) - start_sample
        sound = _hit(note) if part.role == "drums" else _string(note, off - on, cents, swell)
        first, last = max(on, 0), min(on + len(sound), samples)
        if last > first:
            out[:, first:last] += sound[first - on : last - on] * np.array([[0.2], [0.17]], np.float32)
    return out


def _string(note: Note, hold: int, cents: float, swell: float) -> Audio:
    hertz = 440.0 * 2 ** ((note.pitch - 69 + cents / 100) / 12)
    time = np.arange(hold + RATE // 20) / RATE
    phases = np.random.default_rng(note.pitch).uniform(0, 2 * np.pi, 12)
    wave = sum(
        np.sin(2 * np.pi * hertz * h * time + phases[h]) * 0.75**h * np.exp(-time * (1 + h)) for h in range(1, 12)
    )
    rise = np.minimum(time / swell, 1.0) if swell else 1.0
    fade = np.minimum(1.0, np.exp(-(time - hold / RATE) / 0.012))
    return np.asarray(wave * rise * fade * note.velocity / 127, dtype=np.float32)


def _hit(note: Note) -> Audio:
    length = {36: 0.25, 38: 0.2, 42: 0.05}[note.pitch]
    time = np.arange(int(length * RATE)) / RATE
    noise = np.random.default_rng(note.pitch).normal(0, 0.4, len(time))
    body = np.sin(2 * np.pi * (60 if note.pitch == 36 else 190) * time) * (note.pitch != 42)
    return np.asarray(
        (noise * np.exp(-time * 60) + body) * np.exp(-time * 5 / length) * note.velocity / 127, np.float32
    )


def moved(audio: Audio, ms: float) -> Audio:
    """The audio later (or, below 0, earlier) by so many milliseconds; the length stays."""
    by = round(ms / 1000 * RATE)
    out = np.zeros_like(audio)
    if by >= 0:
        out[:, by:] = audio[:, : audio.shape[1] - by]
    else:
        out[:, :by] = audio[:, -by:]
    return out


def stretched(audio: Audio, factor: float) -> Audio:
    """Played slower by `factor`, at its pitch times 1 / factor; the length stays."""
    at = np.arange(audio.shape[1]) / factor
    return np.stack([np.interp(at, np.arange(audio.shape[1]), channel) for channel in audio]).astype(np.float32)
