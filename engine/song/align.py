"""Which bars of a song are which section of the arrangement, and from that which second goes where.

A model of songs is told the sections' order, not their lengths. The division is found by dynamic programming over the
song's bar lines: it likes the wanted numbers of pulses, changes of the sound where sections meet, voice where there are
lyrics. A section that came too long loses whole bars, without voice where there are such; one that came too short has
its last bars again, for the accompaniment alone. Pulse falls on pulse, so the tempo is the clock's everywhere.

Conventions: seconds; `source` in the song, `target` from the take's first sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.song.wanted import Wanted

Floats = NDArray[np.float64]

LENGTH_WEIGHT, CHANGE_WEIGHT, VOICE_WEIGHT = 1.2, 0.8, 1.5
UNEVEN = 0.1
"""What any difference from the wanted length costs besides its logarithm."""
MISSING, ENDED = 4.0, 1.5
"""What a section costs that the song does not have: in its middle, and after its end."""
UNUSED, SKIPPED = 0.02, 0.15
"""What each bar costs that is left over at the end, and before the first section."""
MAX_SKIPPED = 8
AROUND = 2
"""Bars to each side that a change of the sound is measured over."""


@dataclass(frozen=True)
class Heard:
    """What was heard of a song: `pulses` [N + 1] seconds from the first to the end of the last that sounds, `bars` [B +
    1] indices into them, `voice` [B] share of each bar that is sung, 0-1, `change` [B + 1] how much the sound changes
    at each bar line, 0-1."""

    pulses: Floats
    bars: NDArray[np.int64]
    voice: Floats
    change: Floats


@dataclass(frozen=True)
class Run:
    """A stretch that goes over as it is: second `source[i]` falls on `target[i]`. Without `voice` the voice rests."""

    source: Floats
    target: Floats
    voice: bool = True


@dataclass(frozen=True)
class Aligned:
    """`runs` in order of their targets; `first_bars` [S + 1] the bar line at which each wanted stretch begins, and the
    end; `remarks` for the user; `lost`: names of sections that the song does not have."""

    runs: tuple[Run, ...]
    first_bars: tuple[int, ...]
    remarks: tuple[str, ...]
    lost: tuple[str, ...]


def align(heard: Heard, wanted: Sequence[Wanted]) -> Aligned:
    """The best division of the song, and the time map that it means."""
    lines = divide(heard, wanted)
    runs: list[Run] = []
    remarks, lost = [], []
    for stretch, first, last in zip(wanted, lines, lines[1:], strict=False):
        if stretch.gap:
            continue
        if first == last:
            lost.append(stretch.name)
            continue
        made, remark = _section2runs(heard, stretch, first, last)
        runs += made
        if remark:
            remarks.append(remark)
    if lost:
        names = ", ".join(f'"{name}"' for name in lost)
        remarks.append(f"the song ends before {names}: nothing sounds there.")
    return Aligned(tuple(_joined(runs)), tuple(lines), tuple(remarks), tuple(lost))


def divide(heard: Heard, wanted: Sequence[Wanted]) -> list[int]:
    """[S + 1] bar lines at which the wanted stretches begin, and where the last one ends."""
    count = len(heard.bars) - 1
    sung = np.concatenate([[0.0], np.cumsum(heard.voice)])
    costs = np.full((len(wanted) + 1, count + 1), np.inf)
    back = np.zeros((len(wanted) + 1, count + 1), np.int64)
    skipped = min(MAX_SKIPPED, count)
    costs[0, : skipped + 1] = SKIPPED * np.arange(skipped + 1)
    ends = np.arange(count + 1)
    for s, stretch in enumerate(wanted):
        for first in range(count + 1):
            if not np.isfinite(costs[s, first]):
                continue
            last = ends[first:]
            price = costs[s, first] + _price(heard, stretch, sung, first, last)
            better = price < costs[s + 1, first:]
            costs[s + 1, first:][better] = price[better]
            back[s + 1, first:][better] = first
    final = costs[-1] + UNUSED * (count - ends)
    lines = [int(final.argmin())]
    for s in range(len(wanted), 0, -1):
        lines.append(int(back[s, lines[-1]]))
    return lines[::-1]


def _price(heard: Heard, stretch: Wanted, sung: Floats, first: int, last: NDArray[np.int64]) -> Floats:
    """[len(last)] what the stretch costs from bar line `first` to each of `last`."""
    bars = last - first
    pulses = (heard.bars[last] - heard.bars[first]).astype(float)
    if stretch.gap:
        return np.asarray(0.1 * bars, dtype=np.float64)
    out = np.full(len(last), ENDED if first == len(heard.voice) else MISSING)
    some = pulses > 0
    ratio = np.abs(np.log2(pulses[some] / stretch.count))
    voice = (sung[last[some]] - sung[first]) / bars[some]
    unlike = 1.0 - voice if stretch.sings else voice
    out[some] = LENGTH_WEIGHT * ratio + UNEVEN * (ratio > 1e-9) + VOICE_WEIGHT * unlike
    out[some] -= CHANGE_WEIGHT * heard.change[last[some]]
    return np.asarray(out)


def _section2runs(heard: Heard, stretch: Wanted, first: int, last: int) -> tuple[list[Run], str]:
    """The section's bars on its pulses: all, some left out, or some again."""
    here = np.arange(heard.bars[first], heard.bars[last])
    surplus = len(here) - stretch.count
    if surplus == 0:
        return [_run(heard, here, stretch, 0)], ""
    came = f'"{stretch.name}" came as {len(here)} beats instead of {stretch.count}'
    if surplus > 0:
        cut = _quietest(heard, here, surplus)
        kept = [here[:cut], here[cut + surplus :]]
        runs, at = [], 0
        for part in kept:
            if len(part):
                runs.append(_run(heard, part, stretch, at))
                at += len(part)
        return runs, f"{came}: {surplus} of them were left out."
    lacking = -surplus
    runs, at = [_run(heard, here, stretch, 0)], len(here)
    while lacking:
        part = here[-min(lacking, len(here)) :]
        runs.append(_run(heard, part, stretch, at, voice=False))
        at, lacking = at + len(part), lacking - len(part)
    return runs, f"{came}: the last ones are heard again, without the voice."


