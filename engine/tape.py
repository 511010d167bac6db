"""Sound on disk that is read and changed in windows, so that a song's length does not decide how much memory it needs.

A tape is read as an array is: `tape[:, start:stop]` gives these samples, in memory. What only needs that much of a
sound takes either (`Sounding`). Audio is float32 [channels, samples]; on disk one channel lies behind the other.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bridge.handover.files import disk_error

Audio = NDArray[np.float32]

WINDOW = 1 << 18
"""Samples that are worked on at a time, where nothing asks for another length: 2 MB of a stereo sound."""
_BYTES = 4


class Sounding(Protocol):
    """A sound [channels, samples] that is there in memory or on disk."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, samples)."""

    def __len__(self) -> int:
        """Channels."""

    def __getitem__(self, key: tuple[slice, slice], /) -> Any:
        """float32 [channels, samples of the second slice]; the first one is all channels."""


class Tape:
    """A sound in a file without a name, which goes with the last who holds it; silent where nothing was written. Any
    thread may use it."""

    def __init__(self, samples: int, channels: int = 2) -> None:
        """Raises `JobError` where the disk refuses it."""
        self.shape = (channels, samples)
        self.ndim = 2
        self._room = samples
        self._lock = threading.Lock()
        try:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (it lives as long as the tape)
            self._file.truncate(_BYTES * channels * samples)
        except OSError as error:
            raise disk_error(error, Path(tempfile.gettempdir())) from error

    @classmethod
    def of(cls, audio: Sounding) -> Tape:
        """A sound put on disk. Raises `JobError` as `write` does."""
        tape = cls(audio.shape[1], len(audio))
        put_onto(tape, 0, audio)
        return tape

    def __len__(self) -> int:
        """Channels."""
        return self.shape[0]

    def __reduce__(self) -> tuple[Any, ...]:
        """Sent to another machine it is whole, and lies on a tape there."""
        return Tape.of, (self[:, :],)

    def __getitem__(self, key: tuple[slice, slice], /) -> Audio:
        """A copy of all channels' samples [start, stop)."""
        rows, columns = key
        start, stop, step = columns.indices(self.shape[1])
        if rows != slice(None) or step != 1:
            raise IndexError("a tape is read in stretches of all its channels")
        out = np.empty((len(self), max(stop - start, 0)), np.float32)
        with self._lock:
            for number, row in enumerate(out):
                self._file.seek(_BYTES * (number * self._room + start))
                rest = row.view(np.uint8).data
                while rest:
                    count = self._file.readinto(rest)
                    if not count:
                        raise OSError("a sound on disk has become shorter")
                    rest = rest[count:]
        return out

    def write(self, at: int, audio: Audio) -> None:
        """Puts samples [channels, any] where they belong, from sample `at` on. Raises `JobError` where the disk is
        full."""
        if at < 0 or at + audio.shape[1] > self.shape[1] or len(audio) != len(self):
            raise IndexError("this does not fit onto the tape")
        with self._lock:
            for number, row in enumerate(np.ascontiguousarray(audio, np.float32)):
                try:
                    self._file.seek(_BYTES * (number * self._room + at))
                    rest = row.view(np.uint8).data
                    while rest:
                        rest = rest[self._file.write(rest) :]
                except OSError as error:
                    raise disk_error(error, Path(tempfile.gettempdir())) from error

    def until(self, samples: int) -> Tape:
        """The same tape, as if it ended there."""
        short = Tape.__new__(Tape)
        vars(short).update(vars(self))
        short.shape = (len(self), min(samples, self.shape[1]))
        return short


def windows(samples: int, length: int = WINDOW) -> Iterator[tuple[int, int]]:
    """[start, stop) of one window after the other."""
    for start in range(0, samples, length):
        yield start, min(start + length, samples)


def put_onto(total: Changing, at: int, sound: Sounding) -> None:
    """Puts a sound where it belongs, from sample `at` on."""
    for a, b in windows(sound.shape[1]):
        total.write(at + a, sound[:, a:b])


def add_onto(total: Changing, sound: Sounding) -> None:
    """Adds a sound to one that is as long or shorter, from the first sample on; what is longer is left out."""
    for a, b in windows(total.shape[1]):
        total.write(a, total[:, a:b] + sound[:, a:b])


def loudest(audio: Sounding) -> float:
    """Greatest magnitude of a sample."""
    return max((float(np.abs(audio[:, a:b]).max(initial=0.0)) for a, b in windows(audio.shape[1])), default=0.0)


class Changing(Sounding, Protocol):
    """A sound that is changed where it lies."""

    def write(self, at: int, audio: Audio, /) -> None:
        """Puts samples [channels, any] where they belong, from sample `at` on."""


class Held:
    """A sound in memory that is changed as a tape is; the array it is made from stays as it was."""

    def __init__(self, audio: Audio) -> None:
        self.audio = audio
        self._own = False

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, samples)."""
        return self.audio.shape

    def __len__(self) -> int:
        """Channels."""
        return len(self.audio)

    def __getitem__(self, key: tuple[slice, slice], /) -> Audio:
        """A copy of these samples."""
        return np.array(self.audio[key])

    def write(self, at: int, audio: Audio, /) -> None:
        """Puts samples [channels, any] where they belong, from sample `at` on."""
        if not self._own:
            self.audio, self._own = self.audio.copy(), True
        self.audio[:, at : at + audio.shape[1]] = audio


def stretch(sound: Sounding, start: int, stop: int) -> Audio:
    """A copy of samples [start, stop), silence outside of the sound."""
    low, high = max(start, 0), min(stop, sound.shape[1])
    if low == start and high == stop:
        return np.array(sound[:, low:high])
    out = np.zeros((len(sound), stop - start), np.float32)
    if high > low:
        out[:, low - start : high - start] = sound[:, low:high]
    return out
