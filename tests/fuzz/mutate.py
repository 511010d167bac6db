"""Random changes of bytes: flips, cuts, copies, splices of two inputs, and numbers at their limits."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence

LIMITS = [
    b"\x00" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\xff\xff\xff\x7f", b"-1", b"1e308", b"NaN",
    b"\"\\ud800\"", b"null", b"../" * 8, b"\x00", b"[" * 64, b"{\"a\":" * 64,
]  # fmt: skip
MOST = 1 << 16


def mutated(data: bytes, known: Sequence[bytes], rng: random.Random) -> bytes:
    """`data` after one to six changes; at most 64 KB."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(out) + 1)
        change = rng.randrange(7)
        if change == 0 and out:
            out[at % len(out)] ^= 1 << rng.randrange(8)
        elif change == 1:
            del out[at : at + rng.randint(1, 16)]
        elif change == 2:
            out[at:at] = rng.choice(LIMITS)
        elif change == 3 and out:
            limit = rng.choice(LIMITS)
            out[at : at + len(limit)] = limit
        elif change == 4:
            end = at + rng.randint(1, 64)
            out[at:at] = out[at:end]
        elif change == 5:
            other = rng.choice(known)
            cut = rng.randrange(len(other) + 1)
            out[at:] = other[cut:]
        else:
            out[at : at + 4] = struct.pack(rng.choice([">i", "<i"]), rng.randint(-(1 << 31), (1 << 31) - 1))
    return bytes(out[:MOST])
