"""The way of a request: listen, compose, perform, then stem by stem guide, check and hand over. Knows every stage."""

from __future__ import annotations

import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import torch

from bridge.arrangement import Arrangement
from bridge.handover.manifest import MANIFEST_NAME, Machine
from bridge.messages import Done, Listen, ModelList, Render
from bridge.messages import Heard as HeardEvent
from bridge.timeline import Clock
from engine.announce import find_take, take2events
from engine.compose.as_written import compose_as_written
from engine.compose.band import compose_band
from engine.compose.form import request2form
from engine.compose.writers import Writers
from engine.diffusion.parts import WEIGHTS as PARTS
from engine.diffusion.parts import PartsModel
from engine.edits import merge_edit
from engine.lelm.plan import WEIGHTS as PLAN
from engine.lelm.plan import PlanModel
from engine.listen import listen_file, listen_tracks
from engine.models import CATALOGUE, check_choice, choose_model
from engine.perform import perform
from engine.previous import PreviousTake, open_previous, open_take
from engine.report import Reporter, ShareReporter, Stopwatch, Tick, wait_for
from engine.sampler import Bank
from engine.score import FormSection, Heard, Score
from engine.stages import NO_STAGES, StageCache, decode, encode, kept_json, request2inputs, stage2key
from engine.takes import TakeMaker

COMPOSE_UNTIL = 0.45
"""Share of a take's time that composing takes on two cores; the rest is sound."""


class Pipeline:
    """All models of one worker, and what is done with them. Making it loads the shipped weights and sounds."""

    def __init__(self) -> None:
        torch.set_num_threads(1)  # two threads that wait for each other lose to one on a busy machine
        self._writers = Writers(PlanModel.load(), PartsModel.load())
        self._bank = Bank.open()
        self._composing = ThreadPoolExecutor(1, thread_name_prefix="compose")
        self._playing = threading.Lock()

    def models(self) -> ModelList:
        """Composers and renderers, with the reason where one cannot be used."""
        return ModelList(CATALOGUE)

    def listen(self, request: Listen, report: Reporter) -> HeardEvent:
        """Analyses one file. Raises `RequestError` for a file that cannot be heard."""
        report.progress("listen", 0.0)
        return HeardEvent(request.job, request.path, listen_file(Path(request.path)))

    def render(
        self,
        request: Render,
        out: Path,
        report: Reporter,
        *,
        stages: StageCache = NO_STAGES,
        first_take: int = 1,
    ) -> Done:
        """Every take that the request wants, as `take-<first_take>` and following in the job's folder `out`.

        Stages that `stages` holds, and takes that are there, are not made again. Raises `RequestError` for what only
        shows while working, `JobError` for what breaks, `JobCancelled`.
        """
        started = time.perf_counter()
        check_choice(request)
        renderer = choose_model("renderer", request.renderer)
        clock = request.arrangement.timeline()
        form = request2form(request.arrangement, clock)
        watch = Stopwatch()
        report.progress("listen", 0.0)
        with watch.timing("listen"):
            key = stage2key("listen", *request2inputs(msgspec.structs.replace(request, seed=0)))
            heard = kept_json(stages, key, Heard, lambda: listen_tracks(request.arrangement, clock))
        previous = earlier = None
        if request.scope is not None:
            previous = earlier = open_previous(request.scope, out.parent, clock, request.arrangement)
        elif request.continues:
            earlier = open_take(request.continues, out.parent, "continues")
        bank = Bank.open(Path(request.soundfont)) if request.soundfont else self._bank
        manifests: list[str] = []
        common = reference_warnings(request.arrangement, renderer.name)
        warnings = list(common)
        for number in range(request.takes):
            share = ShareReporter(report, number / request.takes, 1.0 / request.takes)
            folder = out / f"take-{first_take + number}"
            whole = find_take(folder)
            if whole is not None:
                for event in take2events(request.job, folder, whole):
                    report.stem(event)
                manifests.append(str(folder / MANIFEST_NAME))
                warnings += [text for text in whole.warnings if text not in warnings]
                continue
            take = msgspec.structs.replace(request, seed=request.seed + number)
            key = stage2key("take", *request2inputs(take), renderer, earlier and (earlier.manifest, earlier.score))
            with watch.timing("compose"):
                tick = share.tick("compose", 0.0, COMPOSE_UNTIL)
                tick(0.0)
                known = stages.get(stage2key("score", key))
                if known is None:
                    writing = self._composing.submit(self._compose, take, clock, form, heard, earlier, tick)
                    score = wait_for(writing, share.poll)
                else:
                    score = decode(known, Score)
            if known is None:
                with watch.timing("perform"):
                    score = perform(score, clock, score.feel, take.seed)
                    if previous is not None and take.scope is not None:
                        score = merge_edit(score, previous.score, take.scope, clock)
                stages.put(stage2key("score", key), encode(score))
            composer = self._composer(request)
            maker = TakeMaker(
                take,
                clock,
                score,
                previous,
                bank,
                composer,
                renderer,
                watch,
                self._playing,
                tuple(common),
                stages,
                key,
            )
            result = maker.make(out, first_take + number, share, COMPOSE_UNTIL)
            manifests.append(str(result.manifest))
            warnings += [text for text in result.warnings if text not in warnings]
            watch = Stopwatch(watch.seconds)
        return Done(request.job, tuple(manifests), round(time.perf_counter() - started, 3), tuple(warnings))

    def _composer(self, request: Render) -> Machine:
        row = choose_model("composer", request.composer)
        weights = f"{weights2name(PLAN)}, {weights2name(PARTS)}" if row.name == "band" else None
        return Machine(row.name, weights, row.licence)

    def _compose(
        self,
        request: Render,
        clock: Clock,
        form: tuple[FormSection, ...],
        heard: Heard,
        earlier: PreviousTake | None,
        tick: Tick,
    ) -> Score:
        if choose_model("composer", request.composer).name == "as-written":
            return compose_as_written(request, clock, form, heard, tick)
        return compose_band(
            request, clock, form, heard, self._writers, tick, previous=earlier.score if earlier else None
        )


def weights2name(path: Path) -> str:
    """How a manifest names a weight file: its name and the start of its SHA-256."""
    return f"{path.stem} sha256:{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"


def reference_warnings(arrangement: Arrangement, renderer: str) -> list[str]:
    """What the user should know when references are given to a renderer that cannot match them."""
    if not arrangement.references:
        return []
    clips = ", ".join(sorted({Path(r.audio).name for r in arrangement.references}))
    return [f"The renderer '{renderer}' plays its own sounds; the reference {clips} was not matched."]
