"""Takes that come share the plan model's batches; each is what it would be if it were composed alone."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial

import msgspec
import pytest

import engine.lelm.plan as lelm
from bridge.errors import RequestError
from bridge.messages import Render
from engine.compose import Writers, compose_band, request2form
from engine.compose.opening import ComingTakes, request2question
from engine.diffusion.parts import PartsModel
from engine.lelm.plan import PlanModel, PlanWish
from engine.score import Chord, Heard, Score
from tests.engine.compose.songs import SHORT, hearing, silent, song

STEMS = ("drums", "bass", "keys", "lead")
STYLES = {"pop": ("A", "minor"), "funk": None, "swing jazz": None}
"""Style words and the key that is given with them."""


@lru_cache(maxsize=1)
def shipped() -> Writers:
    return Writers(PlanModel.load(), PartsModel.load())


def takes(style: str, count: int) -> list[Render]:
    first = song(SHORT, key=STYLES[style], style=style, stems=STEMS, seed=20)
    return [msgspec.structs.replace(first, seed=first.seed + number) for number in range(count)]


def coming(requests: list[Render], heard: Heard) -> ComingTakes:
    clock = requests[0].arrangement.timeline()
    form = request2form(requests[0].arrangement, clock)
    made = ComingTakes()
    made.expect([partial(request2question, request, clock, form, heard) for request in requests])
    return made


def write(request: Render, heard: Heard, writers: Writers) -> Score:
    clock = request.arrangement.timeline()
    return compose_band(request, clock, request2form(request.arrangement, clock), heard, writers, silent)


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many plans each call of the model was asked for."""
    sizes: list[int] = []
    real = lelm.write_plans

    def counted(model: PlanModel, wishes: list[PlanWish], **how: object) -> list[tuple[Chord, ...]]:
        sizes.append(len(wishes))
        return real(model, wishes, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(lelm, "write_plans", counted)
    return sizes


@pytest.mark.parametrize("style", STYLES)
def test_takes_share_batches_and_stay_what_they_are_alone(style: str, batches: list[int]) -> None:
    requests = takes(style, 3)
    heard = hearing(requests[0])
    alone = [write(request, heard, shipped()) for request in requests]
    assert batches == [2, 2, 2]
    batches.clear()
    together = replace(shipped(), coming=coming(requests, heard))
    assert [write(request, heard, together) for request in requests] == alone
    assert batches == [4, 2], "the second take's plans come with the first's, the third has nobody left"


def test_a_take_that_was_kept_asks_nothing_and_is_passed_over(batches: list[int]) -> None:
    requests = takes("pop", 4)
    heard = hearing(requests[0])
    alone = [write(request, heard, shipped()) for request in requests[2:]]
    batches.clear()
    together = replace(shipped(), coming=coming(requests, heard))
    assert [write(request, heard, together) for request in requests[2:]] == alone
    assert batches == [4]


def test_chords_that_are_all_given_ask_nothing(batches: list[int]) -> None:
    requests = takes("pop", 2)
    end = requests[0].arrangement.sections[-1].end
    chords = [
        Chord(4.0 * i, 4.0, (9, 5, 0, 7)[i % 4], "m" if i % 4 == 0 else "", given=True) for i in range(int(end / 4))
    ]
    heard = hearing(requests[0], chords=chords)
    together = replace(shipped(), coming=coming(requests, heard))
    for request in requests:
        write(request, heard, together)
    assert batches == []


def test_what_was_found_for_a_later_job_is_there_when_it_comes(batches: list[int]) -> None:
    first, later = takes("pop", 1), takes("funk", 1)
    later = [msgspec.structs.replace(later[0], seed=99)]
    heard, theirs = hearing(first[0]), hearing(later[0])
    alone = write(later[0], theirs, shipped())
    batches.clear()
    clock = later[0].arrangement.timeline()
    form = request2form(later[0].arrangement, clock)
    known = coming(first, heard)

    def refuse() -> None:
        raise RequestError("stem.vocals", "nobody sings here.")

    known.expect(
        [refuse, *(partial(request2question, r, clock, form, h) for r, h in ((first[0], heard), (later[0], theirs)))]
    )
    together = replace(shipped(), coming=known)
    write(first[0], heard, together)
    known.expect([partial(request2question, later[0], clock, form, theirs)])
    assert write(later[0], theirs, together) == alone
    assert batches == [4]


def test_a_question_of_another_length_waits_for_its_own_batch(batches: list[int]) -> None:
    first = takes("pop", 1)[0]
    longer = msgspec.structs.replace(song((*SHORT, ("Outro", "outro", 2)), style="pop", stems=STEMS, seed=7))
    known = ComingTakes()
    known.expect(
        [
            partial(request2question, r, clock, request2form(r.arrangement, clock), hearing(r))
            for r in (first, longer)
            for clock in [r.arrangement.timeline()]
        ]
    )
    together = replace(shipped(), coming=known)
    write(first, hearing(first), together)
    write(longer, hearing(longer), together)
    assert batches == [2, 2]
