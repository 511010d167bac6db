"""The protocol, defined once: requests, events, errors (msgspec structs -> JSON; schema by `json_schema`).

Every message carries `version`. The engine's token goes beside each request, added by the transport (see
`bridge.transport`), so it is no field here. Job ids are made by the client, so that
sending a request again is safe: the engine answers with the state of the job it already has.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from bridge.arrangement import Arrangement
from bridge.rows import Checks as Checks
from bridge.rows import JobRow as JobRow
from bridge.rows import ModelRow as ModelRow
from bridge.rows import Stat as Stat

PROTOCOL = 1
DEFAULT_STEMS = ("drums", "bass", "keys", "pad", "lead")


class Project(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`root` is the project's folder: relative paths are under it. Results go to `<out>/<job>/take-N/`;
    `out` is `<root>/stembridge` unless given, and a folder of the engine's data where there is no root either."""

    name: str = ""
    root: str = ""
    daw: str = ""
    out: str = ""


class StemWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part to write. Several may share a role ("guitar", "guitar 2"); `name` defaults to the role.

    `renderer` "" takes the request's. `strength` is how far a diffusion renderer may leave the guide: 0 keeps its
    sound, 1 keeps only its notes' times; None for the checkpoint's own. `words` tell such a renderer of this stem.

    `density`, `register` and `complexity` (-1 to 1) ask for less or more than the music would have; None lets it be.
    Density: half as many strikes at -1, twice as many at 1. Register: an octave down or up. Complexity: straighter and
    plainer, or more syncopated with richer chords. `leave_space_for`: the stem or track, by name or role, whose onsets
    this one keeps clear of.
    """

    role: str
    name: str = ""
    instrument: str = ""
    renderer: str = ""
    strength: float | None = None
    words: str = ""
    density: float | None = None
    register: float | None = None
    complexity: float | None = None
    leave_space_for: str = ""

    @property
    def title(self) -> str:
        """The stem's name: unique within a request."""
        return self.name or self.role


class Scope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An edit of `take` ("<job>/take-N"): only these sections x stems are written anew; empty means all of them.

    `start` and `end` (beats) narrow it to the bars that they touch. A stem that the take does not have yet is added.
    `notes` keep: the same notes in another sound (renderer, instrument, reference, sound font); nothing is composed.
    `strength`: how far the new notes leave the take's, from 0 (the same) to 1 (as new as the seed makes them).
    """

    take: str
    sections: tuple[str, ...] = ()
    stems: tuple[str, ...] = ()
    start: float | None = None
    end: float | None = None
    notes: Literal["new", "keep"] = "new"
    strength: float = 1.0


class Render(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="render"):
    """Compose and render. `tail`: what rings past the end is `cut` (3 ms fade inside the length), written to a second
    `file`, or `wrap`ped onto the start (for loops).

    `continues` names a take ("<job>/take-N") that ends where the first section starts: it is gone on with. `avoid` are
    words of what shall not sound, `language` the lyrics' (ISO 639-1). `commercial`: the result will be sold, so models
    whose licence forbids that are out. `priority` batch waits behind what a musician waits for. `time_limit`: seconds
    that it may run (None: as long as the engine lets any). `trace`: note what the time goes to, for Perfetto.
    `harmony` free: nothing holds what is written to scale, chords, ranges and hands (see `engine.compose.safe`).
    """

    job: str
    arrangement: Arrangement
    version: int = PROTOCOL
    project: Project = Project()
    stems: tuple[StemWanted, ...] = tuple(StemWanted(role) for role in DEFAULT_STEMS)
    style: str = ""
    seed: int = 0
    takes: int = 1
    composer: str = "auto"
    renderer: str = "auto"
    soundfont: str = ""
    tail: Literal["cut", "file", "wrap"] = "cut"
    bits: Literal[24, 32] = 32
    scope: Scope | None = None
    continues: str = ""
    avoid: str = ""
    language: str = "en"
    commercial: bool = False
    priority: Literal["interactive", "batch"] = "interactive"
    time_limit: float | None = None
    trace: bool = False
    harmony: Literal["safe", "free"] = "safe"


class Listen(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="listen"):
    """Analyse a MIDI or audio file only; answered by `Heard`."""

    job: str
    path: str
    version: int = PROTOCOL
    project: Project = Project()


class Cancel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="cancel"):
    """Stop a queued or running job; answered by `Cancelled`, or `Failed` when there is no such job."""

    job: str
    version: int = PROTOCOL


class Status(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="status"):
    """Ask for one job's snapshot (for late joiners); subscribes the sender to its further events."""

    job: str
    version: int = PROTOCOL


class Jobs(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="jobs"):
    """Ask for the list of jobs, newest last."""

    version: int = PROTOCOL


class Models(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="models"):
    """Ask which composers and renderers can be used."""

    version: int = PROTOCOL


class Ping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="ping"):
    """Answered at once by `Pong`."""

    version: int = PROTOCOL


class Stats(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="stats"):
    """Ask for the engine's counters and gauges; answered by `StatList`."""

    version: int = PROTOCOL


class Pause(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="pause"):
    """Let a job wait until `Resume`, keeping what it has finished; answered by `Progress` of stage "paused".

    Without a job: begin no further one (the running one goes on); answered by `JobList`.
    """

    job: str = ""
    version: int = PROTOCOL


