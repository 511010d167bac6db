"""Which version of a stream stands in a section: written by the parts model, or the seed repeated by form rule.

Every version is measured in each section it could stand in (metrics of `engine.compose.measure`); the better one stays.
Drums are decided first, the bass is measured against the drums that stayed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bridge.timeline import Bar
from engine.compose.form import SectionShape
from engine.compose.measure import (
    backbeat_stability,
    bar_notes,
    chord_tone_rate,
    density_error,
    kick_bass_agreement,
    kick_on_one,
    leaps,
    onsets,
    overlap,
    root_rate,
)
from engine.compose.pitches import chord_at, clip_notes, no_overlaps, scale_tones
from engine.compose.song import Song
from engine.score import Note

SEED = "seeds repeated"
MARGIN = {"drums": 0.0, "bass": -0.02, "comp": 0.0, "pad": -0.02, "arp": -0.02, "lead": -0.02}
"""By how much the model must beat the repeated seed; below 0 it may lose by so much. Copying is the stronger rule for
drums and comp, so there it must be at least as good."""
ENOUGH = {"density": 0.8, "stability": 0.7, "roots": 0.8, "chord tones": 0.75, "likeness": 0.6, "steps": 0.9}
"""Values that real songs reach: more than that is no better."""
WEIGHTS: dict[str, dict[str, float]] = {
    "drums": {"density": 0.3, "kick on one": 0.2, "stability": 0.3, "likeness": 0.1, "life": 0.1},
    "bass": {"density": 0.2, "kick and bass": 0.25, "roots": 0.25, "scale": 0.15, "likeness": 0.05, "life": 0.1},
    "comp": {"density": 0.35, "scale": 0.25, "likeness": 0.25, "life": 0.15},
    "pad": {"density": 0.35, "scale": 0.25, "likeness": 0.25, "life": 0.15},
    "arp": {"density": 0.35, "scale": 0.25, "likeness": 0.25, "life": 0.15},
    "lead": {"density": 0.1, "chord tones": 0.25, "scale": 0.2, "steps": 0.25, "likeness": 0.1, "life": 0.1},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Choice:
    """One section of one stream: the version that stayed, its score, and the scores of the others by name."""

    stream: str
    section: str
    version: str
    score: float
    others: tuple[tuple[str, float], ...]


def choose_versions(
    song: Song,
    stream: str,
    versions: Mapping[str, Sequence[Note]],
    drums: Sequence[Note],
    rows: Sequence[int] | None = None,
    margin: float | None = None,
) -> tuple[tuple[Note, ...], tuple[Choice, ...]]:
    """The best version of `stream` in every section, joined. `versions` must hold `SEED`; the seed says the density
    that is wanted. `rows`: only sections with one of these bars are judged, elsewhere the seed stays. `margin`: by how
    much the seed must be beaten, else as `MARGIN` says."""
    ahead = MARGIN[stream] if margin is None else margin
    seed = versions[SEED]
    chosen: list[Note] = []
    choices: list[Choice] = []
    for i, shape in enumerate(song.shapes):
        span = (shape.section.start, shape.section.end)
        judged = rows is None or any(song.owners[r] == i for r in rows)
        scores = {SEED: 1.0}
        best = SEED
        if judged and len(versions) > 1 and any(stream in b.streams for b in shape.bars):
            scores = {
                name: total(stream, measure_section(song, stream, shape, notes, seed, drums, chosen))
                for name, notes in versions.items()
            }
            best = max(scores, key=lambda name: scores[name] - (0.0 if name == SEED else ahead))
            others = tuple((name, score) for name, score in scores.items() if name != best)
            choices.append(Choice(stream, shape.section.name, best, scores[best], others))
        chosen += clip_notes(versions[best], *span)
    return no_overlaps(chosen), tuple(choices)


def measure_section(
    song: Song,
    stream: str,
    shape: SectionShape,
    notes: Sequence[Note],
    seed: Sequence[Note],
    drums: Sequence[Note],
    before: Sequence[Note],
) -> dict[str, float]:
    """Metrics 0-1 (1 is good) of `notes` in one section, against the density of `seed`, the chosen `drums`, and what
    stands already `before` this section in the same stream."""
    bars = [b.bar for b in shape.bars if stream in b.streams]
    inside = clip_notes(notes, shape.section.start, shape.section.end)
    wanted = sum(len(bar_notes(seed, bar)) for bar in bars) / len(bars)
    if wanted and not inside:
        return {"density": 0.0}
    row = {"density": max(0.0, 1.0 - density_error(inside, bars, wanted)), "life": _life(inside, bars)}
    first = next((s for s in song.shapes if s.section.label == shape.section.label), shape)
    model = seed if first is shape else before
    row["likeness"] = _likeness(inside, bars, model, [b.bar for b in first.bars])
    if stream == "drums":
        row["stability"] = _or(backbeat_stability(inside, bars), 1.0)
        row["kick on one"] = 1.0 - abs(_or(kick_on_one(inside, bars), 0.0) - _or(kick_on_one(seed, bars), 0.0))
        return row
    row["scale"] = sum(
        n.pitch % 12 in scale_tones(song.keys.at(n.start), chord_at(song.chords, n.start)) for n in inside
    ) / max(len(inside), 1)
    if stream == "bass":
        goal = _or(kick_bass_agreement(drums, seed, bars), 0.0)
        row["kick and bass"] = min(1.0, _or(kick_bass_agreement(drums, inside, bars), 0.0) / goal) if goal else 1.0
        row["roots"] = _or(root_rate(inside, bars, song.chords), 1.0)
    elif stream == "lead":
        row["chord tones"] = _or(chord_tone_rate(inside, bars, song.chords), 1.0)
        row["steps"] = 1.0 - _or(leaps(inside), 0.0)
    return row


def total(stream: str, row: Mapping[str, float]) -> float:
    """The weighted mean of a stream's metrics, each as a share of what is enough; a missing one counts nothing."""
    return sum(
        weight * min(1.0, row.get(name, 0.0) / ENOUGH.get(name, 1.0)) for name, weight in WEIGHTS[stream].items()
    )


