"""The way of a request: listen, compose, perform, then stem by stem guide, check and hand over. Knows every stage."""

from __future__ import annotations

import functools
import hashlib
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import torch

from bridge.errors import StembridgeError
from bridge.handover.manifest import MANIFEST_NAME, Machine
from bridge.messages import Done, Listen, ModelList, ModelRow, Render
from bridge.messages import Heard as HeardEvent
from bridge.timeline import Clock
from engine.announce import find_take, take2events
from engine.coming import Coming
from engine.compose.as_written import compose_as_written
from engine.compose.band import compose_band
from engine.compose.form import request2form
from engine.compose.harmony import Question
from engine.compose.opening import ComingTakes, request2question
from engine.compose.writers import Writers
from engine.diffusion.parts import WEIGHTS as PARTS
from engine.diffusion.parts import PartsModel
from engine.edits import keep_notes, merge_edit
from engine.guests import Guest, Guests
from engine.helpers import NO_HELPERS, Helpers, StemTask, Unheard
from engine.lelm.plan import WEIGHTS as PLAN
from engine.lelm.plan import PlanModel
from engine.listen import listen_file, listen_tracks
from engine.matched import read_groups
from engine.models import catalogue, check_choice, choose_model, find_song, main_row, stem_rows, still_matched
from engine.painting import takes_at_once
from engine.perform import perform
from engine.previous import PreviousTake, open_previous, open_take
from engine.references import references2lessons, with_lessons
from engine.rendering import Renderer
from engine.report import Reporter, ShareReporter, Stopwatch, Tick, wait_for
from engine.sampler import Bank
from engine.score import FormSection, Heard, Part, Score
from engine.setting import Setting, request2samples
from engine.sharing import Shared, share_renderers
from engine.sounds import Sound
from engine.stages import NO_STAGES, StageCache, kept_json, program2hash, request2inputs, stage2key
from engine.stems import StemMaker, request2frame
from engine.takes import TakeMaker, TakeResult
from engine.together import Lanes, Together

if TYPE_CHECKING:
    from engine.shelf import Shelf

COMPOSE_UNTIL = 0.45
"""Share of a take's time that composing takes on two cores; the rest is sound."""


