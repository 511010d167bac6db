"""MMA's own arrangement of a song's chords, as one more opinion on what a band would play.

MMA (Musical MIDI Accompaniment, GPL) is run as a program where it is installed (`apt install mma`); nothing of it is
shipped. Its tracks become our streams by their names and programs: drums, bass or walking bass, the first chord track
as comp, one of strings or organ as pad, arpeggios; what it does not play stays silent.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bridge.midifile import SmfTrack, read_smf
from engine.compose.pitches import chords_in, in_order
from engine.diffusion.canvas import STREAMS, Canvas
from engine.score import PITCH_NAMES, Note
from tests.benchmarks.composer_ours import Piece
from tests.benchmarks.composer_rows import NoAnswer

GROOVES = {
    "bebop": "Bebop", "boom-bap": "HipHop", "disco": "DiscoSoul", "funk": "Funk1", "jig": "68March",
    "reggae": "Reggae", "power-ballad": "RockBallad", "shuffle-blues": "Blues", "viennese-waltz": "VieneseWaltz",
    "city-pop": "SoftRock", "second-line": "Dixie", "bhangra": "Desert",
}  # fmt: skip
"""MMA's groove that comes nearest to each held-out groove of the book."""
BY_METRE = {(4, 4): "8Beat", (3, 4): "Waltz", (6, 8): "68Swing", (12, 8): "Ballad128", (5, 4): "Jazz54"}
QUALITIES = {
    "": "", "m": "m", "dim": "dim", "aug": "aug", "sus2": "sus2", "sus4": "sus4", "7": "7", "maj7": "M7", "m7": "m7",
    "m7b5": "m7b5", "dim7": "dim7", "6": "6", "m6": "m6", "9": "9",
}  # fmt: skip
PADS = range(40, 56), range(88, 96), range(16, 24)
BASSES, LEADS, EFFECTS = range(32, 40), range(80, 88), range(112, 128)
"""General MIDI programs; pads are strings, pads and organs."""


class NoMma(NoAnswer):
    """MMA is not here, or has no groove in this metre; the text says which."""


def find_mma() -> str:
    """The program. Raises `NoMma`."""
    found = shutil.which("mma")
    if found is None:
        raise NoMma("mma is not installed (apt install mma)")
    return found


def arrange(piece: Piece) -> Mapping[str, tuple[Note, ...]]:
    """MMA's arrangement of the whole song. Raises `NoMma`, also where the truth is MMA's work itself."""
    program, canvas = find_mma(), piece.song.canvas
    if piece.source == "mma":
        raise NoMma("the truth is MMA's own")
    metre = canvas.sections[0].bars[0].metre
    groove = GROOVES.get(piece.song.groove.split("/")[0]) or BY_METRE.get((metre.beats, metre.unit))
    if groove is None:
        raise NoMma(f"mma has no groove in {metre.beats}/{metre.unit}")
    with tempfile.TemporaryDirectory() as name:
        written = Path(name) / "song.mma"
        written.write_text(chart(canvas, groove, piece.bpm), encoding="utf-8")
        done = subprocess.run(
            [program, str(written), "-f", str(written.with_suffix(".mid"))], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise NoMma(f"mma refused {piece.song.groove}: {done.stdout.strip().splitlines()[-1]}")
        return midi2streams(written.with_suffix(".mid"))


def chart(canvas: Canvas, groove: str, bpm: float) -> str:
    """The song for MMA: one line a bar, one chord a beat where it changes."""
    bars = [bar for section in canvas.sections for bar in section.bars]
    metre = bars[0].metre
    lines = [f"Tempo {bpm:.0f}", f"TimeSig {metre.beats}/{metre.unit}", f"Groove {groove}"]
    held = "C"
    for number, bar in enumerate(bars, 1):
        said: list[str] = []
        for k in range(round(bar.end - bar.start)):
            beat = bar.start + k
            begins = [c for c in chords_in(canvas.chords, beat, beat + 1.0) if c.beat >= beat - 1e-6 or not said]
            if begins:
                held = PITCH_NAMES[begins[0].root] + QUALITIES[begins[0].quality]
            said.append(held if begins or not said else "/")
        lines.append(f"{number} {' '.join(said) or held}")
    return "\n".join(lines) + "\n"


def midi2streams(path: Path) -> dict[str, tuple[Note, ...]]:
    """Streams of MMA's file."""
    streams: dict[str, list[Note]] = {s: [] for s in STREAMS}
    for track in read_smf(path).tracks:
        stream = track2stream(track, taken={s for s, n in streams.items() if n})
        if stream is not None:
            streams[stream] += [Note(n.start, max(n.length, 0.05), n.pitch, n.velocity) for n in track.notes]
    return {s: in_order(notes) for s, notes in streams.items()}


def track2stream(track: SmfTrack, taken: set[str]) -> str | None:
    """The stream that an MMA track plays, by its name and its General MIDI program; None for one more of a kind."""
    program = track.program or 0
    if track.is_drums:
        return "drums"
    if program in EFFECTS:
        return None
    if program in BASSES or track.name.lower().startswith("walk"):
        wishes = ["bass"]
    elif track.name.lower().startswith("arpeggio"):
        wishes = ["arp"]
    elif program in LEADS or track.name.lower().startswith(("solo", "melody")):
        wishes = ["lead"]
    else:
        wishes = ["pad", "comp"] if any(program in programs for programs in PADS) else ["comp"]
    return next((s for s in wishes if s not in taken), None)
