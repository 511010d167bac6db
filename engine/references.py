"""What the references of a request say to the band: their styles, heard once, and the feel that is taken from them.

Tempo and key of a request stay; swing, timing and accents come from the reference as far as its weight says, where it
was heard clearly enough. What was taken over, and what was not, is told.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from bridge.arrangement import Reference
from bridge.messages import Render
from engine.listen.steps import unheard
from engine.listen.style import Style, file2style
from engine.report import Tick, part_of
from engine.score import BandTemplate, GrooveTemplate, Score
from engine.stages import StageCache, file2hash, kept_json, stage2key

SURE_SWING = 0.3
SURE_GROOVE = 0.25
"""Confidences from which a reference's swing and groove are taken over."""
EVEN = 0.53
"""A swing below this is even."""


@dataclass(frozen=True)
class Lessons:
    """What the references of a request teach: `templates`, the first that holds for a stem counting; `remarks` on what
    is taken over, `warnings` on what is not."""

    templates: tuple[GrooveTemplate, ...] = ()
    remarks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def reference2style(reference: Reference, stages: StageCache, tick: Tick = unheard) -> Style:
    """The style of the reference's clip, or of the stretch of it that is named; the same clip is heard once.

    Raises `RequestError` for a clip that cannot be heard, and what `tick` raises.
    """
    path = Path(reference.audio)
    try:
        heard = file2hash(path)
    except OSError:
        return file2style(path, reference.from_second, reference.seconds, tick)
    key = stage2key("style", heard, reference.from_second, reference.seconds)
    return kept_json(stages, key, Style, lambda: file2style(path, reference.from_second, reference.seconds, tick))


def references2lessons(request: Render, stages: StageCache, tick: Tick = unheard) -> Lessons:
    """What the request's references teach, the heaviest first, those for named stems before those for the whole band.
    Raises `RequestError` for a clip that cannot be heard, and what `tick` raises."""
    clock = request.arrangement.timeline()
    bpm = 60.0 * (clock.end - clock.start) / (clock.beat2second(clock.end) - clock.beat2second(clock.start))
    references = sorted(request.arrangement.references, key=lambda r: (not r.stems, -r.weight))
    shares = [part_of(tick, k / len(references), (k + 1) / len(references)) for k in range(len(references))]
    found = [
        style2lessons(reference2style(reference, stages, share), reference, bpm)
        for reference, share in zip(references, shares, strict=True)
    ]
    return Lessons(
        tuple(template for one in found for template in one.templates),
        tuple(dict.fromkeys(text for one in found for text in one.remarks)),
        tuple(dict.fromkeys(text for one in found for text in one.warnings)),
    )


def style2lessons(style: Style, reference: Reference, bpm: float) -> Lessons:
    """What one reference teaches a song of `bpm`: at most one template, none where nothing of it is clear enough."""
    name = Path(reference.audio).name
    swing, groove = style.swing, style.groove
    swings, grooves = swing.confidence >= SURE_SWING, groove.confidence >= SURE_GROOVE
    if not swings and not grooves:
        why = "no steady beat was heard in it" if style.beats.bpm is None else "it was not heard clearly enough"
        return Lessons(warnings=(f"The groove of {name} was not taken over: {why}.",))
    level = _level(style.beats.bpm or bpm, bpm)
    unit = swing.unit if swing.ratio < EVEN else _unit_at(swing.unit, level)
    bands = tuple(BandTemplate(b.band, _at(b.strength, level), _at(b.timing, level)) for b in groove.bands)
    template = GrooveTemplate(
        name,
        min(reference.weight, 1.0),
        reference.stems,
        swing.ratio if swings and unit else None,
        unit or 8,
        bands if grooves else (),
    )
    who = f" ({', '.join(reference.stems)})" if reference.stems else ""
    taken = [_swing2words(template.swing, template.swing_unit)] if template.swing is not None else []
    taken += ["accents and timing"] if grooves else []
    remarks = (f"From {name} the band{who} takes {' and '.join(taken)}; tempo and key stay yours.",) if taken else ()
    warnings = []
    if template.swing is None:
        warnings.append(f"The swing of {name} was not taken over: it was not heard clearly enough at this tempo.")
    if not grooves:
        warnings.append(f"Accents and timing of {name} were not taken over: its bars do not agree on them.")
    return Lessons((template,) if taken else (), remarks, tuple(warnings))


def _level(heard: float, wanted: float) -> int:
    """-1, 0 or 1: the metrical level on which a clip of `heard` bpm is nearest to `wanted`: at half its tempo, at its
    own, at twice its tempo. One music is counted in 70 or in 140."""
    return round(min(max(math.log2(wanted / heard), -1.0), 1.0))


def _unit_at(unit: int, level: int) -> int | None:
    """The notes that swing when a clip is counted on another level; None where they are no eighths or sixteenths."""
    moved = {-1: unit * 2, 0: unit, 1: unit // 2}[level]
    return moved if moved in (8, 16) else None


def _at(steps: tuple[float, ...], level: int) -> tuple[float, ...]:
    """[16] steps of a bar counted on another level: at half the tempo two of the clip's bars are one, at twice the
    tempo its bar is two and they are averaged; steps that the clip cannot know are 0."""
    if not level:
        return steps
    if level < 0:
        return tuple(steps[2 * k % 16] for k in range(16))
    return tuple((steps[k // 2] + steps[k // 2 + 8]) / 2 if k % 2 == 0 else 0.0 for k in range(16))


def with_lessons(score: Score, lessons: Lessons) -> Score:
    """The composer's score, to be played in the grooves of the references, with what there is to tell about them."""
    feel = replace(score.feel, templates=lessons.templates)
    return replace(score, feel=feel, remarks=(*score.remarks, *lessons.remarks))


def _swing2words(ratio: float, unit: int) -> str:
    if ratio < EVEN:
        return "even time"
    return f"{'eighths' if unit == 8 else 'sixteenths'} swung by {ratio:.0%}"
