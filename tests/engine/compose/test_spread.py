"""A pad beside keys and guitar holds what they do not."""

from __future__ import annotations

import pytest

from bridge.messages import StemWanted
from engine.compose.form import form2shape, request2form
from engine.compose.keys import Keys
from engine.compose.seats import stems2seats
from engine.compose.song import Song
from engine.compose.spread import LEAST_VOICES, thin_pads
from engine.diffusion.canvas import STREAMS
from engine.grooves import groove
from engine.score import Key, Note
from tests.engine.compose.songs import block_chords, composed, inside, song

SEATS = stems2seats([StemWanted("keys"), StemWanted("guitar"), StemWanted("pad")])


def chorus() -> Song:
    request = song((("Chorus", "chorus", 4),), stems=("keys", "guitar", "pad"))
    clock = request.arrangement.timeline()
    shapes = form2shape(request2form(request.arrangement, clock), clock, STREAMS)
    return Song(shapes, block_chords(0.0, [(0, "")] * 4), Keys.steady(Key(0, "major")), groove("pop"), 1)


def held(*pitches: int, length: float = 4.0) -> tuple[Note, ...]:
    return tuple(Note(4.0 * bar, length, p, 80) for bar in range(4) for p in sorted(pitches))


def pad_beside(keys: tuple[Note, ...], guitar: tuple[Note, ...], pad: tuple[Note, ...]) -> tuple[Note, ...]:
    return thin_pads(chorus(), SEATS, {"keys": keys, "guitar": guitar, "pad": pad})["pad"]


def test_tones_that_others_hold_go() -> None:
    pad = pad_beside(held(60, 64, 67), held(48, 55), held(60, 64, 72, 76))
    assert pad == held(72, 76)


def test_two_voices_stay_whatever_others_play() -> None:
    pad = pad_beside(held(60, 64, 67), held(60, 64, 67), held(60, 64, 67))
    assert len(pad) == 4 * LEAST_VOICES


@pytest.mark.parametrize(
    ("keys", "guitar"), [(held(60, 64, 67), ()), (held(60, 64, 67, length=0.5), held(60, 64, length=1.0))]
)
def test_a_pad_stays_whole_beside_one_other_or_short_strokes(keys: tuple[Note, ...], guitar: tuple[Note, ...]) -> None:
    assert pad_beside(keys, guitar, held(60, 64, 67)) == held(60, 64, 67)


@pytest.mark.parametrize("style", ["pop", "rock", "soul", "country", "house", "ballad"])
def test_a_chorus_has_less_of_the_same_and_no_gap(style: str) -> None:
    form = (("Verse", "verse", 4), ("Chorus", "chorus", 8))
    request = song(form, stems=("drums", "bass", "keys", "guitar", "pad"), style=style, key=("C", "major"))
    alone = song(form, stems=("drums", "bass", "pad"), style=style, key=("C", "major"))
    full, thin = composed(alone).part("pad").notes, composed(request).part("pad").notes
    assert {(n.start, n.pitch) for n in thin} <= {(n.start, n.pitch) for n in full}
    begins = {n.start for n in inside(full, 16, 48)}
    assert {n.start for n in inside(thin, 16, 48)} == begins
    assert all(sum(n.start == at for n in thin) >= min(LEAST_VOICES, sum(n.start == at for n in full)) for at in begins)
