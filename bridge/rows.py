"""What the lists and measurements in the protocol's messages are made of."""

from __future__ import annotations

from typing import Literal

import msgspec


class Checks(msgspec.Struct, frozen=True):
    """What was measured on a stem: milliseconds, rates 0-1, dBFS, LUFS. None: does not apply (drums have no key)."""

    onset_ms_median: float | None = None
    onset_ms_p99: float | None = None
    in_key: float | None = None
    true_peak_dbfs: float | None = None
    lufs: float | None = None
    repaired: tuple[str, ...] = ()


class JobRow(msgspec.Struct, frozen=True):
    """One line of the job list. `state`: queued, running, paused, done, failed, cancelled, or parked (it brought its
    worker down twice and waits for `Resume`). `position` in the queue, -1 where it is not queued; `eta` in seconds,
    None where it is unknown or none."""

    job: str
    state: str
    stage: str
    fraction: float
    project: str
    position: int = -1
    eta: float | None = None
    priority: str = "interactive"


class ModelRow(msgspec.Struct, frozen=True):
    """One composer or renderer. `available` false carries the reason in `note`.

    `commercial`: its licence lets the result be sold. `memory_gib`: what it needs where it runs. `path`: the user's
    checkpoint (folder or hub id). `auto`: this is what "auto" means here.
    """

    name: str
    kind: Literal["composer", "renderer"]
    available: bool
    licence: str
    note: str = ""
    commercial: bool = True
    memory_gib: float = 0.0
    path: str = ""
    auto: bool = False


class Stat(msgspec.Struct, frozen=True):
    """One number: a counter only grows while the engine lives. `labels` tell numbers of one name apart; units are in
    the name (bytes, seconds)."""

    name: str
    kind: Literal["counter", "gauge"]
    value: float
    labels: dict[str, str] = {}
    help: str = ""
