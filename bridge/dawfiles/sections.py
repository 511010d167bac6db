"""Sections from what a song's file says of its form: its markers, or, without any, how much is played where."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from bridge.arrangement import Section
from bridge.labels import name2label
from bridge.midinotes import SmfNote

SECTION_BARS = 8
MARKER_SNAP = 0.25
"""A marker within a sixteenth of a bar line is meant to be on it (beats)."""


def markers2sections(
    markers: Sequence[tuple[float, str]],
    lines: Sequence[float],
    end: float,
    *,
    first: float | None = 0.0,
    closing: Sequence[str] = (),
) -> tuple[Section, ...]:
    """Sections that begin at `markers` (beat, name) and last to the next one; () when there are none.

    `lines`: the beats where bars begin; `end`: the beat where the last one ends. Markers less than a bar apart are
    one. What is played from beat `first` on before the first marker is an intro (None: nothing is). Markers whose
    name is in `closing`, case aside, end a section and begin none. Labels come from `bridge.labels`, "verse" where a
    name says nothing.
    """
    starts: list[tuple[float, str]] = []
    stops: list[float] = []
    ends = [*lines[1:], end]
    for beat, name in markers:
        if beat >= end - MARKER_SNAP or not lines:
            continue
        bar = max(0, bisect_right(lines, beat) - 1)
        line = lines[bar] if beat - lines[bar] <= ends[bar] - beat else ends[bar]
        at = line if abs(line - beat) <= MARKER_SNAP else beat
        if name.casefold() in closing:
            stops.append(at)
        elif at < end and (not starts or at - starts[-1][0] >= ends[bar] - lines[bar]):
            starts.append((at, name))
    if not starts:
        return ()
    if first is not None and starts[0][0] > first + MARKER_SNAP:
        starts.insert(0, (lines[max(0, bisect_right(lines, first) - 1)], "Intro"))
    found = []
    for (start, name), after in zip(starts, [*(beat for beat, _ in starts[1:]), end], strict=True):
        stop = min([after, *(beat for beat in stops if beat > start)])
        found.append(Section(name, name2label(name) or "verse", start, stop))
    return tuple(found)


def played2sections(notes: Sequence[SmfNote], lines: Sequence[float], end: float) -> tuple[Section, ...]:
    """Sections of eight bars, labelled by how much is played in them (sum of velocities, per beat).

    Chorus where at least a tenth more is played than on average, intro and outro at the ends where less than half of
    the average is, verse otherwise. A last section of fewer than four bars joins the one before.
    """
    starts = list(lines[::SECTION_BARS])
    if len(starts) > 1 and len(lines) - (len(starts) - 1) * SECTION_BARS < SECTION_BARS // 2:
        starts.pop()
    stops = [*starts[1:], end]
    busy = [0.0] * len(starts)
    for note in notes:
        busy[max(0, bisect_right(starts, note.start) - 1)] += note.velocity
    busy = [much / (stop - start) for much, start, stop in zip(busy, starts, stops, strict=True)]
    mean = sum(busy) / len(busy)
    labels = ["chorus" if much > 0 and much >= 1.1 * mean else "verse" for much in busy]
    if len(labels) > 2:
        for i, label in ((0, "intro"), (-1, "outro")):
            labels[i] = label if busy[i] < 0.5 * mean else labels[i]
    names = [f"{label.capitalize()} {labels[: i + 1].count(label)}" for i, label in enumerate(labels)]
    return tuple(
        Section(name if labels.count(label) > 1 else label.capitalize(), label, start, stop)
        for name, label, start, stop in zip(names, labels, starts, stops, strict=True)
    )


def regions2sections(regions: Sequence[tuple[float, float, str, str]]) -> tuple[tuple[Section, ...], tuple[str, ...]]:
    """Sections from regions (start, end, name, label or "") and remarks on what could not be taken as it stands.

    A region around others (the whole song) is left out; of two that overlap the first ends where the second begins.
    """
    remarks: list[str] = []
    kept: list[tuple[float, float, str, str]] = []
    ordered = sorted(set(regions), key=lambda r: (r[0], r[1]))
    for region in ordered:
        start, end, name, _ = region
        inside = [r for r in ordered if r is not region and start - 1e-6 <= r[0] and r[1] <= end + 1e-6]
        if any(r[1] - r[0] < end - start - 1e-6 for r in inside):
            remarks.append(f'the region "{name}" holds others and is no section of its own.')
        elif not kept or start > kept[-1][0] + 1e-6:
            kept.append(region)
    sections: list[Section] = []
    for i, (start, end, name, label) in enumerate(kept):
        after = kept[i + 1] if i + 1 < len(kept) else None
        stop = end if after is None else min(end, after[0])
        if stop < end - 1e-6 and after is not None:
            remarks.append(f'the region "{name}" ends where "{after[2]}" begins.')
        title = name.strip()[:200] or f"Section {len(sections) + 1}"
        sections.append(Section(title, label or name2label(name) or "verse", start, stop))
    return tuple(sections), tuple(remarks)
