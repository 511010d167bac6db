"""How long composing takes: `python -m tests.benchmarks.composing [--repeats N]`. Judges nothing, prints a table.

A song of 90 bars on seven token streams: the plan's (chords, two slots a bar) and the six of the parts model (drums,
bass, comp, pad, arp, lead) on 1,440 steps. Second guitars and other doubles are derived from these and cost no network.
Wall times are of one process on this machine, as they come; CPU times say what the work itself needs.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bridge.arrangement import LABEL_ENERGY
from bridge.timeline import Bar, Metre
from engine.compose.writers import STEPS
from engine.diffusion.canvas import STREAMS, Canvas
from engine.diffusion.parts import PartsModel, fill_parts, fill_parts_often
from engine.grooves import groove
from engine.lelm.plan import BATCH, PlanModel, PlanWish, write_plans
from engine.score import FormSection, Key
from engine.training.songs import play

FORM = (("intro", 6), ("verse", 16), ("chorus", 16), ("verse", 16), ("chorus", 16), ("bridge", 8), ("outro", 12))
TAKES = 4
WATCHED = ("encode", "_classes", "_draw_tokens", "recall_streams", "notes2tokens", "tokens2notes")


def form() -> tuple[FormSection, ...]:
    """The form of 90 bars of 4/4."""
    metre, out, bar = Metre(0.0, 4, 4), [], 0
    for label, count in FORM:
        bars = tuple(Bar(i, 4.0 * i, 4.0 * i + 4.0, metre) for i in range(bar, bar + count))
        index = sum(s.label == label for s in out)
        out.append(FormSection(label, label, bars[0].start, bars[-1].end, LABEL_ENERGY[label], index, bars))
        bar += count
    return tuple(out)


def wishes(count: int) -> list[PlanWish]:
    """So many takes of one question."""
    return [PlanWish(form(), Key(9, "minor"), (), seed) for seed in range(count)]


def canvas(plan: PlanModel) -> Canvas:
    """The song as its groove plays it, all given."""
    sections, key = form(), Key(9, "minor")
    chords = write_plans(plan, wishes(1))[0]
    playing = np.ones((len(sections), len(STREAMS)), dtype=bool)
    pop = groove("pop")
    notes, _ = play(pop, sections, chords, key, playing, np.random.default_rng(1), with_fills=True)
    given = np.ones((sum(len(s.bars) for s in sections), len(STREAMS)), dtype=bool)
    return Canvas(sections, chords, key, pop.steps_per_quarter, notes, given)


def seeds_only(song: Canvas) -> Canvas:
    """Two bars per label given."""
    given, done, first = np.zeros_like(song.given), set(), 0
    for section in song.sections:
        if section.label not in done:
            given[first : first + 2] = True
            done.add(section.label)
        first += len(section.bars)
    return replace(song, given=given)


def hole(song: Canvas) -> Canvas:
    """Bars 39-42 of the bass hidden."""
    given = song.given.copy()
    given[38:42, STREAMS.index("bass")] = False
    return replace(song, given=given)


def timed(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """(least wall seconds, least CPU seconds) of some repeats; the first run is for warming up."""
    work()
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return min(walls), min(cpus)


def profile(work: Callable[[], object]) -> list[tuple[str, int, float]]:
    """(function, calls, seconds with what it calls) of the watched functions."""
    seen = cProfile.Profile()
    seen.runcall(work)
    rows: dict[str, tuple[int, float]] = {}
    for (_, _, name), (_, calls, _, total, _) in pstats.Stats(seen).stats.items():  # type: ignore[attr-defined]
        if name in WATCHED:
            before = rows.get(name, (0, 0.0))
            rows[name] = before[0] + calls, before[1] + total
    return [(name, *rows[name]) for name in WATCHED if name in rows]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    plan, parts = PlanModel.load(), PartsModel.load()
    song = canvas(plan)
    whole, bars = seeds_only(song), hole(song)
    rows: list[tuple[str, Callable[[], object]]] = [
        ("plan, 90 bars", lambda: write_plans(plan, wishes(1))),
        (f"plan, {BATCH} takes", lambda: write_plans(plan, wishes(BATCH))),
        ("six streams, 90 bars", lambda: fill_parts(parts, whole, steps=STEPS, seed=1)),
        (f"six streams, {TAKES} takes", lambda: fill_parts_often(parts, whole, steps=STEPS, seeds=range(TAKES))),
        ("four bars of the bass", lambda: fill_parts(parts, bars, steps=STEPS, seed=1)),
        (f"four bars, {TAKES} takes", lambda: fill_parts_often(parts, bars, steps=STEPS, seeds=range(TAKES))),
    ]
    print(f"{STEPS} unmasking steps, {song.grid.steps} grid steps; least of {repeats}")
    print(f"{'':28}{'wall s':>9}{'CPU s':>9}")
    for name, work in rows:
        print(f"{name:28}{{:9.3f}}{{:9.3f}}".format(*timed(work, repeats)), flush=True)
    for title, work in (rows[2], rows[4]):
        print(f"\nwhere the time goes: {title}")
        for name, calls, seconds in profile(work):
            print(f"  {name:20}{calls:6} calls{seconds:9.3f} s")


if __name__ == "__main__":
    main()
