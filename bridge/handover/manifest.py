"""`manifest.json`: what a take is, where it lies, how it was made and what was measured on it.

It is the last file of a take to appear: a folder with a manifest is whole. Paths are relative to it; positions are
samples from the project's start at the take's rate; levels dBFS and LUFS; hashes SHA-256 in hex.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Any

import msgspec

from bridge.errors import JobError
from bridge.handover.files import write_file
from bridge.messages import Checks
from bridge.timeline import Clock

MANIFEST_VERSION = 1
MANIFEST_NAME = "manifest.json"


class KeyUsed(msgspec.Struct, frozen=True):
    """The key that the take is written in; `given` by the user, else heard or chosen."""

    tonic: str
    mode: str
    given: bool = False


class Machine(msgspec.Struct, frozen=True):
    """A composer or renderer: its name, the weights it ran (None: it has none), and their licence."""

    name: str
    weights: str | None
    licence: str


class ChordUsed(msgspec.Struct, frozen=True):
    """A chord from `beat` for `beats`. `given`: heard in the user's tracks."""

    beat: float
    beats: float
    symbol: str
    given: bool = False


class SectionUsed(msgspec.Struct, frozen=True):
    """A section: its beats, and its first sample and length."""

    name: str
    label: str
    start: float
    end: float
    start_sample: int = 0
    samples: int = 0


class Tail(msgspec.Struct, frozen=True):
    """What rings on after a stem's end, in a file of its own that begins where the stem stops."""

    wav: str
    start_sample: int
    samples: int
    sha256: str


class Painted(msgspec.Struct, frozen=True):
    """What a renderer that may drift made of a stem, the worst of its stretches.

    `used`: its sound is the stem, else the sampler's guide stands in. `tasks` it was asked for; `seeds` of its
    stretches; `tries` at most for one of them. `before_ms`, `after_ms`: (median, 99th percentile) of how far its onsets
    lay from their guide's before and after they were moved, by `warp_ms` at most; `cents` it was off; `gain_db` to the
    guide's loudness; `refused`: why tries were not taken.
    """

    renderer: str
    weights: str
    licence: str
    used: bool
    tasks: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    tries: int = 0
    before_ms: tuple[float, float] | None = None
    after_ms: tuple[float, float] | None = None
    warp_ms: float = 0.0
    cents: float | None = None
    gain_db: float = 0.0
    refused: tuple[str, ...] = ()


class StemFiles(msgspec.Struct, frozen=True):
    """A stem on disk. `seed`: the one it was written with; `instrument`, `licence`: what plays it.

    `kept_from`: the take ("<job>/take-N") that an edit took this stem from unchanged, or empty.
    """

    name: str
    role: str
    wav: str
    midi: str
    start_sample: int
    samples: int
    channels: int
    sha256: str
    renderer: str
    checks: Checks
    midi_sha256: str = ""
    instrument: str = ""
    licence: str = ""
    seed: int | None = None
    tail: Tail | None = None
    warnings: tuple[str, ...] = ()
    kept_from: str = ""
    painted: Painted | None = None


class Limiter(msgspec.Struct, frozen=True):
    """What the mix's limiter did. Where `max_reduction_db` is 0 the mix is the sum of the stems as it stands."""

    ceiling_dbfs: float
    max_reduction_db: float
    seconds_limited: float


class MixFiles(msgspec.Struct, frozen=True):
    """The mix on disk: the sum of all stems, then the limiter."""

    wav: str
    lufs: float | None
    true_peak_dbfs: float | None
    start_sample: int = 0
    samples: int = 0
    channels: int = 2
    sha256: str = ""
    limiter: Limiter | None = None


class Manifest(msgspec.Struct, frozen=True):
    """A take. `warnings`: what fell back or failed a check; `remarks`: what else the musician may want to know.

    `based_on`: the take that this one edits or continues; `scope`: the sections and stems written anew,
    `scope_beats` the (start, end) stretches of them. `style`: what was
    heard in references. `seconds`: time spent per stage. `files`: further files by kind ("rpp", "score", ...).
    `clock_sha256`: of the tempo map (`clock2hash`), by which a DAW notices that its own has changed since.
    """

    job: str
    take: int
    seed: int
    sample_rate: int
    start_sample: int
    samples: int
    key: KeyUsed
    composer: Machine
    renderer: Machine
    stems: tuple[StemFiles, ...]
    chords: tuple[ChordUsed, ...] = ()
    sections: tuple[SectionUsed, ...] = ()
    mix: MixFiles | None = None
    start_beat: float = 0.0
    end_beat: float = 0.0
    clock_sha256: str = ""
    project: str = ""
    words: str = ""
    style: dict[str, Any] | None = None
    seconds: dict[str, float] = {}
    files: dict[str, str] = {}
    licences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    based_on: str = ""
    scope: dict[str, tuple[str, ...]] = {}
    scope_beats: tuple[tuple[float, float], ...] = ()
    engine: str = ""
    version: int = MANIFEST_VERSION


_decoder = msgspec.json.Decoder(Manifest)


def manifest2json(manifest: Manifest) -> bytes:
    """Indented UTF-8 JSON with a last newline."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def json2manifest(raw: bytes) -> Manifest:
    """Raises `JobError` `manifest.broken` for what is no manifest, `manifest.version` for one of a later time."""
    try:
        manifest = _decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise JobError("manifest.broken", f"this is not the manifest of a take: {error}.") from error
    if manifest.version != MANIFEST_VERSION:
        raise JobError(
            "manifest.version",
            f"the manifest has version {manifest.version}; this stembridge reads {MANIFEST_VERSION}.",
            hint="Update stembridge.",
        )
    return manifest


def write_manifest(path: Path, manifest: Manifest) -> str:
    """Writes the new file `path`, after all files it names; returns its SHA-256. Raises as `atomic` does."""
    return write_file(path, manifest2json(manifest))


def read_manifest(path: Path) -> Manifest:
    """The manifest at `path` or in the folder `path`. Raises `JobError` `manifest.missing`, and as `json2manifest`."""
    file = path / MANIFEST_NAME if path.is_dir() else path
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise JobError(
            "manifest.missing",
            f'"{file}" cannot be read.',
            hint="The take was not finished, or its folder was moved.",
        ) from error
    try:
        return json2manifest(raw)
    except JobError as error:
        raise JobError(error.code, error.message, field=str(file), hint=error.hint) from error


def clock2hash(clock: Clock) -> str:
    """SHA-256 of the clock's pairs and metres as little-endian float64."""
    digest = hashlib.sha256()
    for beat, second in zip(clock.beats, clock.seconds, strict=True):
        digest.update(struct.pack("<dd", beat, second))
    for metre in clock.metres:
        digest.update(struct.pack("<ddd", metre.beat, metre.beats, metre.unit))
    return digest.hexdigest()
