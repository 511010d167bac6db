"""`python -m engine.selfcheck`: opens the shipped sounds and weights; says as JSON what works (`doctor` asks)."""

from __future__ import annotations

import json
from collections.abc import Callable


def open_sounds() -> str:
    """The shipped instruments and kits."""
    from engine.sampler import Bank

    Bank.open()
    return "open"


def open_plan() -> str:
    """LeLM's plan weights."""
    from engine.lelm.plan import PlanModel

    PlanModel.load()
    return "open"


def open_parts() -> str:
    """The weights of the masked diffusion that writes the parts."""
    from engine.diffusion.parts import PartsModel

    PartsModel.load()
    return "open"


CHECKS: tuple[tuple[str, Callable[[], str]], ...] = (
    ("sounds", open_sounds),
    ("weights: plan", open_plan),
    ("weights: parts", open_parts),
)


def main() -> None:
    """Prints [[what, ok, detail], ...]."""
    findings: list[tuple[str, bool, str]] = []
    for what, check in CHECKS:
        try:
            findings.append((what, True, check()))
        except Exception as problem:  # whatever is broken here is what the user wants to read
            findings.append((what, False, f"{type(problem).__name__}: {problem}"))
    print(json.dumps(findings))


if __name__ == "__main__":
    main()