def _run(heard: Heard, pulses: NDArray[np.int64], stretch: Wanted, at: int, voice: bool = True) -> Run:
    index = np.append(pulses, pulses[-1] + 1)
    return Run(heard.pulses[index], stretch.pulses[at : at + len(index)], voice)


def _quietest(heard: Heard, here: NDArray[np.int64], surplus: int) -> int:
    """Where in the section `surplus` pulses are left out: at a bar line, with the least voice, late if equal."""
    starts = [int(i) for i in np.flatnonzero(np.isin(here, heard.bars)) if i + surplus <= len(here)]
    starts = [i for i in starts if i > 0] or [len(here) - surplus]
    bar = np.clip(np.searchsorted(heard.bars, here, side="right") - 1, 0, len(heard.voice) - 1)
    sung = heard.voice[bar]
    return min(reversed(starts), key=lambda i: round(float(sung[i : i + surplus].mean()), 2))


def _joined(runs: Sequence[Run]) -> list[Run]:
    """Runs that follow each other in song and clock, as one."""
    out: list[Run] = []
    for run in runs:
        before = out[-1] if out else None
        if before is None or before.voice != run.voice:
            out.append(run)
        elif abs(before.source[-1] - run.source[0]) < 1e-9 and abs(before.target[-1] - run.target[0]) < 1e-6:
            source, target = (
                np.concatenate([a[:-1], b]) for a, b in ((before.source, run.source), (before.target, run.target))
            )
            out[-1] = Run(source, target, run.voice)
        else:
            out.append(run)
    return out
