"""Tiny SoundFonts written by hand, so that every sample of them is known."""

from __future__ import annotations

import struct

import numpy as np

RATE = 48000


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def soundfont(
    samples: np.ndarray,
    rate: int,
    gens: dict[int, int] | None = None,
    mods: list[tuple[int, int, int, int, int]] | None = None,
) -> bytes:
    """An SF2 of one preset (bank 0, program 0), one zone, one mono sample whose root key is 60."""
    gens, mods = gens or {}, mods or []
    zone = [*gens.items(), (53, 0)]
    count = len(samples)
    tables = {
        b"phdr": struct.pack("<20sHHHIII", b"Test", 0, 0, 0, 0, 0, 0)
        + struct.pack("<20sHHHIII", b"EOP", 0, 0, 1, 0, 0, 0),
        b"pbag": struct.pack("<HHHH", 0, 0, 1, 0),
        b"pmod": bytes(10),
        b"pgen": struct.pack("<HHHH", 41, 0, 0, 0),
        b"inst": struct.pack("<20sH", b"Test", 0) + struct.pack("<20sH", b"EOI", 1),
        b"ibag": struct.pack("<HHHH", 0, 0, len(zone), len(mods)),
        b"imod": b"".join(struct.pack("<HHhHH", *m) for m in mods) + bytes(10),
        b"igen": b"".join(struct.pack("<HH", oper, amount & 0xFFFF) for oper, amount in zone) + bytes(4),
        b"shdr": struct.pack("<20sIIIIIBbHH", b"Test", 0, count, 8, count - 8, rate, 60, 0, 0, 1)
        + struct.pack("<20sIIIIIBbHH", b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0),
    }
    pcm = np.concatenate([samples, np.zeros(46)])
    smpl = np.clip(np.round(pcm * 32767), -32768, 32767).astype("<i2").tobytes()
    body = (
        b"sfbk"
        + chunk(b"LIST", b"INFO" + chunk(b"ifil", struct.pack("<HH", 2, 4)))
        + chunk(b"LIST", b"sdta" + chunk(b"smpl", smpl))
        + chunk(b"LIST", b"pdta" + b"".join(chunk(name, data) for name, data in tables.items()))
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def click() -> np.ndarray:
    """A sample that is loudest at its very first point."""
    return 0.9 * np.exp(-np.arange(4800) / 40) * np.cos(np.arange(4800) * 0.9)
