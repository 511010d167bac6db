"""Words, metre and tempo to a groove, and what the reason says."""

from __future__ import annotations

import pytest

from bridge.timeline import Metre
from engine.grooves import book, choose
from engine.grooves.choose import can_rebar, normalise
from engine.grooves.rebar import is_compound


def pick(style: str, beats: int = 4, unit: int = 4, bpm: float = 120.0, seed: int = 1) -> str:
    return choose(style, Metre(0.0, beats, unit), bpm, seed).groove.name.split("/")[0]


@pytest.mark.parametrize(
    ("style", "bpm", "name"),
    [
        ("neo-soul, warm, laid back", 84, "neo-soul"), ("R&B, smooth", 72, "rnb"),
        ("Drum & Bass", 174, "drum-and-bass"), ("D'n'B", 174, "drum-and-bass"), ("hip-hop", 92, "boom-bap"),
        ("lofi beats to study", 78, "lo-fi"),
        ("Bossa Nova", 130, "bossa-nova"), ("bluesy", 120, "shuffle-blues"), ("80s synthwave", 100, "synthwave"),
        ("epic orchestral trailer", 100, "cinematic"), ("pop punk", 180, "punk"), ("roots reggae", 76, "reggae"),
        ("power ballads", 70, "power-ballad"), ("swing", 150, "swing-jazz"), ("country", 112, "country-train"),
        ("deep house", 122, "house"), ("salsa", 180, "salsa"), ("reggaeton", 94, "reggaeton"),
        ("afrobeats", 104, "afrobeat"), ("samba", 100, "samba"), ("trap", 140, "trap"),
        ("thrash metal", 170, "metal"), ("ambient", 70, "ambient"),
    ],
)  # fmt: skip
def test_words_name_grooves(style: str, bpm: float, name: str) -> None:
    assert pick(style, bpm=bpm) == name


@pytest.mark.parametrize("seed", range(5))
def test_every_groove_answers_to_its_own_title(seed: int) -> None:
    for g in book():
        found = choose(g.title, Metre(0.0, g.beats, g.unit), (g.bpm_low + g.bpm_high) / 2, seed)
        assert found.groove.name.split("/")[0] == g.name
        assert "re-barred" not in found.reason


@pytest.mark.parametrize(
    ("beats", "unit", "name"), [(3, 4, "waltz"), (6, 8, "ballad-six-eight"), (5, 4, "five-four"), (7, 8, "seven-eight")]
)
def test_metre_decides_where_no_word_does(beats: int, unit: int, name: str) -> None:
    choice = choose("", Metre(0.0, beats, unit), 110.0, 3)
    assert choice.groove.name == name
    assert "no style was asked for" in choice.reason


def test_unknown_words_are_said() -> None:
    choice = choose("blorptastic", Metre(0.0, 4, 4), 112.0, 1)
    assert "versatile" in choice.groove.tags
    assert "no word of 'blorptastic'" in choice.reason


def test_jazz_in_three_is_a_jazz_waltz() -> None:
    assert pick("jazz", 3, 4, 140) == "jazz-waltz"


def test_a_groove_in_another_metre_is_said() -> None:
    choice = choose("hard rock", Metre(0.0, 3, 4), 110.0, 1)
    assert choice.groove.name == "hard-rock"
    assert "written in 4/4 and re-barred to 3/4 (its beats 1 3 4)" in choice.reason


def test_triplets_in_twelve_eight_are_said() -> None:
    choice = choose("gospel", Metre(0.0, 12, 8), 100.0, 1)
    assert choice.groove.name == "gospel"
    assert "triplets become the eighths of 12/8" in choice.reason


def test_an_unusual_tempo_is_said() -> None:
    assert "faster than its usual" in choose("ambient", Metre(0.0, 4, 4), 180.0, 1).reason
    assert "usual" not in choose("ambient", Metre(0.0, 4, 4), 70.0, 1).reason


@pytest.mark.parametrize("style", ["", "rock", "techno", "funk", "samba", "odd"])
@pytest.mark.parametrize("metre", [(6, 8), (9, 8), (12, 8), (3, 4), (2, 2), (11, 8), (1, 4)])
def test_straight_and_compound_are_never_mixed(style: str, metre: tuple[int, int]) -> None:
    choice = choose(style, Metre(0.0, *metre), 100.0, 7)
    g = choice.groove
    assert can_rebar(g, Metre(0.0, *metre))
    if is_compound(*metre):
        assert is_compound(g.beats, g.unit) or g.feel == "triplet"
    else:
        assert not is_compound(g.beats, g.unit)


def test_the_seed_decides_between_equals_only() -> None:
    named = {pick("", bpm=120, seed=s) for s in range(20)}
    assert len(named) > 1
    assert all(pick("", bpm=120, seed=4) == pick("", bpm=120, seed=4) for _ in range(3))
    assert {pick("bossa nova", bpm=130, seed=s) for s in range(20)} == {"bossa-nova"}


def test_normalise_adds_synonyms_and_singulars() -> None:
    text = normalise("Jazzy  Ballads!")
    assert " jazzy ballads " in text
    assert " jazz " in text
    assert " ballad " in text
