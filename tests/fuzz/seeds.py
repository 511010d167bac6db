"""Valid and nearly valid inputs that fuzzing starts from."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import soundfile

from bridge.handover.manifest import manifest2json, read_manifest
from bridge.messages import PROTOCOL, Cancel, Failed, Jobs, Ping, Status, encode
from bridge.timeline import Bar, Metre
from bridge.transport.osc_packet import BUNDLE, Stream, message2packet
from engine.previous import score2json
from engine.score import Chord, FormSection, Key, Note, Part, Score
from tests.bridge.dawfiles.files import BITWIG, CUBASE, REAPER, STUDIO_ONE, dawproject
from tests.e2e.songs import chord_song
from tests.fuzz.targets import TOKEN

DATA = Path(__file__).parent.parent / "data"


def seeds(target: str, folder: Path) -> list[bytes]:
    """Inputs for one target; `folder` is for files on the way."""
    maker = {
        "osc_packet": osc_packets,
        "osc_stream": osc_streams,
        "osc_session": osc_sessions,
        "midi": lambda: midi_files(folder),
        "rpp": lambda: [REAPER.encode(), REAPER.replace("\n", "\r\n").encode()],
        "dawproject": lambda: [dawproject(folder / "song.dawproject", BITWIG).read_bytes()],
        "dawproject_xml": lambda: [text.encode() for text in (BITWIG, CUBASE, STUDIO_ONE)],
        "audio": audio_files,
        "manifest": lambda: [manifest2json(read_manifest(DATA / "manifest.example.json"))],
        "event": lambda: [encode(Failed("a", "code", "message"))],
        "endpoint": lambda: [endpoint()],
        "score": lambda: [score()],
    }.get(target, requests)
    return maker()


def requests() -> list[bytes]:
    """Requests in JSON: the example, short ones, deeply nested ones."""
    example: dict[str, Any] = json.loads((DATA / "request.example.json").read_bytes())
    plain = json.loads(json.dumps(example))
    plain["arrangement"].update(tracks=[], references=[])
    plain["project"] = {}
    return [
        msgspec.json.encode(example),
        msgspec.json.encode(plain),
        *(encode(message) for message in (Ping(), Jobs(), Cancel("a"), Status("a"))),
        b'{"type":"render","arrangement":' + b"[" * 2000 + b"]" * 2000 + b"}",
        b'{"type":"ping","version":1e999}',
    ]


def osc_packets() -> list[bytes]:
    """Messages, bundles, bundles in bundles."""
    message = message2packet("/stembridge/v1/ping", "s", [TOKEN])
    bundle = BUNDLE + bytes(8) + struct.pack(">i", len(message)) + message
    nested = bundle
    for _ in range(1000):
        nested = BUNDLE + bytes(8) + struct.pack(">i", len(nested)) + nested
        if len(nested) > 60_000:
            break
    return [message, message2packet("/a", "sihfdTF", ["x", 1, 2, 0.5, 0.25, True, False]), bundle, nested]


def osc_streams() -> list[bytes]:
    """The same over TCP in both framings."""
    slip, sized = Stream(), Stream()
    sized.slip = False
    return [b"".join(stream.frame(packet) for packet in osc_packets()[:3]) for stream in (slip, sized)]


def osc_sessions() -> list[bytes]:
    """Drafts written line by line; the first byte of a piece chooses the address."""
    lines = [bytes([row]) + text for row in range(30) for text in (b"one\x1f0\x1f120", b"A\x1fminor", b"\x1f")]
    return [b"\xff\xfe".join(lines[:45]), b"\xff\xfe".join(lines[45:])]


def midi_files(folder: Path) -> list[bytes]:
    """A song as a musician exports it, and the smallest file."""
    track = b"\x00\x90\x3c\x40\x60\x80\x3c\x40\x00\xff\x2f\x00"
    small = b"MThd" + struct.pack(">IHHH", 6, 0, 1, 96) + b"MTrk" + struct.pack(">I", len(track)) + track
    return [chord_song(folder / "song.mid").read_bytes(), small]


def audio_files() -> list[bytes]:
    """Short clips in three containers."""
    clip = np.linspace(-0.5, 0.5, 400, dtype=np.float32).reshape(-1, 2)
    out = []
    for kind in ("WAV", "FLAC", "OGG"):
        file = io.BytesIO()
        soundfile.write(file, clip, 44_100, format=kind)
        out.append(file.getvalue())
    return out


def endpoint() -> bytes:
    """An endpoint file."""
    ports = {"zmq": 1, "observers": 2, "osc_udp": 3, "osc_tcp": 4}
    fields = {"pid": 1, "engine": "0", "protocol": PROTOCOL, "token": TOKEN, "ports": ports, "mailbox": "", "log": ""}
    return msgspec.json.encode(fields)


def score() -> bytes:
    """A small score."""
    part = Part("bass", "bass", (Note(0.0, 1.0, 40, 90), Note(1.0, 1.0, 43, 90, -2.5)))
    section = FormSection("A", "verse", 0.0, 4.0, 0.5, 0, (Bar(0, 0.0, 4.0, Metre(0.0, 4, 4)),))
    return score2json(Score(Key(9, "minor"), (Chord(0.0, 4.0, 9, "m7"),), (part,), (section,)))
