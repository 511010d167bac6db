"""From a musician's words, metre and tempo to a groove, with the reason in words.

Tags that stand in the style words count, early and longer tags more; among those that match, a groove in the asked
metre is preferred; a tempo outside the groove's range costs. Where no word matches, a groove tagged "versatile" is
taken. A groove that is far too slow for the tempo is played in half time, one far too fast in double time. The seed
also picks one of the groove's versions (its bass lines and voicings). Straight grooves are never played
in compound metres, nor compound ones in simple metres; every other re-barring is allowed and is said in the reason.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from bridge.timeline import Metre
from engine.grooves.book import library
from engine.grooves.groove import Groove
from engine.grooves.pace import DOUBLE, EVEN, HALF, PACES, can_pace, paced
from engine.grooves.rebar import fits, is_compound, keeps_beats, pulse_map
from engine.grooves.synonyms import SYNONYMS

METRE_BONUS = 2.5
VERSION_DRAW = 31
"""The seed's draw for the version is another than its draw between equals."""
PACE_COST = {HALF: 0.5, DOUBLE: 0.8}
"""Octaves of tempo that half or double time must bring a groove nearer to be taken: slow music may just be slow."""
NEAR = 0.25
"""Grooves whose scores differ by less than this are equally good: the seed picks."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A groove and why it was taken, for people."""

    groove: Groove
    reason: str


@dataclass(frozen=True, slots=True)
class _Scored:
    groove: Groove
    score: float
    words: tuple[str, ...]
    pace: str = ""


def choose(style: str, metre: Metre, bpm: float, seed: int, feel: str = "") -> Choice:
    """The groove for `style` words in `metre` at `bpm` quarter notes a minute; `seed` decides between equals. `feel`
    is that of notes which the groove shall go with (of `Groove.feel`), "" for any: a swung groove goes with straight
    ones by even eighths."""
    known, pool = library(), _pool(style, metre, bpm, feel)
    best = max(s.score for s in pool)
    near = [s for s in pool if s.score > best - NEAR]
    picked = near[int(np.random.default_rng(seed).integers(len(near)))]
    version = int(np.random.default_rng([seed, VERSION_DRAW]).integers(1 + len(picked.groove.alternatives)))
    reason = _reason(picked, style, metre, bpm)
    pace = picked.pace
    if feel == "straight" and not _splits_alike(picked.groove, metre, feel) and can_pace(picked.groove, EVEN):
        pace = EVEN
        reason = f"{reason[:-1]}; with even eighths, for your drums play straight sixteenths."
    elif feel and not _splits_alike(picked.groove, metre, feel):
        reason = f"{reason[:-1]}; your notes split the beat otherwise than its grid."
    if version:
        reason = f"{reason[:-1]}; in its version {version + 1}."
    for problem in known.damaged:
        reason += f" Your groove {problem.field} was left out: {problem.message}"
    return Choice(paced(picked.groove.version(version), pace), reason)


def rank(style: str, metre: Metre, bpm: float) -> tuple[Groove, ...]:
    """All grooves that the words name (else the versatile ones), the likeliest first."""
    return tuple(s.groove for s in sorted(_pool(style, metre, bpm), key=lambda s: (-s.score, s.groove.name)))


def named_words(style: str) -> frozenset[str]:
    """The words of `style` (small letters) that belong to a tag, a title or a synonym which it names."""
    text = normalise(style)
    tags = {_plain(tag) for g in library().grooves for tag in (*g.tags, g.name, g.title)}
    said = {tag for tag in tags if f" {tag} " in text} | {word for word in SYNONYMS if f" {word} " in text}
    return frozenset(word for phrase in said for word in phrase.split())


def _pool(style: str, metre: Metre, bpm: float, feel: str = "") -> list[_Scored]:
    """The grooves to choose from: those that a word names, else the versatile ones, of this metre where there are.
    Where some of the named ones have the `feel` it is one of them; without words, one of all that have it."""
    text = normalise(style)
    scored = [_score(g, text, metre, bpm) for g in library().grooves if can_rebar(g, metre)]
    versatile = [s for s in scored if "versatile" in s.groove.tags]
    pool = [s for s in scored if s.words] or [s for s in versatile if fits(s.groove, metre)] or versatile
    if not feel or any(_splits_alike(s.groove, metre, feel) for s in pool):
        return [s for s in pool if not feel or _splits_alike(s.groove, metre, feel)]
    alike = [s for s in scored if fits(s.groove, metre) and _splits_alike(s.groove, metre, feel)]
    return alike if alike and not any(s.words for s in pool) else pool


