"""`python -m tests.benchmarks.match_cuts`: is what is cut from a reference nearer to it than what the catalogue holds?

References of drums alone and of one instrument alone: another song's part in sounds of the held-out bank
(`match_material`). The band's own part is played by who plays without a reference (usual), by the catalogue's choice
(chosen) and by what is cut (cut), each behind the bus stage; the judge compares them with the band's part in the
reference's very sound. References that nothing can be cut from are counted. About ten seconds of CPU a reference.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.casting import cast
from engine.cutkit import clip2cut, open_kit, play_kit, plays
from engine.rendering import Clip as Sound
from engine.score import Part
from tests.benchmarks import match_material as material
from tests.benchmarks.match import Studio
from tests.benchmarks.musicnn_judge import audio2embedding, distance, why_absent

Audio = NDArray[np.float32]
SECONDS = 12.0
PEAK = 0.5


@dataclass(frozen=True)
class Row:
    """The judge's distances of a part to it in the reference's very sound, and whether the engine takes what is cut."""

    name: str
    usual: float
    chosen: float
    cut: float
    taken: bool


def references(role: str, font: Path, count: int) -> list[tuple[str, int]]:
    """Name and program of at most so many sounds for a role, spread over the bank."""
    programs = material.KITS if role == "drums" else material.untwinned(role, font)
    picked = np.linspace(0, len(programs) - 1, min(count, len(programs))).round().astype(int)
    return [(f"{role} {programs[k]}", programs[k]) for k in dict.fromkeys(picked.tolist())]


def try_sound(studio: Studio, part: Part, program: int, name: str, folder: Path) -> Row | None:
    """None where nothing can be cut."""
    font = material.held_out_font()
    assert font is not None
    score, clock = material.excerpt(*material.OTHER)
    given = material.play_part(next(p for p in score.parts if p.role == part.role), clock, font, program)
    given = given[:, : round(SECONDS * material.RATE)]
    scale = np.float32(PEAK / np.abs(given).max())
    clip = Sound(np.ascontiguousarray(given * scale), material.RATE)
    chosen = cast(studio.stems, [part], clip, lambda _: None).instruments[part.name]
    tried = clip2cut(studio.stems, part, clip, name, chosen, folder)
    if tried is None:
        return None
    end = studio.stems.frame.samples
    sounds = [
        studio.guide[part.name],
        studio.stems.play(part, chosen, 0, end, lambda _: None),
        play_kit(studio.stems, open_kit(tried.kit, folder), tried.kit, part, 0, end, lambda _: None)[:, :],
    ]
    truth = audio2embedding(material.play_part(part, studio.clock, font, program) * scale, material.RATE)
    wanted = material.Clip(name, clip.audio, clip.audio)
    away = []
    for sound in sounds:
        studio.guide = {part.name: sound}
        mix = studio.by_curves(wanted, moving=True)
        away.append(float(distance(audio2embedding(material.played(mix, studio.clock), material.RATE), truth)))
    return Row(name, away[0], away[1], away[2], plays(part, tried))


def report(rows: Sequence[Row]) -> list[str]:
    """A line for every reference, and the means over what can be cut."""
    lines = [f"{'':14}{'usual':>8}{'chosen':>8}{'cut':>8}  taken"]
    lines += [f"{r.name:14}{r.usual:>8.3f}{r.chosen:>8.3f}{r.cut:>8.3f}  {'yes' if r.taken else 'no'}" for r in rows]
    mean = np.mean([(r.usual, r.chosen, r.cut) for r in rows], axis=0)
    nearer = sum(r.cut < r.chosen for r in rows)
    right = sum((r.cut < r.chosen) == r.taken for r in rows)
    lines.append(f"{'mean':14}" + "".join(f"{x:>8.3f}" for x in mean))
    lines.append(f"what is cut is nearer in {nearer} of {len(rows)}; the engine takes the nearer in {right}")
    return lines


def main() -> None:
    """Prints a table for each role."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=6, help="how many sounds for each role")
    options = parser.parse_args()
    font = material.held_out_font()
    if why := why_absent():
        raise SystemExit(f"the judge is {why}")
    if font is None:
        raise SystemExit("the held-out bank is not there")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        studio = Studio(folder)
        guide = studio.guide
        for role in ("drums", "bass", "lead"):
            part = next(p for p in studio.score.parts if p.role == role)
            rows: list[Row] = []
            without = 0
            for title, program in references(role, font, options.count):
                studio.guide = guide
                row = try_sound(studio, part, program, title, folder)
                rows, without = ([*rows, row], without) if row else (rows, without + 1)
            print(f"{role}: nothing can be cut from {without} of {len(rows) + without}")
            if rows:
                print("\n".join(report(rows)), flush=True)


if __name__ == "__main__":
    main()