class Resume(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="resume"):
    """Go on with a paused job, or begin a parked one again; answered by `Accepted`. Without a job: go on with the
    queue; answered by `JobList`."""

    job: str = ""
    version: int = PROTOCOL


class Move(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="move"):
    """Put a waiting job at `position` (0: first) among the waiting jobs of the same client and priority; answered by
    `Accepted` with its position in the whole queue."""

    job: str
    position: int = 0
    version: int = PROTOCOL


class Shutdown(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="shutdown"):
    """End the engine. Jobs that are not over wait, and go on when an engine is started again."""

    version: int = PROTOCOL


Request = Render | Listen | Cancel | Status | Jobs | Pause | Resume | Move | Models | Ping | Stats | Shutdown


class Accepted(msgspec.Struct, frozen=True, tag_field="type", tag="accepted"):
    """The request is valid and queued. `position` 0 means it is next; `eta` in seconds, None while unknown."""

    job: str
    position: int
    eta: float | None = None
    version: int = PROTOCOL


class Progress(msgspec.Struct, frozen=True, tag_field="type", tag="progress"):
    """`fraction` of the whole job, 0-1; at most two a second. `note` says anything the user should know."""

    job: str
    stage: str
    fraction: float
    eta: float | None = None
    note: str = ""
    version: int = PROTOCOL


class StemReady(msgspec.Struct, frozen=True, tag_field="type", tag="stem"):
    """A finished stem on disk: absolute paths, `start_sample` from the project's start, `samples` long."""

    job: str
    take: int
    stem: str
    role: str
    wav: str
    midi: str
    start_sample: int
    start_beat: float
    samples: int
    channels: int
    sample_rate: int
    checks: Checks
    version: int = PROTOCOL


class PieceReady(msgspec.Struct, frozen=True, tag_field="type", tag="piece"):
    """The beginning or a further stretch of a stem that is still being made, to be heard meanwhile: `sections` of it,
    on the clock, in a file of its own. Pieces of a stem are numbered from 1, follow each other and are told once, to
    those who follow the job then. The stem that comes holds them anew, and their files go when the take is finished or
    ends: whoever places stems may pass over this event.
    """

    job: str
    take: int
    stem: str
    role: str
    number: int
    sections: tuple[str, ...]
    wav: str
    start_sample: int
    start_beat: float
    samples: int
    channels: int
    sample_rate: int
    version: int = PROTOCOL


class Done(msgspec.Struct, frozen=True, tag_field="type", tag="done"):
    """The job is finished; `manifests` are absolute paths, one per take."""

    job: str
    manifests: tuple[str, ...]
    seconds: float
    warnings: tuple[str, ...] = ()
    version: int = PROTOCOL


class Failed(msgspec.Struct, frozen=True, tag_field="type", tag="failed"):
    """Refused (`refused` true: nothing was started) or broken off. `hint`: what the musician can do."""

    job: str
    code: str
    message: str
    field: str = ""
    hint: str = ""
    refused: bool = False
    version: int = PROTOCOL


class Cancelled(msgspec.Struct, frozen=True, tag_field="type", tag="cancelled"):
    """The job was stopped; no file of the unfinished take stays behind."""

    job: str
    version: int = PROTOCOL


class Pong(msgspec.Struct, frozen=True, tag_field="type", tag="pong"):
    """The engine lives. `ready` turns true when the worker has loaded its models."""

    engine: str
    pid: int
    ready: bool
    jobs: int
    version: int = PROTOCOL


class JobList(msgspec.Struct, frozen=True, tag_field="type", tag="job_list"):
    """Answer to `Jobs`. `paused`: no further job is begun until `Resume`."""

    jobs: tuple[JobRow, ...]
    paused: bool = False
    version: int = PROTOCOL


class ModelList(msgspec.Struct, frozen=True, tag_field="type", tag="model_list"):
    """Answer to `Models`."""

    models: tuple[ModelRow, ...]
    version: int = PROTOCOL


class StatList(msgspec.Struct, frozen=True, tag_field="type", tag="stat_list"):
    """Answer to `Stats`."""

    stats: tuple[Stat, ...]
    version: int = PROTOCOL


class Heard(msgspec.Struct, frozen=True, tag_field="type", tag="heard"):
    """Answer to `Listen`: key, chords, tempo and style as plain JSON values."""

    job: str
    path: str
    result: dict[str, Any]
    version: int = PROTOCOL


Event = (
    Accepted
    | Progress
    | StemReady
    | PieceReady
    | Done
    | Failed
    | Cancelled
    | Pong
    | JobList
    | ModelList
    | StatList
    | Heard
)
FINAL = (Done, Failed, Cancelled)

_encoder = msgspec.json.Encoder()
_requests: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_events: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def encode(message: Request | Event) -> bytes:
    """JSON of any message, UTF-8."""
    return _encoder.encode(message)


def decode_event(raw: bytes | str) -> Event:
    """An event from JSON. Raises `msgspec.ValidationError` or `msgspec.DecodeError`."""
    return _events.decode(raw)


def decode_shape(raw: bytes | str) -> Request:
    """A request of the right shape from JSON; its meaning is checked by `bridge.validate`."""
    return _requests.decode(raw)


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of all requests and events."""
    (requests, events), components = msgspec.json.schema_components((Request, Event), ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"stembridge protocol {PROTOCOL}",
        "oneOf": [requests, events],
        "$defs": components,
    }
