"""From the sections of the arrangement to the form of the song: bars, levels, who plays, fills, the ending.

`request2form` gives the sections with their bars (a value all stages share); `form2shape` adds what the band does in
every bar. Bars are cut to their section, so they never overlap and a gap between sections stays silent.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from bridge.arrangement import LABEL_ENERGY, Arrangement, Section
from bridge.timeline import Bar, Clock
from engine.score import FormSection

STREAM_ORDER = ("drums", "bass", "comp", "pad", "arp", "lead")
BIG_LABELS = ("chorus", "post-chorus", "drop", "solo")
ENTRIES = (
    ("comp", "pad", "arp", "bass", "drums", "lead"),
    ("drums", "bass", "comp", "pad", "arp", "lead"),
    ("pad", "arp", "comp", "drums", "bass", "lead"),
)
"""Orders in which an intro brings the streams in."""
STAYING = ("comp", "pad", "bass", "drums", "arp", "lead")
"""Order in which an outro lets the streams go, last first."""
WORD_STREAMS = {
    "drum": "drums", "drums": "drums", "beat": "drums", "bass": "bass", "keys": "comp", "piano": "comp",
    "guitar": "comp", "guitars": "comp", "chords": "comp", "pad": "pad", "pads": "pad", "strings": "pad", "arp": "arp",
    "lead": "lead", "melody": "lead",
}  # fmt: skip
LEVEL_ENERGY = {"intro": 0.3, "verse": 0.45, "chorus": 0.85, "bridge": 0.55}
ENERGY_DENSITY = 0.4
"""Density by which a section of full energy stands above one of none, within its level."""
QUIET_WORDS = ("sparse", "quiet", "soft", "gentle", "stripped", "thin", "calm")
LOUD_WORDS = ("full", "huge", "loud", "big", "massive", "intense")

Fill = Literal["", "small", "big"]


@dataclass(frozen=True, slots=True)
class BarShape:
    """What the band does in one bar. `bar` is cut to the section, `whole` is the bar as the metre gives it.

    `position` counts bars in the section. `level` is one of the groove's levels. `drive` is the energy 0-1 here.
    """

    bar: Bar
    whole: Bar
    position: int
    level: str
    streams: frozenset[str]
    fill: Fill
    crash: bool
    ending: bool
    drive: float


@dataclass(frozen=True, slots=True)
class SectionShape:
    """A section and its bars' shapes."""

    section: FormSection
    bars: tuple[BarShape, ...]


def request2form(arrangement: Arrangement, clock: Clock) -> tuple[FormSection, ...]:
    """Sections in time order with their bars, each bar cut to its section.

    A stump of a bar under 1/8 of a beat (a section that ends a hair after the bar line) is no bar of its own.
    """
    form: list[FormSection] = []
    for section in sorted(arrangement.sections, key=lambda s: s.start):
        bars = [
            replace(bar, start=max(bar.start, section.start), end=min(bar.end, section.end))
            for bar in clock.bars(section.start, section.end)
        ]
        if not bars:
            bars = [Bar(0, section.start, section.end, clock.metre_at(section.start))]
        while len(bars) > 1 and bars[-1].end - bars[-1].start < 0.125:
            bars[-2:] = [replace(bars[-2], end=bars[-1].end)]
        while len(bars) > 1 and bars[0].end - bars[0].start < 0.125:
            bars[:2] = [replace(bars[1], start=bars[0].start)]
        index = sum(1 for other in form if other.label == section.label)
        form.append(
            FormSection(
                section.name, section.label, section.start, section.end, worded_energy(section), index, tuple(bars)
            )
        )
    return tuple(form)


def worded_energy(section: Section) -> float:
    """Energy 0-1 of a section; words such as "sparse" or "huge" move it where the DAW gave no number."""
    if section.energy is not None:
        return float(section.energy)
    words = set(re.findall(r"[a-z]+", section.words.lower()))
    shift = 0.15 * (bool(words & set(LOUD_WORDS)) - bool(words & set(QUIET_WORDS)))
    return float(min(max(section.level + shift, 0.05), 1.0))


