"""What a groove is: patterns of coupled streams on a grid of steps, in chord degrees instead of pitches.

Conventions: a step is a quarter of a quarter note (feel "straight") or a third of it ("triplet"); a pattern is 1, 2 or
4 bars long and repeats; degrees are counted from the chord of the moment, registers are MIDI pitches (60 = C4).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

FILL_KINDS = ("fill", "stop", "pickup")
"""What leads into the next section: a fill; a stop, in which the band falls silent; a pick-up, notes of the tune or the
bass that already belong to what comes. All three are played by `fill`."""
STREAMS = ("drums", "bass", "comp", "pad", "arp", "lead")
LEVELS = ("intro", "verse", "chorus", "bridge", "ending")
SHAPES = ("triad", "seventh", "rootless", "shell", "add9", "dyad", "power", "strum", "octaves", "fifths")
ROOTED = ("power", "strum", "octaves", "fifths")
"""Voicing shapes that stand on their root and move with it; the others are voice-led."""

LANES: dict[str, int] = {
    "kick": 36, "stick": 37, "snare": 38, "clap": 39, "hat": 42, "pedal": 44, "open": 46,
    "tom1": 50, "tom2": 47, "tom3": 43, "tom4": 41, "crash": 49, "crash2": 57, "ride": 51, "bell": 53,
    "tamb": 54, "cowbell": 56, "conga": 63, "slap": 62, "tumba": 64, "shaker": 70, "clave": 75, "triangle": 81,
}  # fmt: skip
"""Drum lanes and their General MIDI pitches."""
FEET = frozenset({"kick", "pedal"})
HANDS = frozenset({"stick", "snare", "hat", "open", "tom1", "tom2", "tom3", "tom4", "crash", "crash2", "ride", "bell"})
"""Lanes of the kit that a drummer plays with hands; what is in neither set is hand percussion or overdubbed."""


@dataclass(frozen=True, slots=True)
class Event:
    """One struck cell of a grid. `step` from the pattern's start, `length` in steps (ties may cross bar lines).

    `symbol` is the cell's character (a lane's name for drums). `octave` is -1, 0, 1; `dynamic` -1 soft, 0, 1 accent.
    """

    step: int
    length: int
    symbol: str
    octave: int = 0
    dynamic: int = 0


@dataclass(frozen=True, slots=True)
class Pattern:
    """One stream of one level. `low` and `high` bound its pitches; `shape` is a voicing shape for comp and pad."""

    bars: int
    steps: int
    events: tuple[Event, ...]
    low: int = 0
    high: int = 127
    shape: str = ""

    def bar(self, index: int) -> tuple[Event, ...]:
        """The events of bar `index` (counted round), their steps from that bar's start."""
        first = (index % self.bars) * self.steps
        return tuple(
            Event(e.step - first, e.length, e.symbol, e.octave, e.dynamic)
            for e in self.events
            if first <= e.step < first + self.steps
        )


@dataclass(frozen=True, slots=True)
class Level:
    """All streams at one level of energy. `crash`: a crash cymbal marks the first bar of a section."""

    name: str
    streams: dict[str, Pattern]
    crash: bool = False

    @property
    def bars(self) -> int:
        """Bars until every stream has come round."""
        return max((p.bars for p in self.streams.values()), default=1)


@dataclass(frozen=True, slots=True)
class Degree:
    """A chord as a scale degree: `degree` 0-6 of the key's scale, altered by `alter` semitones, for `beats`.

    `bass` is the slash bass in semitones above the root, or None.
    """

    degree: int
    alter: int
    quality: str
    bass: int | None
    beats: float


@dataclass(frozen=True, slots=True)
class Progression:
    """A chord idea for a level, in a mode ("major" or "minor"), `bars` bars long."""

    level: str
    mode: str
    bars: int
    chords: tuple[Degree, ...]


@dataclass(frozen=True, slots=True)
class Groove:
    """A style as a band plays it. `bpm_low` and `bpm_high` are quarter notes per minute, as a DAW counts them.

    `swing` is the long half's share of a pair of `swing_unit` notes (0.5 is even); `lock` the least share of kick
    and bass onsets that fall together. Levels that the file leaves out are derived from verse and chorus. The name of a
    fill is one of `FILL_KINDS`. `alternatives`: all levels once more with other bass lines, voicings or tunes. `pace`:
    "half" or "double" where it is played in half or double time, "even" with its swing taken out
    (`engine.grooves.pace`).
    """

    name: str
    title: str
    tags: tuple[str, ...]
    beats: int
    unit: int
    feel: str
    bpm_low: float
    bpm_high: float
    swing: float
    swing_unit: int
    lock: float
    progressions: tuple[Progression, ...]
    levels: dict[str, Level]
    fills: tuple[Level, ...]
    alternatives: tuple[dict[str, Level], ...] = ()
    pace: str = ""

    @property
    def steps_per_quarter(self) -> int:
        """4 (straight) or 3 (triplet)."""
        return 4 if self.feel == "straight" else 3

    @property
    def bar_beats(self) -> float:
        """Length of a bar in quarter notes."""
        return self.beats * 4.0 / self.unit

    @property
    def steps(self) -> int:
        """Steps in a bar."""
        return round(self.bar_beats * self.steps_per_quarter)

    def version(self, index: int) -> Groove:
        """The groove with its alternative number `index` from 1, named "NAME/2" for the first; 0 is as written."""
        if index == 0:
            return self
        return replace(self, name=f"{self.name}/{index + 1}", levels=self.alternatives[index - 1], alternatives=())

    @property
    def metre(self) -> str:
        """For people: "4/4"."""
        return f"{self.beats}/{self.unit}"
