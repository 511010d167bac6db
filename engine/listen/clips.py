"""Audio clips as streams of blocks: a file of ten minutes is never in memory at its own rate.

Conventions: blocks are float32 [samples, 1 or 2]; of more than two channels the first two are heard. The clip's rate
stays where it is 44.1 or 48 kHz and becomes 48 kHz where it is not, so that what follows knows two rates only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bridge.errors import RequestError
from engine.listen.onsets import RATE, Audio
from engine.listen.steps import each, unheard
from engine.report import Tick

KEPT_RATES = (44100, 48000)
OTHER_RATE = 48000
BLOCK = 1 << 17
MAX_SECONDS = 1200.0
MIN_FILE_RATE, MAX_FILE_RATE = 1000, 768000
HINT = "Export it again as WAV, FLAC, OGG or MP3."


@dataclass(frozen=True)
class Clip:
    """Audio to be heard: of a file (`path`, from `start` s, for `seconds` s) or an array (`audio` [samples, channels]
    at `rate`). `channels`, `seconds` and `rate` are the source's; `field` names it in errors."""

    rate: int
    channels: int
    seconds: float
    path: Path | None = None
    start: float = 0.0
    audio: Audio | None = None
    field: str = ""

    @property
    def heard_rate(self) -> int:
        """Rate of the blocks."""
        return self.rate if self.rate in KEPT_RATES else OTHER_RATE

    @property
    def count(self) -> float:
        """How many blocks there are, about."""
        return self.seconds * self.rate / BLOCK

    def blocks(self) -> Iterator[Audio]:
        """All of it, in order, at `heard_rate`. Raises `RequestError` for what cannot be read or holds no numbers."""
        if self.heard_rate == self.rate:
            yield from self._raw()
            return
        import soxr

        width = min(self.channels, 2)
        stream = soxr.ResampleStream(self.rate, self.heard_rate, width, dtype="float32", quality="HQ")
        for block in self._raw():
            # Of mono the stream takes and gives one dimension.
            out = stream.resample_chunk(block if width > 1 else block[:, 0])
            if len(out):
                yield np.asarray(out, dtype=np.float32).reshape(-1, width)
        out = stream.resample_chunk(np.zeros((0, width) if width > 1 else 0, np.float32), last=True)
        if len(out):
            yield np.asarray(out, dtype=np.float32).reshape(-1, width)

    def _raw(self) -> Iterator[Audio]:
        for block in self._file_blocks() if self.audio is None else self._array_blocks(self.audio):
            if not np.isfinite(block).all():
                raise RequestError(
                    "audio.damaged", "the file holds values that are no numbers.", field=self.field, hint=HINT
                )
            yield block[:, :2]

    def _array_blocks(self, audio: Audio) -> Iterator[Audio]:
        for i in range(0, len(audio), BLOCK):
            yield audio[i : i + BLOCK]

    def _file_blocks(self) -> Iterator[Audio]:
        import soundfile

        left = round(self.seconds * self.rate)
        try:
            with soundfile.SoundFile(str(self.path)) as file:
                if self.start > 0:
                    file.seek(round(self.start * self.rate))
                while left > 0:
                    block = file.read(min(BLOCK, left), dtype="float32", always_2d=True)
                    if not len(block):
                        return
                    left -= len(block)
                    yield block
        except (soundfile.LibsndfileError, OSError) as error:
            raise _damaged(self.field) from error


def file2clip(path: str | Path, start: float = 0.0, seconds: float | None = None) -> Clip:
    """The clip of a file from `start` for `seconds` (to its end when None; 20 minutes at most).

    Raises `RequestError`: audio.missing, audio.damaged, audio.empty (no samples, or none from there on).
    """
    import soundfile

    path = Path(path)
    if not path.is_file():
        raise RequestError("audio.missing", "there is no such file.", field=str(path), hint="Correct the path.")
    try:
        info = soundfile.info(str(path))
    except (soundfile.LibsndfileError, OSError) as error:
        raise _damaged(str(path)) from error
    if not MIN_FILE_RATE <= info.samplerate <= MAX_FILE_RATE:
        raise RequestError(
            "audio.damaged",
            f"the file's sample rate of {info.samplerate} Hz is none for music.",
            field=str(path),
            hint=HINT,
        )
    left = info.frames / info.samplerate - start
    if left <= 0:
        where = f" after {start:g} s" if start > 0 and info.frames else ""
        raise RequestError("audio.empty", f"the audio file holds no samples{where}.", field=str(path), hint=HINT)
    length = min(left, MAX_SECONDS if seconds is None else min(seconds, MAX_SECONDS))
    return Clip(info.samplerate, info.channels, length, path, start, field=str(path))


def array2clip(audio: Audio, rate: int) -> Clip:
    """The clip of an array [samples, channels]."""
    return Clip(rate, audio.shape[1], len(audio) / rate, audio=audio)


def clip2mono(clip: Clip, tick: Tick = unheard) -> Audio:
    """[samples] of the whole clip at `RATE`, the mean of its channels."""
    import soxr

    stream = soxr.ResampleStream(clip.heard_rate, RATE, 1, dtype="float32", quality="MQ")
    blocks = each(clip.blocks(), clip.count, tick)
    parts = [stream.resample_chunk(np.ascontiguousarray(block.mean(axis=1))) for block in blocks]
    parts.append(stream.resample_chunk(np.zeros(0, np.float32), last=True))
    return np.asarray(np.concatenate(parts), dtype=np.float32)


def _damaged(field: str) -> RequestError:
    return RequestError("audio.damaged", "the file cannot be read as audio.", field=field, hint=HINT)
