"""What matching must leave as it was, and what it costs: onsets, pitch, silence, clicks, seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.timeline import Clock
from engine.match.clicks import find_clicks, find_sharper
from engine.score import Part
from tests.benchmarks.match_kept import Clicks, Kept, Left
from tests.benchmarks.match_material import RATE
from tests.benchmarks.match_onsets import attack_shifts, first_sign_shifts

Audio = NDArray[np.float32]
PITCH_SECONDS, RING_SECONDS, PITCH_SIZE = (0.08, 0.33), 0.05, 1 << 17
STEADY_CENTS = 2.0
SILENT_DB, BLOCK_SECONDS, QUIET_BLOCKS = -90.0, 0.05, 8
"""The guide counts as silent where it has been below this for so many blocks."""
FEW = 8
"""Of fewer onsets than this no median is told."""


@dataclass(frozen=True)
class Sounds:
    """A stem on its way: the `guide`; `raw`, what the chosen instrument plays; `still`, the same through the bus
    stage's fixed filters; the `most` [samples] that the stage does to any frequency of it; `new`, the matched stem."""

    guide: Audio
    raw: Audio
    still: Audio
    most: Audio
    new: Audio


def leave(part: Part, clock: Clock, sounds: Sounds, instrument: str, repaired: tuple[str, ...]) -> Left:
    """What matching left of a stem."""
    guide, raw, new = sounds.guide, sounds.raw, sounds.new
    return Left(
        part.name,
        instrument,
        first_sign_shifts(raw, new, part, clock, RATE),
        [] if part.role == "drums" else detuned(raw, new, part, clock),
        silent_levels(guide, new),
        silent_levels(raw, new),
        Clicks(
            find_clicks(raw, new, RATE).tolist(),
            find_clicks(sounds.still, new, RATE).tolist(),
            find_sharper(raw, new, sounds.most, RATE).tolist(),
        ),
        list(repaired),
        attack_shifts(raw, new, part, clock, RATE),
    )


def report(kept: Kept) -> list[str]:
    """Lines of the last table."""
    stems = [(one.name, stem) for one in kept.tried for stem in one.left]
    cents = np.abs([x for _, stem in stems for x in stem.cents] or [0.0])
    clicks = {
        "sharper than what was played close by, times the greatest gain there": [s.clicks.sharper for _, s in stems],
        "against the stem through the fixed filters": [stem.clicks.filtered for _, stem in stems],
        "against the stem as it was played": [stem.clicks.played for _, stem in stems],
    }
    clicked = [
        f"  clicks, {how}: {sum(map(len, counted))} in {sum(map(bool, counted))} stems{_most(stems, counted)}"
        for how, counted in clicks.items()
    ]
    repaired = [f"{name}: {stem.stem}: {why}" for name, stem in stems for why in stem.repaired]
    lines = [
        "what matching leaves as it was",
        *_moved(stems, "attacks", "onsets moved, by their attacks, band against band"),
        *_moved(stems, "shifts", "onsets moved, by their first signs from -30 dB on"),
        f"  pitch moved: median {np.median(cents):.2f}, at most {cents.max():.2f} cents (n = {len(cents)})",
        *clicked,
        f"  stems repaired: {len(repaired)} of {len(stems)}",
        *(f"    {text}" for text in repaired),
    ]
    for who in ("guide", "own"):
        blocks = [(x, f"{stem.stem} for {name}") for name, stem in stems for x in getattr(stem, who)]
        if blocks:
            levels, (worst, whose) = [x for x, _ in blocks], max(blocks)
            named = "guide" if who == "guide" else "chosen instrument"
            quiet = f"median {np.median(levels):.0f}, at most {worst:.1f} dBFS ({whose})"
            over = f"above -72: {sum(x > -72.0 for x in levels)} of {len(levels)} blocks of 50 ms"
            lines.append(f"  where the {named} is silent: {quiet}, {over}")
    if kept.costs is not None:
        costs = kept.costs
        lines += [
            f"  choosing: {costs.choosing:.1f} CPU seconds a song of {costs.stems} stems, by two threads",
            f"  matching: {costs.matching:.1f} CPU seconds a minute of {costs.stems} stems, by two threads",
        ]
    return lines


