"""What a set remembers: the take at hand, the job under way, its own settings. Kept in the set, so saved with it.

Live's `Song.set_data` and `Track.set_data` store a value under a key in the Live Set and give it back after loading.
What is stored is JSON text of bounded length; what cannot be read back counts as nothing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from Live.Song import Song
    from Live.Track import Track


KEY = "stembridge"
MAX_TEXT = 64 << 10
MAX_TAKES = 32


class Stem(NamedTuple):
    """A stem of a take: its name and role."""

    name: str
    role: str


class Take(NamedTuple):
    """A take that edits start from. `request`: path of the JSON file that it was asked with. `start`, `end`: beats."""

    job: str
    number: int
    request: str
    seed: int
    stems: list[Stem]
    start: float
    end: float

    @property
    def name(self) -> str:
        """As the protocol calls it."""
        return f"{self.job}/take-{self.number}"


class Running(NamedTuple):
    """The job under way: `verb`, its request's file, and the names of the stems that shall land (none: all)."""

    job: str
    verb: str
    request: str
    stems: list[str]


class Memory(NamedTuple):
    """All that is kept with the set. `takes`: one for each stretch of the song, the newest last."""

    takes: tuple[Take, ...] = ()
    running: Running | None = None
    settings: dict[str, Any] = {}  # noqa: RUF012 (never changed in place)

    @property
    def take(self) -> Take | None:
        """The newest take."""
        return self.takes[-1] if self.takes else None

    @property
    def last_take(self) -> Take | None:
        """The take that ends last, the newest of several."""
        return max(reversed(self.takes), key=lambda take: take.end, default=None)

    def take_at(self, span: tuple[float, float] | None) -> Take | None:
        """The newest take that has music in `span`; the newest of all where none has, or no span is given."""
        for take in reversed(self.takes):
            if span is not None and take.start < span[1] and take.end > span[0]:
                return take
        return self.take

    def with_take(self, take: Take) -> tuple[Take, ...]:
        """The takes with a new one, which replaces one of the same stretch."""
        others = [other for other in self.takes if (other.start, other.end) != (take.start, take.end)]
        return (*others, take)[-MAX_TAKES:]


def load(song: Song) -> Memory:
    """The set's memory; empty where there is none, or it is of another shape."""
    try:
        found = _text2object(song.get_data(KEY, ""))
        takes, running, settings = found.get("takes", []), found.get("running"), found.get("settings")
        return Memory(
            tuple(Take(**dict(take, stems=[Stem(*stem) for stem in take["stems"]])) for take in takes),
            None if running is None else Running(**running),
            settings if isinstance(settings, dict) else {},
        )
    except (TypeError, KeyError, ValueError, AttributeError):
        return Memory()


def save(song: Song, memory: Memory) -> None:
    """Stores the memory in the set."""
    song.set_data(
        KEY,
        json.dumps(
            {
                "takes": [take._asdict() for take in memory.takes],
                "running": memory.running and memory.running._asdict(),
                "settings": memory.settings,
            }
        ),
    )


class Tag(NamedTuple):
    """What a track of ours is known by: the stem on it, "audio" or "midi", and the files that landed there."""

    stem: str
    kind: str
    files: list[str]


def tag_of(track: Track) -> Tag | None:
    """The tag of a track, or None for a track of the user's."""
    try:
        return Tag(**_text2object(track.get_data(KEY, "")))
    except (TypeError, ValueError, AttributeError):
        return None


def set_tag(track: Track, tag: Tag) -> None:
    """Marks a track as ours."""
    track.set_data(KEY, json.dumps(tag._asdict()))


def _text2object(text: Any) -> dict[str, Any]:
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        raise ValueError("no text of ours")
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found
