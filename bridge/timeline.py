"""The DAW's clock: beats <-> seconds <-> samples, bars and metres.

Conventions
-----------
beat    position in quarter notes from the project's start, float64
second  position from the project's start, float64
sample  index at a sample rate, int; the nearest sample to ``second * rate``, halves upwards
bar     counted from 0 at the clock's first beat; a change of metre always begins a bar

Between two pairs of the clock time is linear in beats. A DAW's tempo ramp is therefore sent as dense
pairs taken from the DAW's own conversion functions; no ramp formula lives here.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bridge.errors import RequestError

MAX_PAIRS = 200_000
MAX_BARS = 20_000
MAX_SECONDS = 6 * 3600.0
MIN_BPM, MAX_BPM = 5.0, 1000.0


@dataclass(frozen=True, slots=True)
class Metre:
    """`beats`/`unit` (6/8 is beats=6, unit=8), in force from quarter-note position `beat`."""

    beat: float
    beats: int
    unit: int

    @property
    def bar_beats(self) -> float:
        """Length of a bar in quarter notes."""
        return self.beats * 4.0 / self.unit


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: `start` and `end` in beats; shorter than the metre says where a change of metre cuts it."""

    index: int
    start: float
    end: float
    metre: Metre


@dataclass(frozen=True)
class Clock:
    """Strictly increasing (beat, second) pairs and the metres over them. Build with `Clock.from_pairs`."""

    beats: tuple[float, ...]
    seconds: tuple[float, ...]
    metres: tuple[Metre, ...]

    @classmethod
    def from_pairs(
        cls,
        pairs: Sequence[tuple[float, float]],
        metres: Sequence[Metre] = (),
        *,
        field: str = "arrangement",
    ) -> Clock:
        """Checks the pairs and metres. Raises `RequestError` naming `{field}.clock[i]` or `{field}.metres[i]`."""
        check_pairs(pairs, f"{field}.clock")
        start, end = pairs[0][0], pairs[-1][0]
        whole = tuple(metres) or (Metre(start, 4, 4),)
        check_metres(whole, start, end, f"{field}.metres")
        return cls(tuple(float(b) for b, _ in pairs), tuple(float(s) for _, s in pairs), whole)

    @classmethod
    def steady(cls, bpm: float, beats: float, *, metre: tuple[int, int] = (4, 4)) -> Clock:
        """A clock of one tempo from beat 0 and second 0."""
        return cls.from_pairs([(0.0, 0.0), (beats, beats * 60.0 / bpm)], [Metre(0.0, *metre)])

    @property
    def start(self) -> float:
        """First beat of the timeline."""
        return self.beats[0]

    @property
    def end(self) -> float:
        """Last beat of the timeline."""
        return self.beats[-1]

    def beat2second(self, beat: float) -> float:
        """Second of `beat`. Outside the timeline the first or last tempo goes on."""
        i = _segment(self.beats, beat)
        b0, b1, s0, s1 = self.beats[i], self.beats[i + 1], self.seconds[i], self.seconds[i + 1]
        if beat == b1:
            return s1
        return s0 + (beat - b0) * ((s1 - s0) / (b1 - b0))

    def second2beat(self, second: float) -> float:
        """Inverse of `beat2second`."""
        i = _segment(self.seconds, second)
        b0, b1, s0, s1 = self.beats[i], self.beats[i + 1], self.seconds[i], self.seconds[i + 1]
        if second == s1:
            return b1
        return b0 + (second - s0) * ((b1 - b0) / (s1 - s0))

    def beat2sample(self, beat: float, rate: int) -> int:
        """Nearest sample to `beat` at `rate` Hz, halves upwards."""
        return second2sample(self.beat2second(beat), rate)

    def sample2beat(self, sample: int, rate: int) -> float:
        """Beat of a sample index; `beat2sample` of the result gives the sample back."""
        return self.second2beat(sample / rate)

    def span2samples(self, start: float, end: float, rate: int) -> int:
        """Samples between two beats: the difference of the rounded ends, so neighbours join without a gap."""
        return self.beat2sample(end, rate) - self.beat2sample(start, rate)

    def bpm_at(self, beat: float) -> float:
        """Quarter notes per minute just after `beat`."""
        i = _segment(self.beats, beat)
        return 60.0 * (self.beats[i + 1] - self.beats[i]) / (self.seconds[i + 1] - self.seconds[i])

    def metre_at(self, beat: float) -> Metre:
        """The metre in force at `beat` (the first one before its own position)."""
        i = bisect_right([m.beat for m in self.metres], beat + 1e-9) - 1
        return self.metres[max(i, 0)]

    def bars(self, start: float | None = None, end: float | None = None) -> Iterator[Bar]:
        """Bars that overlap [start, end), whole timeline by default. Bar 0 begins at the clock's first beat."""
        lo = self.start if start is None else start
        hi = self.end if end is None else end
        index = 0
        for i, metre in enumerate(self.metres):
            at = max(metre.beat, self.start) if i else self.start
            stop = self.metres[i + 1].beat if i + 1 < len(self.metres) else self.end
            count = max(0, math.ceil((stop - at) / metre.bar_beats - 1e-9))
            for k in range(count):
                first = at + k * metre.bar_beats
                last = min(at + (k + 1) * metre.bar_beats, stop)
                if last > lo + 1e-9 and first < hi - 1e-9:
                    yield Bar(index + k, first, last, metre)
            index += count


