"""The song's chords: the user's first, then by label, then the better of the plan model's and the groove's own.

Given chords are kept as they are. A section without any takes those of its label's first section that has them (they
count as given there too: they are the user's); what is still open is written by the plan model, or taken from the
groove, whichever measures better as functional harmony.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from engine.compose.form import SectionShape
from engine.compose.harmonise import chords_fit, harmonise
from engine.compose.keys import Keys, moved
from engine.compose.pitches import EPS, chords_in
from engine.grooves import Groove, groove2chords
from engine.score import SCALES, TONES, Chord, FormSection, Heard, Key, Note


@dataclass(frozen=True, slots=True)
class Question:
    """What the plan model is asked: chords of every bar of `form` around those that stand, once for each seed."""

    form: tuple[FormSection, ...]
    key: Key
    stands: tuple[Chord, ...]
    seeds: tuple[int, ...]


Plan = Callable[[Question], Sequence[tuple[Chord, ...]]]
"""The plan model as the composer calls it: chords of every bar for each of the question's seeds."""
PLAN_DRAWS = 2
"""How often the plan model writes the open chords; every draw is measured."""
MODE_WORDS = {
    "phrygian": ("flamenco", "spanish", "phrygian"),
    "dorian": ("dorian",),
    "mixolydian": ("mixolydian",),
    "lydian": ("lydian", "floating", "wonder"),
    "locrian": ("locrian",),
    "minor": (
        "minor", "sad", "dark", "melancholic", "melancholy", "moody", "gloomy", "angry", "tense", "noir", "night",
        "cold", "haunting", "sinister", "aggressive", "bitter",
    ),
    "major": ("major", "happy", "bright", "joyful", "sunny", "uplifting", "cheerful", "sweet", "warm", "hopeful"),
}  # fmt: skip
TONICS = {"major": (0, 2, 4, 5, 7, 9, 10), "minor": (9, 4, 2, 11, 0, 7, 5)}
"""Tonics that singers and guitars like, by third."""


def choose_key(heard: Heard, style: str, groove: Groove, seed: int) -> tuple[Key, str]:
    """The key and why: the user's, else the one heard, else one that fits words or groove, its tonic by the seed."""
    if heard.key.given:
        return heard.key, f"key: {heard.key.name}, as given"
    if heard.key_confidence > 0.0:
        return heard.key, f"key: {heard.key.name}, heard in your tracks (confidence {heard.key_confidence:.2f})"
    rng = np.random.default_rng([seed, 21])
    words = re.findall(r"[a-z][a-z-]*", style.lower())
    said = next(((mode, word) for word in words for mode, known in MODE_WORDS.items() if word in known), None)
    own = sorted({p.mode for p in groove.progressions}) or ["major", "minor"]
    mode = said[0] if said else own[int(rng.integers(len(own)))]
    tonics = TONICS["minor" if 3 in SCALES[mode] else "major"]
    key = Key(int(tonics[int(rng.integers(len(tonics)))]), mode)
    why = f'for the word "{said[1]}"' if said else f"as {groove.title} has it"
    return key, f"key: {key.name}, chosen as none was given or heard: the mode {why}, the tonic by the seed"


def settle_mode(key: Key, chords: Sequence[Chord]) -> Key:
    """A key of our own choice in the mode that holds most of the chords' time, among those of its third: minor with a
    major fourth chord is dorian. The first choice stays unless another holds more."""
    third = 3 in SCALES[key.mode]
    modes = [
        key.mode,
        *(m for m in ("major", "mixolydian", "lydian", "minor", "dorian", "phrygian") if (3 in SCALES[m]) == third),
    ]

    def held(mode: str) -> float:
        scale = Key(key.tonic, mode).scale
        return sum(c.beats * len(c.pitch_classes & scale) / len(c.pitch_classes) for c in chords)

    best = max(modes, key=lambda mode: (round(held(mode), 3), mode == key.mode))
    return replace(key, mode=best)


@dataclass(frozen=True, slots=True)
class Harmony:
    """Chords of every bar in time order, and what came from where."""

    chords: tuple[Chord, ...]
    remarks: tuple[str, ...]


