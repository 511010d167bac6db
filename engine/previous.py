"""An earlier take, read back so that a part of it can be written anew: its score, its files, where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from bridge.arrangement import Arrangement
from bridge.errors import RequestError
from bridge.handover.manifest import Manifest, StemFiles, clock2hash, read_manifest
from bridge.messages import Scope
from bridge.timeline import Clock
from engine.score import Score
from engine.tape import Audio, Tape

SCORE_NAME = "score.json"

_score_decoder = msgspec.json.Decoder(Score)


def score2json(score: Score) -> bytes:
    """The performed score as JSON, for `score.json`."""
    return msgspec.json.encode(score)


class WavFile:
    """The samples of a WAV file, read in stretches."""

    def __init__(self, path: Path) -> None:
        import soundfile

        self._path = path
        about = soundfile.info(path)
        self.shape: tuple[int, ...] = (about.channels, about.frames)

    def __len__(self) -> int:
        """Channels."""
        return self.shape[0]

    def __getitem__(self, key: tuple[slice, slice], /) -> Audio:
        """float32 samples [start, stop) of all channels."""
        import soundfile

        start, stop, _ = key[1].indices(self.shape[1])
        rows, _ = soundfile.read(self._path, start=start, stop=max(stop, start), dtype="float32", always_2d=True)
        return np.ascontiguousarray(rows.T)


@dataclass(frozen=True)
class PreviousTake:
    """The take that an edit starts from. `name` is "<job>/take-N"."""

    name: str
    folder: Path
    manifest: Manifest
    score: Score

    def stem(self, name: str) -> StemFiles | None:
        """Its files of the stem `name`, if it has one."""
        return next((stem for stem in self.manifest.stems if stem.name == name), None)

    def audio(self, wav: str) -> Audio:
        """Samples of one of its WAV files, float32 [channels, samples]."""
        import soundfile

        samples, _ = soundfile.read(self.folder / wav, dtype="float32", always_2d=True)
        return np.ascontiguousarray(samples.T, dtype=np.float32)

    def sound(self, wav: str) -> WavFile:
        """The same, read where it lies and when it is asked for."""
        return WavFile(self.folder / wav)

    def tape(self, wav: str) -> Tape:
        """The same on a tape, to be changed there. Raises `JobError` where the disk is full."""
        return Tape.of(self.sound(wav))


def open_take(name: str, results: Path, field: str) -> PreviousTake:
    """Reads the take `name` from the results folder. Raises `RequestError` on `field` where there is none."""
    folder = results / name
    if not (folder / "manifest.json").is_file():
        raise RequestError(
            "scope.missing",
            f"there is no finished take {name} in {results}.",
            field=field,
            hint="Render it first, or name the folder it lies in (project.out).",
        )
    try:
        score = _score_decoder.decode((folder / SCORE_NAME).read_bytes())
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise RequestError(
            "scope.damaged", f"the score of {name} cannot be read.", field=field, hint="Render a new take."
        ) from None
    return PreviousTake(name, folder, read_manifest(folder), score)


def open_previous(scope: Scope, results: Path, clock: Clock, arrangement: Arrangement) -> PreviousTake:
    """Reads the take that `scope` edits. Raises `RequestError` on `scope.take` where there is none, or its tempo map,
    sample rate, first or last sample are not the arrangement's."""
    take = open_take(scope.take, results, "scope.take")
    manifest, rate = take.manifest, arrangement.sample_rate
    if manifest.sample_rate != rate or manifest.clock_sha256 != clock2hash(clock):
        raise RequestError(
            "scope.changed",
            f"the tempo map or the sample rate has changed since {scope.take} was made.",
            field="scope.take",
            hint="Render a whole new take.",
        )
    start = clock.beat2sample(arrangement.start, rate)
    samples = clock.span2samples(arrangement.start, arrangement.end, rate)
    if (manifest.start_sample, manifest.samples) != (start, samples):
        raise RequestError(
            "scope.moved",
            f"the first or the last section of {scope.take} lies elsewhere than now.",
            field="scope.take",
            hint="Put the sections back, or render a whole new take.",
        )
    return take