def second2sample(second: float, rate: int) -> int:
    """Nearest sample index to a second, halves upwards."""
    return math.floor(second * rate + 0.5)


def check_pairs(pairs: Sequence[tuple[float, float]], field: str) -> None:
    """Raises `RequestError` for a clock that no DAW can mean."""
    if len(pairs) < 2:
        raise RequestError(
            "clock.too_short",
            "the clock needs at least two (beat, second) pairs.",
            field=field,
            hint="Send the start and the end of the timeline.",
        )
    if len(pairs) > MAX_PAIRS:
        raise RequestError(
            "clock.too_long",
            f"{len(pairs)} pairs; at most {MAX_PAIRS}.",
            field=field,
            hint="Send pairs only where the tempo changes.",
        )
    for i, (beat, second) in enumerate(pairs):
        if not (math.isfinite(beat) and math.isfinite(second)):
            raise RequestError("clock.not_finite", "beat and second must be finite numbers.", field=f"{field}[{i}]")
        if abs(beat) > 1e7 or abs(second) > 1e6:
            raise RequestError(
                "clock.out_of_range", f"({beat:g}, {second:g}) is outside any project.", field=f"{field}[{i}]"
            )
        if i == 0:
            continue
        beats, seconds = beat - pairs[i - 1][0], second - pairs[i - 1][1]
        if beats <= 0 or seconds <= 0:
            raise RequestError(
                "clock.not_increasing",
                "beat and second must both be greater than in the pair before.",
                field=f"{field}[{i}]",
                hint="Sort the tempo points.",
            )
        bpm = 60.0 * beats / seconds
        if not MIN_BPM <= bpm <= MAX_BPM:
            raise RequestError(
                "clock.tempo",
                f"{bpm:.3g} bpm between this pair and the one before; {MIN_BPM:g} to {MAX_BPM:g} are played.",
                field=f"{field}[{i}]",
            )
    if pairs[-1][1] - pairs[0][1] > MAX_SECONDS:
        raise RequestError(
            "clock.too_long",
            f"the timeline is longer than {MAX_SECONDS / 3600:g} hours.",
            field=field,
            hint="Ask for a part of the project.",
        )


def check_metres(metres: Sequence[Metre], start: float, end: float, field: str) -> None:
    """Raises `RequestError` for metres out of order, impossible, or giving more than `MAX_BARS` bars."""
    bars = 0.0
    for i, metre in enumerate(metres):
        where = f"{field}[{i}]"
        if not math.isfinite(metre.beat):
            raise RequestError("metre.not_finite", "the metre's beat must be a finite number.", field=where)
        if not 1 <= metre.beats <= 32 or metre.unit not in (1, 2, 4, 8, 16, 32):
            raise RequestError(
                "metre.impossible",
                f"{metre.beats}/{metre.unit} is not a metre.",
                field=where,
                hint="1-32 beats of a 1/1 to 1/32 unit.",
            )
        if i and metre.beat <= metres[i - 1].beat:
            raise RequestError("metre.not_increasing", "metres must follow each other in time.", field=where)
        if i and not start < metre.beat < end:
            raise RequestError(
                "metre.outside", f"beat {metre.beat:g} is outside the timeline ({start:g} to {end:g}).", field=where
            )
        if i == 0 and metre.beat > start:
            raise RequestError(
                "metre.late", f"the first metre must be in force at the timeline's start (beat {start:g}).", field=where
            )
        stop = metres[i + 1].beat if i + 1 < len(metres) else end
        bars += (stop - max(metre.beat, start)) / metre.bar_beats
    if bars > MAX_BARS:
        raise RequestError(
            "metre.too_many_bars",
            f"about {bars:.3g} bars; at most {MAX_BARS}.",
            field=field,
            hint="Ask for a part of the project.",
        )


def _segment(points: Sequence[float], x: float) -> int:
    """Index i with points[i] <= x < points[i + 1], clamped to the first and last segment."""
    return min(max(bisect_right(points, x) - 1, 0), len(points) - 2)
