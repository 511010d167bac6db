"""A stem by the sampler: its instrument, its notes played whole or within an edit's spans, and what is measured."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

import msgspec

from bridge.arrangement import KeyAt
from bridge.handover.manifest import StemFiles
from bridge.handover.take import Frame
from bridge.messages import Render
from bridge.timeline import Clock
from engine.checks import StemVerdict, check_stem
from engine.previous import PreviousTake
from engine.report import ShareReporter, Stopwatch, Tick
from engine.sampler import Bank, Instrument, choose_instrument, render_part, stream_part
from engine.scope import scope2spans
from engine.score import PITCH_NAMES, Part, Score
from engine.sounds import Sound
from engine.splice import finish_tape, join_spans, splice_tapes
from engine.tape import Audio, Sounding, Tape, put_onto

TAIL_SECONDS = 6.0
"""Longest ringing that is rendered past a stem's end."""
LEAD_SECONDS = 0.01
"""So much before a span is played with it, to see whether the sound there is the same as before."""
DOUBLE_PAN = 0.35
"""Pan (-1 to 1) of a second part whose role sits in the middle."""


@dataclass(frozen=True)
class StemMaker:
    """What the stems of one take are played from. `score` is performed; `previous` is the take that the request's scope
    edits; `playing` is held while the bank plays, which holds one note at a time."""

    request: Render
    clock: Clock
    frame: Frame
    score: Score
    previous: PreviousTake | None
    bank: Bank
    watch: Stopwatch
    playing: threading.Lock

    def make(self, part: Part, share: ShareReporter, at: float, width: float) -> Sound:
        """The part played and checked; where a check fails, played again by the role's plain instrument."""
        instrument = self.instrument(part)
        sound = self._play(part, instrument, share, at, width)
        if not sound.verdict.problems:
            return sound
        with self.playing:
            plain = self.seat(part, choose_instrument(self.bank, part.role, "", ""))
        if plain == instrument:
            return sound
        again = self._play(part, plain, share, at, width)
        if again.verdict.problems:
            return sound
        repaired = (f"played by {plain.name} instead of {instrument.name}: {sound.verdict.problems[0].message}",)
        checks = msgspec.structs.replace(again.verdict.checks, repaired=repaired)
        return replace(again, verdict=replace(again.verdict, checks=checks))

    def instrument(self, part: Part) -> Instrument:
        """Who plays the part, in its seat."""
        with self.playing:
            chosen = choose_instrument(self.bank, part.role, part.instrument, self.request.style)
        return self.seat(part, chosen)

    def guide(self, part: Part, ringing: int, tick: Tick) -> Audio:
        """float32 [2, samples + ringing]: the whole part by its instrument, and what rings on."""
        return self.play(part, self.instrument(part), 0, self.frame.samples + ringing, tick)

    def play(self, part: Part, instrument: Instrument, start: int, stop: int, tick: Tick) -> Audio:
        """float32 [2, stop - start]: samples [start, stop) of the stem, and beyond its end what rings on."""
        frame = self.frame
        with self.playing, self.watch.timing("guide", part.name):
            return render_part(
                self.bank,
                part,
                instrument,
                self.clock,
                frame.rate,
                frame.start_sample + start,
                stop - start,
                0,
                tick,
            )

    def tape(self, part: Part, instrument: Instrument, start: int, stop: int, tick: Tick) -> Tape:
        """The same on disk."""
        frame = self.frame
        out, at = Tape(stop - start), 0
        with self.playing, self.watch.timing("guide", part.name):
            for piece in stream_part(
                self.bank,
                part,
                instrument,
                self.clock,
                frame.rate,
                frame.start_sample + start,
                stop - start,
                tick,
            ):
                out.write(at, piece)
                at += piece.shape[1]
        return out

    def check(self, audio: Sounding, part: Part) -> StemVerdict:
        """Everything that is measured on a stem before it may reach a track."""
        frame = self.frame
        with self.watch.timing("check", part.name):
            return check_stem(
                audio,
                part,
                self.clock,
                self.score.key,
                frame.rate,
                frame.start_sample,
                frame.samples,
                chords=[chord for chord in self.score.chords if chord.given],
                keys=self.score.keys,
            )

    def edited(self, part: Part) -> StemFiles | None:
        """The files of the part in the take that is edited, if it has it."""
        return self.previous.stem(part.name) if self.previous is not None else None

    def before(self, old: StemFiles) -> tuple[Audio, Audio | None]:
        """The edited take's sound of a stem, and its tail's."""
        assert self.previous is not None
        tail = None if old.tail is None else self.previous.audio(old.tail.wav)
        return self.previous.audio(old.wav), tail

    def tape_before(self, old: StemFiles) -> tuple[Tape, Audio | None]:
        """The same with the stem on disk."""
        assert self.previous is not None
        tail = None if old.tail is None else self.previous.audio(old.tail.wav)
        return self.previous.tape(old.wav), tail

    def scope_spans(self) -> list[tuple[int, int]]:
        """The scope as spans of samples within a stem."""
        scope, frame = self.request.scope, self.frame
        assert scope is not None
        ends = [
            [self.clock.beat2sample(beat, frame.rate) - frame.start_sample for beat in span]
            for span in scope2spans(scope, self.score.sections)
        ]
        return join_spans([(start, end) for start, end in ends])

    def seat(self, part: Part, instrument: Instrument) -> Instrument:
        """Parts of one role sit apart: every other one on the far side of the first."""
        rank = [p.name for p in self.score.parts if p.role == part.role].index(part.name)
        if rank == 0 or part.role in ("drums", "bass"):
            return instrument
        return replace(instrument, pan=(-1.0) ** rank * (instrument.pan or DOUBLE_PAN))

    def _play(self, part: Part, instrument: Instrument, share: ShareReporter, at: float, width: float) -> Sound:
        """The part through the sampler, whole or, in an edit, only the scope's spans of it; then measured whole."""
        old = self.edited(part)
        tick = share.tick(f"guide: {part.name}", at, at + 0.7 * width)
        if old is None:
            audio, tail = self._span(part, instrument, 0, self.frame.samples, self.request.tail, tick)
        else:
            audio, tail = self._replay(part, instrument, old, tick)
        share.progress(f"check: {part.name}", at + 0.75 * width)
        return Sound(audio, tail, instrument, self.check(audio, part))

    def _span(
        self, part: Part, instrument: Instrument, start: int, end: int, mode: str, tick: Tick
    ) -> tuple[Tape, Audio | None]:
        """Samples [start, end) of the part, and what rings on past the stem's end where the span reaches it."""
        frame = self.frame
        ringing = round(TAIL_SECONDS * frame.rate) if end == frame.samples else 0
        tape = self.tape(part, instrument, start, end + ringing, tick)
        return finish_tape(tape, end - start, mode, frame.rate)

    def _replay(self, part: Part, instrument: Instrument, old: StemFiles, tick: Tick) -> tuple[Tape, Audio | None]:
        """The earlier take's stem with the scope's spans played anew. A loop's end no longer rings into its start."""
        frame = self.frame
        before, tail = self.tape_before(old)
        new, spans = Tape.of(before), self.scope_spans()
        for start, end in spans:
            lead = max(0, start - round(LEAD_SECONDS * frame.rate))
            mode = "file" if self.request.tail == "file" else "cut"
            played, ringing = self._span(part, instrument, lead, end, mode, tick)
            put_onto(new, lead, played)
            tail = ringing if end == frame.samples else tail
        return splice_tapes(before, new, spans, frame.rate), tail


def request2frame(request: Render, clock: Clock, score: Score) -> Frame:
    """The piece of the clock that every stem of a take covers."""
    arrangement = request.arrangement
    key = KeyAt(arrangement.start, PITCH_NAMES[score.key.tonic], score.key.mode)
    return Frame.of(
        clock,
        arrangement.sample_rate,
        [(s.name, s.label, s.start, s.end) for s in arrangement.sections],
        arrangement.keys or (key,),
        bits=request.bits,
        project=request.project.name,
    )
