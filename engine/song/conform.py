"""A song held to the DAW's clock: heard, aligned with the sections, warped, brought to the key, measured.

Both stems follow one time map. What was done stands in `Conformed`: how far the song's beats lay from the clock before
and lie after, in milliseconds, as an independent look at the warped sound finds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.listen.beats import sound2beats
from engine.report import Tick, part_of
from engine.score import SCALES, Key
from engine.song.align import Aligned, Heard, Run, align
from engine.song.hear import Audio, Floats, hear_key, hear_song, mixed, stem2mono
from engine.song.wanted import Wanted, pulse_bpm
from engine.song.warp import warp

CATCH = 0.4
"""A beat that is heard further from every pulse than this share of a pulse has nothing to do with it."""
TEMPO_REACH = 1.08
SURE_KEY = 0.5
MOST_SEMITONES = 2
FAR_MS = 10.0
SPARE_SECONDS = 1.0
"""So long after its end a section of a song without a pulse counts as over."""
FAR_TEMPO = 0.12
"""A song whose tempo differs from the clock's by more than this share is audibly stretched."""


@dataclass(frozen=True)
class Residual:
    """How far beats lie from the clock's pulses: milliseconds, over `count` beats."""

    median_ms: float
    p99_ms: float
    count: int


@dataclass(frozen=True)
class Conformed:
    """Stems float32 [2, samples] at the project's rate, and what was done.

    `bpm`: the song's own; None where no pulse was heard, and the song stands as it came. `before`, `after`: residuals,
    None where nothing could be measured. `semitones`: how much higher it was made. `lost`: sections without sound.
    `complete`: how many of the wanted stretches, from the first, the song has left behind by a bar or more.
    """

    stems: dict[str, Audio]
    bpm: float | None
    before: Residual | None
    after: Residual | None
    semitones: int
    remarks: tuple[str, ...]
    lost: tuple[str, ...] = ()
    complete: int = 0


def conform_song(
    stems: dict[str, Audio],
    rate: int,
    wanted: Sequence[Wanted],
    key: Key | None,
    samples: int,
    tick: Tick,
    ringing: int = 0,
) -> Conformed:
    """The song's stems ("vocal", "bgm" or one of them, at the project's `rate`) on the clock; `key`: the one that the
    user gave. `samples`: the length of the take, `ringing`: how much more of what follows the song's last bar."""
    bpm = pulse_bpm(wanted)
    heard = hear_song(stems, rate, bpm)
    tick(0.1)
    if heard is None:
        kept = {kind: _cut(audio, samples + ringing) for kind, audio in stems.items()}
        remark = "no pulse could be heard in the song: it stands as it came, from the first bar on, off the clock."
        length = max(audio.shape[1] for audio in stems.values()) / rate
        over = sum(float(w.pulses[-1]) + SPARE_SECONDS <= length for w in wanted)
        return Conformed(kept, None, None, None, 0, (remark,), complete=over)
    aligned = align(heard, wanted)
    semitones, remarks = _transposition(stems, rate, key)
    came = 60.0 / float(np.median(np.diff(heard.pulses)))
    if abs(came / bpm - 1.0) > FAR_TEMPO:
        remarks.append(
            f"the song came at {came:.0f} beats a minute and was stretched to {bpm:.0f}: another seed may come nearer."
        )
    runs = _rung_out(aligned.runs, heard, max(audio.shape[1] for audio in stems.values()) / rate, ringing / rate)
    out = {}
    for n, (kind, audio) in enumerate(stems.items()):
        part = part_of(tick, 0.1 + 0.8 * n / len(stems), 0.1 + 0.8 * (n + 1) / len(stems))
        out[kind] = warp(audio, runs, samples + ringing, rate, part, voice=kind == "vocal", semitones=semitones)
    after, between = measure({kind: audio[:, :samples] for kind, audio in out.items()}, rate, wanted, aligned)
    if after is None:
        remarks.append("the beats of the result could not be measured.")
    elif after.median_ms > FAR_MS:
        remarks.append(f"half of its beats lie more than {after.median_ms:.0f} ms from the clock.")
    if between:
        remarks.append("its beat can be heard half a pulse off as well: if it swings the wrong way, try another seed.")
    before, told = drift(aligned), (*aligned.remarks, *remarks)
    return Conformed(out, came, before, after, semitones, told, aligned.lost, _complete(aligned, heard))


def _complete(aligned: Aligned, heard: Heard) -> int:
    ends = np.array(aligned.first_bars[1:])
    return int((ends < len(heard.bars) - 1).sum())