def form2shape(
    form: Sequence[FormSection],
    clock: Clock,
    streams: Sequence[str],
    *,
    words: Sequence[str] = (),
    seed: int = 0,
    loop: bool = False,
) -> tuple[SectionShape, ...]:
    """What every stream does in every bar.

    `words` are the sections' own words; `loop`: the end joins the start, so there is no ending.
    """
    wanted = [s for s in STREAM_ORDER if s in streams]
    playing = _playing(form, wanted, words)
    whole = tuple(clock.bars())
    starts = [bar.start for bar in whole]
    shapes: list[SectionShape] = []
    for i, section in enumerate(form):
        following = form[i + 1] if i + 1 < len(form) else None
        before = shapes[-1] if shapes else None
        last = following is None
        ends = last and not loop and (section.label == "outro" or len(form) >= 3)
        rng = np.random.default_rng([seed, 11, i])
        per_bar = _entries(section, playing[i], ends, following is not None and "drums" in playing[i + 1], wanted, rng)
        level = section_level(section)
        bars: list[BarShape] = []
        for k, bar in enumerate(section.bars):
            fill = _fill(section, k, following, loop)
            ending = ends and k == len(section.bars) - 1
            bars.append(
                BarShape(
                    bar=bar,
                    whole=_whole(bar, whole, starts),
                    position=k,
                    level="ending" if ending else level,
                    streams=per_bar[k],
                    fill="" if ending or "drums" not in per_bar[k] else fill,
                    crash=k == 0 and "drums" in per_bar[k] and _crash(section, before),
                    ending=ending,
                    drive=_drive(section, k),
                )
            )
        shapes.append(SectionShape(section, tuple(bars)))
    return tuple(shapes)


def _whole(bar: Bar, whole: Sequence[Bar], starts: Sequence[float]) -> Bar:
    """The clock's bar that `bar` is cut from; `bar` itself where the clock does not reach (a continued take)."""
    i = bisect_right(starts, bar.start + 1e-6) - 1
    return whole[i] if i >= 0 and bar.start < whole[i].end - 1e-6 else bar


def section_level(section: FormSection) -> str:
    """The groove's level for a section: its label's, raised or lowered by an energy far from the label's usual one."""
    energy, label = section.energy, section.label
    if label in BIG_LABELS:
        return "chorus" if energy >= 0.5 else "verse"
    if label in ("intro", "outro", "break"):
        return "intro" if energy < 0.6 else "verse"
    if label == "bridge":
        return "bridge" if energy < 0.75 else "chorus"
    if label == "interlude":
        return "intro" if energy < 0.3 else "verse"
    return "verse" if energy < 0.8 else "chorus"


def energy_density(section: FormSection) -> float:
    """The density (as stems wish for it, -1 to 1) that an energy of the user's asks for beyond the section's level: 0
    at the usual energy of the label, or of the level where the energy has moved it to another."""
    level = section_level(section)
    usual = LABEL_ENERGY[section.label]
    if section_level(replace(section, energy=usual)) != level:
        usual = LEVEL_ENERGY[level]
    return ENERGY_DENSITY * (section.energy - usual)


def _wants(stream: str, label: str, energy: float, index: int) -> bool:
    """Whether a stream plays in a section, by custom: the second verse has a little more than the first."""
    more = energy + (0.1 if index else 0.0)
    big = label in BIG_LABELS and energy >= 0.5
    if stream == "drums":
        return big or (more >= 0.3 and label != "break") or more >= 0.6
    if stream == "bass":
        return big or (more >= 0.25 and label != "break") or more >= 0.6
    if stream == "comp":
        return True
    if stream == "pad":
        return big or label in ("intro", "break", "bridge", "outro") or more >= 0.5
    if stream == "arp":
        return big or label in ("break", "interlude", "pre-chorus") or more >= 0.6
    return big or (label in ("verse", "pre-chorus", "bridge") and energy >= 0.2) or more >= 0.6


