"""A hundred phrases of musicians, labelled by hand: groove, density, register and instruments that are meant.

Fifty were used while the word list was written; the other fifty were not looked at then, and the floors stand on them.
List and vocabulary have one author, so strangers' phrases will fare worse than these figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.timeline import Metre
from engine.compose.words import Worded, words2wishes
from engine.grooves.choose import rank
from engine.sampler.catalogue import style2entry, table

DATA = Path(__file__).parents[2] / "data"
ROLES = ("drums", "bass", "keys", "guitar", "pad", "strings", "brass", "lead", "arp")
ALARM = 0.25
"""A wish this strong for a stem of which the label says nothing is a false one."""


@dataclass(frozen=True)
class Phrase:
    """A line of the list."""

    words: str
    metre: Metre
    bpm: float
    grooves: tuple[str, ...]
    density: dict[str, str]
    register: dict[str, str]
    instruments: dict[str, str]


@dataclass
class Found:
    """Hits and cases."""

    hits: int = 0
    cases: int = 0

    def add(self, hit: bool) -> None:
        self.hits += hit
        self.cases += 1

    @property
    def rate(self) -> float:
        return self.hits / self.cases


def phrases(part: str) -> list[Phrase]:
    def pairs(cell: str) -> dict[str, str]:
        return {} if cell == "-" else dict(pair.split(":") for pair in cell.split(";"))  # type: ignore[misc]

    rows = []
    for line in (DATA / f"style_phrases_{part}.tsv").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            metre, bpm, words, grooves, density, register, instruments = line.split("\t")
            beats, unit = metre.split("/")
            named = () if grooves == "-" else tuple(grooves.split("|"))
            rows.append(
                Phrase(
                    words, Metre(0.0, int(beats), int(unit)), float(bpm), named, pairs(density), pairs(register),
                    pairs(instruments),
                )
            )  # fmt: skip
    return rows


def score(rows: list[Phrase]) -> dict[str, Found]:
    found = {name: Found() for name in ("top 1", "top 3", "density", "register", "instrument", "quiet")}
    for row in rows:
        if row.grooves:
            best = [g.name for g in rank(row.words, row.metre, row.bpm)[:3]]
            found["top 1"].add(best[0] in row.grooves)
            found["top 3"].add(any(name in row.grooves for name in best))
        wishes = words2wishes(row.words, ROLES)
        for axis, label in (("density", row.density), ("register", row.register)):
            for role, sign in label.items():
                meant = ROLES if role == "all" else (role,)
                values = [getattr(wishes.wishes.get(r, Worded()), axis) for r in meant]
                found[axis].add(all(value > 0 if sign == "+" else value < 0 for value in values))
            others = [w for r, w in wishes.wishes.items() if r not in label and "all" not in label]
            found["quiet"].add(all(abs(getattr(w, axis)) < ALARM for w in others))
        for role, names in row.instruments.items():
            plays = wishes.instruments.get(role) or style2entry(role, row.words).name
            found["instrument"].add(plays in names.split("|"))
    return found


def test_the_lists_are_what_they_say() -> None:
    both = [*phrases("dev"), *phrases("held")]
    assert len(phrases("dev")) == len(phrases("held")) == 50
    assert len({row.words for row in both}) == 100
    for row in both:
        assert {*row.density, *row.register, *row.instruments} <= {*ROLES, "all"}
        assert {*row.density.values(), *row.register.values()} <= {"+", "-"}
        assert all(name in table().entries for names in row.instruments.values() for name in names.split("|"))


@pytest.mark.parametrize(
    ("part", "floors"),
    [
        ("dev", {"top 1": 0.95, "top 3": 0.95, "density": 0.95, "register": 0.95, "instrument": 0.9, "quiet": 0.95}),
        ("held", {"top 1": 0.9, "top 3": 0.93, "density": 0.9, "register": 0.9, "instrument": 0.75, "quiet": 0.95}),
    ],
)
def test_phrases_are_understood(part: str, floors: dict[str, float]) -> None:
    found = score(phrases(part))
    low = {name: (f.hits, f.cases) for name, f in found.items() if f.rate < floors[name]}
    assert not low, low


def test_wrong_labels_would_be_noticed() -> None:
    rows = phrases("held")
    turned = [
        Phrase(
            a.words, a.metre, a.bpm, b.grooves, {r: "+" if s == "-" else "-" for r, s in a.density.items()},
            {r: "+" if s == "-" else "-" for r, s in a.register.items()}, dict.fromkeys(a.instruments, "kalimba"),
        )
        for a, b in zip(rows, [*rows[7:], *rows[:7]], strict=True)
    ]  # fmt: skip
    found = score(turned)
    assert all(found[name].rate < 0.25 for name in ("top 1", "density", "register", "instrument"))


@pytest.mark.parametrize(
    ("words", "role", "density", "register"),
    [
        ("busy hats", "drums", 1, 0), ("busy hats", "bass", 0, 0), ("not too busy", "keys", -1, 0),
        ("sparse drums and bass", "bass", -1, 0), ("sparse drums, bass", "bass", 0, 0),
        ("the piano very high", "keys", 0, 1), ("deep house", "bass", 0, 0), ("high energy", "lead", 0, 0),
        ("drum and bass, busy", "pad", 1, 0), ("no busy drums", "drums", -1, 0), ("", "drums", 0, 0),
    ],
)  # fmt: skip
def test_words_belong_to_the_stem_beside_them(words: str, role: str, density: int, register: int) -> None:
    found = words2wishes(words, ROLES).wishes.get(role, Worded())
    assert ((found.density > 0) - (found.density < 0), (found.register > 0) - (found.register < 0)) == (
        density, register,
    )  # fmt: skip


def test_very_is_more_and_a_bit_is_less() -> None:
    value = [words2wishes(f"{how} busy drums", ROLES).wishes["drums"].density for how in ("a bit", "", "very")]
    assert value == sorted(value)
    assert len(set(value)) == 3


def test_instruments_go_to_who_plays_them() -> None:
    assert words2wishes("808 bass", ROLES).instruments == {"bass": "808 bass"}
    assert words2wishes("upright bass and brushes", ("drums", "keys")).instruments == {"drums": "brush kit"}
    assert words2wishes("no harmonica", ROLES).instruments == {}
    assert words2wishes("a guitar, strings, a pad", ROLES).instruments == {}


def test_what_was_understood_is_said_and_what_was_not() -> None:
    found = words2wishes("sparse piano, blorptastic funk", ROLES)
    assert found.ignored == ("blorptastic",)
    assert found.line == "words: grand piano for the keys, sparser (-0.6) for the keys; not understood: blorptastic"
    assert words2wishes("funk", ROLES).line == ""
    assert words2wishes("blorptastic", ROLES).line == "words not understood: blorptastic"
