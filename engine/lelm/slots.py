"""The plan's musical grid: two slots a bar, one chord token per slot, and what the network is told about a slot.

Conventions: code 0 is "the chord goes on"; code 1 + root * 14 + quality is a new chord, `root` in semitones above the
tonic, `quality` an index of `engine.score.QUALITIES`. Everything is relative to the tonic, so keys cost nothing.
`NONE` (one past the last code) says "nothing known" in feature tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.arrangement import LABELS, MODES
from bridge.timeline import Bar
from engine.score import QUALITIES, Chord, FormSection, Key

QUALITY_NAMES = tuple(QUALITIES)
CODES = 1 + 12 * len(QUALITY_NAMES)
NONE = CODES
HOLD = 0
PHRASE_SLOTS = 8
FAR = 31
"""Bars are counted up to here."""

FEATURES: dict[str, int] = {
    "label": len(LABELS) + 1,
    "next_label": len(LABELS) + 1,
    "half": 2,
    "bar": FAR + 1,
    "left": FAR + 1,
    "mode": len(MODES),
    "repeat": 4,
    "last": 2,
    "recall": CODES + 1,
    "recall_sounding": CODES + 1,
    "phrase": CODES + 1,
    "sounding": CODES + 1,
    "coming": CODES + 1,
}
"""Feature tables of a slot and their sizes. `recall`: the same slot of another section of this label; `phrase`: four
bars ago in this section; `sounding`: the chord just before; `coming`: the next slot, where it is given."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Half a bar: beats [start, end), its place in the form, and the slots that it may recall (latest first)."""

    start: float
    end: float
    place: tuple[int, ...]
    opens: bool
    phrase: int | None
    likes: tuple[int, ...]


def middle(bar: Bar) -> float:
    """Beat where a bar's second slot begins: on a beat, the first slot being the longer one."""
    first = (bar.metre.beats + 1) // 2
    return bar.start + (bar.end - bar.start) * first / max(bar.metre.beats, 2)


def label_index(label: str) -> int:
    """Row of a label's feature table; the last row serves any other label."""
    return LABELS.index(label) if label in LABELS else len(LABELS)


def form2slots(sections: Sequence[FormSection], mode: str) -> tuple[Slot, ...]:
    """Two slots per bar over all sections, in order."""
    slots: list[Slot] = []
    begun: dict[str, list[int]] = {}
    lengths: dict[int, int] = {}
    for number, section in enumerate(sections):
        base, count = len(slots), 2 * len(section.bars)
        after = sections[number + 1].label if number + 1 < len(sections) else ""
        kin = begun.setdefault(section.label, [])
        for i, bar in enumerate(section.bars):
            for half, (start, end) in enumerate(((bar.start, middle(bar)), (middle(bar), bar.end))):
                at = 2 * i + half
                place = (
                    label_index(section.label),
                    label_index(after),
                    half,
                    min(i, FAR),
                    min(len(section.bars) - 1 - i, FAR),
                    MODES.index(mode),
                    min(len(kin), 3),
                    int(number == len(sections) - 1),
                )
                likes = tuple(k + at for k in reversed(kin) if at < lengths[k])
                phrase = base + at - PHRASE_SLOTS if at >= PHRASE_SLOTS else None
                slots.append(Slot(start, end, place, at == 0, phrase, likes))
        kin.append(base)
        lengths[base] = count
    return tuple(slots)


def both_ways(slots: Sequence[Slot]) -> tuple[tuple[int, ...], ...]:
    """For each slot its kin in sections of the same label: earlier ones (latest first), then later ones."""
    later: list[list[int]] = [[] for _ in slots]
    for i, slot in enumerate(slots):
        for j in slot.likes:
            later[j].append(i)
    return tuple((*slot.likes, *after) for slot, after in zip(slots, later, strict=True))


def chord2code(chord: Chord, tonic: int) -> int:
    """Code of a chord in the key of `tonic`; the slash bass is not kept."""
    return 1 + (chord.root - tonic) % 12 * len(QUALITY_NAMES) + QUALITY_NAMES.index(chord.quality)


def code2chord(code: int, start: float, end: float, tonic: int) -> Chord:
    """The chord of a code other than `HOLD` over beats [start, end)."""
    root, quality = divmod(code - 1, len(QUALITY_NAMES))
    return Chord(start, end - start, (root + tonic) % 12, QUALITY_NAMES[quality])


def chords2codes(chords: Sequence[Chord], slots: Sequence[Slot], key: Key) -> list[int | None]:
    """Code per slot from chords that may cover only some of them; None where less than half a slot is covered."""
    codes: list[int | None] = []
    before: tuple[Chord, float] | None = None
    for slot in slots:
        best, covered = None, 0.0
        for chord in chords:
            share = min(chord.end, slot.end) - max(chord.beat, slot.start)
            if share > covered + 1e-9:
                best, covered = chord, share
        if best is None or covered < (slot.end - slot.start) / 2 - 1e-9:
            codes.append(None)
            before = None
            continue
        goes_on = before is not None and before == (best, slot.start) and not slot.opens
        codes.append(HOLD if goes_on else chord2code(best, key.tonic))
        before = (best, slot.end)
    return codes


def slot_features(
    at: int,
    slots: Sequence[Slot],
    kin: Sequence[Sequence[int]],
    codes: Sequence[int | None],
    sounding: Sequence[int],
) -> list[int]:
    """Feature rows of slot `at`, in the order of `FEATURES`.

    `codes` holds what is known so far (written before `at`, or given anywhere), `sounding` the chord that sounds in
    each known slot (`NONE` elsewhere).
    """
    slot = slots[at]
    like = next((k for k in kin[at] if codes[k] is not None), None)
    coming = codes[at + 1] if at + 1 < len(slots) else None
    phrase = None if slot.phrase is None else codes[slot.phrase]
    return [
        *slot.place,
        NONE if like is None else _known(codes[like]),
        NONE if like is None else sounding[like],
        _known(phrase),
        sounding[at - 1] if at else NONE,
        _known(coming),
    ]


def sound(codes: Sequence[int | None]) -> list[int]:
    """The chord code that sounds in each slot: holds take the chord before; `NONE` where nothing is known."""
    out: list[int] = []
    for code in codes:
        if code is None:
            out.append(NONE)
        elif code == HOLD:
            out.append(out[-1] if out else NONE)
        else:
            out.append(code)
    return out


def _known(code: int | None) -> int:
    return NONE if code is None else code
