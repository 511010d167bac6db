"""A short silence behind every Vorbis sample of a font.

The synthesiser interpolates one point past a sample's end. Behind PCM samples the specification wants zeros; decoded
Vorbis samples lie end to end, so that point would be the beginning of the next sample: a click.
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np

Table = np.ndarray[Any, np.dtype[Any]]

VORBIS = 0x10
GUARD = 46
"""Silent samples that the specification wants after each PCM sample."""
RATE = 44100


def guard(headers: Table, samples: bytes) -> tuple[Table, bytes]:
    """Sample headers (the last one closes the list) and data in which sample k has become 2k, and 2k + 1 is silent."""
    quiet = _silence()
    rows = np.repeat(headers[:-1], 2)
    rows["start"][1::2], rows["end"][1::2] = len(samples), len(samples) + len(quiet)
    rows["loop_start"][1::2] = rows["loop_end"][1::2] = 0
    rows["type"][1::2], rows["rate"][1::2] = VORBIS | 1, RATE
    return np.concatenate([rows, headers[-1:]]), samples + quiet


@lru_cache(maxsize=1)
def _silence() -> bytes:
    """`GUARD` silent samples as an Ogg Vorbis stream."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.zeros(GUARD, np.int16), RATE, format="OGG", subtype="VORBIS")
    return file.getvalue()
