"""Stems by a renderer that may drift: guide, stretches, tries, each held to its guide; else the guide stands in.

Stretches of several stems go to their renderer together, as many as it takes at once; while it works on the next ones,
the last are judged. What a stem becomes depends on its own stretches and seeds alone, not on the company they had.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import msgspec
import numpy as np
from numpy.typing import NDArray

from bridge.errors import JobError
from bridge.messages import ModelRow
from engine.checks import StemVerdict
from engine.conform import (
    Fitted,
    TooLong,
    Window,
    conform,
    conform_voice,
    cut_windows,
    edit_windows,
    guide2target,
    hold_peak,
    is_silent,
    join_windows,
)
from engine.guests import NO_CLIPS, Clips
from engine.pieces import Band, Piece, StemInWork, next_batch, painted2repairs, stem2painted
from engine.rendering import Audio, Clip, Renderer, Stretch, Task
from engine.report import ShareReporter, Tick, wait_for
from engine.sampler.catalogue import table
from engine.score import Part
from engine.sharing import Shared
from engine.sounds import Sound
from engine.splice import finish_tail, splice
from engine.stems import TAIL_SECONDS, StemMaker
from engine.stretches import Scene, try2seed

LATEST_MS = 10.0
"""99 of 100 onsets of a stem lie within this."""
LOST = 3
"""A stem that cannot be timed has lost its attacks where its guide has more than so many times as many clear ones."""
TRIES = 3
"""Seeds that a stretch is tried with before the guide stands in."""
CUT_RINGING_SECONDS = 0.1
"""A stem whose ringing is cut is rendered so far past its end: the cut shall not fall on the model's last frame."""
RINGING_STEP_SECONDS = 1.0
SILENT = 10 ** (-90 / 20)
VOICE_REMARK = "a voice has no notes in the score: its timing and pitch were not measured"
Floats = NDArray[np.float64]
OPEN_BYTES = 1 << 30
WORKERS = 4
"""Threads: one waits for the renderer, the others judge what it has answered."""
COPIES = 5
"""Sound of the whole length that an open stem holds: guide, answers, what they became, what is around it."""
NOT_FINITE = "renderer.not_finite"


@dataclass(frozen=True)
class LeftOut:
    """A voice of which no try could be used: there is no guide that could stand in. `why` is for the musician."""

    why: str


