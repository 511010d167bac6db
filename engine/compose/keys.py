"""The keys of a song: one, or several where the user's project changes key."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace

from bridge.arrangement import Arrangement
from engine.score import Chord, Key


@dataclass(frozen=True, slots=True)
class Keys:
    """(beat, key) in force from that beat on, in order, never empty; the first holds before its beat, too."""

    changes: tuple[tuple[float, Key], ...]

    @classmethod
    def steady(cls, key: Key) -> Keys:
        """One key for the whole song."""
        return cls(((0.0, key),))

    @property
    def first(self) -> Key:
        """The key that the song begins in."""
        return self.changes[0][1]

    def at(self, beat: float) -> Key:
        """The key in force at `beat`."""
        return self.changes[max(bisect_right([b for b, _ in self.changes], beat + 1e-6) - 1, 0)][1]


def given_keys(arrangement: Arrangement) -> Keys | None:
    """The user's keys over the sections, without those that no section hears; None where none is given."""
    if not arrangement.keys:
        return None
    every = Keys(
        tuple((k.beat, Key(k.pitch_class, k.mode, given=True)) for k in sorted(arrangement.keys, key=lambda k: k.beat))
    )
    start = min((s.start for s in arrangement.sections), default=arrangement.keys[0].beat)
    end = max((s.end for s in arrangement.sections), default=start)
    later = [(beat, key) for beat, key in every.changes if start < beat < end]
    kept = [(start, every.at(start))]
    for beat, key in later:
        if key != kept[-1][1]:
            kept.append((beat, key))
    return Keys(tuple(kept))


def moved(chord: Chord, old: Key, new: Key) -> Chord:
    """A chord as it stands on the same degree of another tonic."""
    shift = new.tonic - old.tonic
    if shift % 12 == 0:
        return chord
    bass = None if chord.bass is None else (chord.bass + shift) % 12
    return replace(chord, root=(chord.root + shift) % 12, bass=bass)
