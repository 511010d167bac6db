"""A kit or an instrument cut from the reference itself, where the reference is drums or one instrument alone.

Notes play where their texture comes nearer to the reference's than that of what the catalogue holds. Textures of drums
depend too much on what they play to tell that, and cut kits come nearer (`tests.benchmarks.match_cuts`): they play
wherever kick and snare can be cut.

The clip's kick, snare and hats take the place of the chosen kit's, its clean notes that of the chosen instrument's
around their pitches; what the clip does not have, the chosen one goes on playing. What is cut is a SoundFont like any
other, kept with the take for later edits of it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from engine.casting import PASSAGE_SECONDS, busiest, clip2rate
from engine.match import (
    LEAST_GAIN,
    RATE,
    Levels,
    audio2hits,
    audio2notes,
    clip2wanted,
    mix2distance,
    passage2levels,
)
from engine.rendering import Clip
from engine.report import Tick
from engine.sampler import Bank, Instrument, render_part
from engine.sampler.fontmaker import ROOT, Recording, Region, make_font, timecents
from engine.score import Part
from engine.stems import StemMaker
from engine.tape import Audio, Tape, add_onto

LICENCE = "made from your reference clip"
PITCHES = {"kick": (35, 36), "snare": (38, 40), "hat": (42, 44), "open hat": (46,)}
NEEDED = ("kick", "snare")
"""Without these there is no kit."""
KIT, NOTES = (128, 0), (0, 0)
"""(bank, program) of what is cut."""
REACH = 5
"""Semitones that a note is moved at most: its harmonics' levels go with it."""
RELEASE_SECONDS = 0.2
HOLD, DECAY, SUSTAIN, RELEASE = 35, 36, 37, 38
"""SoundFont's generators of a volume envelope."""
LEAST_FALL = 3.0
PEAK = 0.89
SAME = 1.0
"""An instrument whose texture is this near is the very sound, in other music: nothing is cut then."""


class CutKit(msgspec.Struct, frozen=True):
    """`font`: what was cut as SoundFont 2; `instrument` that plays it; `beside`: who plays the pitches that it does not
    have."""

    font: bytes
    instrument: Instrument
    beside: Instrument
    pitches: tuple[int, ...]


@dataclass(frozen=True)
class Tried:
    """What is cut, and the texture's distance to the reference with the chosen instrument and with it."""

    kit: CutKit
    before: float
    after: float


@dataclass(frozen=True)
class _Cut:
    """What a font is made of, the pitches it has, and how it is told of."""

    recordings: list[Recording]
    regions: list[Region]
    pitches: tuple[int, ...]
    kind: str
    preset: tuple[int, int]
    name: str
    remark: str


def clip2kit(stems: StemMaker, part: Part, clip: Clip, name: str, chosen: Instrument, folder: Path) -> Tried | None:
    """What is cut from a clip [1 or 2, samples] called `name` to play the part, where it does better than the `chosen`
    instrument; `folder` holds the font while it plays. None where the clip gives nothing."""
    tried = clip2cut(stems, part, clip, name, chosen, folder)
    return tried if tried is not None and plays(part, tried) else None


def plays(part: Part, tried: Tried) -> bool:
    """Whether what was cut takes the chosen instrument's place: notes that come nearer, and drums always; but nothing
    where the very sound plays already."""
    return tried.before > SAME and (part.role == "drums" or tried.after < tried.before - LEAST_GAIN)


def clip2cut(stems: StemMaker, part: Part, clip: Clip, name: str, chosen: Instrument, folder: Path) -> Tried | None:
    """What is cut for the part, as loud as the chosen instrument on the part's busiest seconds."""
    if part.instrument.strip():
        return None
    audio = clip.audio if len(clip.audio) == 2 else np.repeat(clip.audio, 2, axis=0)
    audio = np.ascontiguousarray(audio, np.float32)
    made = (_drums if part.role == "drums" else _notes)(audio, clip.rate)
    if made is None or not any(note.pitch in made.pitches for note in part.notes):
        return None
    kit = _kit(made, name, chosen)
    own, theirs = split(part, kit.pitches)
    start = busiest(stems, [part])
    before = _levels(stems, stems.bank, own, chosen, start)
    new = _levels(stems, open_kit(kit, folder), own, kit.instrument, start)
    if not before.heard.any() or not new.heard.any():
        return None
    ratio = before.heard.sum() / new.heard.sum()
    kit = msgspec.structs.replace(kit, instrument=replace(kit.instrument, gain_db=10 * float(np.log10(ratio))))
    new = Levels(new.mid * ratio, new.side * ratio, new.heard * ratio)
    rest = _levels(stems, stems.bank, theirs, chosen, start)
    wanted = clip2wanted(clip2rate(clip, RATE))
    return Tried(kit, mix2distance([before, rest], wanted), mix2distance([new, rest], wanted))