@dataclass(frozen=True)
class Painter:
    """Paints the stems of one take. `rows` and `renderers` are by the stem's name; `open_bytes`: what stems that are on
    their way may hold, but for one that always may be. `clips`: what was rendered ahead of the take's turn."""

    stems: StemMaker
    scene: Scene
    rows: Mapping[str, ModelRow]
    renderers: Mapping[str, Renderer]
    open_bytes: int = OPEN_BYTES
    clips: Clips = NO_CLIPS

    def ahead(self, parts: Sequence[Part], tick: Tick) -> None:
        """Offers the first tries of the parts for free rows of their renderers, which are `Shared`, and keeps what
        comes of them in `clips`. Raises as `paint` does."""
        band = Band(self.stems)
        for part in parts:
            stem = self._begin(part, band, tick)
            pieces = [piece for piece in stem.waiting if not piece.ahead]
            assert isinstance(stem.renderer, Shared)
            stem.renderer.along([piece.stretch for piece in pieces], tick, partial(self._keep, part, pieces))

    def _keep(self, part: Part, pieces: Sequence[Piece], number: int, clip: Clip) -> None:
        self.clips.keep(part, pieces[number], clip)

    def paint(
        self, parts: Sequence[Part], share: ShareReporter, begin: float, width: float
    ) -> Iterator[tuple[Part, Sound | LeftOut]]:
        """The parts in order with their sounds. `begin` and `width`: their share of the take. Raises `JobError`,
        `RequestError` for what a checkpoint cannot do, and `JobCancelled`."""
        waiting, working = deque(parts), deque[StemInWork]()
        band = Band(self.stems)
        done = [0]
        step = width / max(len(parts), 1)
        pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="paint")
        out: tuple[Future[list[Clip | str]], list[tuple[StemInWork, Piece]]] | None = None

        def quiet(fraction: float) -> None:
            share.poll()

        def tick(name: str) -> Tick:
            at = begin + step * done[0]
            return share.tick(f"render: {name}", at, at + 0.9 * step)

        def send(busy: Sequence[Piece]) -> tuple[Future[list[Clip | str]], list[tuple[StemInWork, Piece]]] | None:
            batch = next_batch(working, busy)
            if not batch:
                return None
            renderer = batch[0][0].renderer
            told = tick(", ".join(dict.fromkeys(stem.part.name for stem, _ in batch)))
            return pool.submit(self._answers, renderer, batch, told), batch

        try:
            while waiting or working:
                while waiting and self._has_room(working):
                    part = waiting.popleft()
                    working.append(wait_for(pool.submit(self._begin, part, band, quiet), share.poll))
                out = out or send(())
                if out is not None:
                    answers, batch = wait_for(out[0], share.poll), out[1]
                    out = send([piece for _, piece in batch])
                    held = [
                        pool.submit(self._fit, piece, answer) for (_, piece), answer in zip(batch, answers, strict=True)
                    ]
                    for (stem, piece), fitted in zip(batch, held, strict=True):
                        self._decide(stem, piece, wait_for(fitted, share.poll))
                while working and not working[0].waiting:
                    stem, at = working[0], begin + step * done[0]
                    sound = wait_for(pool.submit(self._finish, stem, share, at, step), share.poll)
                    if sound is None:
                        break
                    working.popleft()
                    done[0] += 1
                    yield stem.part, sound
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _has_room(self, working: Sequence[StemInWork]) -> bool:
        """Whether another stem may be opened: enough for the batch after the next, and no more than memory bears."""
        if not working:
            return True
        held = 8 * COPIES * self.scene.frame.samples * len(working)
        waiting = sum(len(stem.waiting) for stem in working)
        return held < self.open_bytes and waiting < 2 * working[0].renderer.batch

    def _begin(self, part: Part, band: Band, tick: Tick) -> StemInWork:
        """The guide of a part, cut into what its renderer will be asked for."""
        stems, scene, renderer = self.stems, self.scene, self.renderers[part.name]
        rate, mode = scene.frame.rate, self.stems.request.tail
        ringing = round((CUT_RINGING_SECONDS if mode == "cut" else TAIL_SECONDS) * rate)
        guide = np.zeros((2, scene.frame.samples + ringing), np.float32)
        if part.notes:
            guide = stems.guide(part, ringing, tick)
            guide = guide[:, : scene.frame.samples + _audible(guide[:, scene.frame.samples :], rate)]
        old = stems.edited(part)
        earlier, spans = None, []
        if old is not None:
            before, tail = stems.before(old)
            earlier = before if tail is None else np.concatenate([before, tail], axis=1)
            spans = stems.scope_spans()
        stem = StemInWork(part, self.rows[part.name], renderer, guide.shape[1] - scene.frame.samples, "", [])
        stem.instrument = stems.instrument(part).name if part.notes else ""
        try:
            longest = int(renderer.window_seconds * rate)
            if old is None:
                windows = cut_windows(scene.bars, guide.shape[1], longest)
            else:
                windows = edit_windows(scene.bars, spans, guide.shape[1], longest)
        except TooLong:
            stem.failed = f"two bars last longer than the {renderer.window_seconds:g} s that it takes at once"
            return stem
        onsets = scene.onsets(part)
        seed = try2seed(stems.request.seed, part.name, 0)
        company = any(other.notes for other in stems.score.parts if other is not part)
        for window in windows:
            stretch = scene.stretch(
                part, window, guide, instrument=stem.instrument, seed=seed, earlier=earlier, spans=spans
            )
            near = replace(stretch, others=stretch.guide)
            if (part.notes or company) and (renderer.task(near) == "lego" or not part.notes):
                around = band.without(part, guide, tick)
                stretch = scene.stretch(
                    part,
                    window,
                    guide,
                    instrument=stem.instrument,
                    seed=seed,
                    others=around,
                    earlier=earlier,
                    spans=spans,
                )
            piece = self._piece(part, window, stretch, renderer.task(stretch), onsets, spans)
            piece.ahead = piece.answer is None and renderer.batch > 1 and self.clips.find(part, piece) is not None
            stem.pieces.append(piece)
        stem.remarks = tuple(dict.fromkeys(r for piece in stem.pieces for r in renderer.remarks(piece.stretch)))
        return stem

    def _piece(
        self,
        part: Part,
        window: Window,
        stretch: Stretch,
        task: Task,
        onsets: Floats,
        spans: Sequence[tuple[int, int]],
    ) -> Piece:
        """What is asked and what the answer is held to: all bars, or those that an edit writes anew."""
        if not part.notes:
            return Piece(window, stretch, task, None)
        if is_silent(stretch.guide.audio):
            return Piece(window, stretch, task, None, answer=Fitted(np.zeros_like(stretch.guide.audio)))
        meant = spans or [(0, self.scene.frame.samples)]
        bars: list[tuple[int, int]] = []
        beside: list[tuple[int, int]] = []
        for start, end in self.scene.bars[window.first : window.last]:
            (bars if _inside(start, meant) else beside).append((start - window.start, end - window.start))
        notes = np.array([onset for onset in onsets if _inside(onset, meant)]) - window.start
        target = guide2target(
            stretch.guide.audio,
            bars,
            notes,
            stretch.guide.rate,
            drums=part.role == "drums",
            beside=beside,
        )
        return Piece(window, stretch, task, target)

    def _answers(self, renderer: Renderer, batch: Sequence[tuple[StemInWork, Piece]], tick: Tick) -> list[Clip | str]:
        """What was rendered ahead, and the rest now."""
        known = [self.clips.find(stem.part, piece) if piece.ahead else None for stem, piece in batch]
        missing = [piece.stretch for (_, piece), clip in zip(batch, known, strict=True) if clip is None]
        made = iter(self._render(renderer, missing, tick) if missing else ())
        return [next(made) if clip is None else clip for clip in known]

    def _render(self, renderer: Renderer, stretches: Sequence[Stretch], tick: Tick) -> list[Clip | str]:
        """The answers; a text in place of one that is no sound at all."""
        with self.stems.watch.timing("render"):
            try:
                return list(renderer.render(stretches, tick))
            except JobError as error:
                if error.code != NOT_FINITE:
                    raise
                if len(stretches) == 1:
                    return [error.message]
            return [answer for stretch in stretches for answer in self._render(renderer, [stretch], tick)]

    def _decide(self, stem: StemInWork, piece: Piece, fitted: Fitted) -> None:
        """A stretch is taken, tried again with another seed, or given up with its stem."""
        piece.tries += 1
        if fitted.audio is not None:
            piece.answer = fitted
            return
        piece.refused.append(f"seed {piece.stretch.seed}: {', '.join(fitted.faults)}")
        if piece.tries >= TRIES:
            piece.answer, stem.failed = fitted, ", ".join(fitted.faults)
            return
        seed = try2seed(self.stems.request.seed, stem.part.name, piece.tries)
        piece.stretch, piece.ahead = replace(piece.stretch, seed=seed), False

    def _fit(self, piece: Piece, answer: Clip | str) -> Fitted:
        """An answer held to its guide."""
        with self.stems.watch.timing("conform"):
            return self._held(piece, answer)

    def _held(self, piece: Piece, answer: Clip | str) -> Fitted:
        guide = piece.stretch.guide
        if isinstance(answer, str):
            return Fitted(None, (answer,))
        if answer.rate != guide.rate:
            return Fitted(None, (f"it came at {answer.rate} Hz instead of {guide.rate}",))
        if piece.target is None:
            return conform_voice(answer.audio, guide.audio.shape[1], table().roles[piece.stretch.role].lufs, guide.rate)
        return conform(answer.audio, piece.target)

    def _finish(self, stem: StemInWork, share: ShareReporter, at: float, width: float) -> Sound | LeftOut | None:
        """The stem as a whole, checked; or the guide in its place, with the reason. None where its stretches are to be
        tried again, since the whole is off."""
        part = stem.part
        if not stem.failed:
            audio, tail = self._join(stem)
            verdict = self.stems.check(audio, part)
            painted = stem2painted(stem, used=True)
            if not part.notes:
                return Sound(audio, tail, None, verdict, painted, (*stem.remarks, VOICE_REMARK))
            stem.failed = self._off(stem, verdict)
            if not stem.failed:
                checks = msgspec.structs.replace(verdict.checks, repaired=painted2repairs(painted))
                instrument = self.stems.instrument(part)
                return Sound(audio, tail, instrument, replace(verdict, checks=checks), painted, stem.remarks)
            if self._again(stem):
                return None
        if not part.notes:
            return LeftOut(f"left out: {stem.row.name} could not sing it ({stem.failed})")
        sound = self.stems.make(part, share, at, width)
        why = f"the sampler's guide stands in for {stem.row.name}: {stem.failed}"
        checks = msgspec.structs.replace(sound.verdict.checks, repaired=(*sound.verdict.checks.repaired, why))
        verdict = replace(sound.verdict, checks=checks)
        remarks = (*stem.remarks, why)
        return replace(sound, verdict=verdict, painted=stem2painted(stem, used=False), remarks=remarks)

    def _again(self, stem: StemInWork) -> bool:
        """Whether a stem that is off as a whole has seeds left; all its stretches wait for the next one then."""
        asked = [piece for piece in stem.pieces if piece.tries]
        tries = max((piece.tries for piece in asked), default=TRIES)
        if tries >= TRIES:
            return False
        seed = try2seed(self.stems.request.seed, stem.part.name, tries)
        for piece in asked:
            piece.refused.append(f"seed {piece.stretch.seed}: {stem.failed}")
            piece.stretch, piece.ahead = replace(piece.stretch, seed=seed), False
            piece.tries, piece.answer = tries, None
        stem.failed = ""
        return True

    def _off(self, stem: StemInWork, verdict: StemVerdict) -> str:
        """What is wrong with a painted stem, or "". One or two notes out of place, which may be the measure's own
        fault, and a sound too soft to be timed are forgiven only where the guide's are no better."""
        if not verdict.good:
            return verdict.problems[0].message
        late = verdict.checks.onset_ms_p99
        if late is not None and late <= LATEST_MS:
            return ""
        guide = self.stems.check(self.stems.guide(stem.part, 0, lambda fraction: None), stem.part)
        if guide.checks.onset_ms_p99 is None or guide.checks.onset_ms_p99 > LATEST_MS:
            return ""
        if late is None:
            gone = guide.clear_onsets > LOST * verdict.clear_onsets
            return "its notes begin too softly to be timed, which the guide's do not" if gone else ""
        return f"one note in a hundred is {late:.0f} ms from its place"

    def _join(self, stem: StemInWork) -> tuple[Audio, Audio | None]:
        """The stem's windows as one, exactly as long as it must be, and its tail; an edit's spans in the old sound."""
        frame, part = self.scene.frame, stem.part
        pieces = [
            (p.window, p.answer.audio) for p in stem.pieces if p.answer is not None and p.answer.audio is not None
        ]
        onsets = self.scene.onsets(part)
        whole = hold_peak(join_windows(pieces, frame.samples + stem.ringing, onsets, frame.rate))
        old = self.stems.edited(part)
        if old is None:
            return finish_tail(whole, frame.samples, self.stems.request.tail, frame.rate)
        before, tail = self.stems.before(old)
        spans = self.stems.scope_spans()
        mode = "file" if self.stems.request.tail == "file" else "cut"
        new, ringing = finish_tail(whole, frame.samples, mode, frame.rate)
        if spans[-1][1] == frame.samples:
            tail = ringing
        return splice(before, new, spans, frame.rate), tail


def takes_at_once(takes: int, renderers: Mapping[str, Renderer], samples: int) -> int:
    """How many takes of a request are painted side by side, of so many samples each: as many as share a call of a
    renderer, where memory bears an open stem of each; one, where there is nothing to share."""
    shared = max((renderer.batch for renderer in renderers.values()), default=1)
    return max(1, min(takes, shared, OPEN_BYTES // max(8 * COPIES * samples, 1)))


def _inside(at: float, spans: Sequence[tuple[int, int]]) -> bool:
    return any(start - 0.5 <= at < end for start, end in spans)


def _audible(ringing: Audio, rate: int) -> int:
    """Samples of what rings on up to the last that can be heard, in whole steps, so that stems of one length as a rule
    have windows of one length, which may share a call."""
    heard = np.flatnonzero(np.abs(ringing).max(axis=0, initial=0.0) > SILENT)
    step = round(RINGING_STEP_SECONDS * rate)
    return min(-(-(int(heard[-1]) + 1) // step) * step, int(ringing.shape[1])) if heard.size else 0
