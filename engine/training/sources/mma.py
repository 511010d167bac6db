"""Accompaniments by MMA (Musical MIDI Accompaniment, Debian package `mma`, GPL), which runs while the corpus is built.

The program plays its own grooves over our charts and forms; what it writes is its user's. Nothing of its library is
kept. A family is a file of the standard library; the families in `HELD_OUT` are never trained on.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from bridge.midifile import read_smf
from bridge.timeline import Metre
from engine.score import PITCH_NAMES, Chord, FormSection, Key, Note
from engine.training.form import random_form
from engine.training.harmony import song2chords
from engine.training.songs import MODE_ODDS, Song
from engine.training.sources.arranging import Voice, filled_bars, fitting, lay, notes2song, one_kit
from engine.training.sources.charts import Chart
from engine.training.sources.source import Origin, SourceMissing, digest_of

LIBRARY = Path("/usr/share/mma/lib/stdlib")
PACKAGE = "Debian: mma"
HELD_OUT = (
    "bossanova", "swing", "easyswing", "fastswing", "countryswing", "westernswing", "68swing", "tango", "lighttango",
    "bvfunk", "rockballad", "ballad128", "jazzwaltz", "fastjazzwaltz",
)  # fmt: skip
"""Families that are kept for judging: bossa nova, all swings, tangos, one funk, one ballad, 12/8, jazz waltzes."""
STREAM_OF = {
    "drum": "drums", "bass": "bass", "walk": "bass", "chord": "comp", "arpeggio": "arp", "scale": "lead",
    "aria": "lead", "melody": "lead", "solo": "lead",
}  # fmt: skip
METRES = {(4, 4): 1.0, (3, 4): 1.0, (5, 4): 1.0, (6, 8): 0.5}
"""Metres that are read, and the quarters of a beat of MMA's in them."""
SIDE_NAMES = ("intro", "end", "fill")
SECONDS = 20
MOST_BARS = 64


@dataclass(frozen=True)
class Family:
    """A library file: its main grooves, and those for fills, beginnings and ends."""

    name: str
    metre: tuple[int, int]
    grooves: tuple[str, ...]
    fills: tuple[str, ...]
    intros: tuple[str, ...]
    ends: tuple[str, ...]


def program() -> str:
    """Path of MMA. Raises `SourceMissing`."""
    found = shutil.which("mma")
    if found is None or not LIBRARY.is_dir():
        raise SourceMissing("MMA is not installed (Debian package mma)")
    return found


@lru_cache(maxsize=1)
def families() -> tuple[Family, ...]:
    """The families of the standard library in a metre that is read. Raises `SourceMissing`."""
    program()
    found = (text2family(path.stem, path.read_text(encoding="latin-1")) for path in sorted(LIBRARY.glob("*.mma")))
    return tuple(f for f in found if f is not None and not f.name.startswith("metronome"))


def text2family(name: str, text: str) -> Family | None:
    """The family that a library file defines; None where its metre is not read or it has no groove."""
    beats = re.search(r"^\s*Time\s+(\d+)", text, re.I | re.M)
    sign = re.search(r"^\s*TimeSig\s+(\d+)[\s/]+(\d+)", text, re.I | re.M)
    count = int(beats[1]) if beats else 4
    metre = (int(sign[1]), int(sign[2])) if sign else (count, 4)
    grooves = tuple(dict.fromkeys(re.findall(r"^\s*DefGroove\s+(\w+)", text, re.I | re.M)))
    side = {kind: tuple(g for g in grooves if kind in g.lower()[len(name) - 2 :]) for kind in SIDE_NAMES}
    main = tuple(g for g in grooves if not any(g in names for names in side.values()))
    if metre not in METRES or metre[0] != count or not main:
        return None
    return Family(name, metre, main, side["fill"], side["intro"], side["end"])


def play(
    family: Family, sections: Sequence[FormSection], chords: Sequence[Chord], rng: np.random.Generator
) -> tuple[str, np.ndarray]:
    """An MMA file of the form, and per bar whether it is a fill or an ending. Each label keeps one groove."""
    lines = [f"RndSeed {int(rng.integers(10**6))}", "Tempo 120", f"Time {family.metre[0]}"]
    chosen: dict[str, str] = {}
    fills: list[bool] = []
    number, playing = 1, ""
    quarter = METRES[family.metre]
    for i, section in enumerate(sections):
        options = family.intros if section.label == "intro" and family.intros else family.grooves
        groove = chosen.setdefault(section.label, options[int(rng.integers(len(options)))])
        with_fill = family.fills and len(section.bars) > 2 and rng.random() < 0.6
        for b, bar in enumerate(section.bars):
            left = len(section.bars) - 1 - b
            closing = left < 2 and i == len(sections) - 1 and len(section.bars) > 3 and bool(family.ends)
            filling = bool(with_fill) and left == 0 and i < len(sections) - 1
            wanted = family.ends[0] if closing else family.fills[0] if filling else groove
            if wanted != playing:
                lines.append(f"Groove {wanted}")
                playing = wanted
            cells, before = [], ""
            for k in range(family.metre[0]):
                at = bar.start + k * quarter
                chord = next((c for c in chords if c.beat <= at + 1e-6 < c.end), None)
                symbol = "z" if chord is None else PITCH_NAMES[chord.root] + chord.quality.replace("maj", "M")
                cells.append("/" if symbol == before else symbol)
                before = symbol
            lines.append(f"{number} {' '.join(cells)}")
            fills.append(closing or filling)
            number += 1
    return "\n".join(lines) + "\n", np.array(fills, dtype=bool)