def write_chords(
    shapes: Sequence[SectionShape],
    keys: Keys,
    given: Sequence[Chord],
    groove: Groove,
    plan: Plan | None,
    seed: int,
    melody: Sequence[Note] = (),
    *,
    safe: bool = True,
) -> Harmony:
    """Chords over all sections. `given`: the user's; `plan` None when no plan model is loaded; `melody`: a tune of the
    user's that the chords have to carry. `safe`: chords of ours stay in a key that was given."""
    form = [s.section for s in shapes]
    have, sources = standing_chords(form, keys, given)
    tunes = [[n for n in melody if f.start - EPS <= n.start < f.end - EPS] for f in form]
    written = _candidates(form, keys, have, groove, plan, seed, safe)
    for i, section in enumerate(form):
        if _covered(have[i], section) > 0.999:
            continue
        following = next((h[0] for h in have[i + 1 :] if h), None)
        others = [have[j] for j in range(len(form)) if form[j].label != section.label and have[j]]
        tune, key = tunes[i], keys.at(section.start)
        offers = written(section)
        if tune:
            like = [j for j in range(len(form)) if form[j].label == section.label and have[j] and j != i]
            offers += [(f"as in {form[j].name}", _laid_over(have[j], form[j], section, keys)) for j in like[:1]]
            offers.append(("your melody harmonised", harmonise(section, tune, key, closes=i == len(form) - 1)))
        options = [(name, fill_between(have[i], chords_in(c, section.start, section.end))) for name, c in offers]
        scored = [(score_chords(c, section, key, following, others, tune), name, c) for name, c in options]
        best = max(scored, key=lambda s: s[0])
        beaten = ", ".join(f"{name} {score:.2f}" for score, name, _ in scored if name != best[1])
        have[i] = best[2]
        sources[i] = "; ".join(
            filter(None, (sources[i], f"{best[1]} ({best[0]:.2f}" + (f" over {beaten})" if beaten else ")")))
        )
        _carry(form, keys, have, sources, "as in {name}", without=tunes)
    chords = [c for h in have for c in h]
    if shapes and shapes[-1].bars[-1].ending:
        chords = _end_at_home(chords, shapes[-1], keys.at(shapes[-1].bars[-1].bar.start))
    if keys.first.given and safe:
        chords = [c if c.given else into_key(c, keys.at(c.beat)) for c in chords]
    lines = [f"chords: {f.name}: {source}" for f, source in zip(form, sources, strict=True)]
    return Harmony(tuple(_joined(chords, form)), tuple(lines))


def standing_chords(
    form: Sequence[FormSection], keys: Keys, given: Sequence[Chord]
) -> tuple[list[tuple[Chord, ...]], list[str]]:
    """The user's chords of each section, carried on and over to sections of the same label, and where they are from;
    none and "" where the user says nothing."""
    have: list[tuple[Chord, ...]] = [chords_in(given, f.start, f.end) for f in form]
    sources = [
        "yours" if h and _covered(h, f) > 0.999 else "partly yours" if h else ""
        for h, f in zip(have, form, strict=True)
    ]
    for i, section in enumerate(form):
        if have[i]:
            have[i], went_on = _go_on(have[i], section, keys)
            sources[i] += went_on
    _carry(form, keys, have, sources, "yours, carried over from {name}")
    return have, sources


def plan_question(
    form: Sequence[FormSection], keys: Keys, have: Sequence[Sequence[Chord]], seed: int
) -> Question | None:
    """What the plan model shall write around the chords that each section has; None where nothing is open."""
    if all(_covered(h, f) > 0.999 for h, f in zip(have, form, strict=True)):
        return None
    stands = tuple(moved(c, keys.at(c.beat), keys.first) for h in have for c in h)
    return Question(tuple(form), keys.first, stands, tuple(seed * PLAN_DRAWS + k for k in range(PLAN_DRAWS)))


