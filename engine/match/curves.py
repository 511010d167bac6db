"""What the bus stage does to every stem, as values: filters, gains in time and bands, a level curve. And its file form.

All of it is linear in the sound and the same for all stems of a group, so the stems' results add up to the result of
their sum. Order: sides and tone (fixed filters), frames (gains in dB, fixed ones and ones that move), level.
"""

from __future__ import annotations

import itertools
import struct
import zlib
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.match.frames import BANDS, Floats

MOVING_STEP = 0.2
"""dB of one unit of `moving`: its int8 reach from -25.4 to 25.4 dB."""
LEVEL_STEP = 0.001
LEVEL_SECONDS = 0.001
TONES = 28
"""Third octaves of the tone filters, from 31.5 Hz on."""
MAGIC = b"sbcurve2"


@dataclass(frozen=True)
class Curves:
    """`rate`; `fixed` float32 [BANDS] dB; `moving` int8 [frames, BANDS] in `MOVING_STEP` dB, after the last the last
    one holds; `side` float32 [BANDS]: what the side signal is multiplied by; `spread` float32 [BANDS]: level of the
    middle's all-passed copy that is added to the side; `level` int16 [points]: gain in `LEVEL_STEP` dB at every
    millisecond, straight lines (of the factor) between; `tone_mid`, `tone_side` float32 [TONES] dB: fixed filters of
    minimum phase."""

    rate: int
    fixed: Floats
    moving: NDArray[np.int8]
    side: Floats
    spread: Floats
    level: NDArray[np.int16]
    tone_mid: Floats = field(default_factory=lambda: np.zeros(TONES, np.float32))
    tone_side: Floats = field(default_factory=lambda: np.zeros(TONES, np.float32))

    @property
    def step(self) -> int:
        """Samples between two points of `level`."""
        return max(1, round(LEVEL_SECONDS * self.rate))

    def moves(self, frames: NDArray[np.intp]) -> Floats:
        """dB [frames, BANDS] of `moving` in these frames."""
        at = np.clip(frames, 0, len(self.moving) - 1)
        return np.asarray(self.moving[at] * np.float32(MOVING_STEP), dtype=np.float32)

    def levels(self, start: int, stop: int) -> Floats:
        """Factors of samples [start, stop)."""
        if not self.level.any():
            return np.ones(stop - start, np.float32)
        first, last = start // self.step, -(-stop // self.step) + 1
        at = np.clip(np.arange(first, last + 1), 0, len(self.level) - 1)
        points = 10 ** (self.level[at].astype(np.float64) * LEVEL_STEP / 20)
        place = np.arange(start, stop) / self.step - first
        return np.asarray(np.interp(place, np.arange(len(points)), points), dtype=np.float32)


def flat_curves(like: Curves, gain_db: float) -> Curves:
    """Nothing but a gain and the level curve of others."""
    return Curves(
        like.rate,
        np.full(BANDS, gain_db, np.float32),
        np.zeros((1, BANDS), np.int8),
        np.ones(BANDS, np.float32),
        np.zeros(BANDS, np.float32),
        like.level,
    )


class _Head(msgspec.Struct, frozen=True):
    """Shapes of what follows."""

    rate: int
    frames: int
    points: int
    bands: int = BANDS
    tones: int = 0


_decoder = msgspec.json.Decoder(_Head)


def curves2bytes(curves: Curves) -> bytes:
    """A file's contents: magic, head as JSON, arrays, packed with zlib."""
    head = msgspec.json.encode(_Head(curves.rate, len(curves.moving), len(curves.level), tones=TONES))
    fixed = (curves.fixed, curves.side, curves.spread, curves.tone_mid, curves.tone_side)
    arrays = (*fixed, curves.moving, curves.level)
    body = b"".join(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes() for array in arrays)
    return MAGIC + struct.pack("<I", len(head)) + head + zlib.compress(body, 6)


def bytes2curves(raw: bytes) -> Curves:
    """The same values, to the bit. Raises ValueError for what is no such file."""
    try:
        if not raw.startswith(MAGIC):
            raise ValueError("these are no curves")
        (length,) = struct.unpack_from("<I", raw, len(MAGIC))
        at = len(MAGIC) + 4
        head = _decoder.decode(raw[at : at + length])
        body = zlib.decompress(raw[at + length :])
    except (struct.error, msgspec.MsgspecError, zlib.error) as error:
        raise ValueError(f"these are no curves: {error}") from error
    sizes = [4 * BANDS, 4 * BANDS, 4 * BANDS, 4 * TONES, 4 * TONES, head.frames * BANDS, 2 * head.points]
    if (
        (head.bands, head.tones) != (BANDS, TONES)
        or sum(sizes) != len(body)
        or not head.frames
        or not head.points
        or head.rate <= 0
    ):
        raise ValueError("these curves are cut off, or of another version")
    ends = np.cumsum([0, *sizes])
    fixed, side, spread, tone_mid, tone_side, moving, level = (body[a:b] for a, b in itertools.pairwise(ends))
    return Curves(
        head.rate,
        np.frombuffer(fixed, "<f4"),
        np.frombuffer(moving, np.int8).reshape(head.frames, BANDS),
        np.frombuffer(side, "<f4"),
        np.frombuffer(spread, "<f4"),
        np.frombuffer(level, "<i2"),
        np.frombuffer(tone_mid, "<f4"),
        np.frombuffer(tone_side, "<f4"),
    )
