"""OSC answers: what an event looks like as messages, and the ways back to a UDP port or a TCP connection."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bridge import VERSION
from bridge.messages import (
    Accepted,
    Cancelled,
    Done,
    Event,
    Failed,
    Heard,
    JobList,
    ModelList,
    PieceReady,
    Pong,
    Progress,
    StatList,
    StemReady,
    encode,
)
from bridge.transport.osc_packet import Stream, message2packet
from bridge.transport.osc_table import ROOT, TAGS
from bridge.transport.refusals import Refusals

MAX_UNSENT = 4 << 20
"""Bytes that may wait for a TCP peer that does not read."""

LISTS = {JobList: "/job_list", ModelList: "/model_list", StatList: "/stat_list"}
Answer = tuple[str, list[object]]
"""Address under `ROOT`, and values."""


def event2message(event: Event) -> list[Answer]:
    """An event as OSC messages; their types are in the table's answers."""
    if isinstance(event, Accepted):
        return [("/accepted", [event.job, event.position, _eta(event.eta)])]
    if isinstance(event, Progress):
        told: list[Answer] = [("/note", [event.job, event.note])] if event.note else []
        return [*told, ("/progress", [event.job, event.stage, event.fraction, _eta(event.eta)])]
    if isinstance(event, Failed):
        text = f"{event.field}: {event.message}" if event.field else event.message
        return [("/failed", [event.job, event.code, text, event.hint])]
    if isinstance(event, Cancelled):
        return [("/cancelled", [event.job])]
    if isinstance(event, Pong):
        return [("/pong", [VERSION, int(event.ready), event.jobs])]
    if isinstance(event, JobList | ModelList | StatList):
        return [(LISTS[type(event)], [encode(event).decode()])]
    name = {StemReady: "/stem", PieceReady: "/piece", Done: "/done", Heard: "/heard"}[type(event)]
    return [(name, [event.job, encode(event).decode()])]


def answer2packet(answer: Answer) -> bytes:
    """One answer as an OSC packet."""
    address, values = answer
    return message2packet(ROOT + address, TAGS[address], values)


def _eta(eta: float | None) -> float:
    return -1.0 if eta is None else eta


class UdpSender(Protocol):
    """What sends answers to a UDP port of this machine."""

    def send_udp(self, port: int, answers: Sequence[Answer]) -> None: ...


@dataclass(frozen=True)
class UdpOutlet:
    """Back to a UDP port of this machine."""

    server: UdpSender
    port: int

    @property
    def key(self) -> Hashable:
        return ("osc", self.port)

    @property
    def client(self) -> str:
        """See `bridge.transport.Outlet`."""
        return f"osc {self.port}"

    def send(self, event: Event) -> bool:
        """See `bridge.transport.Outlet`. UDP cannot tell whether anybody is there."""
        self.server.send_udp(self.port, event2message(event))
        return True

    def send_answers(self, answers: Sequence[Answer]) -> None:
        """For answers that are no events."""
        self.server.send_udp(self.port, answers)


@dataclass(frozen=True, eq=False)
class TcpOutlet:
    """Back to a TCP connection, framed as its peer does."""

    writer: asyncio.StreamWriter
    stream: Stream
    number: int
    refusals: Refusals

    @property
    def key(self) -> Hashable:
        return ("osc tcp", self.number)

    @property
    def client(self) -> str:
        """See `bridge.transport.Outlet`."""
        return f"osc tcp {self.number}"

    def send(self, event: Event) -> bool:
        """See `bridge.transport.Outlet`. False where the peer has closed, or reads nothing."""
        return self.send_answers(event2message(event))

    def send_answers(self, answers: Sequence[Answer]) -> bool:
        """For answers that are no events."""
        if self.writer.is_closing():
            return False
        if self.writer.transport.get_write_buffer_size() > MAX_UNSENT:
            self.refusals.count("osc.unread", "a TCP client asks and does not read the answers")
            return False
        for answer in answers:
            self.writer.write(self.stream.frame(answer2packet(answer)))
        return True
