"""The verdict on a stem: everything that is measured before it may reach a track.

Conventions: audio is [2, samples] float32 at the project's rate; its first sample is the project's `start_sample`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.messages import Checks
from bridge.timeline import Clock
from engine.checks.levels import (
    audio2lufs,
    audio2true_peak,
    clipped_runs,
    count_unreal,
    db,
    dc_offset,
    silent_notes,
)
from engine.checks.onsets import measure_onsets, score2times, times2clusters
from engine.checks.pitch import in_key_rate, measure_tuning
from engine.score import Chord, Key, Part
from engine.tape import Audio, Sounding, loudest

MEDIAN_MS, P99_MS = 2.0, 10.0
FEW_ONSETS, CLEAR_SHARE = 8, 0.2
"""With fewer clear onsets than this, or a smaller share of those tried, a stem's timing cannot be judged."""
FEW_AWAY = 3
"""One or two onsets out of place may be the measure's own fault: they are reported, not judged."""
DRUMS_CLEAR = 0.5
STRAY_SHARE = 0.1
IN_KEY_GIVEN, IN_KEY_HEARD = 0.98, 0.90
FIT = 0.2
MAX_TRUE_PEAK = 0.0
MAX_DC = 0.015
SILENT_SHARE = 0.02
MIX_DB = -120.0


@dataclass(frozen=True)
class Problem:
    """Something wrong with a stem. `code` is stable (`onset.late`); `message` is for the musician."""

    code: str
    message: str


@dataclass(frozen=True)
class StemVerdict:
    """`checks`: the measured numbers; `problems`: what must not reach a track, empty when the stem is good;
    `clear_onsets`: how many onsets the timing was measured on."""

    checks: Checks
    problems: tuple[Problem, ...] = ()
    clear_onsets: int = 0

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def check_stem(
    audio: Sounding,
    part: Part,
    clock: Clock,
    key: Key,
    rate: int,
    start_sample: int,
    samples: int,
    *,
    chords: Sequence[Chord] = (),
    keys: Sequence[tuple[float, Key]] = (),
    attack_ms: float = 0.0,
) -> StemVerdict:
    """Measures a stem against its performed part.

    `samples`: the exact length it must have. `chords`: given ones allow notes outside the key. `keys`: a song's several
    keys as (beat, key), `key` being the first. `attack_ms`: how late the instrument speaks when a note is rendered
    alone, taken off the onsets (0 for the sampler).
    """
    broken = _shape(audio, samples)
    if broken:
        return StemVerdict(Checks(in_key=in_key_rate(part, key, chords, keys)), broken)
    inside = _inside(part, clock, rate, start_sample, samples)
    problems = _levels(audio, inside, clock, rate, start_sample)
    onsets = measure_onsets(audio, inside, clock, rate, start_sample, attack_ms=attack_ms)
    judged = onsets.clear >= max(FEW_ONSETS, CLEAR_SHARE * onsets.alone)
    median, p99 = (onsets.median_ms, onsets.p99_ms) if judged else (None, None)
    if median is not None and p99 is not None:
        problems += _timing(median, p99, onsets.differences)
    if len(onsets.strays) > max(3, STRAY_SHARE * onsets.gaps):
        at = clock.second2beat(onsets.strays[0] + start_sample / rate)
        problems.append(Problem("onset.stray", f"sounds begin where no note does, first about beat {at:.2f}."))
    if part.role == "drums" and onsets.alone >= FEW_ONSETS and onsets.clear < DRUMS_CLEAR * onsets.alone:
        problems.append(Problem("onset.missing", f"only {onsets.clear} of {onsets.alone} hits can be heard as such."))
    in_key = in_key_rate(part, key, chords, keys)
    problems += _pitch(audio, inside, clock, key, rate, start_sample, in_key)
    checks = Checks(
        onset_ms_median=median,
        onset_ms_p99=p99,
        in_key=in_key,
        true_peak_dbfs=audio2true_peak(audio),
        lufs=audio2lufs(audio, rate),
    )
    if checks.true_peak_dbfs is not None and checks.true_peak_dbfs > MAX_TRUE_PEAK:
        problems.append(Problem("peak.over", f"the true peak is {checks.true_peak_dbfs:+.1f} dBFS, above full scale."))
    return StemVerdict(checks, tuple(problems), onsets.clear)


