"""Takes of a song by SongGeneration: made, let out piece by piece, checked, handed over as every other take is."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bridge.handover.files import disk_error
from bridge.handover.manifest import MANIFEST_NAME, Machine, Painted
from bridge.handover.take import Frame, file_name
from bridge.handover.wav import write_wav
from bridge.messages import Done, ModelRow, PieceReady, Render
from bridge.timeline import Clock
from engine.announce import find_take, take2events
from engine.checks import check_stem
from engine.compose.form import request2form
from engine.report import Reporter, ShareReporter, Stopwatch
from engine.sampler import Bank
from engine.score import Key, Part, Score
from engine.song.conform import Conformed, Residual
from engine.song.hear import hear_key
from engine.song.machine import SongMachine
from engine.song.making import WRITE_SHARE, SongMaker, Stretch
from engine.song.plan import SongPlan, request2plan
from engine.song.together import write_together
from engine.sounds import Sound, bytes2sound, sound2chunks
from engine.splice import finish_tail
from engine.stages import NO_STAGES, StageCache, kept_json, request2inputs, stage2key
from engine.stems import TAIL_SECONDS, request2frame
from engine.takes import STEMS_UNTIL, TakeMaker

if TYPE_CHECKING:
    from torch import Tensor

NO_NOTES = "SongGeneration makes sound without notes: the MIDI files hold tempo, metre and sections alone."


@dataclass(frozen=True)
class SongTakes:
    """Makes a request's takes. `row` is the machine's in the list of models; `bank` and `playing` as a take needs."""

    request: Render
    row: ModelRow
    machine: SongMachine
    bank: Bank
    playing: threading.Lock
    stages: StageCache = NO_STAGES

    def render(self, out: Path, report: Reporter, first_take: int) -> Done:
        """See `engine.pipeline.Pipeline.render`."""
        started = time.perf_counter()
        request, clock = self.request, self.request.arrangement.timeline()
        plan = request2plan(request, clock, self.machine.checkpoint)
        takes = [
            SongTake(
                self, msgspec.structs.replace(request, seed=request.seed + number), clock, plan, out,
                first_take + number, Stopwatch(),
            )
            for number in range(request.takes)
        ]  # fmt: skip
        wholes = [find_take(take.folder) for take in takes]
        ready, codes = self._write(plan, [take for take, whole in zip(takes, wholes, strict=True) if not whole], report)
        manifests: list[str] = []
        warnings: list[str] = []
        width = (1.0 - ready) / request.takes
        for number, (take, whole) in enumerate(zip(takes, wholes, strict=True)):
            if whole is not None:
                for event in take2events(request.job, take.folder, whole):
                    report.stem(event)
                manifests.append(str(take.folder / MANIFEST_NAME))
                told = whole.warnings
            else:
                made = replace(take, codes=codes.get(take.number))
                manifest, told = made.make(ShareReporter(report, ready + number * width, width))
                manifests.append(str(manifest))
            warnings += [text for text in told if text not in warnings]
        return Done(request.job, tuple(manifests), round(time.perf_counter() - started, 3), tuple(warnings))

    def _write(self, plan: SongPlan, takes: list[SongTake], report: Reporter) -> tuple[float, dict[int, Tensor]]:
        """The takes' codes by their numbers, where there are several to be written, and the share of the job that is
        done then."""
        missing = [take for take in takes if not take.written]
        if len(missing) < 2:
            return 0.0, {}
        share = WRITE_SHARE / (WRITE_SHARE + (1.0 - WRITE_SHARE) * len(takes))
        progress = ShareReporter(report, 0.0, share)
        seeds = [take.take.seed for take in missing]
        with ExitStack() as timing:
            for take in missing:
                timing.enter_context(take.watch.timing("write"))
            tick = progress.tick("write", 0.0, 1.0)
            written = write_together(self.machine, plan, seeds, tick, progress.poll)
        for take, codes in zip(missing, written, strict=True):
            take.keep_codes(codes)
        return share, {take.number: codes for take, codes in zip(missing, written, strict=True)}


@dataclass(frozen=True)
class SongTake:
    """One take of them."""

    song: SongTakes
    take: Render
    clock: Clock
    plan: SongPlan
    out: Path
    number: int
    watch: Stopwatch
    codes: Tensor | None = None
    """Written together with other takes'."""

    @property
    def folder(self) -> Path:
        """Where it lands."""
        return self.out / f"take-{self.number}"

    @property
    def written(self) -> bool:
        """Whether an attempt that broke off left its codes, or all of its sound."""
        stages = self.song.stages
        return stages.get(self._key("codes")) is not None or stages.get(self._key("made")) is not None

    def make(self, share: ShareReporter) -> tuple[Path, tuple[str, ...]]:
        """(manifest, warnings). Raises as `engine.takes.TakeMaker.make`."""
        song, take = self.song, self.take
        made, sounds = self._sounds(share)
        machine = Machine(song.machine.name, song.machine.weights, song.machine.licence)
        maker = TakeMaker(
            take,
            self.clock,
            self._score(made.key),
            None,
            song.bank,
            machine,
            song.row,
            self.watch,
            song.playing,
            {stem.title: song.row for stem in take.stems},
            {},
            (NO_NOTES, *self.plan.remarks, *made.remarks),
            song.stages,
            self._key("take"),
            made=sounds,
        )
        result = maker.make(self.out, self.number, share, STEMS_UNTIL)
        return result.manifest, result.warnings

    def _key(self, stage: str, *more: object) -> str:
        return stage2key(stage, "song", *request2inputs(self.take), self.song.machine.weights, *more)

    def _sounds(self, share: ShareReporter) -> tuple[Made, dict[str, Sound]]:
        """All stems, those of an attempt that broke off or new ones."""
        stages, keys = self.song.stages, {stem.title: self._key("stem", stem.title) for stem in self.take.stems}
        raws = {title: stages.get(key) for title, key in keys.items()}
        known = [raw for raw in raws.values() if raw is not None]
        if len(known) == len(keys) and stages.get(self._key("made")) is not None:
            made = kept_json(stages, self._key("made"), Made, lambda: Made(Key(0, "major")))
            return made, {title: bytes2sound(raw) for title, raw in raws.items() if raw is not None}
        conformed = self._song(share)
        key = self._given or hear_key(conformed.stems, self.take.arrangement.sample_rate).key
        made = Made(key, conformed.remarks)
        sounds = {}
        for stem in self.take.stems:
            sounds[stem.title] = self._sound(conformed, key, stem.title, stem.role)
            if raws[stem.title] is None:
                stages.put(keys[stem.title], *sound2chunks(sounds[stem.title]))
        kept_json(stages, self._key("made"), Made, lambda: made)
        return made, sounds

    @property
    def _given(self) -> Key | None:
        keys = self.take.arrangement.keys
        return Key(keys[0].pitch_class, keys[0].mode, True) if keys else None

    def _score(self, key: Key) -> Score:
        form = request2form(self.take.arrangement, self.clock)
        return Score(key, (), tuple(Part(stem.title, stem.role, ()) for stem in self.take.stems), form)

    def _song(self, share: ShareReporter) -> Conformed:
        """The song on the clock; its pieces are told while it is made, and gone when it is."""
        frame = request2frame(self.take, self.clock, self._score(self._given or Key(0, "major")))
        pieces = Pieces(self.take, self.plan, frame, self.out / f"pieces-{self.number}", self.number, share)
        ringing = 0 if self.take.tail == "cut" else round(TAIL_SECONDS * frame.rate)
        maker = SongMaker(
            self.song.machine, self.plan, self.take.seed, frame.rate, frame.samples, ringing, self._given, self.watch,
            self._old_codes() if self.codes is None else self.codes, self.keep_codes,
        )  # fmt: skip
        pieces.remove()
        try:
            return maker.make(lambda stage, fraction: share.progress(stage, STEMS_UNTIL * fraction), pieces.write)
        finally:
            pieces.remove()

    def _old_codes(self) -> Tensor | None:
        raw = self.song.stages.get(self._key("codes"))
        if raw is None:
            return None
        import torch

        return torch.from_numpy(np.frombuffer(raw, "<i4").reshape(3, -1).astype(np.int64))

    def keep_codes(self, codes: Tensor) -> None:
        """Keeps them for an attempt after this one."""
        self.song.stages.put(self._key("codes"), codes.numpy().astype("<i4").tobytes())

    def _sound(self, conformed: Conformed, key: Key, title: str, role: str) -> Sound:
        """One stem, measured."""
        machine, frame = self.song.machine, request2frame(self.take, self.clock, self._score(key))
        audio, tail = finish_tail(conformed.stems[self.plan.kinds[title]], frame.samples, self.take.tail, frame.rate)
        part = Part(title, role, ())
        with self.watch.timing("check", title):
            verdict = check_stem(audio, part, self.clock, key, frame.rate, frame.start_sample, frame.samples)
        after = conformed.after
        checks = msgspec.structs.replace(
            verdict.checks,
            onset_ms_median=after.median_ms if after else None,
            onset_ms_p99=after.p99_ms if after else None,
        )
        painted = Painted(
            machine.name,
            machine.weights,
            machine.licence,
            True,
            tasks=("song",),
            seeds=(self.take.seed,),
            tries=1,
            before_ms=_pair(conformed.before),
            after_ms=_pair(after),
            cents=100.0 * conformed.semitones if conformed.semitones else None,
        )
        return Sound(audio, tail, None, replace(verdict, checks=checks), painted)