def score_chords(
    chords: Sequence[Chord],
    section: FormSection,
    key: Key,
    following: Chord | None,
    others: Sequence[Sequence[Chord]],
    melody: Sequence[Note] = (),
) -> float:
    """Functional harmony, 0-1.

    Tones in key; roots that move by fourths, seconds and thirds; a cadence at the section's end (home at the end of the
    song, a step or a fourth towards what follows); enough but not too many chords; an opening unlike other labels'.
    Under a given melody half of it is how well the chords hold the melody's notes.
    """
    if not chords:
        return 0.0
    tones = [pc in key.scale for c in chords for pc in c.pitch_classes]
    in_key = sum(tones) / len(tones)
    moves = [min((b.root - a.root) % 12, (a.root - b.root) % 12) for a, b in pairwise(chords) if a.root != b.root]
    motion = sum({5: 1.0, 2: 0.9, 4: 0.8, 3: 0.8, 1: 0.5, 6: 0.1}[m] for m in moves) / len(moves) if moves else 0.3
    last = (chords[-1].root - key.tonic) % 12
    if following is None:
        cadence = 1.0 if last == 0 else 0.6 if last in (7, 5) else 0.3
    else:
        cadence = (
            1.0
            if (following.root - chords[-1].root) % 12 in (5, 7, 2, 10, 1)
            else 0.3
            if following.root == chords[-1].root
            else 0.6
        )
    first = 1.0 if chords[0].root == key.tonic else 0.8
    per_bar = len(_changes(chords)) / max(len(section.bars), 1)
    pace = 1.0 if 0.4 <= per_bar <= 2.0 or len(section.bars) < 3 else 0.5
    kinds = len({(c.root, c.quality) for c in chords})
    variety = 1.0 if 3 <= kinds <= 6 or len(section.bars) < 3 else 0.7 if kinds == 2 or kinds > 6 else 0.3
    outline = [(c.root, c.quality) for c in chords[:4]]
    fresh = 0.0 if any(outline == [(c.root, c.quality) for c in o[:4]] for o in others) else 1.0
    weights = (0.3, 0.15, 0.15, 0.05, 0.1, 0.15, 0.1)
    functional = float(np.dot(weights, (in_key**2, motion, cadence, first, pace, variety, fresh)))
    fit = chords_fit(melody, section.bars, chords)
    return functional if fit is None else 0.5 * functional + 0.5 * fit


def into_key(chord: Chord, key: Key) -> Chord:
    """The nearest chord that the key owns: the same root with a plainer quality, else the scale's own triad there."""
    if chord.pitch_classes <= key.scale:
        return chord
    bass = chord.bass if chord.bass is not None and chord.bass in key.scale else None
    third = TONES[chord.quality][1]
    plainer = ("", "sus4", "sus2") if third == 4 else ("m", "dim") if third == 3 else ("", "m")
    root = (
        chord.root
        if chord.root in key.scale
        else (chord.root + 1) % 12
        if (chord.root + 1) % 12 in key.scale
        else (chord.root - 1) % 12
    )
    for quality in (*plainer, "m", "", "dim", "sus2", "sus4", "aug"):
        option = replace(chord, root=root, quality=quality, bass=bass)
        if option.pitch_classes <= key.scale:
            return option
    return replace(chord, root=key.tonic, quality="m" if 3 in SCALES[key.mode] else "", bass=None)


def fill_between(kept: Sequence[Chord], written: Sequence[Chord]) -> tuple[Chord, ...]:
    """`kept` as they are, `written` in the gaps between them."""
    out = list(kept)
    edges = [-1e9, *(x for c in sorted(kept, key=lambda c: c.beat) for x in (c.beat, c.end)), 1e9]
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        out += chords_in(written, start, end) if end > start + EPS else ()
    return tuple(sorted((c for c in out if c.beats > EPS), key=lambda c: c.beat))


def _candidates(
    form: Sequence[FormSection],
    keys: Keys,
    have: Sequence[Sequence[Chord]],
    groove: Groove,
    plan: Plan | None,
    seed: int,
    safe: bool,
) -> Callable[[FormSection], list[tuple[str, tuple[Chord, ...]]]]:
    """For a section, the chords on offer by name: the plan model's (two draws) and the groove's own ideas."""
    home, question = keys.first, plan_question(form, keys, have, seed)
    draws = plan(question) if plan is not None and question is not None else ()
    shift = int(np.random.default_rng([seed, 22]).integers(4))

    def offer(section: FormSection) -> list[tuple[str, tuple[Chord, ...]]]:
        level = section.label if section.label in ("intro", "verse", "chorus", "bridge") else "verse"
        level = "chorus" if section.label in ("post-chorus", "drop", "solo") else level
        key = keys.at(section.start)
        here = [tuple(moved(c, home, key) for c in chords) for chords in draws]
        offers = [(f"plan model, draw {k + 1}", chords) for k, chords in enumerate(here)]
        same_level = [p for p in groove.progressions if p.level == level]
        for k in range(max(1, min(2, len(same_level)))):
            chords = groove2chords(groove, level, key, section.bars, shift + k)
            offers.append((f"groove {groove.name}, idea {k + 1}", chords))
        if key.given and safe:
            offers = [(name, tuple(into_key(c, key) for c in chords)) for name, chords in offers]
        return offers

    return offer


