"""How musical the band is, in numbers: `python -m tests.benchmarks.music [--seeds N]`.

For a few styles the same song is composed by the band (default) and by form rule alone,
and set beside two anchors: every bar replaced by another bar of the same part
at random, and notes at random places and pitches. Metrics are those of `engine.compose.measure`; means over all songs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from bridge.arrangement import Arrangement, KeyAt, Section
from bridge.messages import Render, StemWanted
from engine.compose import Writers, compose_band, request2form
from engine.compose.candidates import SEED
from engine.compose.measure import (
    backbeat_stability,
    bar_notes,
    chord_tone_rate,
    in_key_rate,
    kick_bass_agreement,
    kick_on_one,
    leaps,
    root_rate,
    same_label_similarity,
)
from engine.score import Heard, Key, Note, Score

STYLES = ("pop", "funk", "neo-soul", "swing jazz", "bossa nova", "hard rock", "house", "lo-fi", "reggae", "synthwave")
FORM = (("Intro", "intro", 4), ("Verse 1", "verse", 8), ("Chorus 1", "chorus", 8), ("Verse 2", "verse", 8),
        ("Chorus 2", "chorus", 8), ("Outro", "outro", 4))  # fmt: skip
ROLES = ("drums", "bass", "keys", "pad", "arp", "lead")

Row = dict[str, float | None]


def song(style: str, seed: int) -> Render:
    """A 40-bar song in A minor at 110 bpm."""
    sections, at = [], 0.0
    for name, label, bars in FORM:
        sections.append(Section(name, label, at, at + 4.0 * bars))
        at += 4.0 * bars
    arrangement = Arrangement(
        48000, ((0.0, 0.0), (at, at * 60 / 110)), keys=(KeyAt(0.0, "A", "minor"),), sections=tuple(sections)
    )
    return Render("bench", arrangement, stems=tuple(StemWanted(r) for r in ROLES), style=style, seed=seed)


def compose(style: str, seed: int, writers: Writers) -> Score:
    """The band's score."""
    request = song(style, seed)
    clock = request.arrangement.timeline()
    heard = Heard(Key(9, "minor", given=True), (), key_confidence=1.0)
    return compose_band(request, clock, request2form(request.arrangement, clock), heard, writers, lambda fraction: None)


def measure(score: Score) -> Row:
    """All metrics of one score."""
    bars = [bar for section in score.sections for bar in section.bars]
    drums, bass, lead = (score.part(name).notes for name in ("drums", "bass", "lead"))
    pitched = [n for p in score.parts if p.role != "drums" for n in p.notes]
    return {
        "kick on one": kick_on_one(drums, bars),
        "groove": backbeat_stability(drums, bars),
        "kick-bass": kick_bass_agreement(drums, bass, bars),
        "bass roots": root_rate(bass, bars, score.chords),
        "lead chord tones": chord_tone_rate(lead, bars, score.chords),
        "lead leaps": leaps(lead),
        "same label": same_label_similarity(lead, score.sections, score.chords),
        "in key": in_key_rate(pitched, score.key),
        "notes a bar": sum(len(p.notes) for p in score.parts) / len(bars),
    }


def shuffled(score: Score, rng: np.random.Generator) -> Score:
    """Every bar of a part replaced by another of its bars: the right notes in the wrong places."""
    bars = [bar for section in score.sections for bar in section.bars]
    parts = []
    for part in score.parts:
        full = [bar for bar in bars if bar_notes(part.notes, bar)]
        notes: list[Note] = []
        for bar in full:
            other = full[int(rng.integers(len(full)))]
            notes += [replace(n, start=n.start - other.start + bar.start) for n in bar_notes(part.notes, other)]
        parts.append(replace(part, notes=tuple(sorted(notes, key=lambda n: (n.start, n.pitch)))))
    return replace(score, parts=tuple(parts))


def noise(score: Score, rng: np.random.Generator) -> Score:
    """As many notes at random sixteenths with random pitches of the part's range."""
    end = score.sections[-1].end
    parts = []
    for part in score.parts:
        low, high = min(n.pitch for n in part.notes), max(n.pitch for n in part.notes)
        notes = [
            replace(n, start=float(rng.integers(int(end * 4))) / 4, pitch=int(rng.integers(low, high + 1)))
            for n in part.notes
        ]
        parts.append(replace(part, notes=tuple(sorted(notes, key=lambda n: (n.start, n.pitch)))))
    return replace(score, parts=tuple(parts))


def table(rows: dict[str, list[Row]]) -> str:
    """Means of every metric, one line per version."""
    names = list(next(iter(rows.values()))[0])
    lines = [f"{'':22}" + "".join(f"{name:>17}" for name in names)]
    for version, found in rows.items():
        cells = []
        for name in names:
            values = [value for row in found if (value := row[name]) is not None]
            cells.append(f"{np.mean(values):17.2f}" if values else f"{'-':>17}")
        lines.append(f"{version:22}" + "".join(cells))
    return "\n".join(lines)


def stands(scores: Sequence[Score]) -> str:
    """How often the parts model's version stood, from the scores' own remarks."""
    lines = [r for s in scores for r in s.remarks if "parts model" in r]
    wins = sum(r.count("written by the parts model") for r in lines)
    return f"streams with a section by the parts model: {wins} of {len(lines)}; '{SEED}' elsewhere"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1, help="songs per style")
    seeds = parser.parse_args().seeds
    from engine.diffusion.parts import PartsModel
    from engine.lelm.plan import PlanModel

    full = Writers(PlanModel.load(), PartsModel.load())
    songs = [(style, seed) for style in STYLES for seed in range(seeds)]
    rng = np.random.default_rng(0)
    band = [compose(style, seed, full) for style, seed in songs]
    rules = [compose(style, seed, Writers(full.plan, None)) for style, seed in songs]
    versions: dict[str, Callable[[int], Score]] = {
        "band (default)": lambda i: band[i],
        "form rules alone": lambda i: rules[i],
        "bars shuffled": lambda i: shuffled(band[i], rng),
        "random notes": lambda i: noise(band[i], rng),
    }
    print(table({name: [measure(make(i)) for i in range(len(songs))] for name, make in versions.items()}))
    print(stands(band))


if __name__ == "__main__":
    main()
