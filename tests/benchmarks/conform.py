"""`python -m tests.benchmarks.conform [--swells]`: every adversary in every role and tempo, what became of it.

One line each: the role, what the renderer did, the verdict, the median and 99th percentile of |onset - score| in ms by
the engine's checks before and after, the greatest move, seconds taken. "off": a take would refuse it, since the checks
of the finished stem find it out of bounds. Then for each role and each kind of rendering how many were let through, and
what was wrong, if anything: something off the grid was let through, or something good was refused. `--swells`: only
sounds that swell, each by several instruments; how many of what is wrong landed, and how many of what is right did not,
by role.
"""

from __future__ import annotations

import sys
import time
from collections import Counter

import numpy as np

from engine.conform import conform, guide2target
from engine.conform.fit import to_length
from tests.engine.conform.adversaries import GOOD, HOPELESS, PITCHED, REPAIRABLE
from tests.engine.conform.judge import checked
from tests.engine.conform.material import ALL_ROLES, CLOCKS, RATE, Audio, Song, make_song
from tests.engine.conform.swells import ANSWERS, WRONG, off_by, swelling, target_of

KINDS = {"right": GOOD, "nearly right": REPAIRABLE, "wrong": HOPELESS}
MEDIAN_MS, P99_MS, FEW = 2.0, 10.0, 8


def onsets(song: Song, audio: Audio) -> tuple[str, bool]:
    """(figures, whether they are within the bounds)."""
    errors = checked(song, audio)
    if len(errors) < FEW:
        return "-", True
    median, p99 = float(np.median(errors)), float(np.percentile(errors, 99))
    return f"{median:.1f}/{p99:.1f}", median <= MEDIAN_MS and p99 <= P99_MS


def swells() -> int:
    """Prints a line for each answer and the counts for each role; 1 where something off the grid landed."""
    landed = 0
    for role, answers in ANSWERS.items():
        right = refused = wrong = let = 0
        for words in answers:
            song = swelling(role, words)
            row = []
            for name, change in {"on time": np.copy, **WRONG}.items():
                fitted = conform(change(song.guide), target_of(role))
                if fitted.audio is None:
                    row.append(f"{name}: {fitted.faults[0]}")
                else:
                    off = float(np.abs(off_by(song.bars, song.guide, fitted.audio)).max())
                    row.append(f"{name}: landed {off:.0f} ms off")
                    let += name in WRONG
                right, wrong = right + (name not in WRONG), wrong + (name in WRONG)
                refused += name not in WRONG and fitted.audio is None
            print(f"{role:9}{words:16}", " | ".join(row))
        print(f"{role}: {let} of {wrong} that are wrong landed, {refused} of {right} that are right were refused")
        landed += let
    return int(landed > 0)


def print_counts(landed: Counter[tuple[str, str]], tried: Counter[tuple[str, str]]) -> None:
    """Of every rendering in every role: let through / tried; nothing of what is wrong may land."""
    print(f"{'let through of':22}" + "".join(f"{role:>8}" for role in ALL_ROLES))
    for kind, group in KINDS.items():
        rows = {name: [(landed[name, role], tried[name, role]) for role in ALL_ROLES] for name in group}
        for name, row in rows.items():
            print(f"{name:22}" + "".join(f"{f'{a}/{n}' if n else '-':>8}" for a, n in row))
        let, all_of = (sum(pair[k] for row in rows.values() for pair in row) for k in (0, 1))
        print(f"{kind}: {let} of {all_of} let through")


def main() -> int:
    """Prints the table; 1 where something is wrong."""
    if "--swells" in sys.argv:
        return swells()
    wrong: list[str] = []
    count = {"as it is": 0, "repaired": 0, "off": 0, "refused": 0}
    landed: Counter[tuple[str, str]] = Counter()
    tried: Counter[tuple[str, str]] = Counter()
    print(f"{'role':6}{'tempo':6}{'rendering':22}{'verdict':10}{'before':>11}{'after':>11}{'moved':>8}{'s':>6}  reason")
    for clock in CLOCKS:
        for role in ALL_ROLES:
            song = make_song(role, clock)
            target = guide2target(song.guide, song.bars, song.onsets, RATE, drums=role == "drums")
            for kind, group in KINDS.items():
                for name, make in group.items():
                    if role == "drums" and name in PITCHED:
                        continue
                    audio = make(song)
                    started = time.perf_counter()
                    fitted = conform(audio, target)
                    seconds = time.perf_counter() - started
                    before, _ = onsets(song, np.nan_to_num(to_length(audio, song.guide.shape[1])))
                    after, good = ("-", True) if fitted.audio is None else onsets(song, fitted.audio)
                    touched = fitted.warp_ms > 0.0 or abs(fitted.gain_db) > 0.5
                    lands = fitted.audio is not None and good
                    verdict = "repaired" if touched else "as it is"
                    verdict = "refused" if fitted.audio is None else verdict if good else "off"
                    count[verdict] += 1
                    tried[name, role] += 1
                    landed[name, role] += lands
                    moved = f"{fitted.warp_ms:.1f}" if fitted.warp_ms else ""
                    reason = fitted.faults[0] if fitted.faults else ""
                    print(
                        f"{role:6}{clock:6}{name:22}{verdict:10}{before:>11}{after:>11}{moved:>8}{seconds:6.2f}  ",
                        reason,
                        sep="",
                    )
                    if lands == (kind == "wrong"):
                        wrong.append(f"{role} {clock} {name}: {verdict} {after} {reason}")
    print(", ".join(f"{number} {verdict}" for verdict, number in count.items()))
    print_counts(landed, tried)
    print("\n".join(["wrong:", *wrong]) if wrong else "nothing off the grid was let through, nothing right was refused")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
