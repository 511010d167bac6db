"""Held-out songs for the composer's benchmark, with a tempo each."""

from __future__ import annotations

from collections.abc import Sequence

from engine.grooves import book
from engine.training.heldout import held_out
from engine.training.sources import SourceMissing
from tests.benchmarks.composer_ours import Piece

USUAL_BPM = 110.0


def held_out_pieces(sources: Sequence[str], count: int) -> tuple[list[Piece], list[str]]:
    """`count` pieces of each source, and a remark on those that cannot be had here."""
    tempos = {g.name: (g.bpm_low * g.bpm_high) ** 0.5 for g in book()}
    pieces: list[Piece] = []
    remarks: list[str] = []
    for source in sources:
        try:
            songs = held_out(source, count)
        except SourceMissing as problem:
            remarks.append(f"no songs of {source}: {problem}")
            continue
        pieces += [Piece(source, i, song, tempos.get(song.groove, USUAL_BPM)) for i, song in enumerate(songs)]
    return pieces, remarks
