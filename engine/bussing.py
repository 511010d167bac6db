"""One stem through its group's bus stage: filtered and moved, silent where it should be, below full scale, checked.

A song's length does not matter: what is played and what becomes of it lie on tapes and are worked on in windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.checks import Problem
from engine.checks.levels import audio2lufs
from engine.match import (
    Curves,
    audio2blocks,
    flat_curves,
    hold_silence_in_place,
    loud_rests,
    stream_curves,
)
from engine.rests import part2rests, usual_in_rests
from engine.sampler import Instrument
from engine.sampler.mix import limit_in_place
from engine.score import Part
from engine.sounds import Sound
from engine.splice import finish_tape, splice_tapes
from engine.standins import STANDS_IN, repaired
from engine.stems import StemMaker
from engine.tape import Sounding, Tape, add_onto, loudest

SURELY_BELOW = 0.6
"""No sound whose samples stay below this has a true peak near full scale."""
PLAYERS_FAULTS = ("onset.", "pitch.", "silence.")
"""Codes of problems that an instrument has before any bus stage."""


@dataclass(frozen=True)
class Played:
    """A part on tape with what rings on, and who plays it; `why` another one than was chosen, or empty."""

    raw: Tape
    instrument: Instrument
    why: str = ""


def play_tested(stems: StemMaker, part: Part, chosen: Instrument, raw: Tape) -> Played:
    """What the chosen instrument has played; what the usual one makes of the part where the chosen one fails at it and
    the usual one does so less. Tested before the bus stage is found, which fits who plays."""
    usual = stems.instrument(part)
    if usual == chosen:
        return Played(raw, chosen)
    wrong = _faults(stems, part, raw)
    if not wrong:
        return Played(raw, chosen)
    plain = stems.tape(part, usual, 0, raw.shape[1], lambda _: None)
    if len(_faults(stems, part, plain)) >= len(wrong):
        return Played(raw, chosen)
    return Played(plain, usual, f"played by {usual.name} instead of {chosen.name}: {wrong[0].message}")


def _faults(stems: StemMaker, part: Part, raw: Tape) -> list[Problem]:
    found = stems.check(raw.until(stems.frame.samples), part).problems
    return [problem for problem in found if problem.code.startswith(PLAYERS_FAULTS)]


def finish(stems: StemMaker, part: Part, played: Played, curves: Curves) -> Sound:
    """A part's sound from what was played. Where a check fails that the usual instrument passes, that one plays in its
    place, and where it fails because of the bus stage, the guide stands in as it is, as loud."""
    raw, instrument = played.raw, played.instrument
    sound = _checked(stems, part, instrument, raw, curves)
    if sound.verdict.good:
        return repaired(sound, played.why) if played.why else sound
    why = sound.verdict.problems[0].message
    usual = stems.instrument(part)
    plain = raw if usual == instrument else stems.tape(part, usual, 0, raw.shape[1], lambda _: None)
    if usual != instrument:
        again = _checked(stems, part, usual, plain, curves)
        if len(again.verdict.problems) < len(sound.verdict.problems):
            return repaired(again, f"played by {usual.name} instead of {instrument.name}: {why}")
    samples, rate = stems.frame.samples, stems.frame.rate
    matched = _through(raw, curves, 0, raw.shape[1], 0)
    lufs = [audio2lufs(tape.until(samples), rate) for tape in (matched, plain)]
    gain = lufs[0] - lufs[1] if lufs[0] is not None and lufs[1] is not None else 0.0
    # As loud as the match would be; or as the sampler plays it, where the limiter is what does the harm.
    for flat in (flat_curves(curves, gain), replace(flat_curves(curves, 0.0), level=np.zeros(1, np.int16))):
        guide = _checked(stems, part, usual, plain, flat)
        if len(guide.verdict.problems) < len(sound.verdict.problems):
            return replace(repaired(guide, f"{STANDS_IN}: {why}"), renderer="guide")
    return repaired(sound, played.why) if played.why else sound


def _checked(stems: StemMaker, part: Part, instrument: Instrument, raw: Tape, curves: Curves) -> Sound:
    frame = stems.frame
    with stems.watch.timing("match", part.name):
        audio = settled(stems, part, instrument, (raw, 0), curves, 0, raw.shape[1])
    old = stems.edited(part)
    if old is None:
        audio, tail = finish_tape(audio, frame.samples, stems.request.tail, frame.rate)
    else:
        before, tail = stems.tape_before(old)
        spans = stems.scope_spans()
        mode = "file" if stems.request.tail == "file" else "cut"
        new, ringing = finish_tape(audio, frame.samples, mode, frame.rate)
        tail = ringing if spans[-1][1] == frame.samples else tail
        audio = splice_tapes(before, new, spans, frame.rate)
    return Sound(audio, tail, instrument, stems.check(audio, part))


def settled(
    stems: StemMaker,
    part: Part,
    instrument: Instrument,
    raw: tuple[Tape, int],
    curves: Curves,
    start: int,
    stop: int,
) -> Tape:
    """Samples [start, stop) of the matched stem: silent where what was played (a tape, and where it begins) is and
    where the usual instrument would be, and below full scale: stems may reach above it where others take away from
    their sum."""
    frame, usual = stems.frame, stems.instrument(part)
    audio = _through(raw[0], curves, start, stop, raw[1])
    guides = [audio2blocks(raw[0], frame.rate, raw[1])]
    if usual.name != instrument.name:
        rests = part2rests(part, stems.clock, frame.rate, frame.start_sample, stop)
        guides += usual_in_rests(
            stems, part, usual, loud_rests(audio2blocks(audio, frame.rate, start), frame.rate, rests)
        )
    hold_silence_in_place(audio, frame.rate, start, guides)
    if loudest(audio) >= SURELY_BELOW:
        limit_in_place(audio, frame.rate)
    return audio


def _through(raw: Sounding, curves: Curves, start: int, stop: int, begin: int) -> Tape:
    """Samples [start, stop) as the curves make them of a sound that begins at sample `begin` of theirs."""
    out, at = Tape(stop - start), 0
    for piece in stream_curves(raw, curves, start, stop, begin):
        out.write(at, piece)
        at += piece.shape[1]
    return out


def add_up(sounds: Sequence[Sounding], samples: int) -> Tape:
    """The sum of sounds [2, `samples` or more], one added after the other."""
    total = Tape(samples)
    for sound in sounds:
        add_onto(total, sound)
    return total
