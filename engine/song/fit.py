"""What a SongGeneration model needs of memory, from its shapes, and how it would run here. Light: no torch.

Decoding reads all of the two transformers and their caches for two rows (guidance) at every step. Where the renderer
fits beside them, windows are rendered while later ones decode; else it is loaded when the codes are written. Tables of
text and prompts stay in the computer's memory.
"""

from __future__ import annotations

from bridge.checkpoints import Checkpoint
from engine.fitting import Fit, Precision
from engine.hardware import GIB, Hardware

ROWS = 2
PREFIX = 952
"""Positions of lyric, prompt and style before the song."""
DELAY = 250
FRAMES = 25
"""Codes of each kind in a second."""
WORKING_GIB = 1.5
"""Activations of the renderer's window and of the autoencoder's chunk, 16 bits."""
BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0, "int8": 1.02}
MOST_SONGS = 8
"""That are written at a time; behind that their keys and values outweigh the weights that they share."""
GIVEN = {"cuda": 0.9, "mps": 0.5, "cpu": 0.5}
"""Of the device's memory, so much is given out; a computer's own is the user's other programs', too."""
CPU_WORK = 2e11
"""Weights x steps that a CPU does in about a minute."""


def fit_song(checkpoint: Checkpoint, hardware: Hardware) -> Fit:
    """Where, at which precision and in which order it runs on this hardware."""
    half: Precision = "bfloat16" if hardware.bfloat16 else "float16"
    tries: tuple[Precision, ...] = ("float32", "int8") if hardware.kind == "cpu" else (half, "int8")
    if checkpoint.int8:
        tries = ("int8",)
    room = hardware.memory_gib
    slow = _slow(checkpoint, hardware)
    for dtype in tries:
        writing, rendering = song_gib(checkpoint, dtype, on_cpu=hardware.kind == "cpu")
        if writing + rendering <= room:
            return Fit(hardware.kind, dtype, writing + rendering, slow=slow)
        if max(writing, rendering) <= room:
            return Fit(hardware.kind, dtype, max(writing, rendering), offload=True, slow=slow)
    why = f"it needs {max(writing, rendering):.1f} GiB even at 8 bits; {hardware.words}"
    return Fit(hardware.kind, tries[-1], max(writing, rendering), why_not=why, slow=slow)


def song_gib(checkpoint: Checkpoint, dtype: Precision, *, on_cpu: bool) -> tuple[float, float]:
    """(writing, rendering) GiB for the model's longest song."""
    shape = checkpoint.song
    assert shape is not None
    width = 4.0 if on_cpu else 2.0
    positions = PREFIX + FRAMES * shape.seconds + DELAY
    cache = ROWS * positions * (shape.main_layers + shape.sub_layers) * 2 * shape.width * width
    tables = checkpoint.parameters["tables"] * width if on_cpu else 0.0
    writing = checkpoint.parameters["transformer"] * BYTES[dtype] + cache + tables
    sound = checkpoint.parameters["renderer"] * width + checkpoint.parameters["vae"] * 4.0
    return writing / GIB, sound / GIB + WORKING_GIB * width / 2.0


def songs_at_a_time(checkpoint: Checkpoint, fit: Fit, frames: int, hardware: Hardware) -> int:
    """How many songs of so many frames are written together: those whose keys, values and hidden states find room
    beside the weights, one at least."""
    shape = checkpoint.song
    assert shape is not None
    width = 4.0 if fit.device == "cpu" else 2.0
    weights = checkpoint.parameters["transformer"] * BYTES[fit.dtype] / GIB
    sound = 0.0 if fit.offload else song_gib(checkpoint, fit.dtype, on_cpu=fit.device == "cpu")[1]
    positions = ROWS * (PREFIX + frames + DELAY)
    # Two tensors for each layer, prefixes of the sub-transformer kept for its turn, and what it is fed.
    song = (positions * 2 * shape.main_layers + PREFIX * 2 * shape.sub_layers + positions) * shape.width * width / GIB
    return int(min(max((GIVEN[fit.device] * hardware.memory_gib - weights - sound) // song, 1), MOST_SONGS))


def _slow(checkpoint: Checkpoint, hardware: Hardware) -> str:
    assert checkpoint.song is not None
    steps = FRAMES * checkpoint.song.seconds
    work = checkpoint.parameters["transformer"] * steps
    if hardware.kind != "cpu" or work <= CPU_WORK:
        return ""
    return f"{checkpoint.parameters['transformer'] / 1e9:.1f} billion weights take hours for a song without a GPU"
