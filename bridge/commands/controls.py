"""What `stembridge render` is told about the music: controls of stems, chords, going on after a take.

`NAME=VALUE,...` speaks of stems by name or role; a value alone is meant for every stem that it can be meant for.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import msgspec

from bridge.arrangement import ChordAt, Section
from bridge.errors import RequestError
from bridge.messages import Render, Scope, StemWanted
from bridge.wishes import CONTROLS, UNWRITTEN


def with_controls(request: Render, arguments: argparse.Namespace) -> Render:
    """The request with what the options say. Raises `RequestError` naming the option."""
    stems = request.stems
    for name in CONTROLS:
        if getattr(arguments, name) is not None:
            stems = _with_values(stems, name, getattr(arguments, name))
    if arguments.space is not None:
        for title, other in _pairs(arguments.space, "--space"):
            stems = _changed(stems, title, "--space", leave_space_for=other)
    request = msgspec.structs.replace(request, stems=stems)
    if arguments.harmony is not None:
        request = msgspec.structs.replace(request, harmony=arguments.harmony)
    if arguments.strength is not None:
        if request.scope is None:
            raise RequestError("option", "--strength varies a take.", field="--strength", hint="Name it by --edit.")
        request = msgspec.structs.replace(request, scope=_with_strength(request.scope, arguments.strength))
    if arguments.continues:
        request = continued(request, arguments.continues, arguments.bars)
    if arguments.chords is not None:
        arrangement = msgspec.structs.replace(request.arrangement, chords=text2chords(arguments.chords, request))
        request = msgspec.structs.replace(request, arrangement=arrangement)
    return request


def text2chords(text: str, request: Render) -> tuple[ChordAt, ...]:
    """Chords over the bars of all sections: bars between "|", chords of a bar share it evenly, round again."""
    bars = [bar.split() for bar in text.split("|") if bar.strip()]
    if not bars:
        raise RequestError("option", "there is no chord.", field="--chords", hint='--chords "Am7 F | C/E G9"')
    clock = request.arrangement.timeline()
    sections = sorted(request.arrangement.sections, key=lambda s: s.start)
    places = [bar for section in sections for bar in clock.bars(section.start, section.end)]
    out = []
    for place, names in zip(places, itertools.cycle(bars), strict=False):
        width = (place.end - place.start) / len(names)
        out += [ChordAt(place.start + i * width, name) for i, name in enumerate(names)]
    return tuple(out)


def continued(request: Render, take: str, bars: int) -> Render:
    """A request for one section of `bars` bars that goes on where `take` ends, under its last section's label; the
    clock goes on at its last tempo where it is too short."""
    from bridge.handover.manifest import read_manifest

    if bars < 1:
        raise RequestError("option", "a continuation has at least one bar.", field="--bars")
    project = request.project
    folder = Path(project.out) if project.out else Path(project.root) / "stembridge"
    manifest = read_manifest(folder / take)
    clock = request.arrangement.timeline()
    start, last = manifest.end_beat, max(manifest.sections, key=lambda s: s.end)
    end = start + bars * clock.metre_at(min(start, clock.end - 1e-6)).bar_beats
    pairs = request.arrangement.clock
    if end > pairs[-1][0]:
        beat, second = pairs[-1]
        pairs = (*pairs, (end, second + (end - beat) * 60.0 / clock.bpm_at(beat - 1e-6)))
    label = "verse" if last.label in ("intro", "outro") else last.label
    section = Section(f"{last.name} goes on", label, start, end)
    arrangement = msgspec.structs.replace(request.arrangement, clock=pairs, sections=(section,))
    return msgspec.structs.replace(request, arrangement=arrangement, continues=take)


def _with_values(stems: tuple[StemWanted, ...], name: str, text: str) -> tuple[StemWanted, ...]:
    option = f"--{name}"
    if "=" not in text:
        value = _number(text, option)
        return tuple(
            stem
            if stem.role in UNWRITTEN or (name, stem.role) == ("register", "drums")
            else msgspec.structs.replace(stem, **{name: value})
            for stem in stems
        )
    for title, number in _pairs(text, option):
        stems = _changed(stems, title, option, **{name: _number(number, option)})
    return stems


def _changed(stems: tuple[StemWanted, ...], title: str, option: str, **changes: object) -> tuple[StemWanted, ...]:
    if not any(title in (stem.title, stem.role) for stem in stems):
        hint = f"One of {', '.join(stem.title for stem in stems)}."
        raise RequestError("option", f"there is no stem {title!r}.", field=option, hint=hint)
    named = any(title == stem.title for stem in stems)
    return tuple(
        msgspec.structs.replace(stem, **changes) if title == (stem.title if named else stem.role) else stem
        for stem in stems
    )


def _with_strength(scope: Scope, strength: float) -> Scope:
    return msgspec.structs.replace(scope, strength=strength)


def _pairs(text: str, option: str) -> list[tuple[str, str]]:
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if not pairs or any(not sign or not value.strip() for _, sign, value in pairs):
        raise RequestError("option", f"{text!r} is no list of STEM=VALUE.", field=option)
    return [(name.strip(), value.strip()) for name, _, value in pairs]


def _number(text: str, option: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise RequestError("option", f"{text!r} is no number.", field=option) from None
