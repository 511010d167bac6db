"""A continuation sounds like the song's next bars: its groove, key and chords, and its end open."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from bridge.arrangement import KeyAt, Section
from bridge.errors import RequestError
from bridge.messages import Render
from engine.compose import Writers
from engine.compose.measure import bar_notes
from engine.score import Score
from tests.engine.compose.songs import SONG, composed, song
from tests.engine.compose.test_compose_models import shipped

BODY = SONG[:5]
STEMS = ("drums", "bass", "keys", "pad", "lead")
TAKE = composed(song(BODY, stems=STEMS, key=("A", "minor"), style="funk", seed=3))
END = TAKE.sections[-1].end


def next_request(
    label: str = "verse", bars: int = 8, *, start: float = END, seed: int = 7, key: tuple[str, str] | None = None
) -> Render:
    """A section of `bars` that goes on after the take; the clock covers that section alone."""
    request = song(BODY, stems=STEMS, seed=seed)
    arrangement = msgspec.structs.replace(
        request.arrangement,
        clock=((start, start / 2), (start + 4.0 * bars, start / 2 + 2.0 * bars)),
        sections=(Section("Next", label, start, start + 4.0 * bars),),
        keys=(KeyAt(start, *key),) if key else (),
    )
    return msgspec.structs.replace(request, arrangement=arrangement, continues="job/take-1")


def gone_on(label: str = "verse", bars: int = 8, *, writers: Writers | None = None, **other: object) -> Score:
    return composed(next_request(label, bars, **other), writers=writers, previous=TAKE)  # type: ignore[arg-type]


def test_it_fills_its_own_section_and_nothing_else() -> None:
    score = gone_on()
    assert [(s.name, s.start, s.end, s.index) for s in score.sections] == [("Next", END, END + 32, 2)]
    for part in score.parts:
        assert part.notes, part.name
        assert all(END <= n.start < END + 32 and n.end <= END + 32 for n in part.notes)
    assert score.chords[0].beat == END
    assert score.chords[-1].end == END + 32


def test_it_keeps_groove_key_and_the_chords_of_its_label() -> None:
    score = gone_on("chorus")
    assert score.feel.groove == TAKE.feel.groove
    assert score.key == TAKE.key
    chorus = TAKE.sections[2]
    for beat in range(32):
        then = next(c.symbol for c in TAKE.chords if c.beat <= chorus.start + beat < c.end)
        assert next(c.symbol for c in score.chords if c.beat <= END + beat < c.end) == then
    assert not any(c.given for c in score.chords)
    assert any("as in Chorus 1" in line for line in score.remarks)


def drum_bars(score: Score, section: int) -> list[frozenset[tuple[float, int]]]:
    """Places (beat in bar, pitch) of the drums in each bar of a section."""
    notes = score.part("drums").notes
    bars = score.sections[section].bars
    return [frozenset((round(n.start - b.start, 2), n.pitch) for n in bar_notes(notes, b)) for b in bars]


def likeness(score: Score, other: Score) -> float:
    """How much of each bar of the continuation some verse bar of the other take has, 0-1."""
    known = drum_bars(other, 1) + drum_bars(other, 3)
    bars = drum_bars(score, 0)
    return sum(max(len(bar & k) / len(bar | k) for k in known) for bar in bars) / len(bars)


def test_the_drums_go_on_in_the_same_pattern() -> None:
    score = gone_on("verse")
    stranger = composed(song(BODY, stems=STEMS, key=("A", "minor"), style="bossa nova", seed=3))
    assert likeness(score, TAKE) > 0.85
    assert likeness(score, stranger) < 0.6


def test_only_an_outro_ends() -> None:
    bars = {label: gone_on(label, 4).sections[0].bars[-1] for label in ("verse", "outro")}
    kicks = {
        label: [n for n in bar_notes(gone_on(label, 4).part("drums").notes, bar) if n.start > bar.start + 2.5]
        for label, bar in bars.items()
    }
    assert kicks["verse"]
    assert len(kicks["outro"]) < len(kicks["verse"])


def test_a_new_key_of_the_project_holds_from_there() -> None:
    score = gone_on(key=("C", "minor"))
    assert score.key.name == "C minor"
    assert score.key.given
    inside = [n.pitch % 12 in score.key.scale for p in score.parts if p.role != "drums" for n in p.notes]
    assert sum(inside) / len(inside) > 0.97


def test_the_same_seed_goes_on_in_the_same_way_and_another_in_another() -> None:
    assert gone_on(seed=9) == gone_on(seed=9)
    assert gone_on(seed=9).part("lead").notes != gone_on(seed=10).part("lead").notes


def test_the_shipped_models_write_it_too() -> None:
    score = gone_on(writers=shipped())
    assert all(part.notes for part in score.parts)
    assert any("parts model" in line for line in score.remarks)


def test_what_cannot_be_gone_on_with_is_refused() -> None:
    with pytest.raises(RequestError) as overlap:
        gone_on(start=END - 8)
    assert (overlap.value.code, overlap.value.field) == ("continues.overlap", "continues")
    foreign = replace(TAKE, feel=replace(TAKE.feel, groove=""))
    with pytest.raises(RequestError) as refused:
        composed(next_request(), previous=foreign)
    assert refused.value.field == "continues"
