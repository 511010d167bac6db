"""What stembridge writes into the hidden bars of a held-out song: the parts model alone, and the band of a request.

The band has never seen the song's groove either: metre and tempo choose one of the book's that was trained on (songs in
triplets name swing jazz, for most of the book's other triplets are held out).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from bridge.arrangement import Arrangement, KeyAt, MetreAt, Section
from bridge.messages import Render, StemWanted
from bridge.timeline import Metre
from engine.compose import Writers, compose_band, request2form
from engine.compose.keys import Keys
from engine.compose.opening import request2shapes
from engine.compose.pitches import in_order
from engine.compose.rewrite import rewrite
from engine.compose.seats import stems2seats
from engine.compose.song import Song as BandSong
from engine.diffusion.canvas import STREAMS
from engine.diffusion.parts import PartsModel, fill_parts, given_notes
from engine.diffusion.sampling import Unmasking
from engine.grooves import Groove, choose
from engine.score import PITCH_NAMES, Heard, Note, Part, Score
from engine.training.songs import HELD_OUT, Song
from tests.benchmarks.composer_measures import Hidden, Notes

ROLES = {"drums": "drums", "bass": "bass", "comp": "keys", "pad": "pad", "arp": "arp", "lead": "lead"}
STEPS = 12
Harmony = Literal["safe", "free"]


@dataclass(frozen=True)
class Piece:
    """A held-out song, the source it was taken from as number `number`, its tempo in quarter notes a minute."""

    source: str
    number: int
    song: Song
    bpm: float


def model_fills(model: PartsModel, song: Song, hidden: Hidden, seed: int, how: Unmasking | None = None) -> Notes:
    """The parts model alone."""
    return fill_parts(model, replace(song.canvas, given=~hidden), steps=STEPS, seed=seed, how=how).notes


def band_grows(writers: Writers, piece: Piece, hidden: Hidden, seed: int, harmony: Harmony = "safe") -> Notes:
    """A whole request: form and chords are given, the visible bars are tracks to vary; the band writes all stems."""
    song = piece.song
    request = _request(piece, seed, harmony)
    clock = request.arrangement.timeline()
    shown = given_notes(replace(song.canvas, given=~hidden))
    parts = tuple(Part(f"my {s}", ROLES[s], tuple(notes)) for s, notes in shown.items() if notes)
    heard = _heard(song, parts, "vary")
    form = request2form(request.arrangement, clock)
    return _streams(compose_band(request, clock, form, heard, writers, lambda fraction: None))


def band_fills(writers: Writers, piece: Piece, hidden: Hidden, seed: int, harmony: Harmony = "safe") -> Notes:
    """Edits of a take, one stem after the other: its hidden bars are written anew, all that is visible stands."""
    song, request = piece.song, _request(piece, seed, harmony)
    clock = request.arrangement.timeline()
    seats = stems2seats(request.stems)
    shapes = request2shapes(request, clock, request2form(request.arrangement, clock), seats)
    rows = iter(range(len(song.canvas.bars)))
    playing = [frozenset(s for s, plays in zip(STREAMS, row, strict=True) if plays) for row in song.playing]
    shapes = tuple(
        replace(shape, bars=tuple(replace(bar, streams=playing[i]) for bar, _ in zip(shape.bars, rows, strict=False)))
        for i, shape in enumerate(shapes)
    )
    keys, groove = Keys.steady(song.canvas.key), _groove(piece, seed)
    band = BandSong(shapes, song.canvas.chords, keys, groove, seed, piece.bpm, harmony == "safe")
    notes = {s: tuple(n) for s, n in given_notes(replace(song.canvas, given=~hidden)).items()}
    for s, stream in enumerate(STREAMS):
        holes = frozenset(int(b) for b in np.flatnonzero(hidden[:, s]))
        if not holes or stream not in _wanted(song):
            continue
        old = {ROLES[x]: tuple(song.canvas.notes[x]) if x != stream else notes[x] for x in STREAMS}
        new = rewrite(
            band, seats, frozenset({ROLES[stream]}), holes, old, _heard(song, (), "follow"), writers, lambda f: None
        )
        kept = [n for n in new.notes[ROLES[stream]] if _bar_at(song, n) in holes]
        notes[stream] = in_order((*notes[stream], *kept))
    return notes


def _bar_at(song: Song, note: Note) -> int | None:
    step = song.canvas.grid.beat2step(note.start)
    return None if step is None or step >= song.canvas.grid.steps else int(song.canvas.grid.bar[step])


def _request(piece: Piece, seed: int, harmony: Harmony) -> Render:
    canvas = piece.song.canvas
    sections = tuple(
        Section(s.name, s.label, s.start, s.end, s.energy, words=_only(row))
        for s, row in zip(canvas.sections, piece.song.playing, strict=True)
    )
    end = canvas.sections[-1].end
    metre = canvas.sections[0].bars[0].metre
    arrangement = Arrangement(
        48000,
        ((0.0, 0.0), (end, end * 60.0 / piece.bpm)),
        metres=(MetreAt(0.0, metre.beats, metre.unit),),
        keys=(KeyAt(0.0, PITCH_NAMES[canvas.key.tonic], canvas.key.mode),),
        sections=sections,
    )
    stems = tuple(StemWanted(ROLES[stream]) for stream in _wanted(piece.song))
    return Render("bench", arrangement, stems=stems, style=_style(piece), seed=seed, harmony=harmony)


def _wanted(song: Song) -> list[str]:
    """Streams that play in the song: who asks for a stem gets one, and nobody asks for what the song does not have."""
    return [stream for stream in STREAMS if song.canvas.notes.get(stream)]


def _only(playing: Sequence[bool]) -> str:
    """Words for a section in which these streams play, as a musician would write them."""
    words = {"drums": "drums", "bass": "bass", "comp": "keys", "pad": "pad", "arp": "arp", "lead": "lead"}
    return ", ".join(f"only {words[s]}" for s, plays in zip(STREAMS, playing, strict=True) if plays)


def _heard(song: Song, parts: tuple[Part, ...], use: str) -> Heard:
    chords = tuple(replace(chord, given=True) for chord in song.canvas.chords)
    key = replace(song.canvas.key, given=True)
    return Heard(key, chords, parts, tuple(use for _ in parts), key_confidence=1.0)


def _style(piece: Piece) -> str:
    """Words that lead to a groove of the song's grid that the models know; none where metre and tempo do."""
    return "swing jazz" if piece.song.canvas.steps_per_quarter == 3 else ""


def _groove(piece: Piece, seed: int) -> Groove:
    """The groove of the request."""
    metre: Metre = piece.song.canvas.sections[0].bars[0].metre
    found = choose(_style(piece), metre, piece.bpm, seed).groove
    if found.name.split("/")[0] in HELD_OUT:
        raise ValueError(f"{found.name} is held out and yet chosen")
    return found


def _streams(score: Score) -> Mapping[str, tuple[Note, ...]]:
    by_role = {part.role: part.notes for part in score.parts}
    return {s: by_role.get(role, ()) for s, role in ROLES.items()}