def choices2remarks(choices: Sequence[Choice]) -> tuple[str, ...]:
    """One line per stream: which version stands in how many sections, and what was measured."""
    lines: list[str] = []
    for stream in dict.fromkeys(c.stream for c in choices):
        mine = [c for c in choices if c.stream == stream]
        seeds = [c for c in mine if c.version == SEED]
        written = [c for c in mine if c.version != SEED]
        pieces = []
        if written:
            names = ", ".join(c.section for c in written)
            pieces.append(
                f"written by the parts model in {names} (score {_mean(written):.2f}, seeds {_mean_other(written):.2f})"
            )
        if seeds:
            names = ", ".join(c.section for c in seeds)
            pieces.append(
                f"{SEED} by form rule in {names} (score {_mean(seeds):.2f}, parts model {_mean_other(seeds):.2f})"
            )
        lines.append(f"{stream}: " + "; ".join(pieces))
    return tuple(lines)


def _mean(choices: Sequence[Choice]) -> float:
    return sum(c.score for c in choices) / len(choices)


def _mean_other(choices: Sequence[Choice]) -> float:
    best = [max(score for _, score in c.others) for c in choices if c.others]
    return sum(best) / len(best) if best else 0.0


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _life(notes: Sequence[Note], bars: Sequence[Bar]) -> float:
    """Full marks when at least four bars in ten differ from every bar before them."""
    rows = [onsets(notes, bar) | frozenset(1000 + n.pitch for n in bar_notes(notes, bar)) for bar in bars]
    return min(1.0, len(set(rows)) / (0.4 * len(rows))) if rows else 1.0


def _likeness(notes: Sequence[Note], bars: Sequence[Bar], model: Sequence[Note], model_bars: Sequence[Bar]) -> float:
    """How alike the onsets are to those of the same bars in the label's first section (or the seed), where it plays."""
    pairs = [(onsets(notes, a), onsets(model, b)) for a, b in zip(bars, model_bars, strict=False)]
    pairs = [(a, b) for a, b in pairs if b]
    return sum(overlap(a, b) for a, b in pairs) / len(pairs) if pairs else 1.0
