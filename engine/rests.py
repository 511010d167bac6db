"""A part's rests, and how the band's usual instrument sounds in them: what a matched stem is held to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bridge.timeline import Clock, second2sample
from engine.match import Blocks, audio2blocks
from engine.sampler import Instrument
from engine.score import Part
from engine.stems import StemMaker

LEAST_SECONDS = 0.5
RINGING_SECONDS = 1.0
"""Notes that end so long before a rest are played to hear what rings into it."""


def part2rests(part: Part, clock: Clock, rate: int, start_sample: int, samples: int) -> list[tuple[int, int]]:
    """[start, stop) in samples of a stem of this length: where no note of the part is held, half a second or more."""
    held = sorted(
        tuple(
            second2sample(clock.beat2second(beat) + n.offset_ms / 1000, rate) - start_sample
            for beat in (n.start, n.end)
        )
        for n in part.notes
    )
    found, at = [], 0
    for on, off in [*held, (samples, samples)]:
        if on - at >= LEAST_SECONDS * rate:
            found.append((at, min(on, samples)))
        at = max(at, off)
    return [(start, stop) for start, stop in found if start < samples]


def usual_in_rests(stems: StemMaker, part: Part, usual: Instrument, rests: Sequence[tuple[int, int]]) -> list[Blocks]:
    """How loud the usual instrument is in each rest [start, stop), in samples of the stem: the ringing of the notes
    before it."""
    rate, first = stems.frame.rate, stems.frame.start_sample
    heard = []
    for start, stop in rests:
        low, high = ((first + start) / rate - RINGING_SECONDS, (first + start) / rate)
        notes = tuple(
            n for n in part.notes if low <= stems.clock.beat2second(n.end) + n.offset_ms / 1000 <= high + 1 / rate
        )
        ringing = replace(part, notes=notes)
        heard.append(audio2blocks(stems.tape(ringing, usual, start, stop, lambda _: None), rate, start))
    return heard
