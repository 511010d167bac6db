"""How a song begins, before any model is asked: its shape, groove and key; and what takes that come later will ask.

Takes of one request differ in their seeds alone, so their questions to the plan model are known before they are
composed, and one batch can answer several; so are those of jobs that wait and bring no tracks to listen to.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bridge.errors import StembridgeError
from bridge.messages import Render
from bridge.timeline import Clock, Metre
from engine.compose.form import SectionShape, form2shape
from engine.compose.harmony import Question, choose_key, plan_question, standing_chords
from engine.compose.keys import Keys, given_keys
from engine.compose.seats import Seat, stems2seats
from engine.compose.subdivision import heard2feel
from engine.compose.symbols import with_chords
from engine.grooves import Groove, choose
from engine.score import Chord, FormSection, Heard, Key

Answer = tuple[tuple[Chord, ...], ...]
KEPT_ANSWERS = 32


@dataclass(frozen=True)
class Opening:
    """What is settled before the chords. The lines say why."""

    shapes: tuple[SectionShape, ...]
    groove: Groove
    groove_line: str
    key: Key
    keys: Keys
    key_line: str


def open_song(
    request: Render, clock: Clock, form: Sequence[FormSection], heard: Heard, seats: Sequence[Seat]
) -> Opening:
    """The opening of the request's song over `form`."""
    shapes = request2shapes(request, clock, form, seats)
    picked, groove_line = choose_groove(request, clock, form, heard2feel(heard))
    key, key_line = choose_key(heard, f"{request.style} {' '.join(section_words(request, form))}", picked, request.seed)
    keys = (given_keys(request.arrangement) if key.given else None) or Keys.steady(key)
    key_line += "".join(f", {later.name} from beat {beat:g}" for beat, later in keys.changes[1:])
    return Opening(shapes, picked, groove_line, key, keys, key_line)


def request2shapes(
    request: Render, clock: Clock, form: Sequence[FormSection], seats: Sequence[Seat]
) -> tuple[SectionShape, ...]:
    """Which stream plays what in which bar of the form."""
    return form2shape(
        form,
        clock,
        [seat.stream for seat in seats],
        words=section_words(request, form),
        seed=request.seed,
        loop=request.tail == "wrap",
    )


def choose_groove(request: Render, clock: Clock, form: Sequence[FormSection], feel: str = "") -> tuple[Groove, str]:
    """The groove for the commonest metre and tempo of the song and the `feel` of the user's notes, and why."""
    length: Counter[tuple[int, int]] = Counter()
    for section in form:
        for bar in section.bars:
            length[bar.metre.beats, bar.metre.unit] += round((bar.end - bar.start) * 1000)
    beats, unit = length.most_common(1)[0][0]
    spans = [(f.end - f.start, clock.beat2second(f.end) - clock.beat2second(f.start)) for f in form]
    bpm = 60.0 * sum(b for b, _ in spans) / max(sum(s for _, s in spans), 1e-9)
    choice = choose(request.style, Metre(form[0].start, beats, unit), bpm, request.seed, feel)
    return choice.groove, f"groove: {choice.groove.title}: {choice.reason}"


def section_words(request: Render, form: Sequence[FormSection]) -> tuple[str, ...]:
    """The user's words about each section of the form."""
    said = {(s.name, round(s.start, 6)): s.words for s in request.arrangement.sections}
    return tuple(said.get((f.name, round(f.start, 6)), "") for f in form)


def given_chords(heard: Heard) -> list[Chord]:
    """The user's chords: they stand."""
    return [chord for chord in heard.chords if chord.given]


def request2question(request: Render, clock: Clock, form: Sequence[FormSection], heard: Heard) -> Question | None:
    """What composing this request will ask the plan model; None where it asks nothing."""
    if not form:
        return None
    heard = with_chords(heard, request.arrangement)
    opening = open_song(request, clock, form, heard, stems2seats(request.stems))
    sections = [shape.section for shape in opening.shapes]
    have, _ = standing_chords(sections, opening.keys, given_chords(heard))
    return plan_question(sections, opening.keys, have, request.seed)


class ComingTakes:
    """Questions of takes that are not composed yet, of this job and of jobs that wait, and answers found on the way.
    Any thread may use it."""

    def __init__(self) -> None:
        self._asking: Sequence[Callable[[], Question | None]] = ()
        self._open: list[Question] | None = []
        self._answers: dict[Question, Answer] = {}
        self._lock = threading.Lock()

    def expect(self, asking: Sequence[Callable[[], Question | None]]) -> None:
        """From now on these takes come, in this order. Each gives its question when the first one asks; one that cannot
        be asked (`StembridgeError`) will say so itself when it is its turn. Answers that are kept stay."""
        with self._lock:
            self._asking, self._open = tuple(asking), None
            for old in list(self._answers)[:-KEPT_ANSWERS]:
                del self._answers[old]

    def take(self, question: Question) -> Answer | None:
        """The answer, if a batch before has found it. The question is no longer a coming one."""
        with self._lock:
            if self._open is None:
                self._open = list(filter(None, map(_ask, self._asking)))
            if question in self._open:
                del self._open[: self._open.index(question) + 1]
            return self._answers.pop(question, None)

    def fitting(self, count: int, fits: Callable[[Question], bool]) -> list[Question]:
        """At most `count` of the next questions that fit and that nobody has answered."""
        with self._lock:
            open_ones = [q for q in self._open or () if q not in self._answers]
        return [q for q in open_ones if fits(q)][: max(count, 0)]

    def keep(self, answers: Mapping[Question, Answer]) -> None:
        """For those who will ask."""
        with self._lock:
            self._answers.update(answers)


def _ask(asking: Callable[[], Question | None]) -> Question | None:
    try:
        return asking()
    except StembridgeError:
        return None
