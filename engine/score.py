"""Musical values that the stages hand to each other: notes, chords, parts, score, form.

Conventions: beats are quarter notes of the request's clock; pitches are MIDI numbers (60 = C4); velocities 1-127;
`offset_ms` is micro-timing in milliseconds added after the beat was turned into seconds. Drum pitches are General MIDI.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from bridge.timeline import Bar

PITCH_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
SCALES: dict[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "locrian": (0, 1, 3, 5, 6, 8, 10),
}
QUALITIES: dict[str, tuple[int, ...]] = {
    "": (0, 4, 7),
    "m": (0, 3, 7),
    "dim": (0, 3, 6),
    "aug": (0, 4, 8),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "m7": (0, 3, 7, 10),
    "m7b5": (0, 3, 6, 10),
    "dim7": (0, 3, 6, 9),
    "6": (0, 4, 7, 9),
    "m6": (0, 3, 7, 9),
    "9": (0, 4, 7, 10, 14),
}
"""Chord qualities, in the plan model's token order, as semitones above the root."""
EXTENDED: dict[str, tuple[str, tuple[int, ...]]] = {
    "maj9": ("maj7", (0, 4, 7, 11, 14)),
    "m9": ("m7", (0, 3, 7, 10, 14)),
    "add9": ("", (0, 4, 7, 14)),
    "madd9": ("m", (0, 3, 7, 14)),
    "69": ("6", (0, 4, 7, 9, 14)),
    "7b9": ("7", (0, 4, 7, 10, 13)),
    "7#9": ("7", (0, 4, 7, 10, 15)),
    "7sus4": ("sus4", (0, 5, 7, 10)),
    "9sus4": ("sus4", (0, 5, 7, 10, 14)),
    "mmaj7": ("m", (0, 3, 7, 11)),
}
"""Qualities that only the user gives: the quality that the models know them by, and their semitones."""
TONES: dict[str, tuple[int, ...]] = {**QUALITIES, **{name: tones for name, (_, tones) in EXTENDED.items()}}
"""Semitones above the root of every quality."""


@dataclass(frozen=True, slots=True)
class Key:
    """`tonic` 0-11, `mode` a key of `SCALES`. `given`: by the user, not heard or chosen."""

    tonic: int
    mode: str
    given: bool = False

    @property
    def scale(self) -> frozenset[int]:
        """Pitch classes of the scale; minor keys also own their raised seventh."""
        raised = {11} if self.mode == "minor" else set()
        return frozenset((self.tonic + d) % 12 for d in {*SCALES[self.mode], *raised})

    @property
    def name(self) -> str:
        """For people: "A minor"."""
        return f"{PITCH_NAMES[self.tonic]} {self.mode}"


@dataclass(frozen=True, slots=True)
class Chord:
    """A chord from `beat` for `beats`. `root`, `bass`: pitch classes; `bass` None means the root.
    `given`: heard in the user's tracks."""

    beat: float
    beats: float
    root: int
    quality: str
    bass: int | None = None
    given: bool = False

    @property
    def end(self) -> float:
        """Beat at which the chord ends."""
        return self.beat + self.beats

    @property
    def pitch_classes(self) -> frozenset[int]:
        """Chord tones, with the slash bass."""
        tones = {(self.root + d) % 12 for d in TONES[self.quality]}
        return frozenset(tones if self.bass is None else tones | {self.bass})

    @property
    def plain(self) -> Chord:
        """The chord in a quality that the models know."""
        known = EXTENDED.get(self.quality)
        return self if known is None else replace(self, quality=known[0])

    @property
    def symbol(self) -> str:
        """For people: "Am7", "C/E"."""
        slash = "" if self.bass is None or self.bass == self.root else f"/{PITCH_NAMES[self.bass]}"
        return f"{PITCH_NAMES[self.root]}{self.quality}{slash}"


@dataclass(frozen=True, slots=True)
class Note:
    """A note: `start` and `length` in beats."""

    start: float
    length: float
    pitch: int
    velocity: int
    offset_ms: float = 0.0

    @property
    def end(self) -> float:
        """Beat at which the note is released."""
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class Part:
    """The notes of one stem, sorted by start. `name`: the stem's title; `instrument`: the user's wish, or empty."""

    name: str
    role: str
    notes: tuple[Note, ...]
    instrument: str = ""


@dataclass(frozen=True, slots=True)
class FormSection:
    """A section with its bars. `index` counts the sections of the same label before it (Verse 2 has index 1)."""

    name: str
    label: str
    start: float
    end: float
    energy: float
    index: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Heard:
    """What the user's tracks say. Parts are context notes in project beats with their guessed roles; `uses` has one
    entry per part; `notes` are remarks for people.

    `key_confidence` is 1 for a key that was given and 0-1 for one that was heard (0: nothing to hear it from).
    `activity`: (start, end) spans in beats in which a given audio track sounds, sorted and disjoint: leave room there.
    """

    key: Key
    chords: tuple[Chord, ...]
    parts: tuple[Part, ...] = ()
    uses: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    key_confidence: float = 0.0
    activity: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class BandTemplate:
    """What a reference plays on each sixteenth of a bar of four beats, in one register ("low", "mid", "high").

    `strength` [16] 0-1, 0 where a step is not part of its groove; `timing` [16] in shares of a sixteenth (positive:
    late).
    """

    band: str
    strength: tuple[float, ...]
    timing: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class GrooveTemplate:
    """The groove of a reference for the named stems (all when empty). `weight` 0-1: how far it is taken over. `swing`
    None leaves the score's own swing; no `bands` leave its own accents and timing. `source`: the clip's name."""

    source: str
    weight: float
    stems: tuple[str, ...] = ()
    swing: float | None = None
    swing_unit: int = 8
    bands: tuple[BandTemplate, ...] = ()


@dataclass(frozen=True, slots=True)
class Feel:
    """How the band plays a score; the composer chooses it, `engine.perform` applies it.

    `swing` is the share of a pair of `swing_unit` notes (8 or 16) that the first one takes: 0.5 is even, 2/3 a triplet.
    `push_ms` moves a role as a whole (role, ms; negative is early); `loose_ms`: the spread of the players' timing.
    `as_played` names spans (part, start beat, end beat) whose notes are the user's own, or stand from an earlier take:
    their timing and velocities stay. `groove` names the groove that the song is played in. `templates`: grooves of
    references; of several that hold for a stem the first counts.
    """

    swing: float = 0.5
    swing_unit: int = 8
    push_ms: tuple[tuple[str, float], ...] = ()
    loose_ms: float = 4.0
    dynamics: float = 1.0
    as_played: tuple[tuple[str, float, float], ...] = ()
    groove: str = ""
    templates: tuple[GrooveTemplate, ...] = ()


@dataclass(frozen=True, slots=True)
class Score:
    """All that is known before there is sound. `keys`: (beat, key) of a song that changes key, `key` being the first;
    empty for a song in one key."""

    key: Key
    chords: tuple[Chord, ...]
    parts: tuple[Part, ...]
    sections: tuple[FormSection, ...]
    remarks: tuple[str, ...] = field(default=())
    feel: Feel = field(default=Feel())
    keys: tuple[tuple[float, Key], ...] = field(default=())

    def part(self, name: str) -> Part:
        """The part of the stem called `name`. Raises KeyError."""
        for part in self.parts:
            if part.name == name:
                return part
        raise KeyError(name)
