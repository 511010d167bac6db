"""Style words: a labelled list of what musicians write, and how often the groove is the one they mean."""

from __future__ import annotations

import pytest

from bridge.timeline import Metre
from engine.grooves import book, choose

COMMON = (
    ("pop", 4, 4, 110, "pop"), ("rock", 4, 4, 128, "hard-rock"), ("hard rock", 4, 4, 110, "hard-rock"),
    ("metal", 4, 4, 150, "metal"), ("punk", 4, 4, 180, "punk"), ("funk", 4, 4, 104, "funk"),
    ("soul", 4, 4, 110, "soul"), ("disco", 4, 4, 118, "disco"), ("house", 4, 4, 124, "house"),
    ("techno", 4, 4, 130, "techno"), ("trap", 4, 4, 140, "trap"), ("hip hop", 4, 4, 90, "boom-bap"),
    ("lofi", 4, 4, 78, "lo-fi"), ("drum and bass", 4, 4, 174, "drum-and-bass"), ("dubstep", 4, 4, 140, "dubstep"),
    ("reggae", 4, 4, 76, "reggae"), ("ska", 4, 4, 150, "ska"), ("afrobeat", 4, 4, 104, "afrobeat"),
    ("bossa nova", 4, 4, 130, "bossa-nova"), ("samba", 4, 4, 100, "samba"), ("salsa", 4, 4, 180, "salsa"),
    ("reggaeton", 4, 4, 94, "reggaeton"), ("swing", 4, 4, 150, "swing-jazz"), ("blues", 4, 4, 110, "shuffle-blues"),
    ("gospel", 4, 4, 70, "gospel"), ("country", 4, 4, 112, "country-train"), ("folk", 4, 4, 96, "folk"),
    ("waltz", 3, 4, 110, "waltz"), ("ballad", 6, 8, 80, "ballad-six-eight"), ("ambient", 4, 4, 70, "ambient"),
    ("synthwave", 4, 4, 100, "synthwave"), ("cinematic", 4, 4, 100, "cinematic"), ("neo soul", 4, 4, 84, "neo-soul"),
)  # fmt: skip
"""Words, metre, tempo, groove. These were so before the book grew, and songs depend on them."""
PHRASES = (
    *COMMON,
    ("cumbia with accordion", 4, 4, 96, "cumbia"), ("a cha-cha for the ballroom", 4, 4, 120, "cha-cha"),
    ("fast merengue, saxes", 4, 4, 140, "merengue"), ("romantic bachata guitars", 4, 4, 124, "bachata"),
    ("Argentine tango, bandoneon", 4, 4, 118, "tango"), ("flamenco, palmas and cajon", 12, 8, 110, "bulerias"),
    ("highlife from Ghana", 4, 4, 120, "highlife"), ("baiao with zabumba", 2, 4, 104, "baiao"),
    ("forro", 2, 4, 108, "baiao"), ("afro-cuban bembe", 12, 8, 160, "afro-cuban"),
    ("latin funk, songo drums", 4, 4, 100, "songo"), ("belly dance, darbuka and oud", 4, 4, 104, "maqsum"),
    ("bollywood dance number", 4, 4, 104, "bhangra"), ("Punjabi bhangra", 4, 4, 100, "bhangra"),
    ("New Orleans brass band", 4, 4, 98, "second-line"), ("second line parade", 4, 4, 98, "second-line"),
    ("bluegrass breakdown with banjo", 4, 4, 124, "bluegrass"), ("surf guitar instrumental", 4, 4, 160, "surf"),
    ("Motown with tambourine", 4, 4, 124, "motown"), ("girl group, sixties pop", 4, 4, 124, "motown"),
    ("slow blues", 4, 4, 60, "slow-blues"), ("slow blues in the small hours", 12, 8, 90, "slow-blues"),
    ("jazz ballad with brushes", 4, 4, 62, "jazz-ballad"), ("smoky torch song", 4, 4, 62, "jazz-ballad"),
    ("bebop", 4, 4, 230, "bebop"), ("hard bop quintet", 4, 4, 220, "bebop"),
    ("big band, brass section", 4, 4, 150, "big-band"), ("swing era dance band", 4, 4, 150, "big-band"),
    ("Irish jig", 6, 8, 170, "jig"), ("celtic reel", 4, 4, 112, "reel"), ("polka", 2, 4, 120, "polka"),
    ("Oktoberfest oompah", 2, 4, 120, "polka"), ("Viennese waltz", 3, 4, 170, "viennese-waltz"),
    ("jazz waltz", 3, 4, 140, "jazz-waltz"), ("prog rock in seven", 7, 8, 140, "seven-eight"),
    ("cool jazz in five", 5, 4, 150, "five-four"), ("UK drill, sliding 808", 4, 4, 142, "drill"),
    ("uk garage two step", 4, 4, 132, "uk-garage"), ("uplifting trance with supersaws", 4, 4, 138, "trance"),
    ("grunge from Seattle", 4, 4, 110, "grunge"), ("krautrock, motorik beat", 4, 4, 150, "motorik"),
    ("dub steppers, sound system", 4, 4, 76, "steppers"), ("Japanese city pop", 4, 4, 110, "city-pop"),
    ("k-pop", 4, 4, 116, "city-pop"), ("math rock, tapping guitars", 7, 8, 150, "math-rock"),
    ("doom metal in six", 6, 8, 120, "metal-six"),
)  # fmt: skip


def chosen(words: str, beats: int, unit: int, bpm: float) -> str:
    return choose(words, Metre(0.0, beats, unit), bpm, 1).groove.name.split("/")[0]


@pytest.mark.parametrize(("words", "beats", "unit", "bpm", "name"), COMMON)
def test_common_words_keep_their_groove(words: str, beats: int, unit: int, bpm: float, name: str) -> None:
    assert chosen(words, beats, unit, bpm) == name


def test_phrases_choose_the_groove_that_is_meant() -> None:
    assert len(PHRASES) >= 60
    wrong = [(words, name) for words, b, u, bpm, name in PHRASES if chosen(words, b, u, bpm) != name]
    assert 1 - len(wrong) / len(PHRASES) >= 0.9, wrong


def test_every_groove_is_chosen_by_its_first_tag() -> None:
    missed = [g.name for g in book() if chosen(g.tags[0], g.beats, g.unit, (g.bpm_low + g.bpm_high) / 2) != g.name]
    assert missed == []


def test_a_wrong_label_would_be_noticed() -> None:
    assert chosen("cumbia with accordion", 4, 4, 96) != "salsa"
