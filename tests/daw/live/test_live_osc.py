"""The script's own OSC against the engine's (python-osc), both ways, and against bytes made to harm."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pythonosc import slip
from stembridge.osc import MAX_PACKET, Frames, OscError, decode, encode, frame

from bridge.transport.osc_packet import message2packet, packet2messages

text = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=60)
typed = st.one_of(
    st.tuples(st.just("s"), text),
    st.tuples(st.just("i"), st.integers(-(1 << 31), (1 << 31) - 1)),
    st.tuples(st.just("h"), st.integers(-(1 << 63), (1 << 63) - 1)),
    st.tuples(st.just("d"), st.floats(allow_nan=False)),
    st.tuples(st.just("f"), st.floats(width=32, allow_nan=False)),
)
messages = st.lists(typed, max_size=8)


@given(messages)
def test_what_the_script_says_the_engine_understands(values: list[tuple[str, object]]) -> None:
    tags, given_values = "".join(tag for tag, _ in values), [value for _, value in values]
    (message,) = packet2messages(encode("/stembridge/v1/request", tags, given_values))
    assert message.address == "/stembridge/v1/request"
    assert message.tags == tags
    assert message.values == given_values


@given(messages)
def test_what_the_engine_says_the_script_understands(values: list[tuple[str, object]]) -> None:
    tags, given_values = "".join(tag for tag, _ in values), [value for _, value in values]
    (message,) = decode(message2packet("/stembridge/v1/done", tags, given_values))
    assert message == ("/stembridge/v1/done", given_values)


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=6), st.integers(1, 17))
def test_frames_in_any_pieces(packets: list[bytes], piece: int) -> None:
    stream = b"".join(slip.encode(packet) for packet in packets)
    assert stream == b"".join(frame(packet) for packet in packets)
    frames = Frames()
    found = [packet for at in range(0, len(stream), piece) for packet in frames.feed(stream[at : at + piece])]
    assert found == packets


@given(st.binary(max_size=120))
def test_any_bytes_are_refused_or_understood(packet: bytes) -> None:
    with contextlib.suppress(OscError):
        assert all(message.address.startswith("/") for message in decode(packet))
    with contextlib.suppress(OscError):
        Frames().feed(packet)


@given(messages, st.data())
def test_a_message_cut_off_anywhere_is_refused(values: list[tuple[str, object]], data: st.DataObject) -> None:
    packet = encode("/a", "".join(tag for tag, _ in values), [value for _, value in values])
    cut = packet[: data.draw(st.integers(1, len(packet) - 1))]
    if len(cut) % 4 or cut != encode("/a", "", [])[: len(cut)]:
        with pytest.raises(OscError):
            decode(cut)


def test_bundles() -> None:
    one, two = encode("/a", "i", [1]), encode("/b", "s", ["x"])
    bundle = b"#bundle\x00" + b"\x00" * 8
    inner = bundle + struct.pack(">i", len(two)) + two
    packet = bundle + struct.pack(">i", len(one)) + one + struct.pack(">i", len(inner)) + inner
    assert [message.address for message in decode(packet)] == ["/a", "/b"]
    deep = one
    for _ in range(6):
        deep = bundle + struct.pack(">i", len(deep)) + deep
    for bad in (bundle + struct.pack(">i", -4), bundle + struct.pack(">i", 400) + one, deep):
        with pytest.raises(OscError):
            decode(bad)


def test_bounds() -> None:
    with pytest.raises(OscError, match="too long"):
        encode("/a", "s", ["x" * MAX_PACKET])
    with pytest.raises(OscError):
        encode("/a", "i", [1 << 40])
    with pytest.raises(OscError):
        encode("/a", "s", [7])
    with pytest.raises(OscError):
        encode("/a", "ss", ["one"])
    with pytest.raises(OscError, match="too long"):
        Frames().feed(b"\xc0" + b"x" * (3 * MAX_PACKET))
    with pytest.raises(OscError, match="no SLIP"):
        Frames().feed(b"\xc0ab\xdbx\xc0")
