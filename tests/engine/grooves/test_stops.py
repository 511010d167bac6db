"""Where a song stops: the band falls silent before something big, never at a small fill."""

from __future__ import annotations

import pytest

from bridge.timeline import Clock
from engine.compose.form import form2shape
from engine.compose.keys import Keys
from engine.compose.song import Song, fill_variant
from engine.grooves import groove, groove2chords
from engine.score import FormSection, Key

KEY = Key(9, "minor")


def small_and_big(name: str, seed: int) -> tuple[set[str], set[str]]:
    """Kinds of the small and of the big fills of a song of long sections."""
    clock = Clock.steady(100.0, 400.0)
    bars = list(clock.bars())
    form = tuple(
        FormSection(
            label.title(),
            label,
            bars[16 * i].start,
            bars[16 * i + 15].end,
            energy,
            i // 2,
            tuple(bars[16 * i : 16 * i + 16]),
        )
        for i, (label, energy) in enumerate((("verse", 0.5), ("chorus", 0.9), ("verse", 0.5), ("chorus", 0.9)))
    )
    shapes = form2shape(form, clock, ["drums", "bass", "comp"], words=("",) * 4, seed=seed, loop=False)
    g = groove(name)
    song = Song(shapes, groove2chords(g, "verse", KEY, bars), Keys.steady(KEY), g, seed)
    kinds: tuple[set[str], set[str]] = (set(), set())
    for bar in song.bars:
        if bar.fill:
            kinds[bar.fill == "big"].add(g.fills[fill_variant(song, bar)].name)
    return kinds


@pytest.mark.parametrize("name", ["cumbia", "motown", "grunge"])
def test_the_band_stops_only_before_something_big(name: str) -> None:
    found = [small_and_big(name, seed) for seed in range(12)]
    assert any("stop" in big for _, big in found)
    assert all("stop" not in small for small, _ in found)
    assert any(small for small, _ in found)
