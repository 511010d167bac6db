"""Refusals are all counted and seldom logged; strangers make room for those who know the token."""

from __future__ import annotations

import asyncio
import logging
import struct

import pytest

from bridge.transport import Outlet
from bridge.transport.osc import MAX_CONNECTIONS, OscServer
from bridge.transport.osc_packet import message2packet
from bridge.transport.refusals import QUIET_SECONDS, Refusals

TOKEN = "t" * 20


def test_each_is_counted_and_the_log_stays_short(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    refusals = Refusals(lambda: now[0])
    with caplog.at_level(logging.WARNING):
        for _ in range(1000):
            refusals.count("token.wrong", "x" * 10_000)
        refusals.count("osc.packet")
        assert len(caplog.records) == 2
        now[0] = QUIET_SECONDS
        refusals.count("token.wrong")
    assert refusals.counts == {"token.wrong": 1001, "osc.packet": 1}
    assert "1001 so far" in caplog.records[-1].getMessage()
    assert max(len(record.getMessage()) for record in caplog.records) < 300


class Nobody:
    """A desk that is never asked."""

    def receive(self, raw: bytes, outlet: Outlet) -> None:
        del raw, outlet

    def receive_file(self, path: str, outlet: Outlet) -> None:
        raise AssertionError(path)


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def peer(server: OscServer, token: str = "") -> Streams:
    """A connection, which sends the token where one is given."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.tcp_port)
    if token:
        packet = message2packet("/stembridge/v1/help", "s", [token])
        writer.write(struct.pack(">i", len(packet)) + packet)
        await reader.read(4)
    return reader, writer


async def ended(link: Streams) -> bool:
    try:
        return not await asyncio.wait_for(link[0].read(1 << 20), 0.2)
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def test_a_stranger_makes_room_and_one_who_knows_the_token_stays() -> None:
    async def play() -> None:
        server = OscServer(Nobody(), TOKEN)
        await server.open()
        try:
            known = await peer(server, TOKEN)
            strangers = [await peer(server) for _ in range(MAX_CONNECTIONS - 1)]
            newcomer = await peer(server, TOKEN)
            assert server.refusals.counts["osc.evicted"] == 1
            assert await ended(strangers[0])
            assert not await ended(strangers[1])
            more = [await peer(server, TOKEN) for _ in range(MAX_CONNECTIONS - 2)]
            assert server.refusals.counts["osc.evicted"] == MAX_CONNECTIONS - 1
            late = await peer(server)
            assert await ended(late)
            assert server.refusals.counts["osc.crowded"] == 1
            for _, writer in (known, newcomer, *strangers, *more):
                assert writer is not None
                writer.close()
        finally:
            await server.close()

    asyncio.run(play())