def _carry(
    form: Sequence[FormSection],
    keys: Keys,
    have: list[tuple[Chord, ...]],
    sources: list[str],
    words: str,
    without: Sequence[Sequence[Note]] = (),
) -> None:
    """Sections without chords take over those of a section of the same label, round again where they are longer.

    Not those that have a melody of their own in `without`.
    """
    for i, section in enumerate(form):
        if have[i] or (without and without[i]):
            continue
        for j, other in enumerate(form):
            if other.label == section.label and have[j] and _covered(have[j], other) > 0.999:
                have[i] = _laid_over(have[j], other, section, keys)
                sources[i] = words.format(name=other.name)
                break


def _laid_over(chords: Sequence[Chord], source: FormSection, target: FormSection, keys: Keys) -> tuple[Chord, ...]:
    """`chords` of `source` bar by bar over `target`: stretched where bars differ in length, moved where keys differ."""
    out: list[Chord] = []
    for k, bar in enumerate(target.bars):
        like = source.bars[k % len(source.bars)]
        stretch = (bar.end - bar.start) / (like.end - like.start)
        out += [
            replace(
                moved(c, keys.at(like.start), keys.at(bar.start)),
                beat=bar.start + (c.beat - like.start) * stretch,
                beats=c.beats * stretch,
            )
            for c in chords_in(chords, like.start, like.end)
        ]
    return tuple(out)


def _go_on(chords: Sequence[Chord], section: FormSection, keys: Keys) -> tuple[tuple[Chord, ...], str]:
    """Closes rests of less than a bar inside given chords by letting the chord ring; and repeats an idea of two or more
    whole bars at the section's start over the rest of the section when nothing else is given there."""
    bar = section.bars[0].end - section.bars[0].start
    out: list[Chord] = []
    for chord, following in pairwise([*chords, None]):
        assert chord is not None
        out.append(chord)
        stop = section.end if following is None else following.beat
        if EPS < stop - chord.end < bar - EPS:
            out.append(replace(chord, beat=chord.end, beats=stop - chord.end))
    if chords[0].beat - section.start > EPS and chords[0].beat - section.start < bar - EPS:
        first = chords[0]
        out.insert(0, replace(first, beat=section.start, beats=first.beat - section.start))
    end = out[-1].end
    whole = [k for k, b in enumerate(section.bars) if b.end <= end + EPS]
    starts_here = out[0].beat <= section.start + EPS
    gapless = all(b.beat - a.end < EPS for a, b in pairwise(out))
    if not (starts_here and gapless) or len(whole) < 2 or end >= section.end - EPS:
        return tuple(out), ""
    shape = replace(section, bars=section.bars[: len(whole)])
    again = _laid_over(out, shape, section, keys)
    return fill_between(out, again), ", repeated to the section's end"


def _end_at_home(chords: list[Chord], last: SectionShape, key: Key) -> list[Chord]:
    """The song's last bar on the tonic, unless the user gave its chord."""
    bar = last.bars[-1].bar
    here = chords_in(chords, bar.start, bar.end)
    if any(c.given for c in here):
        return chords
    before = [replace(c, beats=min(c.beats, bar.start - c.beat)) for c in chords if c.beat < bar.start - EPS]
    return [*before, Chord(bar.start, bar.end - bar.start, key.tonic, "m" if 3 in SCALES[key.mode] else "")]


def _covered(chords: Sequence[Chord], section: FormSection) -> float:
    """Share of the section that chords lie over."""
    length = section.end - section.start
    return sum(c.beats for c in chords_in(chords, section.start, section.end)) / length if length > 0 else 1.0


def _changes(chords: Sequence[Chord]) -> list[Chord]:
    return [
        c for i, c in enumerate(chords) if i == 0 or (c.root, c.quality) != (chords[i - 1].root, chords[i - 1].quality)
    ]


def _joined(chords: Sequence[Chord], form: Sequence[FormSection]) -> list[Chord]:
    """Chords in order; a chord of ours that repeats the one before inside a section and a bar is one longer chord."""
    starts = {round(b.start, 6) for f in form for b in f.bars}
    out: list[Chord] = []
    for chord in sorted(chords, key=lambda c: c.beat):
        last = out[-1] if out else None
        same = last is not None and (last.root, last.quality, last.bass, last.given) == (
            chord.root,
            chord.quality,
            chord.bass,
            chord.given,
        )
        if (
            last is not None
            and same
            and not chord.given
            and abs(last.end - chord.beat) < EPS
            and round(chord.beat, 6) not in starts
        ):
            out[-1] = replace(last, beats=chord.end - last.beat)
        else:
            out.append(chord)
    return out