def _rung_out(runs: Sequence[Run], heard: Heard, length: float, ringing: float) -> Sequence[Run]:
    """The runs with what follows behind them, at its own speed, where they end with the song or a bar before it."""
    if not runs or runs[-1].source[-1] < heard.pulses[heard.bars[-2]] - 1e-6:
        return runs
    last = runs[-1]
    more = min(length - float(last.source[-1]), ringing)
    if more <= 0:
        return runs
    after = Run(np.append(last.source, last.source[-1] + more), np.append(last.target, last.target[-1] + more))
    return (*runs[:-1], Run(after.source, after.target, last.voice))


def drift(aligned: Aligned) -> Residual | None:
    """How far the song's beats would have lain from the clock, had it only been laid on its first one."""
    if not aligned.runs:
        return None
    first = aligned.runs[0]
    moved = first.target[0] - first.source[0]
    return _residual(np.concatenate([(run.source + moved - run.target) for run in aligned.runs if run.voice]))


def measure(
    stems: dict[str, Audio], rate: int, wanted: Sequence[Wanted], aligned: Aligned
) -> tuple[Residual | None, bool]:
    """Beats of the warped sound against the clock's pulses where the song sounds, and whether they were heard half-way
    between these. They are tracked anew, in a range of tempo around the clock's."""
    mix = mixed(stem2mono(audio, rate) for audio in stems.values())
    bpm = pulse_bpm(wanted)
    tempi = [60.0 / float(step) for w in wanted if not w.gap for step in np.diff(w.pulses)]
    low, high = min(tempi, default=bpm) / TEMPO_REACH, max(tempi, default=bpm) * TEMPO_REACH
    spans = [(run.target[0], run.target[-1]) for run in aligned.runs]
    pulses = np.unique(np.concatenate([w.pulses for w in wanted if not w.gap] or [np.zeros(0)]))
    pulses = pulses[[any(a - 1e-6 <= p <= b + 1e-6 for a, b in spans) for p in pulses]]
    if len(pulses) < 2:
        return None, False
    beats: Floats = np.array(sound2beats(mix, bpm=(low, high)).seconds, dtype=np.float64)
    if len(beats) < 2:
        return None, False
    # What is as strong between the pulses as on them (a snare of twice the tempo) may be what is followed.
    for grid in (pulses, (pulses[1:] + pulses[:-1]) / 2):
        nearest = grid[np.abs(beats[:, None] - grid[None, :]).argmin(axis=1)]
        away = beats - nearest
        near = np.abs(away) < CATCH * float(np.median(np.diff(pulses)))
        if near.sum() >= len(pulses) / 2:
            return _residual(away[near]), grid is not pulses
    return None, False


def _residual(seconds: Floats) -> Residual:
    ms = np.abs(seconds) * 1000
    return Residual(round(float(np.median(ms)), 2), round(float(np.percentile(ms, 99)), 2), len(ms))


def _transposition(stems: dict[str, Audio], rate: int, key: Key | None) -> tuple[int, list[str]]:
    """Semitones to the wanted key, and what the user should know. Keys of one scale (A minor, C major) are one."""
    if key is None:
        return 0, []
    guess = hear_key(stems, rate)
    sure = sum(share for other, share in guess.ranking if _scale(other, 0) == _scale(guess.key, 0))
    if guess.confidence <= 0 or sure < SURE_KEY:
        return 0, ["the song's key could not be heard clearly: it was not transposed."]
    shift = next((d for d in (0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6) if _scale(guess.key, d) == _scale(key, 0)), None)
    if shift is None:
        shift = (key.tonic - guess.key.tonic + 6) % 12 - 6
    name, wanted = guess.key.name, key.name
    if abs(shift) > MOST_SEMITONES:
        return 0, [
            f"the song is in {name}, {abs(shift)} semitones from {wanted}: too far to transpose; try other seeds."
        ]
    if shift:
        way = "up" if shift > 0 else "down"
        return shift, [f"the song came in {name} and was transposed {way} by {abs(shift)} to {wanted}."]
    return 0, []


def _scale(key: Key, semitones: int) -> frozenset[int]:
    """Pitch classes of the key, moved; A minor and C major have the same."""
    return frozenset((key.tonic + step + semitones) % 12 for step in SCALES[key.mode])


def _cut(audio: Audio, samples: int) -> Audio:
    inside = audio[:, :samples]
    return np.pad(inside, ((0, 0), (0, samples - inside.shape[1])))
