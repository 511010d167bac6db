"""OSC bytes: what python-osc and liblo write is understood, what nobody should write does no harm."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pythonosc import slip
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder

from bridge.transport.osc_packet import (
    MAX_ARGUMENTS,
    MAX_PACKET,
    OscError,
    Stream,
    message2packet,
    packet2messages,
)

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
VALUES = st.one_of(
    st.tuples(st.just("s"), TEXT),
    st.tuples(st.just("i"), st.integers(-(2**31), 2**31 - 1)),
    st.tuples(st.just("h"), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just("d"), st.floats(allow_nan=False)),
    st.tuples(st.just("f"), st.floats(width=32, allow_nan=False)),
)


@given(st.lists(VALUES, max_size=MAX_ARGUMENTS))
@settings(deadline=None)
def test_a_message_comes_back_as_it_went(arguments: list[tuple[str, object]]) -> None:
    tags = "".join(tag for tag, _ in arguments)
    (message,) = packet2messages(message2packet("/a/b", tags, [value for _, value in arguments]))
    assert (message.address, message.tags, message.values) == ("/a/b", tags, [value for _, value in arguments])


def bundle(depth: int, messages: int = 2) -> bytes:
    builder = OscBundleBuilder(IMMEDIATELY)
    for i in range(messages):
        message = OscMessageBuilder("/m")
        message.add_arg(i)
        builder.add_content(message.build())
    if depth:
        inner = bundle(depth - 1, messages)
        return builder.build().dgram + struct.pack(">i", len(inner)) + inner
    return builder.build().dgram


def test_bundles_are_opened_in_order() -> None:
    assert [m.values for m in packet2messages(bundle(2))] == [[0], [1]] * 3


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"x",
        b"/",
        b"/abc",
        b"/a\0\0,s",
        b"/a\0\0,s\0\0abc",
        b"/a\0\0s\0\0\0",
        b"/a\0\0,d\0\0\0\0\0\0",
        b"/a\0\0,b\0\0\xff\xff\xff\xf0",
        b"/a\0\0,[i]\0\0\0\0\0\0\1",
        b"/\xff\0\0,\0\0\0",
        b"/a\0\0," + b"i" * 400 + b"\0" * 3,
        b"#bundle\0",
        b"#bundle\0" + bytes(8) + struct.pack(">i", -4),
        b"#bundle\0" + bytes(8) + struct.pack(">i", 0) * 10,
        b"#bundle\0" + bytes(8) + struct.pack(">i", 2**31 - 1),
        bundle(0)[:-3],
        bundle(9),
        bundle(0, 400),
    ],
)
def test_damaged_packets_are_errors(packet: bytes) -> None:
    with pytest.raises(OscError):
        packet2messages(packet)


@given(st.binary(max_size=400), st.sampled_from([b"", b"/a\0\0,", b"#bundle\0" + bytes(8)]))
@settings(deadline=None)
def test_any_bytes_end_in_messages_or_one_kind_of_error(data: bytes, head: bytes) -> None:
    try:
        messages = packet2messages(head + data)
    except OscError:
        return
    assert all(message.address.startswith("/") for message in messages)


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=8), st.booleans(), st.integers(1, 50))
@settings(deadline=None)
def test_a_stream_cut_anywhere_gives_the_same_packets(packets: list[bytes], sized: bool, chunk: int) -> None:
    whole = b"".join(struct.pack(">i", len(p)) + p if sized else slip.encode(p) for p in packets)
    stream = Stream()
    got = [packet for at in range(0, len(whole), chunk) for packet in stream.feed(whole[at : at + chunk])]
    assert got == packets
    if packets:
        assert stream.slip is not sized
        back = Stream()
        assert back.feed(stream.frame(packets[0])) == packets[:1]


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">i", MAX_PACKET + 1),
        struct.pack(">i", 0),
        b"\xc0\xdb\xff\xc0",
        b"\xc0" + b"a" * (3 * MAX_PACKET),
    ],
)
def test_a_stream_that_cannot_go_on_is_an_error(data: bytes) -> None:
    with pytest.raises(OscError):
        Stream().feed(data)


def test_a_value_that_does_not_fit_its_tag_is_an_error() -> None:
    for tag, value in (("i", 2**40), ("s", 5), ("d", "x"), ("Q", 1)):
        with pytest.raises(OscError):
            message2packet("/a", tag, [value])
