"""Freedoom's music: 66 pieces of rock, metal and ambient in the WADs of Debian's package `freedoom` (BSD licence).

The pieces of its first game train, those of its second game that the first has not are held out in part: see
`HELD_OUT`. A piece whose onsets lie on no grid of its tempo map is left out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from bridge.midifile import SmfSong, read_smf
from bridge.timeline import Bar, Clock
from engine.training.songs import Song
from engine.training.sources.arranging import grid_of, hear, lay, notes2form, notes2song, tracks2voices
from engine.training.sources.source import Origin, SourceMissing, digest_of
from engine.training.sources.wad import lump2midi, wad2lumps

FOLDER = Path("/usr/share/games/doom")
WADS = ("freedoom1.wad", "freedoom2.wad")
PACKAGE = "Debian: freedoom"
MOST_BARS = 80
HELD_OUT_EPISODE = "D_E2"
"""The second episode of the first game: its nine pieces are of seven composers."""


def wads(folder: Path = FOLDER) -> tuple[Path, ...]:
    """The WADs. Raises `SourceMissing`."""
    found = tuple(folder / name for name in WADS if (folder / name).is_file())
    if not found:
        raise SourceMissing(f"Freedoom is not installed: no {WADS[0]} in {folder} (Debian package freedoom)")
    return found


@lru_cache(maxsize=2)
def pieces(folder: Path = FOLDER) -> tuple[tuple[str, SmfSong], ...]:
    """(name, music) of every piece, each once, in the order of the WADs; what is held out comes first where a piece
    lies under two names."""
    lumps = [(name, data) for wad in wads(folder) for name, data in wad2lumps(wad.read_bytes()) if name[:2] == "D_"]
    seen: set[bytes] = set()
    out = []
    for name, data in sorted(lumps, key=lambda lump: not held_out(lump[0])):
        midi = lump2midi(data)
        if data in seen or midi is None:
            continue
        seen.add(data)
        with tempfile.NamedTemporaryFile(suffix=".mid") as file:
            midi.save(file.name)
            out.append((name, read_smf(file.name)))
    return tuple(out)


def held_out(lump: str) -> bool:
    """Whether a piece is kept for judging."""
    return lump.startswith(HELD_OUT_EPISODE)


def piece2song(name: str, piece: SmfSong, version: int, seed: int = 1) -> Song | None:
    """Version `version` of a piece: 0 as it stands, others in another key, with other voices where it has several, from
    another bar on where it is long. None where it lies on no grid or hardly plays."""
    rng = np.random.default_rng((seed, version, *name.encode())) if version else None
    voices = tracks2voices(piece.tracks)
    onsets = [n.start for v in voices for n in v.notes]
    grid = grid_of(onsets) if onsets else None
    if grid is None:
        return None
    end = max(onsets) + 1
    bars = list(Clock.from_pairs([(0.0, 0.0), (end, end)], piece.metres).bars(0.0, end))
    first = next(i for i, b in enumerate(bars) if b.end > min(onsets))
    if rng is not None and len(bars) - first > MOST_BARS:
        first += 8 * int(rng.integers((len(bars) - first - MOST_BARS) // 8 + 1))
    whole: list[Bar] = bars[first : first + MOST_BARS]
    whole = whole[: len(whole) // 4 * 4]
    if len(whole) < 8:
        return None
    blocks = [(whole[i].start, whole[min(i + 7, len(whole) - 1)].end) for i in range(0, len(whole), 8)]
    notes = lay(voices, blocks, rng)
    if sum(bool(v) for v in notes.values()) < 2:
        return None
    key, chords = hear(notes, piece.metres, end)
    up = 0 if rng is None else int(rng.integers(-5, 7))
    return notes2song(f"freedoom/{name}", notes, notes2form(notes, whole), chords, key, grid, up=up)


def songs(versions: int, *, unseen: bool, seed: int = 1, folder: Path = FOLDER) -> Iterator[Song]:
    """All pieces of one side of the split, `versions` times."""
    for version in range(versions):
        for name, piece in pieces(folder):
            if held_out(name) == unseen:
                song = piece2song(name, piece, version, seed)
                if song is not None:
                    yield song


def origin(folder: Path = FOLDER) -> Origin:
    """For the data card. Raises `SourceMissing`."""
    count, digest = digest_of(wads(folder))
    names = sorted(name for name, _ in pieces(folder) if held_out(name))
    return Origin("freedoom", PACKAGE, "BSD-3-Clause (Freedoom)", "pieces as they are, in other keys and with other "
                  "voices; chords and key heard by us", count, digest, tuple(names))  # fmt: skip