def _splits_alike(groove: Groove, metre: Metre, feel: str) -> bool:
    """Whether a groove's grid holds notes of this feel; in compound metres beats are no quarters, so any does."""
    return is_compound(metre.beats, metre.unit) or groove.feel == feel


def can_rebar(groove: Groove, metre: Metre) -> bool:
    """Whether `groove` may be played in `metre` at all."""
    if keeps_beats(groove, metre):
        return True
    return is_compound(groove.beats, groove.unit) == is_compound(metre.beats, metre.unit)


def normalise(style: str) -> str:
    """The words as `_plain` writes them, their synonyms and singulars beside them, spaces at both ends."""
    text = f" {_plain(style)} "
    extra = [to for said, to in SYNONYMS.items() if f" {said} " in text]
    single = [w[:-1] if len(w) > 4 and w.endswith("s") and not w.endswith(("ss", "us")) else w for w in text.split()]
    return text + "".join(f"; {words} " for words in [*extra, " ".join(single)])


def _score(groove: Groove, text: str, metre: Metre, bpm: float) -> _Scored:
    words: list[str] = []
    score = 0.0
    tags = [_plain(tag) for tag in groove.tags]
    for i, tag in enumerate(dict.fromkeys([*tags, _plain(groove.name), _plain(groove.title)])):
        if tag != "versatile" and f" {tag} " in text:
            words.append(tag)
            score += max(1.5, 3.0 - 0.15 * i) + tag.count(" ")
    score = 0.6 * score + 0.4 * min(score, 4.0)
    if fits(groove, metre):
        score += METRE_BONUS
    pace, distance = choose_pace(groove, metre, bpm)
    score -= 1.5 * distance
    return _Scored(groove, score, tuple(words), pace)


def choose_pace(groove: Groove, metre: Metre, bpm: float) -> tuple[str, float]:
    """Half or double time where that brings the groove much nearer to its tempi, else ""; and the octaves of tempo that
    it is off then, with the cost of the change."""
    best = ("", abs(_tempo_distance(groove, metre, bpm)))
    for pace, slower in PACES.items():
        if can_pace(groove, pace):
            off = abs(_tempo_distance(groove, metre, bpm / slower)) + PACE_COST[pace]
            best = min(best, (pace, off), key=lambda option: option[1])
    return best


def _plain(words: str) -> str:
    """Small letters and single spaces; "r&b" and "6/8" stay whole, a free-standing "&" or "n" is an "and"."""
    said = re.findall(r"[^\W_]+(?:[&/][^\W_]+)*|&", words.lower())
    return " ".join("and" if word in ("&", "n") else word for word in said)


def _tempo_distance(groove: Groove, metre: Metre, bpm: float) -> float:
    """Octaves of tempo by which `bpm` lies outside the groove's range; positive is too fast."""
    felt = bpm / 1.5 if keeps_beats(groove, metre) else bpm
    if felt > groove.bpm_high:
        return math.log2(felt / groove.bpm_high)
    return min(0.0, math.log2(felt / groove.bpm_low))


def _reason(picked: _Scored, style: str, metre: Metre, bpm: float) -> str:
    groove = picked.groove
    asked = f"{metre.beats}/{metre.unit}"
    said = ", ".join(sorted(picked.words, key=len, reverse=True)[:3])
    if picked.words:
        parts = [f"{groove.title}, for '{said}'"]
    elif style.strip():
        parts = [
            f"{groove.title}: no word of '{style.strip()}' names a style of the groove book, so metre and tempo decided"
        ]
    else:
        parts = [f"{groove.title}: no style was asked for, so metre and tempo decided"]
    if keeps_beats(groove, metre):
        parts.append(f"its triplets become the eighths of {asked}")
    elif not fits(groove, metre):
        parts.append(_rebarred(groove, metre, asked))
    distance = _tempo_distance(groove, metre, bpm)
    if abs(distance) > 0.25:
        faster = "faster" if distance > 0 else "slower"
        parts.append(f"{bpm:.0f} bpm is {faster} than its usual {groove.bpm_low:.0f}-{groove.bpm_high:.0f}")
    if picked.pace:
        parts.append(f"so it is played in {picked.pace} time")
    return "; ".join(parts) + "."


def _rebarred(groove: Groove, metre: Metre, asked: str) -> str:
    text = f"written in {groove.metre} and re-barred to {asked}"
    if groove.unit == 4 and metre.unit == 4:
        beats = " ".join(str(p + 1) for p in pulse_map(groove.beats, metre.beats))
        text += f" (its beats {beats})"
    return text
