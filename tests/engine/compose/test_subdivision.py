"""Notes that split the beat in three bring a groove that does."""

from __future__ import annotations

import msgspec
import pytest

from bridge.messages import Scope
from bridge.timeline import Metre
from engine.compose.measure import kick_bass_agreement
from engine.compose.subdivision import heard2feel, notes2feel
from engine.grooves import choose, groove
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


SIXTEENTHS = [4 * b + x for b in range(16) for x in (0.0, 0.75, 1.5, 2.0, 2.25, 3.5)]


def test_only_drums_make_it_straight() -> None:
    request = song()
    drums, keys = (line(role, "mine", SIXTEENTHS, [36] * len(SIXTEENTHS)) for role in ("drums", "keys"))
    assert heard2feel(hearing(request, (drums, "follow"))) == "straight"
    assert heard2feel(hearing(request, (keys, "follow"))) == ""
    eighths = line("drums", "mine", EIGHTHS, [36] * len(EIGHTHS))
    assert heard2feel(hearing(request, (eighths, "follow"))) == "", "these may be swung"
    swung = [b + x for b in range(32) for x in (0.0, 2 / 3)]
    assert heard2feel(hearing(request, (line("drums", "mine", swung, [36] * 64), "follow"))) == "triplet"


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("style", ["swing", "jazz", "shuffle blues", "big band"])
def test_straight_drums_win_over_a_swing_word(style: str, seed: int) -> None:
    request = song((("Verse", "verse", 8), ("Chorus", "chorus", 8)), stems=("bass", "keys"), style=style, seed=seed)
    kicks = [4 * b + x for b in range(16) for x in (0.0, 0.75, 2.5, 2.75)]
    backbeat = [4 * b + x for b in range(16) for x in (1.0, 3.0)]
    pairs = sorted([(k, 36) for k in kicks] + [(s, 38) for s in backbeat])
    drums = line("drums", "mine", [at for at, _ in pairs], [pitch for _, pitch in pairs], 0.2)
    score = composed(request, hearing(request, (drums, "follow")))
    bars = [bar for section in score.sections for bar in section.bars]
    assert kick_bass_agreement(drums.notes, score.part("bass").notes, bars) > 0.5
    assert "straight sixteenths" in next(line for line in score.remarks if line.startswith("groove:"))
    assert score.feel.swing == 0.5
    assert groove(score.feel.groove).feel == "straight"


def test_an_evened_groove_keeps_every_stroke_in_its_beat() -> None:
    swung = groove("swing-jazz")
    even = groove("swing-jazz:even")
    assert even.steps == 16
    for name, level in swung.levels.items():
        for stream, pattern in level.streams.items():
            straight = even.levels[name].streams[stream]
            assert straight.steps * pattern.bars == 16 * pattern.bars
            assert [e.step // 4 for e in straight.events] == [e.step // 3 for e in pattern.events]
            assert all(e.length >= 1 and e.step % 4 < 3 for e in straight.events)
            assert len({(e.step, e.symbol) for e in straight.events}) == len(pattern.events)


def test_a_reroll_beside_straight_drums_stays_straight() -> None:
    request = song((("Verse", "verse", 4), ("Chorus", "chorus", 4)), stems=("bass",), style="swing jazz")
    starts = [s for s in SIXTEENTHS if s < 32]
    heard = hearing(request, (line("drums", "mine", starts, [36] * len(starts), 0.2), "follow"))
    take = composed(request, heard)
    scope = Scope("job/take-1", stems=("bass",), start=0.0, end=16.0)
    again = msgspec.structs.replace(request, seed=9, scope=scope)
    new = composed(again, heard, previous=take)
    assert new.part("bass").notes != take.part("bass").notes
    assert all(abs(n.start * 4 - round(n.start * 4)) < 0.01 for n in new.part("bass").notes)


def test_a_shuffled_bass_keeps_its_triplets() -> None:
    shuffle = [b + x for b in range(16) for x in (0.0, 2 / 3)]
    request = song((("Verse", "verse", 4), ("Chorus", "chorus", 4)), stems=("drums", "keys", "bass"), style="")
    played = line("bass", "mine", shuffle, [40] * len(shuffle), length=0.3)
    score = composed(request, hearing(request, (played, "vary")))
    off = [n.start % 1.0 for n in score.part("bass").notes if 0.05 < n.start % 1.0 < 0.95]
    assert off
    assert sum(abs(x - 2 / 3) < 0.01 or abs(x - 1 / 3) < 0.01 for x in off) / len(off) > 0.9
