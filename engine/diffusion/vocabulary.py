"""The onset tokens of each stream, and how nearest tokens are found.

bass, arp, lead: tone x loudness level; complete, so nothing in range is lost. drums: combinations of General MIDI
pitches, each with its level; comp and pad: shapes, i.e. sets of tones, x level. Combinations and shapes are collected
from the training songs, and completed when weights are exported (`completed`); what is not among them is said by the
nearest one.

Cells: 0 rest, 1 hold, 2 + i onset token i.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Any

from engine.diffusion.canvas import STREAMS
from engine.diffusion.tones import (
    BAND,
    CHORD_DEGREES,
    DEGREES,
    RUNG,
    Tone,
    pitch2band_tone,
    pitch2root_tone,
    pitch2rung_tone,
    tone2pitch,
)
from engine.score import Chord, Key

REST, HOLD, FIRST = 0, 1, 2
SOFT, PLAIN, ACCENT = 0, 1, 2
LINES = ("bass", "arp", "lead")
VOICED = ("comp", "pad")
TONES: dict[str, tuple[Tone, ...]] = {
    "bass": tuple((d, octave) for octave in range(-1, 3) for d in range(DEGREES)),
    "arp": (
        *((RUNG, place) for place in range(5, 30)),
        *((BAND + d, octave) for octave in range(1, 6) for d in range(CHORD_DEGREES, DEGREES)),
    ),
    "lead": tuple((BAND + d, octave) for octave in range(2, 6) for d in range(DEGREES)),
}
"""The tones of the first weights' lines."""
WIDE_TONES: dict[str, tuple[Tone, ...]] = {
    "bass": (*TONES["bass"], *((d, 3) for d in range(DEGREES))),
    "arp": (
        *TONES["arp"],
        *((RUNG, place) for place in (*range(5), *range(30, 35))),
        *((BAND + d, octave) for octave in (0, 6) for d in range(CHORD_DEGREES, DEGREES)),
    ),
    "lead": (*TONES["lead"], *((BAND + d, octave) for octave in (0, 1, 6) for d in range(DEGREES))),
}
"""The same tones first, then those of further octaves: basses, arpeggios and melodies of any instrument."""
SINGLES = (
    *((RUNG, place) for place in range(-5, 35)),
    *((BAND + d, octave) for octave in range(-1, 7) for d in range(CHORD_DEGREES, DEGREES)),
)
"""Shapes of one tone, complete for the registers of instruments."""
SAY = {"bass": pitch2root_tone, "arp": pitch2rung_tone, "lead": pitch2band_tone}
LOUDNESS = (62, 84, 102)
"""Velocity of a written note at each level."""
DRUM_LOUDNESS = {42: 78, 44: 62, 46: 82, 51: 80, 53: 80, 54: 70, 56: 74, 70: 66, 75: 76, 81: 66}
DRUM_PLAIN = 94
PERCUSSION = frozenset((54, 56, 58, *range(60, 82)))
KITS, SMALL_KITS, COMMON = 40, 14, 14
GHOST_LANES = (37, 38, 40)
WEIGHT = {35: 3.0, 36: 3.0, 38: 3.0, 40: 3.0, 39: 2.5, 37: 2.0, 49: 1.5, 57: 1.5}

Hits = tuple[tuple[int, int], ...]
"""Drum combination: (pitch, level), sorted."""
Shape = tuple[Tone, ...]
"""Voicing: its tones from the lowest up."""


def velocity2level(velocity: int, stream: str, pitch: int) -> int:
    """Loudness level of a struck note."""
    plain = DRUM_LOUDNESS.get(pitch, DRUM_PLAIN) if stream == "drums" else LOUDNESS[PLAIN]
    if velocity <= plain - 16:
        return SOFT
    return ACCENT if velocity >= plain + 9 else PLAIN


def level2velocity(level: int, stream: str, pitch: int) -> int:
    """Velocity that a written note of a level gets."""
    if stream != "drums":
        return LOUDNESS[level]
    soft = -48 if pitch in GHOST_LANES else -24
    return DRUM_LOUDNESS.get(pitch, DRUM_PLAIN) + (soft, 0, 20)[level]