class Pipeline:
    """All models of one worker, and what is done with them. Making it loads the shipped weights and sounds."""

    def __init__(self) -> None:
        torch.set_num_threads(1)  # two threads that wait for each other lose to one on a busy machine
        self._writers = Writers(PlanModel.load(), PartsModel.load())
        self._bank = Bank.open()
        self._composing = ThreadPoolExecutor(1, thread_name_prefix="compose")
        self._composing_ahead = ThreadPoolExecutor(1, thread_name_prefix="compose ahead")
        self._playing = threading.Lock()
        self._shelf: Shelf | None = None
        self._coming = ComingTakes()
        self._guests = Guests(self._ahead)
        self._shared: dict[int, Shared] = {}
        self.helpers: Helpers = NO_HELPERS

    def models(self) -> ModelList:
        """Composers and renderers, with the reason where one cannot be used."""
        return ModelList(catalogue())

    def loaded(self) -> tuple[str, ...]:
        """Names of the models in memory."""
        own = (PLAN.stem, PARTS.stem)
        return own if self._shelf is None else (*own, *self._shelf.loaded)

    def open_renderer(self, row: ModelRow) -> Renderer | None:
        """The machine of a row that may drift, kept from job to job; None for the sampler. Raises `JobError`."""
        if not row.path:
            return None
        return self.shelf.renderer(row)

    @property
    def shelf(self) -> Shelf:
        """The user's checkpoints; made when the first one is used."""
        if self._shelf is None:
            from engine.shelf import Shelf

            self._shelf = Shelf()
        return self._shelf

    def listen(self, request: Listen, report: Reporter) -> HeardEvent:
        """Analyses one file. Raises `RequestError` for a file that cannot be heard, `JobCancelled`."""
        report.progress("listen", 0.0)
        tick = ShareReporter(report, 0.0, 1.0).tick("listen", 0.0, 1.0)
        return HeardEvent(request.job, request.path, listen_file(Path(request.path), tick))

    def render(
        self,
        request: Render,
        out: Path,
        report: Reporter,
        *,
        stages: StageCache = NO_STAGES,
        first_take: int = 1,
        coming: Sequence[Coming] = (),
    ) -> Done:
        """Every take that the request wants, as `take-<first_take>` and following in the job's folder `out`.

        Stages that `stages` holds, and takes that are there, are not made again. Takes whose renderers have calls to
        share are made side by side, each composed after the other. Jobs that are `coming` may have their chords written
        along with this one's, and be painted along with it (see `engine.guests`). Raises `RequestError` for what only
        shows while working, `JobError` for what breaks, `JobCancelled`.
        """
        started = time.perf_counter()
        self._guests.host(request.job, lambda: report.progress("listen", 0.0))
        check_choice(request)
        song = find_song(request)
        if song is not None:
            self._guests.invite(())
            return self._render_song(song.row(""), request, out, report, stages, first_take)
        watch = Stopwatch()
        setting = self._set_up(request, out, report, stages, watch)
        takes = setting.takes
        self._coming.expect(
            [
                *(
                    functools.partial(request2question, without_voices(t), setting.clock, setting.form, setting.heard)
                    for t in takes
                ),
                *(functools.partial(job2question, job.request) for job in coming),
            ]
        )
        lanes, turn = Lanes(report, request.takes), threading.Lock()
        at_once = takes_at_once(request.takes, setting.renderers, setting.samples)
        guests = self._company(coming, setting, at_once)
        self._guests.invite(guests)
        if at_once + len(guests) > 1:
            setting = replace(setting, renderers=share_renderers(setting.renderers, self._shared))
        with Together[TakeResult](at_once, lanes.poll) as together:
            for number, take in enumerate(takes):
                share = lanes.share(number)
                folder = out / f"take-{first_take + number}"
                whole = find_take(folder)
                if whole is not None:
                    for event in take2events(request.job, folder, whole):
                        lanes.stem(event)
                    lanes.finish(number)
                    together.known(TakeResult(folder / MANIFEST_NAME, whole.warnings))
                    continue
                maker = self._take(setting, take, share, watch, self._composing, at_once + len(guests), turn)
                if take is takes[-1]:
                    self._guests.go_on()
                make = functools.partial(maker.make, out, first_take + number, share, COMPOSE_UNTIL)
                together.add(functools.partial(lanes.whole, number, make))
                watch = Stopwatch(watch.seconds)
            self._guests.go_on()
            results = together.results()
        manifests = tuple(str(result.manifest) for result in results)
        warnings = tuple(dict.fromkeys([*setting.common, *(text for result in results for text in result.warnings)]))
        return Done(request.job, manifests, round(time.perf_counter() - started, 3), warnings)

    def _set_up(self, request: Render, out: Path, report: Reporter, stages: StageCache, watch: Stopwatch) -> Setting:
        """All that is settled before the first take, listening included. Raises as `render` does."""
        rows = stem_rows(request)
        renderers = {name: machine for name, row in rows.items() if (machine := self.open_renderer(row)) is not None}
        clock = request.arrangement.timeline()
        form = request2form(request.arrangement, clock)
        report.progress("listen", 0.0)
        with watch.timing("listen"):
            key = stage2key("listen", *request2inputs(msgspec.structs.replace(request, seed=0)))
            heard = kept_json(stages, key, Heard, lambda: listen_tracks(request.arrangement, clock))
            lessons = references2lessons(request, stages, lambda _: report.progress("listen", 0.0))
        previous = earlier = None
        if request.scope is not None:
            previous = earlier = open_previous(request.scope, out.parent, clock, request.arrangement)
        elif request.continues:
            earlier = open_take(request.continues, out.parent, "continues")
        rows = still_matched(request, rows, {name for group in read_groups(previous) for name in group.stems})
        renderer = main_row(choose_model("renderer", request.renderer, commercial=request.commercial), rows)
        bank = Bank.open(Path(request.soundfont)) if request.soundfont else self._bank
        common = (*reference_warnings(request, rows), *lessons.warnings)
        what = (clock, form, heard, lessons, previous, earlier, rows, renderers, renderer, bank, common)
        return Setting(request, stages, *what)

    def _take(
        self,
        setting: Setting,
        take: Render,
        share: ShareReporter,
        watch: Stopwatch,
        composing: Executor,
        side_by_side: int,
        turn: threading.Lock,
    ) -> TakeMaker:
        """A take whose score is written, now or before. Raises as `render` does."""
        key = setting.key(take)
        write = functools.partial(self._write, setting, take, share, watch, composing)
        return TakeMaker(
            take,
            setting.clock,
            kept_json(setting.stages, stage2key("score", key), Score, write),
            setting.previous,
            setting.bank,
            self._composer(setting.request),
            setting.renderer,
            watch,
            self._playing,
            setting.rows,
            setting.renderers,
            setting.common,
            setting.stages,
            key,
            self.helpers,
            side_by_side=side_by_side,
            turn=turn,
        )

    def _company(self, coming: Sequence[Coming], setting: Setting, at_once: int) -> list[Coming]:
        """The coming jobs that are painted by no other machines than this one, as many as have a row and memory."""
        machines = {row.name for row in setting.rows.values() if row.path}
        fitting = [one for one in coming if one.stages is not NO_STAGES and painted_by(one.request, machines)]
        longest = max(setting.samples, *(request2samples(one.request) for one in fitting), 0)
        room = takes_at_once(at_once + len(fitting), setting.renderers, longest) - at_once
        return fitting[: max(room, 0)]

    def _ahead(self, guest: Guest) -> None:
        """All takes of a coming job, as far as they can be made ahead; in a thread of its own."""
        share, turn = ShareReporter(guest, 0.0, 1.0), threading.Lock()
        with self._guests.composing(guest):
            setting = self._set_up(guest.coming.request, Path(), guest, guest.coming.stages, Stopwatch())
            setting = replace(setting, renderers=share_renderers(setting.renderers, self._shared))
        for take in setting.takes:
            with self._guests.composing(guest):
                maker = self._take(
                    setting, take, share, Stopwatch(), self._composing_ahead, len(self._guests) + 1, turn
                )
            maker.ahead(guest.tick)

    def _render_song(
        self, row: ModelRow, request: Render, out: Path, report: Reporter, stages: StageCache, first_take: int
    ) -> Done:
        """The same where SongGeneration writes and plays all of it."""
        from engine.song.takes import SongTakes

        machine = self.shelf.song(row)
        return SongTakes(request, row, machine, self._bank, self._playing, stages).render(out, report, first_take)

    def _write(
        self, setting: Setting, take: Render, share: ShareReporter, watch: Stopwatch, composing: Executor
    ) -> Score:
        """A take's score as it is played: composed and performed, or in an edit of the sound alone the earlier one."""
        scope, earlier, clock = take.scope, setting.earlier, setting.clock
        if scope is not None and scope.notes == "keep":
            assert earlier is not None
            return keep_notes(earlier.score, scope, take.stems)
        writers = replace(self._writers, coming=self._coming if earlier is None else None)
        with watch.timing("compose"):
            tick = share.tick("compose", 0.0, COMPOSE_UNTIL)
            tick(0.0)
            told = (clock, setting.form, setting.heard, earlier, tick)
            score = wait_for(composing.submit(self._compose, writers, take, *told), share.poll)
        with watch.timing("perform"):
            score = with_lessons(score, setting.lessons)
            score = with_voices(perform(score, clock, score.feel, take.seed), take)
            if scope is not None:
                assert earlier is not None
                score = merge_edit(score, earlier.score, scope, clock)
        return score

    def stem(self, task: StemTask) -> Sound | None:
        """Plays a stem for another worker; see `engine.helpers.Helper`. Raises `StembridgeError` as a render does."""
        request, score = task.request, task.score
        clock = request.arrangement.timeline()
        frame = request2frame(request, clock, score)
        stems = StemMaker(request, clock, frame, score, None, self._bank, Stopwatch(), self._playing)
        part = next(part for part in score.parts if part.name == task.part)
        if task.program != program2hash() or stems.instrument(part) != task.instrument:
            return None
        return stems.make(part, ShareReporter(Unheard(), 0.0, 1.0), 0.0, 1.0)

    def _composer(self, request: Render) -> Machine:
        row = choose_model("composer", request.composer)
        weights = f"{weights2name(PLAN)}, {weights2name(PARTS)}" if row.name == "band" else None
        return Machine(row.name, weights, row.licence)

    def _compose(
        self,
        writers: Writers,
        request: Render,
        clock: Clock,
        form: tuple[FormSection, ...],
        heard: Heard,
        earlier: PreviousTake | None,
        tick: Tick,
    ) -> Score:
        request = without_voices(request)
        if choose_model("composer", request.composer).name == "as-written":
            return compose_as_written(request, clock, form, heard, tick)
        return compose_band(request, clock, form, heard, writers, tick, previous=earlier.score if earlier else None)