def _playing(form: Sequence[FormSection], wanted: Sequence[str], words: Sequence[str]) -> list[frozenset[str]]:
    """Streams of every section. Nothing that was asked for stays silent all song; no section is empty."""
    playing = [{s for s in wanted if len(wanted) <= 2 or _wants(s, f.label, f.energy, f.index)} for f in form]
    loudest = max((f.energy for f in form), default=0.0)
    for stream in wanted:
        if not any(stream in p for p in playing):
            for section, streams in zip(form, playing, strict=True):
                if section.energy >= loudest - 0.15:
                    streams.add(stream)
    for i, streams in enumerate(playing):
        silent, only = worded_streams(words[i] if i < len(words) else "")
        chosen = (streams | only if not only else set(only) & set(wanted)) - silent
        streams.clear()
        streams.update(chosen)
        if not streams and not silent:
            streams.update(s for s in STAYING if s in wanted and not streams)
    return [frozenset(p) for p in playing]


def worded_streams(words: str) -> tuple[frozenset[str], frozenset[str]]:
    """Streams that a section's words silence ("no drums", "without bass") and those they leave alone ("only piano")."""
    names = "|".join(WORD_STREAMS)
    text = words.lower()
    silent = re.findall(rf"\b(?:no|without)\s+({names})\b", text)
    only = re.findall(rf"\b(?:only|just)\s+({names})(?:\s+and\s+({names}))?\b", text)
    return (
        frozenset(WORD_STREAMS[w] for w in silent),
        frozenset(WORD_STREAMS[w] for pair in only for w in pair if w),
    )


def _entries(
    section: FormSection,
    playing: frozenset[str],
    ends: bool,
    drums_next: bool,
    wanted: Sequence[str],
    rng: np.random.Generator,
) -> list[frozenset[str]]:
    """Streams per bar: an intro builds up, an outro thins out and ends together, a break leads back to the drums."""
    bars = len(section.bars)
    if section.label == "intro" and bars >= 2 and len(playing) >= 2:
        order = [s for s in ENTRIES[int(rng.integers(len(ENTRIES)))] if s in playing]
        steps = min(len(order), max(2, bars // 2), 4)
        first = [round(bars * (j * steps // len(order)) / steps) for j in range(len(order))]
        return [frozenset(s for s, at in zip(order, first, strict=True) if k >= at) for k in range(bars)]
    if section.label == "outro" and bars >= 4 and len(playing) >= 2:
        order = [s for s in STAYING if s in playing]
        leaving = [bars if j < (len(order) + 1) // 2 else bars // 2 for j in range(len(order))]
        rows = [frozenset(s for s, at in zip(order, leaving, strict=True) if k < at) for k in range(bars)]
        return [*rows[:-1], playing if ends else rows[-1]]
    if section.label == "break" and bars >= 2 and drums_next and "drums" in wanted:
        return [playing] * (bars - 1) + [playing | {"drums"}]
    return [playing] * bars


def _fill(section: FormSection, k: int, following: FormSection | None, loop: bool) -> Fill:
    """A fill in the last bar before a change, bigger before a chorus; a small one each eighth bar of a long section."""
    bars = len(section.bars)
    if k == bars - 1:
        if following is None:
            return "small" if bars >= 4 or loop else ""
        if following.label == "break" or following.start - section.end > 1e-6:
            return "small"
        rises = following.energy - section.energy
        return "big" if (following.label in BIG_LABELS and rises > -0.1) or rises >= 0.25 else "small"
    middle = bars >= 12 and k % 8 == 7 and bars - k > 2
    return "small" if middle else ""


def _crash(section: FormSection, before: SectionShape | None) -> bool:
    """A crash on one where something begins: after a fill, or into a loud section; never into an intro or a break."""
    if section.label in ("intro", "break"):
        return False
    filled = before is not None and bool(before.bars[-1].fill)
    return section.energy >= 0.6 or filled


def _drive(section: FormSection, k: int) -> float:
    """Energy 0-1 of bar `k`: intros and pre-choruses rise, outros fall."""
    x = k / max(len(section.bars) - 1, 1)
    bend = {"intro": 0.15 * (x - 0.5), "pre-chorus": 0.2 * (x - 0.3), "break": 0.15 * (x - 0.5), "outro": -0.2 * x}.get(
        section.label, 0.0
    )
    return float(min(max(section.energy + bend, 0.0), 1.0))
