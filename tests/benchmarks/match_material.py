"""What `tests.benchmarks.match` matches: a song of the band's, real clips, and songs in banks and effects that nothing
in the engine was made from.

Real clips: the package `immich-memories-music` (made by ACE-Step). Held-out sounds: another song through the General
MIDI bank of `pretty_midi`, played by tinysoundfont, behind an equaliser, saturation, a room and a width control, all
drawn at random; presets that measure like one of the catalogue's (twins) are left out.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile
import soxr
from numpy.typing import NDArray

from bridge.timeline import Clock
from engine.compose import Writers
from engine.diffusion.parts import PartsModel
from engine.lelm.plan import PlanModel
from engine.sampler import Bank, Instrument, candidates
from engine.sampler.twins import TWIN_DB, difference, image
from engine.score import Part, Score
from tests.benchmarks.music import compose, song

Audio = NDArray[np.float32]
RATE = 48000
HALF_SECONDS = 12.0
"""A reference is given its first so many seconds, and judged by the next."""
ROLES = ("drums", "bass", "keys", "pad", "lead")
PROGRAMS = {
    "bass": range(32, 40),
    "keys": (*range(8), *range(16, 21)),
    "pad": (*range(48, 55), *range(88, 96)),
    "lead": (*range(56, 88), 40, 41),
}
KITS = (0, 8, 16, 24, 25, 40)
PLAYED = ("hard rock", 11)
"""Style and seed of the song that is brought to all references."""
OTHER = ("neo-soul", 23)
FROM_BAR, BARS, REST_BARS = 12, 13, 2
"""Bars that are played, and bars of rest behind them, in which all that rings on dies away."""
ALL = slice(None)


@dataclass(frozen=True)
class Clip:
    """A reference: `given` to the engine, `judged` by, float32 [2, samples] at `RATE`. `truth`: the played song in the
    reference's very sound, where that can be had."""

    name: str
    given: Audio
    judged: Audio
    truth: Audio | None = None


@lru_cache(maxsize=1)
def writers() -> Writers:
    return Writers(PlanModel.load(), PartsModel.load())


@lru_cache(maxsize=4)
def excerpt(style: str, seed: int) -> tuple[Score, Clock]:
    """Thirteen bars from the first chorus on of a song of the band's, beginning at beat 0, without the arpeggio; then
    two of rest."""
    score = compose(style, seed, writers())
    clock = song(style, seed).arrangement.timeline()
    low, high = 4.0 * FROM_BAR, 4.0 * (FROM_BAR + BARS)
    parts = []
    for part in score.parts:
        notes = tuple(replace(n, start=n.start - low) for n in part.notes if low <= n.start < high)
        if part.role in ROLES and notes:
            parts.append(replace(part, notes=notes))
    return replace(score, parts=tuple(parts), chords=()), Clock.steady(clock.bpm_at(0.0), high - low + 4.0 * REST_BARS)


def played(audio: Audio, clock: Clock) -> Audio:
    """A sound of an excerpt without the rest at its end."""
    return audio[:, : round(clock.beat2second(4.0 * BARS) * RATE)]


def real_clips(count: int, which: slice = ALL) -> list[Clip]:
    """Of so many clips of the package, evenly over moods and kinds, those that are asked for; none where it is not
    installed."""
    spec = importlib.util.find_spec("immich_memories_music")
    if spec is None or spec.origin is None:
        return []
    files = sorted(Path(spec.origin).parent.glob("tracks/*/*.opus"))
    files = [files[i] for i in np.linspace(0, len(files) - 1, min(count, len(files))).round().astype(int)]
    return [_halves(file.stem, *_read(file)) for file in files[which]]


def held_out_sounds(count: int, which: slice = ALL, seed: int = 0) -> list[Clip]:
    """The other song in sounds of the held-out bank: of so many those that are asked for; none where the bank is not
    installed."""
    font = held_out_font()
    wanted = range(count)[which]
    if font is None or not wanted:
        return []
    rng = np.random.default_rng(seed)
    free = {role: untwinned(role, font) for role in PROGRAMS}
    clips = []
    for number in range(count):
        programs = {role: int(rng.choice(free[role])) for role in PROGRAMS} | {"drums": int(rng.choice(KITS))}
        effects = int(rng.integers(1 << 30))
        if number not in wanted:
            continue
        given = _dress(*excerpt(*OTHER), font, programs, effects)
        score, clock = excerpt(*PLAYED)
        truth = played(_dress(score, clock, font, programs, effects), clock)
        clips.append(replace(_halves(f"held out {number}", given, RATE), truth=truth))
    return clips


