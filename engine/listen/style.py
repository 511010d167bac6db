"""What is heard in a reference: the style profile of a clip.

Tempo, bars, swing and groove say how it is played; key and chords what; spectrum, dynamics, width and room how it
sounds. Every guess has a confidence: 0 means "not heard", and then the value is None or even.

Conventions: seconds, beats per minute (quarter notes), dB, Hz; all values plain, so that a profile is kept as JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.listen.beats import Beats, strength2beats
from engine.listen.chroma import chroma2profile, sound2chroma
from engine.listen.clips import Clip, array2clip, clip2mono, file2clip
from engine.listen.dynamics import Dynamics, blocks2dynamics
from engine.listen.groove import Groove, Swing, strength2groove, strength2swing
from engine.listen.harmony import Harmony, chroma2harmony
from engine.listen.onsets import FRAMES, SILENT, Audio, Floats, Strength, sound2strength, strength2times
from engine.listen.players import sound2players
from engine.listen.room import Room, sound2room
from engine.listen.spectrum import Spectrum, blocks2spectrum
from engine.listen.steps import each, unheard
from engine.report import Tick, part_of
from engine.score import PITCH_NAMES

TOGETHER = 0.05
"""Seconds within which hits in several bands are one."""


@dataclass(frozen=True)
class KeyHeard:
    """`tonic` a name ("Eb"), `mode` one of `engine.score.SCALES`; None where nothing is heard. `alternatives`:
    (tonic, mode, confidence). `chroma` [12]: how much each pitch class sounds, C first, the strongest 1."""

    tonic: str | None = None
    mode: str | None = None
    confidence: float = 0.0
    alternatives: tuple[tuple[str, str, float], ...] = ()
    chroma: tuple[float, ...] = ()


@dataclass(frozen=True)
class Chords:
    """`per_minute`: changes; `per_bar`: the same where there are bars; `spans` (second, end, symbol)."""

    per_minute: float | None = None
    per_bar: float | None = None
    confidence: float = 0.0
    spans: tuple[tuple[float, float, str], ...] = ()


@dataclass(frozen=True)
class Onsets:
    """Notes and hits a second: of the whole clip and of its low, mid and high bands."""

    per_second: float = 0.0
    low: float = 0.0
    mid: float = 0.0
    high: float = 0.0


@dataclass(frozen=True)
class Style:
    """The profile of a clip. `channels`, `sample_rate`, `seconds` are the source's; `roles` (role, activity 0-1): how
    surely each of the roles that can be told plays in it."""

    seconds: float
    sample_rate: int
    channels: int
    beats: Beats
    swing: Swing
    groove: Groove
    key: KeyHeard
    chords: Chords
    spectrum: Spectrum
    dynamics: Dynamics
    room: Room
    onsets: Onsets
    roles: tuple[tuple[str, float], ...] = ()


def file2style(path: str | Path, start: float = 0.0, seconds: float | None = None, tick: Tick = unheard) -> Style:
    """Profile of an audio file from `start` for `seconds`. Raises `RequestError` as `file2clip`, `Clip.blocks`, and
    what `tick` raises, which is called every few hundredths of a second."""
    return clip2style(file2clip(path, start, seconds), tick)


def sound2style(audio: Audio, rate: int) -> Style:
    """Profile of an array [samples, channels]. Raises `RequestError` where it holds values that are no numbers."""
    return clip2style(array2clip(audio, rate))


def clip2style(clip: Clip, tick: Tick = unheard) -> Style:
    """Profile of a clip, read in blocks; what is kept of it whole is one channel at 22.05 kHz."""
    return mono2style(clip, clip2mono(clip, part_of(tick, 0.0, 0.1)), part_of(tick, 0.1, 1.0))


def mono2style(clip: Clip, mono: Audio, tick: Tick = unheard) -> Style:
    """The same where the clip's `mono` at 22.05 kHz is at hand."""
    seconds = round(clip.seconds, 3)
    strength = sound2strength(mono, part_of(tick, 0.0, 0.05))
    chroma = sound2chroma(mono, part_of(tick, 0.05, 0.1))
    beats = strength2beats(strength, chroma, tick=part_of(tick, 0.1, 0.3))
    swing = strength2swing(strength, beats)
    harmony = chroma2harmony(chroma, beats, clip.seconds)
    profile = chroma2profile(chroma) if len(chroma.frames) else np.zeros(12)
    return Style(
        seconds,
        clip.rate,
        clip.channels,
        beats,
        swing,
        strength2groove(strength, beats, swing),
        _key(harmony, profile),
        _chords(harmony, beats),
        blocks2spectrum(each(clip.blocks(), clip.count, part_of(tick, 0.3, 0.45)), clip.heard_rate),
        blocks2dynamics(each(clip.blocks(), clip.count, part_of(tick, 0.45, 0.85)), clip.heard_rate),
        sound2room(mono, part_of(tick, 0.85, 0.95)),
        _onsets(strength) if len(mono) and float(np.abs(mono).max()) >= SILENT else Onsets(),
        sound2players(mono, strength, part_of(tick, 0.95, 1.0)),
    )


def _key(harmony: Harmony, profile: Floats) -> KeyHeard:
    loudest = float(profile.max(initial=0.0))
    chroma = tuple(round(float(v / loudest), 3) for v in profile) if loudest > 0 else ()
    guess = harmony.key
    if guess.confidence <= 0:
        return KeyHeard(chroma=chroma)
    return KeyHeard(
        PITCH_NAMES[guess.key.tonic],
        guess.key.mode,
        round(guess.confidence, 3),
        tuple((PITCH_NAMES[k.tonic], k.mode, round(p, 3)) for k, p in guess.ranking[1:4]),
        chroma,
    )


def _chords(harmony: Harmony, beats: Beats) -> Chords:
    bar = 60.0 * beats.metre / beats.bpm if beats.bpm else None
    per_bar = None if bar is None or harmony.changes is None else round(harmony.changes * bar / 60.0, 2)
    return Chords(harmony.changes, per_bar, harmony.confidence, harmony.chords)


def _onsets(strength: Strength) -> Onsets:
    if not strength.frames:
        return Onsets()
    length = strength.frames / FRAMES
    times = [strength2times(group)[0] for group in strength.split().T]
    every = np.sort(np.concatenate(times))
    apart = 1 + int((np.diff(every) > TOGETHER).sum()) if len(every) else 0
    return Onsets(*(round(count / length, 2) for count in (apart, *map(len, times))))
