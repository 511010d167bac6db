"""Which version of a stream stands in a section: written by the parts model, or the seed repeated by form rule.

Every version is measured in each section it could stand in (metrics of `engine.compose.measure`); the better one stays.
Drums are decided first, the bass is measured against the drums that stayed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

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
class Own:
    """The user's own bars on a stream: notes sorted by start, and their rows. Where there are some, a version is as
    good as it is like them: a drummer who changes every bar is not answered by a loop, nor a walking bass by roots."""

    notes: tuple[Note, ...] = ()
    rows: frozenset[int] = field(default_factory=frozenset)


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
    own: Own = Own(),
) -> tuple[tuple[Note, ...], tuple[Choice, ...]]:
    """The best version of `stream` in every section, joined. `versions` must hold `SEED`; the seed says the density
    that is wanted, `own` what else the user's bars want. `rows`: only sections with one of these bars are judged,
    elsewhere the seed stays. `margin`: by how much the seed must be beaten, else as `MARGIN` says."""
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
            goals = own2goals(song, stream, shape, own)
            scores = {
                name: total(stream, measure_section(song, stream, shape, notes, seed, drums, chosen), goals)
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
    row["scale"] = _in_scale(song, inside)
    if stream == "bass":
        goal = _or(kick_bass_agreement(drums, seed, bars), 0.0)
        row["kick and bass"] = min(1.0, _or(kick_bass_agreement(drums, inside, bars), 0.0) / goal) if goal else 1.0
        row["roots"] = _or(root_rate(inside, bars, song.chords), 1.0)
    elif stream == "lead":
        row["chord tones"] = _or(chord_tone_rate(inside, bars, song.chords), 1.0)
        row["steps"] = 1.0 - _or(leaps(inside), 0.0)
    return row


def own2goals(song: Song, stream: str, shape: SectionShape, own: Own) -> dict[str, float]:
    """Values of the user's own bars, those of the section's label if there are some, that a version shall come near;
    none for what cannot be measured in them."""
    label = shape.section.label
    mine = [r for r in own.rows if song.shapes[song.owners[r]].section.label == label] or list(own.rows)
    runs = [[song.bars[r].bar for r in run] for run in neighbours(mine)]
    bars = [bar for run in runs for bar in run]
    notes = [n for bar in bars for n in bar_notes(own.notes, bar)]
    if not notes:
        return {}
    found: dict[str, float | None] = {}
    if stream == "drums":
        steady = [(backbeat_stability(notes, run), len(run) - 1) for run in runs]
        pairs = sum(n for value, n in steady if value is not None)
        found["stability"] = sum(value * n for value, n in steady if value is not None) / pairs if pairs else None
    elif stream == "bass":
        found["roots"] = root_rate(notes, bars, song.chords)
    elif stream == "lead":
        found["chord tones"] = chord_tone_rate(notes, bars, song.chords)
    found["scale"] = _in_scale(song, notes) if stream != "drums" else None
    return {name: value for name, value in found.items() if value is not None}


def neighbours(rows: Iterable[int]) -> list[list[int]]:
    """Rows in order, split where one is missing."""
    runs: list[list[int]] = []
    for row in sorted(rows):
        if runs and row - runs[-1][-1] == 1:
            runs[-1].append(row)
        else:
            runs.append([row])
    return runs


def total(stream: str, row: Mapping[str, float], goals: Mapping[str, float] = MappingProxyType({})) -> float:
    """The weighted mean of a stream's metrics: nearness to the `goals`, else the share of what is enough; a missing one
    counts nothing."""
    shares = {
        name: 1.0 - abs(value - goals[name]) if name in goals else min(1.0, value / ENOUGH.get(name, 1.0))
        for name, value in row.items()
    }
    return sum(weight * shares.get(name, 0.0) for name, weight in WEIGHTS[stream].items())


def _in_scale(song: Song, notes: Sequence[Note]) -> float:
    """Share of the notes in the scale of the key, bent to the chord of the moment."""
    hits = sum(n.pitch % 12 in scale_tones(song.keys.at(n.start), chord_at(song.chords, n.start)) for n in notes)
    return hits / max(len(notes), 1)


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
