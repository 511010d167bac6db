"""One take: every part becomes a checked stem on disk, announced when it is whole; then mix, project and manifest."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from bridge import VERSION
from bridge.arrangement import KeyAt
from bridge.handover.files import check_writable
from bridge.handover.manifest import ChordUsed, KeyUsed, Limiter, Machine, Manifest, StemFiles, clock2hash
from bridge.handover.resume import ResumableTake
from bridge.handover.take import Frame
from bridge.handover.wav import wav_bytes
from bridge.messages import ModelRow, Render
from bridge.timeline import Clock
from engine.announce import stem2event
from engine.checks import check_stem
from engine.checks.levels import audio2lufs, audio2true_peak
from engine.previous import SCORE_NAME, PreviousTake, score2json
from engine.report import ShareReporter, Stopwatch, Tick, wait_for
from engine.sampler import Bank, Instrument, choose_instrument, mix_stems, render_part
from engine.scope import scope2spans
from engine.score import PITCH_NAMES, Part, Score
from engine.sounds import Sound, bytes2sound, sound2chunks
from engine.splice import Audio, finish_tail, join_spans, splice
from engine.stages import NO_STAGES, StageCache, decode, encode, kept, stage2key

TAIL_SECONDS = 6.0
"""Longest ringing that is rendered past a stem's end."""
STEMS_UNTIL = 0.95
"""Share of a take's time after which all stems are done."""


LEAD_SECONDS = 0.01
"""So much before a span is played with it, to see whether the sound there is the same as before."""
DOUBLE_PAN = 0.35
"""Pan (-1 to 1) of a second part whose role sits in the middle."""
WORKED_ON = 2
"""Stems that are played or checked at the same time."""