def check_mix(stems: Sequence[Audio], mix_before_limiter: Audio) -> Problem | None:
    """The stems must sum to the mix, before its limiter, within -120 dB of full scale."""
    if any(s.shape != mix_before_limiter.shape for s in stems):
        return Problem("mix.length", "a stem and the mix differ in length or channels.")
    total = np.zeros(mix_before_limiter.shape, dtype=np.float64)
    for stem in stems:
        total += stem
    error = db(float(np.abs(total - mix_before_limiter).max(initial=0.0)))
    if error <= MIX_DB:
        return None
    return Problem("mix.sum", f"the stems do not sum to the mix: they differ by {error:.0f} dBFS.")


def _shape(audio: Sounding, samples: int) -> tuple[Problem, ...]:
    """What makes every other measure pointless."""
    if len(audio.shape) != 2 or audio.shape[0] != 2:
        return (Problem("length.channels", f"the stem has shape {audio.shape}, not [2, samples]."),)
    if audio.shape[1] != samples:
        return (Problem("length.wrong", f"the stem has {audio.shape[1]} samples, not {samples}."),)
    bad = count_unreal(audio)
    if bad:
        return (Problem("level.nan", f"{bad} samples are no numbers."),)
    return ()


def _inside(part: Part, clock: Clock, rate: int, start_sample: int, samples: int) -> Part:
    """The part with the notes that begin within the stem."""
    first, last = start_sample / rate, (start_sample + samples) / rate
    notes = tuple(n for n in part.notes if first - 0.5 / rate <= clock.beat2second(n.start) + n.offset_ms / 1000 < last)
    return Part(part.name, part.role, notes, part.instrument)


def _levels(audio: Sounding, part: Part, clock: Clock, rate: int, start_sample: int) -> list[Problem]:
    """Silence, holes, clipping, offset."""
    problems: list[Problem] = []
    times, velocities = score2times(part, clock, rate, start_sample)
    if len(times) and db(loudest(audio)) < -70.0:
        return [Problem("silence.dead", "the stem is silent, but its part has notes.")]
    starts, _, _ = times2clusters(times, velocities, rate)
    silent = silent_notes(audio, starts, rate)
    if len(silent) > max(1.0, SILENT_SHARE * len(starts)):
        first = clock.second2beat((silent[0] + start_sample) / rate)
        problems.append(
            Problem(
                "silence.gap", f"{len(silent)} of {len(starts)} notes are not heard, the first at beat {first:.2f}."
            )
        )
    clipped = clipped_runs(audio)
    if clipped > 2:
        problems.append(Problem("level.clipped", f"the wave is cut flat in {clipped} places."))
    offset = dc_offset(audio)
    if offset > MAX_DC:
        problems.append(Problem("level.offset", f"there is a constant offset of {db(offset):.0f} dBFS."))
    return problems


def _timing(median: float, p99: float, differences: NDArray[np.float64]) -> list[Problem]:
    if median > MEDIAN_MS:
        bias = float(np.median(differences))
        way = "late" if bias > 0 else "early"
        return [Problem(f"onset.{way}", f"notes begin {abs(bias):.1f} ms {way} (median error {median:.1f} ms).")]
    away = int(np.sum(np.abs(differences) > P99_MS))
    if p99 > P99_MS and away >= FEW_AWAY:
        return [Problem("onset.spread", f"{away} of {len(differences)} notes are over {P99_MS:.0f} ms away.")]
    return []


def _pitch(
    audio: Sounding, part: Part, clock: Clock, key: Key, rate: int, start_sample: int, in_key: float | None
) -> list[Problem]:
    problems: list[Problem] = []
    least = IN_KEY_GIVEN if key.given else IN_KEY_HEARD
    if in_key is not None and in_key < least:
        problems.append(Problem("key.outside", f"only {in_key:.0%} of the notes lie in {key.name}."))
    tuning = measure_tuning(audio, part, clock, rate, start_sample)
    if tuning is None:
        return problems
    whole, stretches = tuning
    off = [t for t in stretches if t.off and t.fit >= FIT and t.cents != whole.cents]
    if whole.fit < FIT:
        problems.append(Problem("pitch.unclear", "what sounds does not have the pitches of its notes."))
    elif whole.off:
        problems.append(Problem("pitch.off", f"the stem sounds {whole.cents:+.0f} cents away from its notes."))
    elif off:
        beat = clock.second2beat(off[0].second + start_sample / rate)
        problems.append(Problem("pitch.off", f"from beat {beat:.1f} on it sounds {off[0].cents:+.0f} cents off."))
    return problems
