"""What an edit's scope covers: stretches of beats, whole sections or the bars of them that it is narrowed to."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.errors import RequestError
from bridge.messages import Scope
from engine.score import FormSection

EPS = 1e-6


def scope2spans(scope: Scope, sections: Sequence[FormSection]) -> tuple[tuple[float, float], ...]:
    """Spans (start, end) in beats, in order, neighbours made one.

    `sections` are the edited take's. `start` and `end` of the scope are widened to the bars that they touch, so that no
    bar is half old. Raises `RequestError` where no bar is left.
    """
    spans: list[tuple[float, float]] = []
    for section in sections:
        if scope.sections and section.name not in scope.sections:
            continue
        if scope.start is None and scope.end is None:
            spans.append((section.start, section.end))
        else:
            spans += [(bar.start, bar.end) for bar in section.bars if _touched(scope, bar.start, bar.end)]
    if not spans:
        raise RequestError(
            "scope.empty",
            "the selection touches no bar of the sections that shall be written anew.",
            field="scope.start",
            hint="Select bars of the take.",
        )
    return joined(spans)


def joined(spans: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Spans in order, those that touch made one."""
    out: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if out and start <= out[-1][1] + EPS:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((start, end))
    return tuple(out)


def within(beat: float, spans: Sequence[tuple[float, float]]) -> bool:
    """Whether a note that starts at `beat` belongs to one of the spans."""
    return any(start - EPS <= beat < end - EPS for start, end in spans)


def _touched(scope: Scope, start: float, end: float) -> bool:
    after = scope.start is None or end > scope.start + EPS
    before = scope.end is None or start < scope.end - EPS
    return after and before