class Made(msgspec.Struct, frozen=True):
    """What is known of a song besides its sound."""

    key: Key
    remarks: tuple[str, ...] = ()


@dataclass
class Pieces:
    """Files of a song's first sections, told as they come."""

    take: Render
    plan: SongPlan
    frame: Frame
    folder: Path
    take_number: int
    share: ShareReporter
    count: int = 0

    def write(self, stretch: Stretch) -> None:
        """Writes and tells the stretch of every stem. Raises `JobError` where the disk refuses, `JobCancelled`."""
        wanted = self.plan.wanted
        start = self.frame.start_sample + round(wanted[stretch.first].pulses[0] * self.frame.rate)
        names = tuple(w.name for w in wanted[stretch.first : stretch.last] if not w.gap)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error, self.folder) from error
        self.count += 1
        for stem in self.take.stems:
            audio = stretch.stems[self.plan.kinds[stem.title]]
            path = self.folder / f"{file_name(stem.title)} {self.count}.wav"
            label = self.frame.label(f"{stem.title}: {', '.join(names)}")
            write_wav(
                path,
                audio,
                self.frame.rate,
                bits=self.frame.bits,
                start_sample=start,
                label=label,
                poll=self.share.poll,
            )
            self.share.report.piece(
                PieceReady(
                    self.take.job,
                    self.take_number,
                    stem.title,
                    stem.role,
                    self.count,
                    names,
                    str(path),
                    start,
                    self.frame.clock.sample2beat(start, self.frame.rate),
                    audio.shape[1],
                    audio.shape[0],
                    self.frame.rate,
                )
            )

    def remove(self) -> None:
        """Takes the files away. Raises nothing: what a program still holds open stays."""
        with contextlib.suppress(OSError):
            shutil.rmtree(self.folder)


def _pair(residual: Residual | None) -> tuple[float, float] | None:
    return None if residual is None else (residual.median_ms, residual.p99_ms)