@dataclass(frozen=True)
class TakeResult:
    """Where the take's manifest lies, and what the user should know about it."""

    manifest: Path
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class TakeMaker:
    """What one take is made from. `score` is performed; `previous` is the take that the request's scope edits;
    `playing` is held while the bank plays, which holds one note at a time; `key` is a hash of all that the stems are
    made from, under which `stages` keeps them."""

    request: Render
    clock: Clock
    score: Score
    previous: PreviousTake | None
    bank: Bank
    composer: Machine
    renderer: ModelRow
    watch: Stopwatch
    playing: threading.Lock
    warnings: tuple[str, ...] = ()
    stages: StageCache = NO_STAGES
    key: str = ""

    @property
    def frame(self) -> Frame:
        """The piece of the clock that every stem covers."""
        arrangement = self.request.arrangement
        key = KeyAt(arrangement.start, PITCH_NAMES[self.score.key.tonic], self.score.key.mode)
        return Frame.of(
            self.clock,
            arrangement.sample_rate,
            [(s.name, s.label, s.start, s.end) for s in arrangement.sections],
            arrangement.keys or (key,),
            bits=self.request.bits,
            project=self.request.project.name,
        )

    def make(self, job_folder: Path, number: int, share: ShareReporter, begin: float) -> TakeResult:
        """Writes `take-<number>`, or goes on with it, and announces its stems. Raises `JobError` and `JobCancelled`,
        leaving no file behind, and `JobPaused`, leaving what is finished."""
        frame = self.frame
        check_writable(job_folder, wav_bytes(2, frame.samples, self.request.bits) * (len(self.score.parts) + 1))
        with ResumableTake.resume(job_folder, number, frame, self._known(), share.poll) as folder:
            total = np.zeros((2, frame.samples), np.float32)
            stems: list[StemFiles] = []
            for part, sound in self._sounds(share, begin):
                files, audio = self._write_stem(folder, part, sound)
                self.stages.put(self._stem2key("files", part), encode(files))
                total += audio
                stems.append(files)
                share.report.stem(
                    stem2event(self.request.job, folder.take, folder.path, files, frame.start, frame.rate)
                )
            share.progress("mix", STEMS_UNTIL)
            return self._finish(folder, stems, total, share)

    def _known(self) -> list[StemFiles]:
        """The stems that an attempt which broke off had written."""
        found = (self.stages.get(self._stem2key("files", part)) for part in self.score.parts)
        return [decode(raw, StemFiles) for raw in found if raw is not None]

    def _stem2key(self, stage: str, part: Part) -> str:
        return stage2key(stage, self.key, part.name)

    def _sounds(self, share: ShareReporter, begin: float) -> Iterator[tuple[Part, Sound | None]]:
        """The parts in order with their sounds (None: kept from the edited take). While one is checked and written the
        next is played; two are worked on at a time, so that memory stays bounded."""
        parts = self.score.parts
        width = (STEMS_UNTIL - begin) / len(parts)
        pool = ThreadPoolExecutor(WORKED_ON, thread_name_prefix="stem")
        running: deque[tuple[Part, Future[Sound] | None]] = deque()

        def first() -> tuple[Part, Sound | None]:
            part, sound = running.popleft()
            return part, None if sound is None else wait_for(sound, share.poll)

        try:
            for i, part in enumerate(parts):
                at = begin + i * width
                stays = self._kept(part) is not None
                running.append((part, None if stays else pool.submit(self._render, part, share, at, width)))
                if len(running) > WORKED_ON:
                    yield first()
            while running:
                yield first()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _kept(self, part: Part) -> StemFiles | None:
        """The earlier take's files of a stem that the edit's scope leaves alone."""
        scope = self.request.scope
        if self.previous is None or scope is None or not scope.stems or part.name in scope.stems:
            return None
        return self.previous.stem(part.name)

    def _write_stem(self, folder: ResumableTake, part: Part, sound: Sound | None) -> tuple[StemFiles, Audio]:
        """One stem on disk and in memory: written before, kept from the edited take, or the sound that was made."""
        with self.watch.timing("hand over"):
            written = folder.adopt(part.name, part.notes)
            if sound is None:
                previous, old = self.previous, self._kept(part)
                assert previous is not None
                assert old is not None
                files = written or folder.keep_stem(previous.folder, previous.name, old, part.notes)
                return files, previous.audio(old.wav)
            files = written or folder.write_stem(
                part.name,
                part.role,
                sound.audio,
                part.notes,
                renderer=self.renderer.name,
                checks=sound.verdict.checks,
                tail=sound.tail,
                program=None if sound.instrument.kind == "kit" else sound.instrument.preset,
                instrument=sound.instrument.name,
                licence=sound.instrument.licence,
                seed=self.request.seed,
                warnings=[*filter(None, [sound.instrument.remark]), *(p.message for p in sound.verdict.problems)],
            )
        return files, sound.audio

    def _render(self, part: Part, share: ShareReporter, at: float, width: float) -> Sound:
        """The part's sound, as it was kept or made now."""
        key = self._stem2key("stem", part)
        return kept(self.stages, key, lambda: self._make(part, share, at, width), sound2chunks, bytes2sound)

    def _make(self, part: Part, share: ShareReporter, at: float, width: float) -> Sound:
        """The part played and checked; where a check fails, played again by the role's plain instrument."""
        instrument = self._seat(part, choose_instrument(self.bank, part.role, part.instrument, self.request.style))
        sound = self._play(part, instrument, share, at, width)
        if not sound.verdict.problems:
            return sound
        plain = self._seat(part, choose_instrument(self.bank, part.role, "", ""))
        if plain == instrument:
            return sound
        again = self._play(part, plain, share, at, width)
        if again.verdict.problems:
            return sound
        repaired = (f"played by {plain.name} instead of {instrument.name}: {sound.verdict.problems[0].message}",)
        checks = msgspec.structs.replace(again.verdict.checks, repaired=repaired)
        return replace(again, verdict=replace(again.verdict, checks=checks))

    def _seat(self, part: Part, instrument: Instrument) -> Instrument:
        """Parts of one role sit apart: every other one on the far side of the first."""
        rank = [p.name for p in self.score.parts if p.role == part.role].index(part.name)
        if rank == 0 or part.role in ("drums", "bass"):
            return instrument
        return replace(instrument, pan=(-1.0) ** rank * (instrument.pan or DOUBLE_PAN))

    def _play(self, part: Part, instrument: Instrument, share: ShareReporter, at: float, width: float) -> Sound:
        """The part through the sampler, whole or, in an edit, only the scope's spans of it; then measured whole."""
        frame = self.frame
        old = self.previous.stem(part.name) if self.previous is not None else None
        tick = share.tick(f"guide: {part.name}", at, at + 0.7 * width)
        with self.playing, self.watch.timing("guide"):
            if old is None:
                audio, tail = self._span(part, instrument, 0, frame.samples, self.request.tail, tick)
            else:
                audio, tail = self._replay(part, instrument, old, tick)
        share.progress(f"check: {part.name}", at + 0.75 * width)
        with self.watch.timing("check"):
            verdict = check_stem(
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
        return Sound(audio, tail, instrument, verdict)

    def _span(
        self, part: Part, instrument: Instrument, start: int, end: int, mode: str, tick: Tick
    ) -> tuple[Audio, Audio | None]:
        """Samples [start, end) of the part, and what rings on past the stem's end where the span reaches it."""
        frame = self.frame
        ringing = round(TAIL_SECONDS * frame.rate) if end == frame.samples else 0
        first, length = frame.start_sample + start, end - start
        audio = render_part(self.bank, part, instrument, self.clock, frame.rate, first, length, ringing, tick)
        return finish_tail(audio, length, mode, frame.rate)

    def _replay(self, part: Part, instrument: Instrument, old: StemFiles, tick: Tick) -> tuple[Audio, Audio | None]:
        """The earlier take's stem with the scope's spans played anew. A loop's end no longer rings into its start."""
        assert self.previous is not None
        frame = self.frame
        before, tail = self.previous.audio(old.wav), None
        if old.tail is not None:
            tail = self.previous.audio(old.tail.wav)
        new, spans = before.copy(), self._scope_spans()
        for start, end in spans:
            lead = max(0, start - round(LEAD_SECONDS * frame.rate))
            mode = "file" if self.request.tail == "file" else "cut"
            new[:, lead:end], ringing = self._span(part, instrument, lead, end, mode, tick)
            tail = ringing if end == frame.samples else tail
        return splice(before, new, spans, frame.rate), tail

    def _scope_spans(self) -> list[tuple[int, int]]:
        """The scope as spans of samples within a stem."""
        scope, frame = self.request.scope, self.frame
        assert scope is not None
        ends = [
            [self.clock.beat2sample(beat, frame.rate) - frame.start_sample for beat in span]
            for span in scope2spans(scope, self.score.sections)
        ]
        return join_spans([(start, end) for start, end in ends])

    def _finish(self, folder: ResumableTake, stems: list[StemFiles], total: Audio, share: ShareReporter) -> TakeResult:
        """Mix, project file, score and, last, the manifest."""
        frame, request, score = folder.frame, self.request, self.score
        with self.watch.timing("mix"):
            pool = ThreadPoolExecutor(1, thread_name_prefix="mix")
            try:
                mix, limiter = wait_for(pool.submit(mix_stems, [total], frame.rate), share.poll)
            finally:
                pool.shutdown(wait=False)
            mixed = folder.write_mix(
                mix,
                lufs=audio2lufs(mix, frame.rate),
                true_peak_dbfs=audio2true_peak(mix),
                limiter=Limiter(limiter.ceiling_dbfs, limiter.max_reduction_db, limiter.seconds_limited),
            )
        with self.watch.timing("hand over"):
            rpp, dawproject = folder.write_rpp(), folder.write_dawproject()
            folder.write_data(SCORE_NAME, score2json(score))
        warnings = [*self.warnings, *(f"{stem.name}: {text}" for stem in stems for text in stem.warnings)]
        scope = request.scope
        manifest = Manifest(
            job=request.job,
            take=folder.take,
            seed=request.seed,
            sample_rate=frame.rate,
            start_sample=frame.start_sample,
            samples=frame.samples,
            key=KeyUsed(PITCH_NAMES[score.key.tonic], score.key.mode, score.key.given),
            composer=self.composer,
            renderer=Machine(self.renderer.name, None, self.renderer.licence),
            stems=tuple(stems),
            chords=tuple(ChordUsed(c.beat, c.beats, c.symbol, c.given) for c in score.chords),
            sections=tuple(frame.sections),
            mix=mixed,
            start_beat=frame.start,
            end_beat=frame.end,
            clock_sha256=clock2hash(self.clock),
            project=request.project.name,
            words=request.style,
            seconds=self.watch.seconds,
            files={"rpp": rpp, "dawproject": dawproject, "score": SCORE_NAME},
            licences=tuple(sorted({stem.licence for stem in stems if stem.licence})),
            warnings=tuple(warnings),
            remarks=score.remarks,
            based_on=scope.take if scope else request.continues,
            scope={"sections": scope.sections, "stems": scope.stems} if scope else {},
            scope_beats=scope2spans(scope, score.sections) if scope else (),
            engine=VERSION,
        )
        return TakeResult(folder.finish(manifest), tuple(warnings))
