"""Random song forms for training: labels, lengths, energies, bars."""

from __future__ import annotations

import numpy as np

from bridge.arrangement import LABEL_ENERGY
from bridge.timeline import Bar, Metre
from engine.score import FormSection

FORMS = (
    "intro verse chorus verse chorus bridge chorus outro",
    "intro verse pre-chorus chorus verse pre-chorus chorus bridge chorus outro",
    "verse chorus verse chorus",
    "intro verse verse chorus verse chorus solo chorus outro",
    "intro verse chorus interlude verse chorus break chorus chorus outro",
    "verse verse bridge verse",
    "intro drop break drop outro",
    "intro verse chorus post-chorus verse chorus post-chorus bridge chorus",
    "chorus verse chorus verse chorus outro",
    "intro verse solo verse outro",
)
SHORT = ("intro", "pre-chorus", "post-chorus", "break", "interlude", "outro")


def random_form(metre: Metre, rng: np.random.Generator) -> tuple[FormSection, ...]:
    """Sections one after the other from beat 0. Sections of one label mostly have one length."""
    labels = FORMS[int(rng.integers(len(FORMS)))].split()
    if rng.random() < 0.35:
        first = int(rng.integers(len(labels)))
        labels = labels[first : first + int(rng.integers(1, 5))]
    lengths: dict[str, int] = {}
    energies: dict[str, float] = {}
    seen: dict[str, int] = {}
    out: list[FormSection] = []
    bar = 0
    for label in labels:
        if label not in lengths:
            options, odds = (
                ((2, 4, 8), (0.2, 0.6, 0.2)) if label in SHORT else ((4, 8, 12, 16), (0.15, 0.65, 0.05, 0.15))
            )
            lengths[label] = int(rng.choice(options, p=odds)) + (int(rng.integers(-1, 3)) if rng.random() < 0.05 else 0)
            energies[label] = float(np.clip(LABEL_ENERGY[label] + rng.normal(0, 0.12), 0.05, 0.99))
        count = max(1, lengths[label] * (2 if rng.random() < 0.05 else 1))
        width = metre.bar_beats
        bars = tuple(Bar(bar + i, (bar + i) * width, (bar + i + 1) * width, metre) for i in range(count))
        energy = float(np.clip(energies[label] + rng.normal(0, 0.03) + 0.04 * seen.get(label, 0), 0.0, 1.0))
        index = seen.get(label, 0)
        out.append(FormSection(f"{label} {index + 1}", label, bars[0].start, bars[-1].end, energy, index, bars))
        seen[label] = index + 1
        bar += count
    return tuple(out)