def run(text: str) -> dict[str, tuple[Note, ...]] | None:
    """Notes per track of what MMA plays, in MMA's beats; None where it refuses."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "song.mma", Path(folder) / "song.mid"
        source.write_text(text, encoding="ascii")
        environment = {**os.environ, "HOME": folder}
        try:
            done = subprocess.run([program(), "-f", str(target), str(source)], capture_output=True, timeout=SECONDS,
                                  cwd=folder, env=environment, check=False)  # fmt: skip
        except subprocess.TimeoutExpired:
            return None
        if done.returncode or not target.exists():
            return None
        song = read_smf(target)
    out: dict[str, tuple[Note, ...]] = {}
    for track in song.tracks:
        notes = tuple(Note(max(n.start, 0.0), n.length, n.pitch, n.velocity) for n in track.notes)
        out[track.name] = (*out.get(track.name, ()), *notes)
    return out


def tracks2voices(tracks: dict[str, tuple[Note, ...]], quarter: float) -> list[Voice]:
    """The tracks as voices of our streams; `quarter`: quarters of a beat of MMA's."""
    voices: list[Voice] = []
    drums: list[Note] = []
    for name, notes in sorted(tracks.items()):
        kind = name.split("-")[0].lower()
        if len(notes) < 2 or kind not in STREAM_OF:
            continue
        scaled = [Note(n.start * quarter, n.length * quarter, n.pitch, n.velocity) for n in notes]
        if kind == "drum":
            drums += one_kit(scaled)
        else:
            voices.append(Voice(fitting(STREAM_OF[kind], scaled), tuple(scaled)))
    return [Voice("drums", tuple(sorted(drums, key=lambda n: (n.start, n.pitch)))), *voices]


def make(number: int, seed: int, pool: Sequence[Family], charts: Sequence[Chart]) -> Song | None:
    """Song `number`: a family in turn, on a chart of its metre or on the grammar; None where MMA refuses."""
    rng = np.random.default_rng((seed, 7, number))
    family = pool[number % len(pool)]
    fitting_charts = [c for c in charts if (c.metre.beats, c.metre.unit) == family.metre and len(c.sections) > 1]
    if fitting_charts and rng.random() < 0.6:
        chart = fitting_charts[int(rng.integers(len(fitting_charts)))]
        sections, key, chords = chart.moved(int(rng.integers(12)))
        chords = tuple(replace(c, bass=None) for c in chords)
    else:
        sections = random_form(Metre(0.0, *family.metre), rng)
        key = Key(int(rng.integers(12)), str(rng.choice(list(MODE_ODDS), p=list(MODE_ODDS.values()))))
        chords = song2chords(sections, key, rng)
    kept: list[FormSection] = []
    bars = 0
    for section in sections:
        bars += len(section.bars)
        if bars <= MOST_BARS or not kept:
            kept.append(section)
    text, fills = play(family, kept, chords, rng)
    tracks = run(text)
    if tracks is None:
        return None
    voices = tracks2voices(tracks, METRES[family.metre])
    onsets = [n.start for v in voices for n in v.notes]
    if not onsets:
        return None
    triplet = share_of_triplets(onsets)
    notes = lay(voices, [(s.start, s.end) for s in kept], rng)
    end = kept[-1].end
    inside = {s: tuple(n for n in row if n.start < end) for s, row in notes.items()}
    heard = filled_bars(inside["drums"], kept)
    return notes2song(
        f"mma/{family.name}", inside, tuple(kept), tuple(c for c in chords if c.beat < end), key, 3 if triplet else 4,
        fills=fills | heard,
    )  # fmt: skip


def share_of_triplets(onsets: Sequence[float]) -> bool:
    """Whether the onsets between the beats lie nearer to thirds of a beat than to quarters. MMA plays with a human's
    inaccuracy, so most of them decide."""
    at = np.asarray(onsets) % 1.0
    between = at[(at > 0.15) & (at < 0.85) & (np.abs(at - 0.5) > 0.08)]
    if len(between) < 4:
        return False
    thirds = np.minimum(np.abs(between - 1 / 3), np.abs(between - 2 / 3))
    quarters = np.minimum(np.abs(between - 0.25), np.abs(between - 0.75))
    return bool((thirds < quarters).mean() > 0.5)


def songs(count: int, *, unseen: bool, charts: Sequence[Chart] = (), seed: int = 1) -> Iterator[Song]:
    """Up to `count` songs by the families of one side of the split."""
    pool = [f for f in families() if (f.name in HELD_OUT) == unseen]
    for number in range(count):
        song = make(number, seed, pool, charts)
        if song is not None:
            yield song


def origin() -> Origin:
    """For the data card. Raises `SourceMissing`."""
    program()
    count, digest = digest_of(sorted(LIBRARY.glob("*.mma")))
    return Origin("mma", PACKAGE, "GPL-2+ (the program, run at build time only; what it plays is its user's)",
                  "accompaniments of charts and of our grammar's chords", count, digest, HELD_OUT)  # fmt: skip
