"""Notes that split the beat in three bring a groove that does."""

from __future__ import annotations

import pytest

from bridge.timeline import Metre
from engine.compose.subdivision import heard2feel, notes2feel
from engine.grooves import choose
from engine.score import Note
from tests.engine.compose.songs import NOTHING, composed, hearing, line, song

THREES = [k / 3 for k in range(48)]
FOURS = [k / 4 for k in range(64)]
EIGHTHS = [k / 2 for k in range(64)]


def notes(starts: list[float], late: float = 0.0) -> list[Note]:
    return [Note(s + late * (k % 3 - 1), 0.2, 60, 90) for k, s in enumerate(starts)]


@pytest.mark.parametrize(
    ("starts", "late", "feel"),
    [
        (THREES, 0.0, "triplet"), (THREES, 0.02, "triplet"), (FOURS, 0.0, ""), (FOURS, 0.02, ""), (EIGHTHS, 0.0, ""),
        ([k + x for k in range(16) for x in (0.0, 2 / 3)], 0.01, "triplet"), (THREES[:6], 0.0, ""), ([], 0.0, ""),
        ([k * 0.37 for k in range(80)], 0.0, ""),
    ],
)  # fmt: skip
def test_the_grid_of_notes(starts: list[float], late: float, feel: str) -> None:
    assert notes2feel(notes(starts, late)) == feel


def test_tracks_that_are_replaced_do_not_count() -> None:
    request = song()
    part = line("keys", "mine", THREES, [60] * len(THREES))
    assert heard2feel(hearing(request, (part, "follow"))) == "triplet"
    assert heard2feel(hearing(request, (part, "replace"))) == ""
    assert heard2feel(NOTHING) == ""


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("style", "bpm"), [("", 90), ("", 150), ("blues", 110), ("jazz", 200)])
def test_the_groove_goes_with_triplets(style: str, bpm: float, seed: int) -> None:
    assert choose(style, Metre(0.0, 4, 4), bpm, seed, "triplet").groove.feel == "triplet"


def test_words_come_first_and_it_is_said() -> None:
    found = choose("techno", Metre(0.0, 4, 4), 130.0, 1, "triplet")
    assert found.groove.name.split("/")[0] == "techno"
    assert "your notes split the beat otherwise than its grid." in found.reason
    assert "otherwise" not in choose("techno", Metre(0.0, 4, 4), 130.0, 1).reason
    assert "otherwise" not in choose("", Metre(0.0, 6, 8), 90.0, 1, "triplet").reason


def test_a_shuffled_bass_keeps_its_triplets() -> None:
    shuffle = [b + x for b in range(16) for x in (0.0, 2 / 3)]
    request = song((("Verse", "verse", 4), ("Chorus", "chorus", 4)), stems=("drums", "keys", "bass"), style="")
    played = line("bass", "mine", shuffle, [40] * len(shuffle), length=0.3)
    score = composed(request, hearing(request, (played, "vary")))
    off = [n.start % 1.0 for n in score.part("bass").notes if 0.05 < n.start % 1.0 < 0.95]
    assert off
    assert sum(abs(x - 2 / 3) < 0.01 or abs(x - 1 / 3) < 0.01 for x in off) / len(off) > 0.9
