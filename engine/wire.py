"""What the front process and its worker say to each other: one JSON object a line, over the worker's own pipes.

Pipes and no sockets: the worker cannot be reached from outside, and it ends by itself when the front is gone
(its standard input closes).
"""

from __future__ import annotations

import msgspec

from bridge.messages import Event, Listen, ModelRow, Render


class Run(msgspec.Struct, frozen=True, tag_field="do", tag="run"):
    """Do this job, which has waited for so many seconds; a render makes its takes in the folder `out`, the first one as
    `take-<first_take>`. `trace`: note what the time goes to. `coming`: jobs that run next and may share a
    batch with it."""

    request: Render | Listen
    out: str
    first_take: int = 1
    waited: float = 0.0
    trace: bool = False
    coming: tuple[Render, ...] = ()


class Stop(msgspec.Struct, frozen=True, tag_field="do", tag="stop"):
    """Break the job off at the next step, or leave it alone where it is but coming. `keep`: what it has finished stays,
    for it will go on."""

    job: str
    keep: bool = False


class Ready(msgspec.Struct, frozen=True, tag_field="is", tag="ready"):
    """The models are loaded."""

    models: tuple[ModelRow, ...]


class Broken(msgspec.Struct, frozen=True, tag_field="is", tag="broken"):
    """The models could not be loaded, or their device was lost; the worker ends."""

    code: str
    message: str
    hint: str = ""


class Took(msgspec.Struct, frozen=True, tag_field="is", tag="took"):
    """The worker has the job: what becomes of it from now on may be the job's fault."""

    job: str


class Said(msgspec.Struct, frozen=True, tag_field="is", tag="said"):
    """An event of the running job. A final event means that the worker is free again. `fresh` tells of it whether the
    job has computed everything itself, using nothing that was kept."""

    event: Event
    fresh: bool = True


class Vitals(msgspec.Struct, frozen=True, tag_field="is", tag="vitals"):
    """What the worker holds now. `models`: what of them is in memory."""

    pid: int
    memory_bytes: int
    accelerator_bytes: int
    models: tuple[str, ...]


ToWorker = Run | Stop
FromWorker = Ready | Broken | Took | Said | Vitals

to_worker = msgspec.json.Decoder(ToWorker)
from_worker = msgspec.json.Decoder(FromWorker)
_encoder = msgspec.json.Encoder()


def line(message: ToWorker | FromWorker) -> bytes:
    """One message with its line end; JSON text itself holds no line end."""
    return _encoder.encode(message) + b"\n"
