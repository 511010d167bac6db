"""What conforming lets through: `python -m tests.benchmarks.conform [--roles ROLE ...] [--swells | --content]`.

Every adversary in every role and tempo, one line each: the role, what the renderer did, the verdict, the median and
99th percentile of |onset - score| in ms by the engine's checks before and after, the greatest move, seconds taken.
"off": a take refuses it, since the checks of the finished stem find it out of bounds. Then for each role and each kind
of rendering how many were let through; what is wrong and landed, or landed off the grid; what is right and was refused.

`--swells`: only sounds that swell, each by several instruments. `--content`: bars in another order, and the right ones,
by many instruments: how many landed. The whole takes minutes: `--roles` does a part of it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence

import numpy as np

from engine.conform import conform, guide2target
from engine.conform.fit import to_length
from engine.sampler import render_part
from engine.sampler.choose import candidates
from engine.score import Part
from tests.engine.conform.adversaries import BARS_MOVED, GOOD, HOPELESS, PITCHED, REPAIRABLE
from tests.engine.conform.judge import checked
from tests.engine.conform.material import ALL_ROLES, CLOCKS, RATE, Audio, Song, bank, make_song
from tests.engine.conform.swells import ANSWERS, WRONG, off_by, swelling, target_of

KINDS = {"right": GOOD, "nearly right": REPAIRABLE, "wrong": HOPELESS}
MEDIAN_MS, P99_MS, FEW = 2.0, 10.0, 8
PLAYERS, BARS = 6, 8
"""Instruments of each role, and bars, that `--content` plays."""


def onsets(song: Song, audio: Audio) -> tuple[str, bool]:
    """(figures, whether they are within the bounds)."""
    errors = checked(song, audio)
    if len(errors) < FEW:
        return "-", True
    median, p99 = float(np.median(errors)), float(np.percentile(errors, 99))
    return f"{median:.1f}/{p99:.1f}", median <= MEDIAN_MS and p99 <= P99_MS


def swells(roles: Sequence[str]) -> int:
    """Prints a line for each answer and the counts for each role; 1 where something off the grid landed."""
    landed = 0
    for role, answers in ANSWERS.items():
        if role not in roles:
            continue
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


def content(roles: Sequence[str]) -> int:
    """Prints what landed of bars in another order, and what was refused of the right ones; 1 where a wrong one did."""
    landed = 0
    for role in roles:
        if role == "drums":
            continue
        song = make_song(role, "120", bars=BARS)
        target = guide2target(song.guide, song.bars, song.onsets, RATE, drums=False)
        players = candidates(bank(), role)
        let: Counter[str] = Counter()
        lost: Counter[str] = Counter()
        chosen = players[:: max(1, len(players) // PLAYERS)]
        for player in chosen:
            for name, change in BARS_MOVED.items():
                notes = tuple(sorted(map(change, song.part.notes), key=lambda n: (n.start, n.pitch)))
                part, samples = Part(role, role, notes), song.guide.shape[1]
                audio = render_part(bank(), part, player, song.clock, RATE, 0, samples, 0, lambda fraction: None)
                fitted = conform(audio, target)
                let[name] += fitted.audio is not None
                lost["" if fitted.audio is not None else fitted.faults[0]] += name == "in place"
                if (fitted.audio is None) == (name == "in place"):
                    print(f"{role:9}{player.name:24}{name:18}", *(fitted.faults or ("landed",)))
        print(f"{role}: of {len(chosen)} instruments landed", ", ".join(f"{n} {name}" for name, n in let.items()))
        landed += sum(n for name, n in let.items() if name != "in place")
    return int(landed > 0)


def print_counts(roles: Sequence[str], landed: Counter[tuple[str, str]], tried: Counter[tuple[str, str]]) -> None:
    """Of every rendering in every role: let through / tried; nothing of what is wrong may land."""
    print(f"{'let through of':22}" + "".join(f"{role:>8}" for role in roles))
    for kind, group in KINDS.items():
        rows = {name: [(landed[name, role], tried[name, role]) for role in roles] for name in group}
        for name, row in rows.items():
            print(f"{name:22}" + "".join(f"{f'{a}/{n}' if n else '-':>8}" for a, n in row))
        let, all_of = (sum(pair[k] for row in rows.values() for pair in row) for k in (0, 1))
        print(f"{kind}: {let} of {all_of} let through")


def adversaries(roles: Sequence[str]) -> int:
    """Prints the table; 1 where something wrong landed."""
    wrong: list[str] = []
    refused: list[str] = []
    count = {"as it is": 0, "repaired": 0, "off": 0, "refused": 0}
    landed: Counter[tuple[str, str]] = Counter()
    tried: Counter[tuple[str, str]] = Counter()
    print(f"{'role':7}{'tempo':6}{'rendering':22}{'verdict':10}{'before':>11}{'after':>11}{'moved':>8}{'s':>6}  reason")
    for role in roles:
        for clock in CLOCKS:
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
                        f"{role:7}{clock:6}{name:22}{verdict:10}{before:>11}{after:>11}{moved:>8}{seconds:6.2f}  ",
                        reason,
                        sep="",
                    )
                    if lands == (kind == "wrong"):
                        told = f"{role} {clock} {name}: {verdict} {after} {reason}"
                        (wrong if lands else refused).append(told)
    print(", ".join(f"{number} {verdict}" for verdict, number in count.items()))
    print_counts(roles, landed, tried)
    print("\n".join(["wrong, and landed:", *wrong]) if wrong else "nothing wrong landed, nothing landed off the grid")
    print("\n".join(["right, and refused:", *refused]) if refused else "nothing right was refused")
    return 1 if wrong else 0


def main() -> int:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--roles", nargs="+", metavar="ROLE", help="only these")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--swells", action="store_true", help="sounds that swell")
    kinds.add_argument("--content", action="store_true", help="bars in another order")
    options = parser.parse_args()
    known = tuple(ANSWERS) if options.swells else ALL_ROLES
    unknown = set(options.roles or ()) - set(known)
    if unknown:
        parser.error(f"no such role here: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    roles = options.roles or known
    return swells(roles) if options.swells else content(roles) if options.content else adversaries(roles)


if __name__ == "__main__":
    sys.exit(main())
