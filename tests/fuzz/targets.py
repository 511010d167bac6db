"""What reads bytes from outside, each as a function of bytes that ends well or refuses as it has promised.

A target raises nothing but what it documents; anything else is a crash, and a call that does not come back is a hang.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from bridge.dawfiles.read import song_file2arrangement
from bridge.errors import StembridgeError
from bridge.handover.manifest import json2manifest
from bridge.messages import Event, Render, decode_event
from bridge.midifile import read_smf, smf2arrangement
from bridge.transport import Outlet
from bridge.transport.endpoint import read_endpoint
from bridge.transport.mailbox import Mailbox
from bridge.transport.osc import OscServer
from bridge.transport.osc_packet import MAX_PACKET, OscError, Stream, message2packet, packet2messages
from bridge.transport.osc_table import osc_table
from bridge.validate import check_request, raw2request
from bridge.validate_arrangement import check_audio
from engine.previous import SCORE_NAME, open_take

TOKEN = "f" * 32
PORT = 40_000
MANIFEST = Path(__file__).parent.parent / "data" / "manifest.example.json"
SMALL = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where files are made: in memory where the system offers that."""


class FuzzDesk:
    """A desk that takes requests as the engine's does, up to the queue."""

    def receive(self, raw: bytes, outlet: Outlet) -> None:
        """A message from a proven sender."""
        with contextlib.suppress(StembridgeError):
            raw2request(raw)

    def receive_file(self, path: str, outlet: Outlet) -> None:
        """A request by its file's path."""
        assert isinstance(path, str)


@contextlib.contextmanager
def small_folder() -> Iterator[Path]:
    """A folder in memory that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="stembridge-fuzz-", dir=SMALL) as folder:
        yield Path(folder)


def as_osc_packet(data: bytes) -> None:
    """Any datagram."""
    with contextlib.suppress(OscError):
        for message in packet2messages(data):
            assert len(message.tags) == len(message.values)


def as_osc_stream(data: bytes) -> None:
    """A TCP connection's bytes in pieces; what is kept of them stays bounded."""
    stream = Stream()
    step = data[0] + 1 if data else 1
    with contextlib.suppress(OscError):
        for at in range(0, len(data), step):
            for packet in stream.feed(data[at : at + step]):
                as_osc_packet(packet)
    assert len(stream._rest) <= 2 * MAX_PACKET + step


def as_osc_session(data: bytes) -> None:
    """Datagrams of a sender that knows the token: rows of the table with values taken from the data, or raw packets."""
    server = OscServer(FuzzDesk(), TOKEN)
    rows = osc_table()
    pieces = data.split(b"\xff\xfe")
    for piece in pieces[:64]:
        if not piece:
            continue
        row = rows[piece[0] % len(rows)]
        values = [TOKEN, *_values(row.arguments, piece[1:])]
        tags = "s" + "".join(_tag(value) for value in values[1:])
        with contextlib.suppress(OscError):
            server.datagram(message2packet(row.address, tags, values), PORT)
        server.datagram(piece, PORT)


def _values(arguments: str, data: bytes) -> list[object]:
    texts = data.decode("utf-8", "replace").replace("\0", " ").split("\x1f")
    values: list[object] = []
    for text in texts[: max(1, len(arguments.split()))]:
        try:
            values.append(float(text))
        except ValueError:
            values.append(text)
    return values


def _tag(value: object) -> str:
    return "d" if isinstance(value, float) else "s"


def as_request(data: bytes) -> None:
    """A request's JSON over any transport: its shape, and its meaning with no file at hand."""
    with small_folder() as folder, contextlib.suppress(StembridgeError):
        request = check_request(data, [folder])
        if isinstance(request, Render):
            assert request.arrangement.timeline().seconds


def as_event(data: bytes) -> None:
    """An event that a client reads."""
    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        event: Event = decode_event(data)
        assert event.version is not None


def as_midi(data: bytes) -> None:
    """A MIDI file."""
    with small_folder() as folder:
        path = folder / "song.mid"
        path.write_bytes(data)
        with contextlib.suppress(StembridgeError):
            song = read_smf(path)
            assert all(note.length >= 0 for track in song.tracks for note in track.notes)
            smf2arrangement(path).timeline()


def as_rpp(data: bytes) -> None:
    """A REAPER project."""
    _as_song(data, "song.rpp")


def as_dawproject(data: bytes) -> None:
    """A DAWproject: the ZIP as a whole."""
    _as_song(data, "song.dawproject")


def as_dawproject_xml(data: bytes) -> None:
    """The XML of a DAWproject in a ZIP that is well."""
    box = io.BytesIO()
    with zipfile.ZipFile(box, "w") as archive:
        archive.writestr("project.xml", data)
    _as_song(box.getvalue(), "song.dawproject")


def _as_song(data: bytes, name: str) -> None:
    with small_folder() as folder:
        (folder / name).write_bytes(data)
        with contextlib.suppress(StembridgeError):
            arrangement, _ = song_file2arrangement(folder / name, folder / "context")
            assert arrangement.timeline().end >= arrangement.end - 1e-6


def as_audio(data: bytes) -> None:
    """An audio file's header, as a reference or a context track."""
    with small_folder() as folder:
        path = folder / "clip.wav"
        path.write_bytes(data)
        with contextlib.suppress(StembridgeError):
            assert check_audio(path, "audio") > 0.0


def as_manifest(data: bytes) -> None:
    """A take's manifest, which anybody may have written."""
    with contextlib.suppress(StembridgeError):
        json2manifest(data)


def as_score(data: bytes) -> None:
    """A take's score, which an edit reads back."""
    with small_folder() as folder:
        take = folder / "job" / "take-1"
        take.mkdir(parents=True)
        (take / "manifest.json").write_bytes(MANIFEST.read_bytes())
        (take / SCORE_NAME).write_bytes(data)
        with contextlib.suppress(StembridgeError):
            assert open_take("job/take-1", folder, "scope.take").score.key is not None


def as_endpoint(data: bytes) -> None:
    """The endpoint file."""
    with small_folder() as folder:
        (folder / "endpoint.json").write_bytes(data)
        os.chmod(folder / "endpoint.json", 0o600)
        read_endpoint(folder)


def as_mailbox(data: bytes) -> None:
    """A request file that a DAW's script has put into the mailbox; with and without the right token."""
    with small_folder() as folder:
        box = Mailbox(folder / "mailbox", FuzzDesk(), TOKEN)
        box.open()
        requests = folder / "mailbox" / "requests"
        (requests / "job-1.json").write_bytes(data)
        with contextlib.suppress(ValueError, RecursionError):
            fields = json.loads(data)
            if isinstance(fields, dict):
                proven = {**fields, "token": TOKEN, "job": "job-2"}
                (requests / "job-2.json").write_text(json.dumps(proven), "utf-8")
        box.tick()
        assert not list(requests.iterdir())


TARGETS: dict[str, Callable[[bytes], None]] = {
    "osc_packet": as_osc_packet,
    "osc_stream": as_osc_stream,
    "osc_session": as_osc_session,
    "request": as_request,
    "event": as_event,
    "midi": as_midi,
    "rpp": as_rpp,
    "dawproject": as_dawproject,
    "dawproject_xml": as_dawproject_xml,
    "audio": as_audio,
    "manifest": as_manifest,
    "endpoint": as_endpoint,
    "mailbox": as_mailbox,
    "score": as_score,
}
