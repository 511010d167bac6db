"""Drawings as inline SVG: shapes as strings, escaped text, no dependency.

Conventions: units are CSS pixels; a drawing is as wide as its page allows and keeps its shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def drawing(width: float, height: float, shapes: Iterable[str], title: str) -> str:
    """An `<svg>` of shapes; `title` is read out where it is not seen."""
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(shapes)}</svg>'
    )


def box(x: float, y: float, width: float, height: float, kind: str, *, opacity: float = 1.0) -> str:
    """A filled rectangle; `kind` is its CSS class."""
    faint = "" if opacity >= 1.0 else f' opacity="{max(opacity, 0.0):.2f}"'
    size = f'width="{max(width, 0.0):.1f}" height="{max(height, 0.0):.1f}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size} class="{kind}"{faint}/>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def path(points: Sequence[tuple[float, float]], kind: str) -> str:
    """A line through points."""
    return f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" class="{kind}"/>'


def dot(x: float, y: float, radius: float, kind: str) -> str:
    """A filled circle."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" class="{kind}"/>'


def text(x: float, y: float, words: str, kind: str = "small", anchor: str = "start") -> str:
    """Text whose baseline is at `y`."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'