def weights2name(path: Path) -> str:
    """How a manifest names a weight file: its name and the start of its SHA-256."""
    return f"{path.stem} sha256:{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"


def reference_warnings(request: Render, rows: Mapping[str, ModelRow]) -> list[str]:
    """What the user should know where references are given for stems that the sampler plays as it is."""
    played = {name for name, row in rows.items() if row.name == "guide"}
    clips = {Path(r.audio).name for r in request.arrangement.references if not r.stems or set(r.stems) & played}
    if not clips or not played:
        return []
    return [f"The renderer 'guide' plays its own sounds; the reference {', '.join(sorted(clips))} was not matched."]


def painted_by(request: Render, machines: Collection[str]) -> bool:
    """Whether renderers that may drift make some of the request's stems, none but these."""
    try:
        names = {row.name for row in stem_rows(request).values() if row.path} if find_song(request) is None else set()
    except StembridgeError:
        return False
    return bool(names) and names <= set(machines)


def job2question(request: Render) -> Question | None:
    """What the first take of a job without tracks will ask the plan model."""
    clock = request.arrangement.timeline()
    form, heard = request2form(request.arrangement, clock), listen_tracks(request.arrangement, clock)
    return request2question(without_voices(request), clock, form, heard)


def without_voices(request: Render) -> Render:
    """The request for those parts that are composed: a voice has none in the score."""
    return msgspec.structs.replace(request, stems=tuple(s for s in request.stems if s.role != "vocals"))


def with_voices(score: Score, request: Render) -> Score:
    """The score with a part of no notes for every voice that is wanted, in the request's order."""
    written = {part.name: part for part in score.parts}
    voices = {s.title: Part(s.title, s.role, ()) for s in request.stems if s.role == "vocals"}
    if not voices:
        return score
    named = [stem.title for stem in request.stems]
    parts = {**written, **voices}
    order = sorted(parts, key=lambda name: named.index(name) if name in named else len(named))
    return replace(score, parts=tuple(parts[name] for name in order))
