"""A drum kit cut from the reference itself, where the reference is drums alone and the kit measures nearer to it than
what the catalogue holds.

The clip's kick, snare and hats take the place of the chosen kit's; what the clip does not have, that kit goes on
playing. The kit is a SoundFont like any other, kept with the take for later edits of it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from engine.casting import PASSAGE_SECONDS, busiest, clip2rate
from engine.match import RATE, Levels, audio2hits, choose_together, clip2wanted, passage2levels
from engine.rendering import Clip
from engine.report import Tick
from engine.sampler import Bank, Instrument, render_part
from engine.sampler.fontmaker import ROOT, Recording, Region, make_font
from engine.score import Part
from engine.splice import Audio
from engine.stems import StemMaker

LICENCE = "made from your reference clip"
PITCHES = {"kick": (35, 36), "snare": (38, 40), "hat": (42, 44), "open hat": (46,)}
NEEDED = ("kick", "snare")
"""Without these there is no kit."""
PRESET = (128, 0)
PEAK = 0.89
SAME = 1.0
"""A kit whose texture is this near is the very sound, in other music: nothing is cut then."""


class CutKit(msgspec.Struct, frozen=True):
    """`font`: the kit as SoundFont 2; `instrument` that plays it; `beside`: who plays what it does not have."""

    font: bytes
    instrument: Instrument
    beside: Instrument
    pitches: tuple[int, ...]


@dataclass(frozen=True)
class Tried:
    """A kit that measures nearer to the reference: the texture's distance with it."""

    kit: CutKit
    distance: float


def clip2kit(stems: StemMaker, part: Part, clip: Clip, name: str, chosen: Instrument, folder: Path) -> Tried | None:
    """A kit from a clip [1 or 2, samples] called `name`, if it comes nearer to it on the part's busiest seconds than
    the `chosen` kit does; None where it does not, or where the clip gives none. `folder` holds the font while it plays.
    """
    if part.role != "drums" or part.instrument.strip():
        return None
    audio = clip.audio if len(clip.audio) == 2 else np.repeat(clip.audio, 2, axis=0)
    hits = audio2hits(np.ascontiguousarray(audio, np.float32), clip.rate)
    if any(kind not in hits for kind in NEEDED):
        return None
    peak = max(float(np.abs(hit.audio).max()) for hit in hits.values())
    kinds = tuple(hits)
    recordings = [Recording(kind, hits[kind].audio.T * np.float32(PEAK / peak), clip.rate, 60) for kind in kinds]
    regions = [
        Region(k, keys=(pitch, pitch), gens={ROOT: pitch}) for k, kind in enumerate(kinds) for pitch in PITCHES[kind]
    ]
    font = make_font("cut from a clip", recordings, regions, bank=PRESET[0], program=PRESET[1])
    pitches = tuple(sorted(pitch for kind in kinds for pitch in PITCHES[kind]))
    instrument = Instrument(
        f"kit cut from {name}", "fontkit", *PRESET, LICENCE, 0.0, 0.0, None, 0.0,
        remark=f"{', '.join(kinds)} are cut from {name}; the rest is played by {chosen.name}.",
    )  # fmt: skip
    kit = CutKit(font, instrument, chosen, pitches)
    own, theirs = split(part, pitches)
    bank = open_kit(kit, folder)
    start = busiest(stems, [part])
    before = _levels(stems, stems.bank, own, chosen, start)
    cut = _levels(stems, bank, own, instrument, start)
    if not before.heard.any() or not cut.heard.any():
        return None
    gain = 10 * float(np.log10(before.heard.sum() / cut.heard.sum()))
    kit = msgspec.structs.replace(kit, instrument=replace(instrument, gain_db=gain))
    rest = _levels(stems, stems.bank, theirs, chosen, start)
    scale = np.float32(10 ** (gain / 10))
    new = Levels(cut.mid * scale, cut.side * scale, cut.heard * scale)
    found = choose_together([[before, new]], clip2wanted(clip2rate(clip, RATE)), rest)
    return Tried(kit, found.after) if found.indices == (1,) and found.before > SAME else None


def open_kit(kit: CutKit, folder: Path) -> Bank:
    """A bank of that kit alone; its file lies in `folder` as long as it plays."""
    path = folder / f"{hashlib.sha256(kit.font).hexdigest()}.sf2"
    if not path.exists():
        path.write_bytes(kit.font)
    return Bank.open(path)


def play_kit(stems: StemMaker, bank: Bank, kit: CutKit, part: Part, start: int, stop: int, tick: Tick) -> Audio:
    """float32 [2, stop - start]: the part by the kit from its bank, and by who plays beside it."""
    own, theirs = split(part, kit.pitches)
    sound = replace(stems, bank=bank).play(own, kit.instrument, start, stop, tick)
    return sound + stems.play(theirs, kit.beside, start, stop, tick) if theirs.notes else sound


def split(part: Part, pitches: tuple[int, ...]) -> tuple[Part, Part]:
    """The notes of these pitches, and the others."""
    own = tuple(note for note in part.notes if note.pitch in pitches)
    return replace(part, notes=own), replace(
        part, notes=tuple(note for note in part.notes if note.pitch not in pitches)
    )


def _levels(stems: StemMaker, bank: Bank, part: Part, instrument: Instrument, start: float) -> Levels:
    """Of a few seconds of the part from a second of the project on, dry."""
    seconds = min(PASSAGE_SECONDS, stems.frame.samples / stems.frame.rate)
    with stems.playing:
        audio = render_part(
            bank, part, replace(instrument, room_db=None), stems.clock, RATE, round(start * RATE),
            round(seconds * RATE), 0, lambda _: None,
        )  # fmt: skip
    return passage2levels(audio)