def _kit(made: _Cut, name: str, chosen: Instrument) -> CutKit:
    """What was cut from a clip of that name, as loud as it was there."""
    font = make_font("cut from a clip", made.recordings, made.regions, bank=made.preset[0], program=made.preset[1])
    # The rest is credited as well, whether or not this part has notes for it: a later edit may.
    licence = f"{LICENCE}, the rest {chosen.licence}"
    instrument = Instrument(
        f"{made.name} cut from {name}", made.kind, *made.preset, licence, 0.0, 0.0, None, 0.0,
        remark=f"{made.remark} cut from {name}; the rest is played by {chosen.name}.",
    )  # fmt: skip
    return CutKit(font, instrument, chosen, made.pitches)


def _drums(audio: Audio, rate: int) -> _Cut | None:
    """The clip's drums."""
    hits = audio2hits(audio, rate)
    if any(kind not in hits for kind in NEEDED):
        return None
    scale = _scale([hit.audio for hit in hits.values()])
    recordings = [Recording(kind, hit.audio.T * scale, rate, 60) for kind, hit in hits.items()]
    regions = [
        Region(k, keys=(pitch, pitch), gens={ROOT: pitch}) for k, kind in enumerate(hits) for pitch in PITCHES[kind]
    ]
    pitches = tuple(sorted(pitch for kind in hits for pitch in PITCHES[kind]))
    return _Cut(recordings, regions, pitches, "fontkit", KIT, "kit", f"{', '.join(hits)} are")


def _notes(audio: Audio, rate: int) -> _Cut | None:
    """The clip's clean notes, each played as far as half-way to the next one."""
    notes = audio2notes(audio, rate)
    if not notes:
        return None
    scale, roots = _scale([note.audio for note in notes]), [round(note.pitch) for note in notes]
    recordings, regions = [], []
    pitches: list[int] = []
    for k, (note, root) in enumerate(zip(notes, roots, strict=True)):
        low = root - REACH if k == 0 else max(root - REACH, (roots[k - 1] + root) // 2 + 1)
        high = root + REACH if k == len(notes) - 1 else min(root + REACH, (root + roots[k + 1]) // 2)
        cents = -100.0 * (note.pitch - root)
        recordings.append(Recording(f"note {root}", note.audio.T * scale, rate, root, cents, note.loop))
        envelope = {RELEASE: timecents(RELEASE_SECONDS)}
        if note.fall > LEAST_FALL:
            envelope |= {HOLD: timecents(note.loop[0] / rate), DECAY: timecents(100.0 / note.fall), SUSTAIN: 1000}
        regions.append(Region(k, keys=(low, high), gens=envelope))
        pitches += range(low, high + 1)
    return _Cut(recordings, regions, tuple(pitches), "soundfont", NOTES, "notes", f"{len(notes)} notes are")


def _scale(sounds: list[Audio]) -> np.float32:
    """One factor for all, so that none is cut off."""
    return np.float32(PEAK / max(float(np.abs(sound).max()) for sound in sounds))


def open_kit(kit: CutKit, folder: Path) -> Bank:
    """A bank of that kit alone; its file lies in `folder` as long as it plays."""
    path = folder / f"{hashlib.sha256(kit.font).hexdigest()}.sf2"
    if not path.exists():
        path.write_bytes(kit.font)
    return Bank.open(path)


def play_kit(stems: StemMaker, bank: Bank, kit: CutKit, part: Part, start: int, stop: int, tick: Tick) -> Tape:
    """[2, stop - start]: the part by the kit from its bank, and by who plays beside it."""
    own, theirs = split(part, kit.pitches)
    sound = replace(stems, bank=bank).tape(own, kit.instrument, start, stop, tick)
    if theirs.notes:
        add_onto(sound, stems.tape(theirs, kit.beside, start, stop, tick))
    return sound


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
