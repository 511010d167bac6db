"""What the composer's table says, in words: which anchors ours beats on which pairwise figure, and where it lies within
a tenth of the truth's own value."""

from __future__ import annotations

from collections.abc import Mapping

Row = dict[str, float | None]
OURS = ("ours: band", "ours: band, free", "ours: parts model")
BEATEN = ("copy previous bar", "copy previous, on the chords", "shuffled other song")
PAIRWISE = ("NLL", "onset F1", "pitch F1", "smg F1", "smg chroma", "smg groove", "smg onsets")
LESS_IS_BETTER = ("NLL",)
NEAR = ("tones bass", "tones comp", "tones pad", "tones arp", "tones lead", "groove", "dens ratio", "same lab")
"""Where ours shall lie within a tenth of the truth: chord tones per role, groove, density, likeness of sections."""
SHARE = 0.1


def beats(ours: Row, anchor: Row, column: str) -> bool | None:
    """Whether ours is better; None where one of them has no figure."""
    mine, theirs = ours.get(column), anchor.get(column)
    if mine is None or theirs is None:
        return None
    return mine < theirs if column in LESS_IS_BETTER else mine > theirs


def near(ours: Row, truth: Row, column: str) -> bool | None:
    """Whether ours lies within a tenth of the truth's own value."""
    mine, true = ours.get(column), truth.get(column)
    return None if mine is None or true is None else abs(mine - true) <= SHARE * abs(true)


def verdict(rows: Mapping[str, Row]) -> list[str]:
    """Lines for every row of ours that is there."""
    lines = []
    for name in (n for n in OURS if n in rows):
        lines += [_beats_line(name, rows[name], anchor, rows[anchor]) for anchor in BEATEN if anchor in rows]
        lines.append(_near_line(name, rows[name], rows["truth"]))
    return lines


def _beats_line(name: str, ours: Row, anchor_name: str, anchor: Row) -> str:
    roles = tuple(c for c in ours if c.startswith("pitch F1 "))
    judged = {c: beats(ours, anchor, c) for c in (*PAIRWISE, *roles)}
    won = [c for c, better in judged.items() if better]
    lost = [f"{c} {ours[c]:.2f} against {anchor[c]:.2f}" for c, better in judged.items() if better is False]
    said = f"{name} beats '{anchor_name}' on {', '.join(won) or 'nothing'}"
    return said + (f"; NOT on {', '.join(lost)}" if lost else "; on every pairwise figure")


def _near_line(name: str, ours: Row, truth: Row) -> str:
    judged = {c: near(ours, truth, c) for c in NEAR}
    there = [c for c, close in judged.items() if close]
    away = [f"{c} {ours[c]:.2f} (truth {truth[c]:.2f})" for c, close in judged.items() if close is False]
    said = f"{name} lies within {SHARE:.0%} of the truth on {', '.join(there) or 'nothing'}"
    return said + (f"; NOT on {', '.join(away)}" if away else "; everywhere")