@dataclass(frozen=True)
class Vocabulary:
    """`drums`: combinations; `shapes[stream]`: voicings of comp and pad, `tones[stream]`: tones of lines, each in all
    three levels."""

    drums: tuple[Hits, ...]
    shapes: Mapping[str, tuple[Shape, ...]]
    tones: Mapping[str, tuple[Tone, ...]] = field(default_factory=lambda: TONES)

    @classmethod
    def collect(
        cls,
        drums: Iterable[Hits],
        shapes: Mapping[str, Iterable[Shape]],
        *,
        most_drums: int = 2000,
        most_shapes: int = 700,
    ) -> Vocabulary:
        """The most frequent combinations and shapes, in a fixed order, and all tones."""

        def top(values: Iterable[Any], most: int) -> tuple[Any, ...]:
            ranked = sorted(Counter(values).items(), key=lambda item: (-item[1], item[0]))
            return tuple(value for value, _ in ranked[:most])

        return cls(choose_hits(drums, most_drums), {s: top(shapes[s], most_shapes) for s in VOICED}, WIDE_TONES)

    def completed(self) -> Vocabulary:
        """With tokens that nobody needs to have played: every voicing of one tone; each percussion instrument with each
        of the first `KITS` sets of the kit, two of the commonest with each of the first `SMALL_KITS`."""
        shapes = {s: (*row, *((t,) for t in SINGLES if (t,) not in set(row))) for s, row in self.shapes.items()}
        sets = {tuple(p for p, _ in hits) for hits in self.drums}
        kits = [(), *(hits for hits in self.drums if not PERCUSSION & {p for p, _ in hits})]
        often = Counter(p for pitches in sets for p in pitches if p in PERCUSSION)
        ranked = sorted(often, key=lambda p: (-often[p], p))
        joined: list[tuple[Hits, tuple[int, ...]]] = [(kit, (p,)) for kit in kits[: KITS + 1] for p in sorted(often)]
        joined += [(kit, two) for kit in kits[: SMALL_KITS + 1] for two in combinations(sorted(ranked[:COMMON]), 2)]
        new: dict[tuple[int, ...], Hits] = {}
        for kit, extra in joined:
            hits = tuple(sorted((*kit, *((p, PLAIN) for p in extra))))
            pitches = tuple(p for p, _ in hits)
            if pitches not in sets:
                new.setdefault(pitches, hits)
        return Vocabulary((*self.drums, *new.values()), shapes, self.tones)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Vocabulary:
        """Inverse of `to_json`."""

        def pairs(rows: Iterable[Iterable[Iterable[int]]]) -> tuple[Any, ...]:
            return tuple(tuple(tuple(pair) for pair in row) for row in rows)

        lines = {s: tuple((f, p) for f, p in value["tones"][s]) for s in LINES} if "tones" in value else TONES
        return cls(pairs(value["drums"]), {s: pairs(value["shapes"][s]) for s in VOICED}, lines)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"drums": self.drums, "shapes": dict(self.shapes), "tones": dict(self.tones)}

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Number of onset tokens per stream."""
        lines = {s: 3 * len(self.tones[s]) for s in LINES}
        voiced = {s: 3 * len(self.shapes[s]) for s in VOICED}
        return {s: {"drums": len(self.drums), **lines, **voiced}[s] for s in STREAMS}

    @cached_property
    def _tone_ids(self) -> dict[str, dict[Tone, int]]:
        return {s: {tone: i for i, tone in enumerate(self.tones[s])} for s in LINES}

    @cached_property
    def _drum_ids(self) -> dict[Hits, int]:
        return {hits: i for i, hits in enumerate(self.drums)}

    @cached_property
    def _shape_ids(self) -> dict[str, dict[Shape, int]]:
        return {s: {shape: i for i, shape in enumerate(self.shapes[s])} for s in VOICED}

    @cached_property
    def _nearest(self) -> dict[tuple[Any, ...], int]:
        return {}

    def hits2id(self, hits: Hits) -> int:
        """Onset token of a drum combination; the one with the least weighted difference where it is unknown."""
        known = self._drum_ids.get(hits)
        if known is not None:
            return known
        memo = ("drums", hits)
        if memo not in self._nearest:
            self._nearest[memo] = min(range(len(self.drums)), key=lambda i: _hit_distance(hits, self.drums[i]))
        return self._nearest[memo]

    def line2id(self, stream: str, pitch: int, level: int, chord: Chord, key: Key) -> int:
        """Onset token of a pitch of bass, arp or lead; pitches out of range are folded in by octaves."""
        way = 12 if pitch < 60 else -12
        while (tone := SAY[stream](pitch, chord, key)) not in self._tone_ids[stream]:
            pitch += way
        return self._tone_ids[stream][tone] * 3 + level

    def voices2id(self, stream: str, pitches: tuple[int, ...], level: int, chord: Chord, key: Key) -> int:
        """Onset token of a voicing; the nearest shape over this chord where its own is unknown."""
        known = self._shape_ids[stream].get(pitches2shape(pitches, chord, key))
        if known is None:
            memo = (stream, pitches, chord.root, chord.quality, key.tonic, key.mode)
            if memo not in self._nearest:
                self._nearest[memo] = min(
                    range(len(self.shapes[stream])),
                    key=lambda i: _voicing_distance(pitches, self.shape2pitches(self.shapes[stream][i], chord, key)),
                )
            known = self._nearest[memo]
        return known * 3 + level

    def id2notes(self, stream: str, token: int, chord: Chord, key: Key) -> tuple[tuple[int, int], ...]:
        """(pitch, velocity) pairs that onset `token` strikes."""
        if stream == "drums":
            return tuple((p, level2velocity(level, stream, p)) for p, level in self.drums[token])
        rest, level = divmod(token, 3)
        if stream in LINES:
            pitches: tuple[int, ...] = (tone2pitch(self.tones[stream][rest], chord, key),)
        else:
            pitches = self.shape2pitches(self.shapes[stream][rest], chord, key)
        return tuple((p, level2velocity(level, stream, p)) for p in pitches if 0 <= p <= 127)

    @staticmethod
    def shape2pitches(shape: Shape, chord: Chord, key: Key) -> tuple[int, ...]:
        """MIDI pitches of a shape over a chord, ascending, each once."""
        return tuple(sorted({tone2pitch(tone, chord, key) for tone in shape}))


def choose_hits(drums: Iterable[Hits], most: int) -> tuple[Hits, ...]:
    """Drum combinations of a vocabulary, the most frequent first. Of each set of drums that are struck together the
    most frequent loudness comes before any second one, so that as many sets as possible are there."""
    ranked = [h for h, _ in sorted(Counter(drums).items(), key=lambda item: (-item[1], item[0]))]
    first: dict[tuple[int, ...], Hits] = {}
    for hits in ranked:
        first.setdefault(tuple(p for p, _ in hits), hits)
    kept = dict.fromkeys(list(first.values())[: most - most // 4])
    kept |= dict.fromkeys([h for h in ranked if h not in kept][: max(most - len(kept), 0)])
    return tuple(kept)


def pitches2shape(pitches: tuple[int, ...], chord: Chord, key: Key) -> Shape:
    """Shape of ascending pitches. A chord that stands on its root with a fifth or an octave above (guitar, octaves) is
    said from its root; a close voicing, which keeps its register, by rungs."""
    rooted = pitches[0] % 12 == chord.root and len(pitches) > 1 and pitches[1] - pitches[0] >= 6
    say = pitch2root_tone if rooted else pitch2rung_tone
    return tuple(say(p, chord, key) for p in pitches)


def _hit_distance(wanted: Hits, other: Hits) -> float:
    a, b = dict(wanted), dict(other)
    missing = sum(WEIGHT.get(p, 1.0) for p in a.keys() ^ b.keys())
    return missing + 0.2 * sum(abs(a[p] - b[p]) for p in a.keys() & b.keys())


def _voicing_distance(wanted: tuple[int, ...], other: tuple[int, ...]) -> float:
    common = len(set(wanted) & set(other))
    span = abs(wanted[0] - other[0]) + abs(wanted[-1] - other[-1])
    return len(wanted) + len(other) - 2 * common + 0.05 * span
