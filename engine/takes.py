"""One take: every part becomes a checked stem on disk, announced when it is whole; then mix, project and manifest."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import msgspec

from bridge import VERSION
from bridge.handover.files import check_writable
from bridge.handover.manifest import ChordUsed, KeyUsed, Limiter, Machine, Manifest, StemFiles, clock2hash
from bridge.handover.resume import ResumableTake
from bridge.handover.take import Frame
from bridge.handover.wav import wav_bytes
from bridge.messages import ModelRow, Render
from bridge.timeline import Clock
from engine.announce import stem2event
from engine.checks.levels import audio2lufs, audio2true_peak
from engine.guests import Clips
from engine.hands import begun
from engine.helpers import NO_HELPERS, Helpers, SharedStems
from engine.matched import MATCH_NAME, Group, MatchFile, carried_over, groups2style, read_groups
from engine.matching import Matcher
from engine.painting import OPEN_BYTES, LeftOut, Painter
from engine.previous import SCORE_NAME, PreviousTake, score2json
from engine.rendering import Renderer
from engine.report import ShareReporter, Stopwatch, Tick, wait_for
from engine.sampler import Bank, Instrument
from engine.sampler.mix import limit_in_place
from engine.scope import scope2spans
from engine.score import PITCH_NAMES, Part, Score
from engine.sounds import Sound, bytes2sound, sound2chunks
from engine.stages import NO_STAGES, StageCache, decode, kept, put_json, stage2key
from engine.stems import StemMaker, request2frame
from engine.stretches import Scene
from engine.tape import Sounding, Tape, add_onto

STEMS_UNTIL = 0.95
"""Share of a take's time after which all stems are done."""
MATCHED_WEIGHT, PAINTED_WEIGHT = 2, 8
"""A matched stem, and one by a renderer that may drift, are taken to last so many times as long as the sampler's."""
GUIDE, MATCH = "guide", "match"
"""The sampler, alone and with the bus stage, as renderers' names."""
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
    `playing` is held while the bank plays, which holds one note at a time; `rows` are the machines of the stems by
    name, `renderers` those of them that may drift; `key` is a hash of all that the stems are made from, under which
    `stages` keeps them; `helpers` may play some of them; `made`: the stems by name where they are there already.
    `side_by_side`: takes that are made at the same time, guests' as well; of those of one job one has the `turn` to
    play."""

    request: Render
    clock: Clock
    score: Score
    previous: PreviousTake | None
    bank: Bank
    composer: Machine
    renderer: ModelRow
    watch: Stopwatch
    playing: threading.Lock
    rows: Mapping[str, ModelRow]
    renderers: Mapping[str, Renderer]
    warnings: tuple[str, ...] = ()
    stages: StageCache = NO_STAGES
    key: str = ""
    helpers: Helpers = NO_HELPERS
    made: Mapping[str, Sound] = field(default_factory=dict)
    side_by_side: int = 1
    turn: threading.Lock = field(default_factory=threading.Lock)

    @cached_property
    def frame(self) -> Frame:
        """The piece of the clock that every stem covers."""
        return request2frame(self.request, self.clock, self.score)

    @cached_property
    def _stems(self) -> StemMaker:
        return StemMaker(
            self.request, self.clock, self.frame, self.score, self.previous, self.bank, self.watch, self.playing
        )

    @cached_property
    def _earlier(self) -> tuple[Group, ...]:
        """The bus stages of the take that is edited."""
        return read_groups(self.previous)

    @cached_property
    def _matched(self) -> list[MatchFile]:
        """What this take's bus stage was, when its stems are there; empty until then."""
        return []

    @cached_property
    def _shared(self) -> SharedStems:
        return SharedStems(self._stems, self.helpers)

    def make(self, job_folder: Path, number: int, share: ShareReporter, begin: float) -> TakeResult:
        """Writes `take-<number>`, or goes on with it, and announces its stems. Raises `JobError` and `JobCancelled`,
        leaving no file behind, and `JobPaused`, leaving what is finished."""
        frame = self.frame
        check_writable(job_folder, wav_bytes(2, frame.samples, self.request.bits) * (len(self.score.parts) + 1))
        with ResumableTake.resume(job_folder, number, frame, self._known(), share.poll) as folder:
            total = Tape(frame.samples)
            stems: list[StemFiles] = []
            left_out: list[str] = []
            with closing(self._sounds(share, begin)) as sounds:
                for part, sound in sounds:
                    if isinstance(sound, LeftOut):
                        left_out.append(f"{part.name}: {sound.why}.")
                        continue
                    files, audio = self._write_stem(folder, part, sound)
                    if part.name not in folder.left:
                        put_json(self.stages, self._stem2key("files", part), files)
                    add_onto(total, audio)
                    stems.append(files)
                    share.report.stem(
                        stem2event(self.request.job, folder.take, folder.path, files, frame.start, frame.rate)
                    )
            share.progress("mix", STEMS_UNTIL)
            order = [part.name for part in self.score.parts]
            stems.sort(key=lambda files: order.index(files.name))
            return self._finish(folder, stems, total, left_out, share)

    def ahead(self, tick: Tick) -> None:
        """Has what `make` will first ask the renderers rendered in others' company, and keeps it in `stages`; see
        `engine.guests`. Raises `StembridgeError` as `make` does, and what `tick` raises."""
        painted = [p for p in self._fresh if p.name in self.renderers]
        self._painter.ahead([p for p in painted if self.stages.get(self._stem2key("stem", p)) is None], tick)

    def _known(self) -> list[StemFiles]:
        """The stems that an attempt which broke off had written."""
        found = (self.stages.get(self._stem2key("files", part)) for part in self.score.parts)
        return [decode(raw, StemFiles) for raw in found if raw is not None]

    def _stem2key(self, stage: str, part: Part) -> str:
        return stage2key(stage, self.key, part.name)

    def _sounds(self, share: ShareReporter, begin: float) -> Generator[tuple[Part, Sound | LeftOut | None]]:
        """The parts with their sounds (None: kept from the edited take): first those that are kept or played by the
        sampler, in order, then those that are painted."""
        if self.made:
            yield from ((part, self.made[part.name]) for part in self.score.parts)
            return
        fresh = self._fresh
        painted = [p for p in fresh if p.name in self.renderers]
        matched = [p for p in fresh if self._machine(p).name == MATCH and p.notes and self._has_match(p)]
        played = [p for p in self.score.parts if p not in painted and p not in matched]
        width = (STEMS_UNTIL - begin) / (len(played) + MATCHED_WEIGHT * len(matched) + PAINTED_WEIGHT * len(painted))
        with self.turn:
            at = begin + width * len(played)
            match = self._match(matched, share, at, MATCHED_WEIGHT * width * len(matched))
            if matched and played and all(self._kept(p) is not None for p in played):
                # What an edit makes anew is begun while what stays is copied.
                with begun(match, share.poll) as sounds:
                    yield from self._play(played, share, begin, width)
                    yield from sounds
            else:
                yield from self._play(played, share, begin, width)
                yield from match
            at += MATCHED_WEIGHT * width * len(matched)
        if painted:
            yield from self._paint(painted, share, at, STEMS_UNTIL - at)

    @property
    def _fresh(self) -> list[Part]:
        """The parts whose sound is made now."""
        return [p for p in self.score.parts if self._kept(p) is None and _sounds(p)]

    @property
    def _painter(self) -> Painter:
        scene = Scene(self.request, self.clock, self.frame, self.score)
        clips = Clips(self.stages, self.key)
        return Painter(self._stems, scene, self.rows, self.renderers, OPEN_BYTES // self.side_by_side, clips)

    def _has_match(self, part: Part) -> bool:
        """Whether there is a reference to bring the part to, or an edited take in which it has been."""
        scene = Scene(self.request, self.clock, self.frame, self.score)
        return scene.wanted_reference(part) is not None or any(part.name in group.stems for group in self._earlier)

    def _match(
        self, parts: Sequence[Part], share: ShareReporter, begin: float, width: float
    ) -> Generator[tuple[Part, Sound]]:
        """Parts in the sound of their references, all from `stages` or all made now: they are one piece of work."""
        if not parts:
            return
        kept_as = stage2key("match", self.key)
        record = self.stages.get(kept_as)
        if record is not None:
            raws = (self.stages.get(self._stem2key("stem", part)) for part in parts)
            sounds = [bytes2sound(raw) for raw in raws if raw is not None]
            if len(sounds) == len(parts):
                self._matched.append(decode(record, MatchFile))
                yield from zip(parts, sounds, strict=True)
                return
        scene = Scene(self.request, self.clock, self.frame, self.score)
        matcher = Matcher(self._stems, scene, self._earlier)
        for part, sound in matcher.match(parts, share, begin, width):
            self.stages.put(self._stem2key("stem", part), *sound2chunks(sound))
            yield part, sound
        self._matched.append(MatchFile(tuple(matcher.groups), tuple(matcher.unmatched)))
        put_json(self.stages, kept_as, self._matched[-1])

    def _play(
        self, parts: Sequence[Part], share: ShareReporter, begin: float, width: float
    ) -> Iterator[tuple[Part, Sound | None]]:
        """Parts that are kept or played; `width` is one part's share. While one is checked and written the next is
        played; two are worked on at a time, and one by each helper, so that memory stays bounded."""
        hands = WORKED_ON + self._shared.count
        pool = ThreadPoolExecutor(hands, thread_name_prefix="stem")
        running: deque[tuple[Part, Future[Sound] | None]] = deque()

        def first() -> tuple[Part, Sound | None]:
            part, sound = running.popleft()
            return part, None if sound is None else wait_for(sound, share.poll)

        try:
            for i, part in enumerate(parts):
                at = begin + i * width
                stays = self._kept(part) is not None
                running.append((part, None if stays else pool.submit(self._render, part, share, at, width)))
                if len(running) > hands:
                    yield first()
            while running:
                yield first()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _paint(
        self, parts: Sequence[Part], share: ShareReporter, begin: float, width: float
    ) -> Iterator[tuple[Part, Sound | LeftOut]]:
        """Parts that their renderers paint, but for those that `stages` holds; `width` is the share of all."""
        missing = [part for part in parts if self.stages.get(self._stem2key("stem", part)) is None]
        fresh = self._painter.paint(missing, share, begin, width)
        for part in parts:
            key = self._stem2key("stem", part)
            if part not in missing:
                raw = self.stages.get(key)
                assert raw is not None
                yield part, bytes2sound(raw)
                continue
            _, sound = next(fresh)
            if isinstance(sound, Sound):
                self.stages.put(key, *sound2chunks(sound))
            yield part, sound

    def _kept(self, part: Part) -> StemFiles | None:
        """The earlier take's files of a stem that the edit's scope leaves alone."""
        scope = self.request.scope
        if self.previous is None or scope is None or not scope.stems or part.name in scope.stems:
            return None
        return self.previous.stem(part.name)

    def _write_stem(self, folder: ResumableTake, part: Part, sound: Sound | None) -> tuple[StemFiles, Sounding]:
        """One stem's files and its sound: written before, kept from the edited take, or the sound that was made."""
        with self.watch.timing("hand over", part.name):
            written = folder.adopt(part.name, part.notes)
            if sound is None:
                previous, old = self.previous, self._kept(part)
                assert previous is not None
                assert old is not None
                files = written or folder.keep_stem(previous.folder, previous.name, old, part.notes)
                return files, previous.sound(old.wav)
            player = sound.instrument
            files = written or folder.write_stem(
                part.name,
                part.role,
                sound.audio,
                part.notes,
                renderer=self._renderer_of(part, sound),
                checks=sound.verdict.checks,
                tail=sound.tail,
                program=self._program(part, player),
                instrument=player.name if player else "",
                licence=sound.licence,
                seed=self.request.seed,
                warnings=sound.warnings,
                painted=sound.painted,
            )
        return files, sound.audio

    def _program(self, part: Part, player: Instrument | None) -> int | None:
        """The General MIDI program of a stem's MIDI, or None: the usual instrument's where the sound is matched, so
        that a reference changes no MIDI."""
        if player is None or part.role == "drums":
            return None
        if self._machine(part).name == MATCH:
            player = self._stems.instrument(part)
        return player.preset if player.kind == "soundfont" and 0 <= player.preset < 128 else None

    def _renderer_of(self, part: Part, sound: Sound) -> str:
        """The machine whose sound the stem is."""
        if sound.painted is not None:
            return sound.painted.renderer if sound.painted.used else GUIDE
        return sound.renderer or self._machine(part).name

    def _machine(self, part: Part) -> ModelRow:
        return self.rows.get(part.name, self.renderer)

    def _render(self, part: Part, share: ShareReporter, at: float, width: float) -> Sound:
        """The part's sound, as it was kept or made now."""
        key = self._stem2key("stem", part)
        return kept(self.stages, key, lambda: self._shared.make(part, share, at, width), sound2chunks, bytes2sound)

    def _finish(
        self,
        folder: ResumableTake,
        stems: list[StemFiles],
        total: Tape,
        left_out: list[str],
        share: ShareReporter,
    ) -> TakeResult:
        """Mix, project file, score and, last, the manifest."""
        frame, request, score = folder.frame, self.request, self.score
        with self.watch.timing("mix"):
            pool = ThreadPoolExecutor(1, thread_name_prefix="mix")
            try:
                limiter = wait_for(pool.submit(limit_in_place, total, frame.rate), share.poll)
            finally:
                pool.shutdown(wait=False)
            mixed = folder.write_mix(
                total,
                lufs=audio2lufs(total, frame.rate),
                true_peak_dbfs=audio2true_peak(total),
                limiter=Limiter(limiter.ceiling_dbfs, limiter.max_reduction_db, limiter.seconds_limited),
            )
        with self.watch.timing("hand over"):
            projects = folder.write_projects()
            folder.write_data(SCORE_NAME, score2json(score))
            files = {**projects, "score": SCORE_NAME}
            done = self._matched[-1] if self._matched else MatchFile(())
            matched = carried_over(self._earlier, done.groups, {s.name for s in stems if s.renderer == MATCH})
            if matched.groups:
                folder.write_data(MATCH_NAME, msgspec.json.encode(matched))
                files["match"] = MATCH_NAME
        warnings = [
            *self.warnings,
            *left_out,
            *done.unmatched,
            *(f"{stem.name}: {text}" for stem in stems for text in stem.warnings),
        ]
        scope = request.scope
        mine = (s.painted.weights for s in stems if s.painted and s.painted.renderer == self.renderer.name)
        weights = next(mine, None)
        manifest = Manifest(
            job=request.job,
            take=folder.take,
            seed=request.seed,
            sample_rate=frame.rate,
            start_sample=frame.start_sample,
            samples=frame.samples,
            key=KeyUsed(PITCH_NAMES[score.key.tonic], score.key.mode, score.key.given),
            composer=self.composer,
            renderer=Machine(self.renderer.name, weights, self.renderer.licence),
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
            style=groups2style(matched.groups),
            files=files,
            licences=tuple(sorted({stem.licence for stem in stems if stem.licence})),
            warnings=tuple(warnings),
            remarks=score.remarks,
            based_on=scope.take if scope else request.continues,
            scope={"sections": scope.sections, "stems": scope.stems} if scope else {},
            scope_beats=scope2spans(scope, score.sections) if scope else (),
            engine=VERSION,
        )
        return TakeResult(folder.finish(manifest), tuple(warnings))


def _sounds(part: Part) -> bool:
    """Whether there is anything to render: notes, or a voice, which has none in the score."""
    return bool(part.notes) or part.role == "vocals"
