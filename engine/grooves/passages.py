"""Which bars of a song play which level: by its markers, or by what the drums repeat.

With markers, a section is a passage of its label's level; sections called fill, stop or pick-up are such bars. Without
any, bars whose drums are alike are one kind: the commonest two are verse and chorus (the busier one), single bars of no
kind between them are fills, and a last one is the ending.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from bridge.arrangement import Section
from bridge.timeline import Bar
from engine.grooves.learn import Passage
from engine.score import Note

LEVEL_OF = {
    "intro": "intro", "verse": "verse", "pre-chorus": "verse", "chorus": "chorus", "post-chorus": "chorus",
    "drop": "chorus", "solo": "chorus", "bridge": "bridge", "interlude": "bridge", "break": "bridge", "outro": "ending",
}  # fmt: skip
KINDS = (("stop", r"stops?"), ("pickup", r"pick ?ups?|auftakt|anacrusis"), ("fill", r"fills?"))
ALIKE = 0.7
"""Share of strokes that two bars have in common to be of one kind."""


def sections2passages(sections: Sequence[Section], bars: Sequence[Bar]) -> list[Passage]:
    """Passages of whole bars, as the markers name them."""
    found = []
    for section in sections:
        inside = tuple(b for b in bars if b.start >= section.start - 1e-6 and b.end <= section.end + 1e-6)
        if not inside:
            continue
        name = f" {re.sub(r'[^a-z]+', ' ', section.name.lower())} "
        kind = next((k for k, words in KINDS if re.search(rf" ({words}) ", name)), None)
        if kind:
            found.append(Passage(kind, inside[-1:]))
        else:
            level = LEVEL_OF.get(section.label, "verse")
            found.append(Passage(level, inside[-1:] if level == "ending" else inside))
    return found


def drums2passages(notes: Sequence[Note], bars: Sequence[Bar], per: int) -> list[Passage]:
    """Passages of whole bars, by what the drums repeat. Bars in which they rest belong to none."""
    strokes = [
        frozenset(
            (round((n.start - bar.start) * per), n.pitch)
            for n in notes
            if bar.start - 0.5 / per <= n.start < bar.end - 0.5 / per
        )
        for bar in bars
    ]
    kinds: list[int | None] = []
    models: list[frozenset[tuple[int, int]]] = []
    for row in strokes:
        near = [(_alike(row, model), -k) for k, model in enumerate(models)]
        best = max(near, default=(0.0, 0))
        if not row:
            kinds.append(None)
        elif best[0] >= ALIKE:
            kinds.append(-best[1])
        else:
            kinds.append(len(models))
            models.append(row)
    count = Counter(k for k in kinds if k is not None)
    lasting = {a for a, b in pairwise(kinds) if a is not None and a == b}
    common = [k for k, _ in count.most_common() if k in lasting][:2]
    size = {k: sum(len(r) for r, kind in zip(strokes, kinds, strict=True) if kind == k) / count[k] for k in count}
    level = dict(zip(sorted(common, key=lambda k: size[k]), ("verse", "chorus"), strict=False))
    names = [level.get(k, "") if k is not None else None for k in kinds]
    passages: list[Passage] = []
    for i, (name, bar) in enumerate(zip(names, bars, strict=True)):
        if name is None:
            continue
        if name == "":
            if i == len(bars) - 1:
                name = "ending"
            elif i and names[i - 1]:
                name = "fill"
            else:
                continue
        last = passages[-1] if passages else None
        if last and last.kind == name and name != "fill" and abs(last.end - bar.start) < 1e-6:
            passages[-1] = Passage(name, (*last.bars, bar))
        else:
            passages.append(Passage(name, (bar,)))
    return passages


def _alike(a: frozenset[tuple[int, int]], b: frozenset[tuple[int, int]]) -> float:
    return len(a & b) / max(1, len(a | b))
