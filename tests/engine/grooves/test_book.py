"""Every groove of the book: playable, coupled, coherent, and what people ask for is there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.errors import RequestError
from engine.grooves import STREAMS, Event, Groove, Level, Pattern, book, draw, groove
from engine.grooves.validate import density, lock, problems

NAMES = [g.name for g in book()]
STYLES = (
    "pop", "indie", "hard rock", "metal", "punk", "funk", "soul", "neo soul", "r&b", "disco", "house", "techno", "trap",
    "boom bap", "lo-fi", "drum and bass", "dubstep", "reggae", "ska", "afrobeat", "bossa nova", "samba", "salsa",
    "cumbia", "reggaeton", "swing", "shuffle", "blues", "gospel", "country", "train beat", "folk", "waltz",
    "jazz waltz", "6/8",
    "power ballad", "synthwave", "ambient", "cinematic", "5/4", "7/8", "cha cha", "merengue", "bachata", "tango",
    "flamenco", "highlife", "baiao", "bembe", "songo", "arabic", "bhangra", "second line", "bluegrass", "surf",
    "motown", "slow blues", "jazz ballad", "bebop", "big band", "jig", "reel", "polka", "viennese waltz", "drill",
    "uk garage", "trance", "grunge", "motorik", "steppers", "city pop", "6/8 metal", "math rock",
)  # fmt: skip


def test_the_book_is_large_and_named_once() -> None:
    assert len(NAMES) >= 72
    assert len(set(NAMES)) == len(NAMES)
    assert len({g.title for g in book()}) == len(NAMES)


def test_a_song_need_not_repeat_its_fill() -> None:
    for g in book():
        assert len({fill.streams["drums"].events for fill in g.fills}) >= 2


@pytest.mark.parametrize("style", STYLES)
def test_a_style_has_a_groove(style: str) -> None:
    assert any(style in g.tags for g in book())


@pytest.mark.parametrize("name", NAMES)
def test_a_groove_breaks_no_rule(name: str) -> None:
    assert problems(groove(name)) == []


def test_no_two_grooves_share_a_stream() -> None:
    for level in ("verse", "chorus"):
        for stream in ("drums", "bass", "lead"):
            seen: dict[tuple[Event, ...], str] = {}
            for g in book():
                pattern = g.levels[level].streams[stream]
                key = (*pattern.events, Event(pattern.bars, pattern.steps, g.feel))
                assert key not in seen, f"{g.name} and {seen.get(key)} play the same {stream} in the {level}"
                seen[key] = g.name


def test_an_unknown_groove_is_an_error_that_lists_the_book() -> None:
    with pytest.raises(RequestError, match="bossa-nova"):
        groove("blorp")


def with_events(g: Groove, level: str, stream: str, events: tuple[Event, ...], **changes: int) -> Groove:
    old = g.levels[level].streams[stream]
    pattern = Pattern(old.bars, old.steps, events, old.low, old.high, old.shape)
    pattern = replace(pattern, **changes)  # type: ignore[arg-type]
    streams = {**g.levels[level].streams, stream: pattern}
    return replace(g, levels={**g.levels, level: Level(level, streams, g.levels[level].crash)})


def test_a_third_hand_is_found() -> None:
    pop = groove("pop")
    drums = pop.levels["verse"].streams["drums"].events
    damaged = with_events(pop, "verse", "drums", (*drums, Event(4, 1, "tom1"), Event(4, 1, "ride")))
    assert any("hands" in p for p in problems(damaged))


def test_a_chorus_thinner_than_its_verse_is_found() -> None:
    pop = groove("pop")
    damaged = with_events(pop, "chorus", "arp", pop.levels["chorus"].streams["arp"].events[:1])
    damaged = with_events(damaged, "chorus", "drums", pop.levels["chorus"].streams["drums"].events[:8])
    assert any("thinner" in p for p in problems(damaged))


def test_a_bass_that_leaves_the_kick_is_found() -> None:
    disco = groove("disco")
    off = tuple(replace(e, step=e.step + 1) for e in disco.levels["verse"].streams["bass"].events)
    assert any("kick and bass" in p for p in problems(with_events(disco, "verse", "bass", off)))


def test_a_fill_that_is_the_verse_is_found() -> None:
    house = groove("house")
    drums = house.levels["intro"].streams["drums"]
    damaged = replace(house, fills=(Level("fill", {"drums": drums}),))
    assert any("fill" in p for p in problems(damaged))


def test_a_dissonant_tune_is_found() -> None:
    folk = groove("folk")
    wrong = tuple(Event(step, 4, "4") for step in range(0, 64, 4))
    assert any("chord tones" in p for p in problems(with_events(folk, "verse", "lead", wrong)))


def test_mud_is_found() -> None:
    folk = groove("folk")
    low = with_events(folk, "verse", "pad", folk.levels["verse"].streams["pad"].events, low=30, high=46)
    assert any("mud" in p for p in problems(low))


def test_a_stop_that_goes_on_is_found() -> None:
    cumbia = groove("cumbia")
    stop = next(f for f in cumbia.fills if f.name == "stop")
    going = replace(stop, streams={**stop.streams, "drums": cumbia.levels["verse"].streams["drums"]})
    found = problems(replace(cumbia, fills=(*(f for f in cumbia.fills if f is not stop), going), alternatives=()))
    assert any("does not stop" in p for p in found)


def test_a_pick_up_that_leads_nowhere_is_found() -> None:
    cumbia = groove("cumbia")
    lazy = Level("pickup", {"drums": next(f for f in cumbia.fills if f.name == "pickup").streams["drums"]})
    found = problems(replace(cumbia, fills=(cumbia.fills[0], lazy), alternatives=()))
    assert any("picks nothing up" in p for p in found)


def test_a_fault_of_a_second_version_is_found() -> None:
    cumbia = groove("cumbia")
    other = with_events(cumbia, "verse", "lead", tuple(Event(step, 4, "4") for step in range(0, 64, 4)))
    found = problems(replace(cumbia, alternatives=(other.levels,)))
    assert any(p.startswith("version 2: verse") for p in found)


def test_many_styles_have_stops_pick_ups_and_second_versions() -> None:
    rich = [g for g in book() if {"stop", "pickup"} <= {f.name for f in g.fills} and g.alternatives]
    assert len(rich) >= 33
    assert sum({"stop", "pickup"} <= {f.name for f in g.fills} for g in book()) >= 70
    for g in rich:
        second = g.version(1)
        changed = [s for s in ("bass", "comp") if second.levels["verse"].streams[s] != g.levels["verse"].streams[s]]
        assert changed == ["bass", "comp"], g.name
        assert len(g.progressions) >= 6, g.name
    assert {g.metre for g in book()} >= {"2/4", "3/4", "4/4", "5/4", "6/8", "7/8", "12/8"}


def test_a_version_is_found_by_its_name_and_an_unknown_one_is_refused() -> None:
    assert groove("cumbia/2") == groove("cumbia").version(1)
    for name in ("cumbia/1", "cumbia/9", "cumbia/x", "pop/2/3"):
        with pytest.raises(RequestError, match="no groove"):
            groove(name)


def test_lock_and_density_are_counted() -> None:
    disco = groove("disco")
    assert lock(disco.levels["verse"]) == 1.0
    assert lock(groove("techno").levels["verse"]) == 0.0
    verse = disco.levels["verse"]
    assert density(verse) == sum(len(p.events) / p.bars for p in verse.streams.values())


@pytest.mark.parametrize("level", ["intro", "verse", "chorus", "bridge", "ending", "fill"])
def test_drawings_show_every_stream(level: str) -> None:
    text = draw(groove("swing-jazz"), level)
    assert text.startswith("Medium swing (swing-jazz)")
    assert "drums\n" in text
    assert "bass\n" in text
    rows = [line for line in text.splitlines() if "|" in line]
    assert len({len(row) for row in rows}) == 1
    if level in ("verse", "chorus"):
        assert all(f"{stream}\n" in text for stream in STREAMS)
