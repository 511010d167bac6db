"""What the DAW says about the song: clock, keys, sections, tracks already there, references.

The structs are the wire format (JSON by msgspec); `Arrangement.timeline` gives the exact `Clock`.
All positions are beats (quarter notes) of that clock unless a name says seconds.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from bridge.timeline import Clock, Metre

ROLES = ("drums", "bass", "keys", "guitar", "pad", "strings", "brass", "lead", "arp", "vocals")
ACCOMPANIMENT = "accompaniment"
"""All instruments of a song in one: a role that stems alone can have, and that SongGeneration alone makes."""
STEM_ROLES = (*ROLES, ACCOMPANIMENT)
LABELS = (
    "intro",
    "verse",
    "pre-chorus",
    "chorus",
    "post-chorus",
    "bridge",
    "solo",
    "break",
    "drop",
    "interlude",
    "outro",
)
MODES = ("major", "minor", "dorian", "phrygian", "lydian", "mixolydian", "locrian")
TONICS = {
    "C": 0, "B#": 0, "C#": 1, "Db": 1, "D": 2, "D#": 3, "Eb": 3, "E": 4, "Fb": 4, "F": 5, "E#": 5, "F#": 6, "Gb": 6,
    "G": 7, "G#": 8, "Ab": 8, "A": 9, "A#": 10, "Bb": 10, "B": 11, "Cb": 11,
}  # fmt: skip
LABEL_ENERGY = {
    "intro": 0.3, "verse": 0.45, "pre-chorus": 0.6, "chorus": 0.85, "post-chorus": 0.8, "bridge": 0.55,
    "solo": 0.75, "break": 0.25, "drop": 0.95, "interlude": 0.4, "outro": 0.3,
}  # fmt: skip

Use = Literal["follow", "vary", "replace"]


class MetreAt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`beats`/`unit` in force from `beat` on."""

    beat: float
    beats: int
    unit: int


class KeyAt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`tonic` (a name of `TONICS`) and `mode` (one of `MODES`) in force from `beat` on."""

    beat: float
    tonic: str
    mode: str

    @property
    def pitch_class(self) -> int:
        """0 for C to 11 for B."""
        return TONICS[self.tonic]


class ChordAt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A chord of the user's from `beat` to the next one: "C", "Am7", "F#m7b5", "Bb9", "Dmaj9", "C/E"; "N.C." leaves the
    beats from here open. See `bridge.chordnames`."""

    beat: float
    symbol: str


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A stretch of the song. `label` is one of `LABELS`; `energy` is 0-1, or None for the label's usual one."""

    name: str
    label: str
    start: float
    end: float
    energy: float | None = None
    words: str = ""
    lyrics: str = ""

    @property
    def level(self) -> float:
        """Energy 0-1, filled in from the label where the DAW gave none."""
        return LABEL_ENERGY[self.label] if self.energy is None else self.energy


class ContextTrack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Notes (`midi`) or sound (`audio`) already in the project; its first beat lies at `start`.

    `role` None means: guess it. `use`: `follow` (write around it), `vary` (seed of what is written), `replace`.
    `strength` of `vary`: how far our part leaves it, from 0 (the same notes) to 1 (new); None carries it on with small
    changes. Paths are absolute, or relative to the project's root.
    """

    name: str
    role: str | None = None
    midi: str | None = None
    audio: str | None = None
    start: float = 0.0
    use: Use = "follow"
    strength: float | None = None


class Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An audio clip whose sound and feel to match; for the named stems, or the whole band when none is named."""

    audio: str
    from_second: float = 0.0
    seconds: float | None = None
    stems: tuple[str, ...] = ()
    weight: float = 1.0


class Arrangement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The project as the DAW describes it. Sections may leave gaps; they may not overlap."""

    sample_rate: int
    clock: tuple[tuple[float, float], ...]
    metres: tuple[MetreAt, ...] = ()
    keys: tuple[KeyAt, ...] = ()
    sections: tuple[Section, ...] = ()
    tracks: tuple[ContextTrack, ...] = ()
    references: tuple[Reference, ...] = ()
    chords: tuple[ChordAt, ...] = ()

    def timeline(self) -> Clock:
        """The exact clock. Raises `RequestError` naming the pair or metre that is wrong."""
        return Clock.from_pairs(self.clock, [Metre(m.beat, m.beats, m.unit) for m in self.metres])

    @property
    def start(self) -> float:
        """First beat that any section covers: where every stem begins."""
        return min(s.start for s in self.sections)

    @property
    def end(self) -> float:
        """Beat at which the last section ends: where every stem ends."""
        return max(s.end for s in self.sections)