def _moved(stems: list[tuple[str, Left]], reading: str, how: str) -> list[str]:
    """A line on one of the two readings of onsets; none where the file holds none of it."""
    read = [(getattr(stem, reading), f"{stem.instrument} for {name}") for name, stem in stems]
    late = np.abs([x for shifts, _ in read for x in shifts])
    if not len(late):
        return []
    on_time = f"{(late < 1.0).mean():.1%} by less than 1 ms, at most {late.max():.2f} (n = {len(late)})"
    medians = [(float(np.median(np.abs(shifts))), whose) for shifts, whose in read if len(shifts) >= FEW]
    worst, whose = max(medians, default=(0.0, "none"))
    return [f"  {how}: median {np.median(late):.2f} ms, {on_time}; worst stem's median {worst:.2f} ms ({whose})"]


def _most(stems: list[tuple[str, Left]], counted: list[list[float]]) -> str:
    """Who clicks most, and where first; empty where nobody does."""
    found = [(len(at), name, stem, at[0]) for (name, stem), at in zip(stems, counted, strict=True) if at]
    if not found:
        return ""
    count, name, stem, first = max(found, key=lambda row: row[0])
    return f"; most, {count}, in {name}: {stem.stem} ({stem.instrument}), the first at {first:.3f} s"


def detuned(raw: Audio, new: Audio, part: Part, clock: Clock) -> list[float]:
    """Cents by which notes that sound alone for a while moved: their strongest partial, read in 250 ms of both sounds.

    A chord has no one pitch, and the check's own measure goes in steps of 25 cents; neither would tell 2 cents. Nor
    does a partial that beats with another (chorus, detuned oscillators): its halves read apart before anything is done.
    """
    spans = np.array([(clock.beat2second(n.start), clock.beat2second(n.end)) for n in part.notes])
    found = []
    for start, end in spans:
        together = (spans[:, 0] < start + PITCH_SECONDS[1]) & (spans[:, 1] > start - RING_SECONDS)
        first, last = (round((start + at) * RATE) for at in PITCH_SECONDS)
        if together.sum() > 1 or end - start < PITCH_SECONDS[1] or last > raw.shape[1]:
            continue
        one, two = (_partials(sound[0, first:last]) for sound in (raw, new))
        low = round(100.0 * PITCH_SIZE / RATE)
        peak = low + int(one[low : len(one) // 4].argmax())
        if not _steady(raw[0, first:last], peak):
            continue
        near = peak - 6 + int(two[peak - 6 : peak + 7].argmax())
        if one[peak] > one.max() - 3.0 and abs(near - peak) < 6:
            found.append(1200 * float(np.log2(_exact(two, near) / _exact(one, peak))))
    return found


def _partials(sound: Audio) -> NDArray[np.float64]:
    """Nepers [bins] of a windowed piece."""
    return np.log(np.abs(np.fft.rfft(sound * np.hanning(len(sound)), PITCH_SIZE)) + 1e-9)


def _steady(sound: Audio, peak: int) -> bool:
    """Whether both halves of a sound have a partial about this bin at the same place."""
    found = []
    for half in np.array_split(sound, 2):
        levels = _partials(half)
        near = peak - 60 + int(levels[peak - 60 : peak + 61].argmax())
        found.append(_exact(levels, near))
    return abs(1200 * float(np.log2(found[0] / found[1]))) < STEADY_CENTS


def _exact(levels: NDArray[np.float64], peak: int) -> float:
    """The bin of a peak and how far beside it the parabola through three bins has its top."""
    a, b, c = levels[peak - 1 : peak + 2]
    return float(peak + 0.5 * (a - c) / min(a - 2 * b + c, -1e-9))


def silent_levels(guide: Audio, new: Audio) -> list[float]:
    """dBFS of the blocks of a matched stem before and in which its guide has been silent."""
    step = round(BLOCK_SECONDS * RATE)
    count = guide.shape[1] // step
    levels = [
        10
        * np.log10(np.square(a[:, : count * step].reshape(2, count, step), dtype=np.float64).mean(axis=(0, 2)) + 1e-12)
        for a in (guide, new)
    ]
    quiet = levels[0] < SILENT_DB
    run = np.convolve(quiet, np.ones(QUIET_BLOCKS), mode="full")[:count] >= QUIET_BLOCKS
    return [float(x) for x in levels[1][run]]