def held_out_font() -> Path | None:
    """The bank, where both it and its player are installed."""
    spec = importlib.util.find_spec("pretty_midi")
    if spec is None or spec.origin is None or importlib.util.find_spec("tinysoundfont") is None:
        return None
    path = Path(spec.origin).parent / "TimGM6mb.sf2"
    return path if path.is_file() else None


@lru_cache(maxsize=8)
def untwinned(role: str, font: Path) -> tuple[int, ...]:
    """Programs of the held-out bank that no instrument of the catalogue measures like."""
    ours, theirs = Bank.open(), Bank.open(font)
    known = [image(ours, role, instrument) for instrument in candidates(ours, role)]
    free = []
    for program in PROGRAMS[role]:
        if (0, program) in theirs.font.presets:
            mine = image(theirs, role, Instrument("", "soundfont", 0, program, "", 0.0, 0.0, None, 0.0))
            if min(difference(mine, other) for other in known) >= TWIN_DB:
                free.append(program)
    return tuple(free)


def _dress(score: Score, clock: Clock, font: Path, programs: dict[str, int], effects: int) -> Audio:
    """The score through the bank and a chain of effects."""
    rng = np.random.default_rng(effects)
    sound = sum(
        (play_part(part, clock, font, programs[part.role]) for part in score.parts), np.zeros((2, 1), np.float32)
    )
    frequency = np.geomspace(30, 20000, 8)
    tone = np.interp(np.log(np.linspace(1, 24000, 1025)), np.log(frequency), rng.normal(0, 5, 8))
    equaliser = scipy.signal.firwin2(1023, np.linspace(0, 1, 1025), 10 ** (np.clip(tone, -12, 12) / 20))
    sound = scipy.signal.oaconvolve(sound, equaliser[None], axes=1)[:, 511:-511]
    sound = np.tanh(sound / np.abs(sound).max() * rng.uniform(1.0, 5.0))
    seconds = rng.uniform(0.2, 1.5)
    time = np.arange(int(seconds * RATE)) / RATE
    tail = rng.standard_normal((2, len(time))) * 10 ** (-3 * time / seconds)
    tail *= 10 ** (rng.uniform(-30, -10) / 20) / np.sqrt((tail**2).sum(axis=1, keepdims=True))
    sound = sound + scipy.signal.oaconvolve(sound, tail, axes=1)[:, : sound.shape[1]]
    middle, side = (sound[0] + sound[1]) / 2, (sound[0] - sound[1]) / 2 * rng.uniform(0.2, 1.8)
    sound = np.stack([middle + side, middle - side])
    return np.asarray(sound * 10 ** (rng.uniform(-12, -3) / 20) / np.abs(sound).max(), dtype=np.float32)


def play_part(part: Part, clock: Clock, font: Path, program: int) -> Audio:
    """A part by one program of the bank, as its player makes it."""
    import tinysoundfont

    synth = tinysoundfont.Synth(samplerate=RATE, gain=-12)
    channel = 9 if part.role == "drums" else 0
    bank = synth.sfload(str(font))
    synth.program_select(channel, bank, 128 if channel == 9 else 0, program)
    events = sorted(
        [(clock.beat2second(n.end), 0, n.pitch, 0) for n in part.notes]
        + [(clock.beat2second(n.start), 1, n.pitch, n.velocity) for n in part.notes]
    )
    out, at = [], 0
    for second, on, pitch, velocity in [*events, (clock.beat2second(clock.end), 0, 0, 0)]:
        until = min(round(second * RATE), round(clock.beat2second(clock.end) * RATE))
        if until > at:
            out.append(np.frombuffer(synth.generate(until - at), np.float32).reshape(-1, 2).copy())
            at = until
        if on:
            synth.noteon(channel, pitch, velocity)
        elif pitch:
            synth.noteoff(channel, pitch)
    return np.ascontiguousarray(np.concatenate(out).T)


def _halves(name: str, audio: Audio, rate: int) -> Clip:
    sound = audio if rate == RATE else soxr.resample(audio.T, rate, RATE).T.astype(np.float32)
    middle = round(HALF_SECONDS * RATE)
    return Clip(name, np.ascontiguousarray(sound[:, :middle]), np.ascontiguousarray(sound[:, middle : 2 * middle]))


def _read(path: Path) -> tuple[Audio, int]:
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return np.ascontiguousarray(audio.T), rate


def names(clips: Sequence[Clip]) -> list[str]:
    return [clip.name for clip in clips]
