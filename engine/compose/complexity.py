"""A part that is more or less complex: syncopation, colours of chords, how a line winds.

More: strikes on the pulses come half a pulse early, chords gain the seventh and the ninth that the scale has, arpeggios
change their order, basses step into the next chord. Less: strikes between the pulses go on to the next pulse, chords
keep their triads, basses their roots, arpeggios climb, drums lose ghost notes. What changes is drawn once per label and
place in the phrase, and a stronger wish changes all that a weaker one does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engine.compose.form import BarShape
from engine.compose.measure import KICKS, SNARES, bar_notes
from engine.compose.pitches import EPS, chord_at, in_order, nearest, pulses, scale_tones, step
from engine.compose.seats import RANGES, Seat
from engine.compose.song import Song
from engine.compose.strikes import NEAR, Strike, notes2strikes, place2rank, released, struck_at
from engine.score import TONES, Chord, Key, Note

SHARE = 0.75
"""Share of what could be pushed, or straightened, that a wish of 1 changes."""
COLOUR_FROM = (0.2, 0.7)
"""Wishes from which chords gain (or lose) their first and second colour."""


def with_complexity(
    song: Song, seat: Seat, notes: Sequence[Note], amount: float, rows: Sequence[int]
) -> tuple[Note, ...]:
    """`notes` (sorted by start) with the bars `rows` made more complex (0 to 1) or plainer (-1 to 0)."""
    wanted = set(rows)
    out: list[Note] = []
    for row, bar in enumerate(song.bars):
        here = bar_notes(notes, bar.bar)
        if row not in wanted or bar.ending or not here:
            out += here
            continue
        label = song.shapes[song.owners[row]].section.label
        rng = song.draw("complexity", seat.title, label, bar.position % 4)
        if seat.stream == "drums":
            out += _drums(bar, here, amount, rng)
        else:
            moved = _early(song, bar, notes2strikes(here), amount, rng)
            moved = _late(song, bar, moved, -amount, rng)
            out += (n for strike in _winding(song, seat, bar, moved, amount, rng) for n in strike)
    return in_order(out)


def _nested(items: Sequence[int], amount: float, rng: np.random.Generator) -> set[int]:
    """A share of `items`, drawn so that a larger `amount` holds all of a smaller one's."""
    order = [items[int(k)] for k in rng.permutation(len(items))]
    return set(order[: round(max(amount, 0.0) * SHARE * len(items) + 0.2)]) if amount > 0 else set()


def _half_pulse(song: Song, bar: BarShape) -> float:
    """Beats by which a strike is pushed: half a pulse, a third of a dotted one or in a triplet feel."""
    if song.triplet:
        return 1 / 3
    length = pulses(bar.whole.metre.beats, bar.whole.metre.unit)[0]
    return length / 3 if abs(length - 12.0 / bar.whole.metre.unit) < EPS else length / 2


def _early(song: Song, bar: BarShape, strikes: list[Strike], amount: float, rng: np.random.Generator) -> list[Strike]:
    """Strikes of pulses half a pulse early, where nothing is struck there; they ring on to where they ended."""
    push = _half_pulse(song, bar)
    starts = [s[0].start for s in strikes]
    can = [
        i
        for i, start in enumerate(starts)
        if place2rank(start, bar) == 1
        and start - push > bar.bar.start + NEAR
        and not any(start - push - NEAR < s < start - NEAR for s in starts)
    ]
    chosen = _nested(can, amount, rng)
    out: list[Strike] = []
    for i, strike in enumerate(strikes):
        if i in chosen:
            place = strike[0].start - push
            out = [*out[:-1], released(out[-1], place)] if out else out
            strike = tuple(replace(n, start=place, length=n.length + push) for n in strike)
        out.append(strike)
    return out


def _late(song: Song, bar: BarShape, strikes: list[Strike], amount: float, rng: np.random.Generator) -> list[Strike]:
    """Strikes between the pulses on the next pulse (else the one before), where nothing is struck there."""
    grid = [bar.whole.start]
    for length in pulses(bar.whole.metre.beats, bar.whole.metre.unit):
        grid.append(grid[-1] + length)
    grid = [p for p in grid if bar.bar.start - EPS <= p < bar.bar.end - EPS]
    can = [i for i, s in enumerate(strikes) if place2rank(s[0].start, bar) >= 2]
    chosen = _nested(can, amount, rng)
    places = {i: s[0].start for i, s in enumerate(strikes)}
    for i in sorted(chosen):
        start = places[i]
        near = sorted((p for p in grid if abs(p - start) < 1.0), key=lambda p: (p < start, abs(p - start)))
        free = [p for p in near if all(abs(p - other) > NEAR for other in places.values())]
        places[i] = free[0] if free else start
    moved = [
        s if abs(places[i] - s[0].start) < NEAR
        else struck_at(s, places[i], max(n.length for n in s), song.chords, song.key_at(bar), -4)
        for i, s in enumerate(strikes)
    ]  # fmt: skip
    moved.sort(key=lambda s: s[0].start)
    ends = [*(s[0].start for s in moved[1:]), bar.bar.end]
    return [
        released(s, end) if abs(end - bar.bar.end) > EPS or chosen else s for s, end in zip(moved, ends, strict=True)
    ]


def _winding(
    song: Song, seat: Seat, bar: BarShape, strikes: list[Strike], amount: float, rng: np.random.Generator
) -> list[Strike]:
    """Pitches: colours of chords, roots or steps of a bass, the order of an arpeggio."""
    key = song.key_at(bar)
    if seat.stream in ("comp", "pad"):
        return [_coloured(s, chord_at(song.chords, s[0].start), key, amount, seat) for s in strikes]
    if seat.stream == "bass":
        return _bass(song, bar, strikes, amount, rng)
    if seat.stream == "arp":
        return _ordered(song, strikes, amount, rng)
    return strikes


def _coloured(strike: Strike, chord: Chord | None, key: Key, amount: float, seat: Seat) -> Strike:
    if chord is None or len({n.pitch % 12 for n in strike}) < 3:
        return strike
    tones = TONES[chord.quality]
    if amount < 0:
        plain = {(chord.root + t) % 12 for t in tones[:3]}
        kept = [n for n in strike if n.pitch % 12 in plain] if -amount >= COLOUR_FROM[0] else list(strike)
        return tuple(kept[:3] if -amount >= COLOUR_FROM[1] and len(kept) > 3 else kept) or strike
    scale = scale_tones(key, chord)
    sevenths = (
        [t for t in (10, 11) if (chord.root + t) % 12 in scale] if len(tones) == 3 and chord.quality != "dim" else []
    )
    colours = [*sevenths[:1], *([14] if (chord.root + 2) % 12 in scale and tones[1] in (3, 4) else [])]
    out = list(strike)
    low, high = RANGES[seat.role]
    for tone in colours[: sum(amount >= least for least in COLOUR_FROM)]:
        wanted = (chord.root + tone) % 12
        if any(n.pitch % 12 == wanted for n in out) or len(out) >= 6:
            continue
        bottom, top = min(n.pitch for n in out), max(n.pitch for n in out)
        places = [p for p in range(max(bottom + 3, low), min(top + 5, high) + 1) if p % 12 == wanted]
        clear = [p for p in places if all(abs(p - n.pitch) > 1 for n in out)]
        if clear:
            model = min(out, key=lambda n: abs(n.pitch - clear[0]))
            out.append(replace(model, pitch=clear[0], velocity=max(model.velocity - 6, 1)))
    return tuple(sorted(out, key=lambda n: n.pitch))


def _bass(song: Song, bar: BarShape, strikes: list[Strike], amount: float, rng: np.random.Generator) -> list[Strike]:
    def root(beat: float) -> int | None:
        chord = chord_at(song.chords, beat)
        return None if chord is None else chord.root if chord.bass is None else chord.bass

    if amount < 0:
        others = [i for i, s in enumerate(strikes) if s[0].pitch % 12 != root(s[0].start)]
        for i in _nested(others, -amount / SHARE, rng):
            goal = root(strikes[i][0].start)
            if goal is not None:
                strikes[i] = (replace(strikes[i][0], pitch=nearest(strikes[i][0].pitch, {goal}, *RANGES["bass"])),)
        return strikes
    last, goal = strikes[-1][0], root(bar.bar.end + EPS)
    middle = (bar.bar.start + bar.bar.end) / 2
    if amount > 0 and goal is not None and goal != root(last.start) and last.start > middle and rng.random() < amount:
        target = nearest(last.pitch, {goal}, *RANGES["bass"])
        scale = scale_tones(song.key_at(bar), chord_at(song.chords, last.start))
        near = [step(target, way, scale) for way in (-1, 1)]
        strikes[-1] = (replace(last, pitch=min(near, key=lambda p: (abs(p - last.pitch), p))),)
    return strikes


def _ordered(song: Song, strikes: list[Strike], amount: float, rng: np.random.Generator) -> list[Strike]:
    """Chord by chord: climbing for a plainer part, in a drawn order for a more complex one."""
    if rng.random() >= abs(amount) + 1e-9 or amount == 0:
        return strikes
    by_chord: dict[Chord | None, list[int]] = {}
    for i, strike in enumerate(strikes):
        by_chord.setdefault(chord_at(song.chords, strike[0].start), []).append(i)
    out = list(strikes)
    for group in by_chord.values():
        pitches = sorted(strikes[i][0].pitch for i in group)
        if amount > 0:
            # Low and high in turn: a line that changes direction at every note.
            half = (len(pitches) + 1) // 2
            pitches = [
                p for pair in zip(pitches[:half], [*pitches[half:], None], strict=False) for p in pair if p is not None
            ]
        for i, pitch in zip(group, pitches, strict=True):
            out[i] = (replace(strikes[i][0], pitch=pitch),)
    return out


def _drums(bar: BarShape, notes: tuple[Note, ...], amount: float, rng: np.random.Generator) -> list[Note]:
    """Kicks of the pulses early and off-beat hats open; or kicks on the pulses and no ghost notes."""
    out = list(notes)
    kicks = [i for i, n in enumerate(out) if n.pitch in KICKS]
    hard = [n.start for n in out if n.pitch in KICKS or (n.pitch in SNARES and n.velocity >= 60)]
    ranks = {i: place2rank(out[i].start, bar) for i in range(len(out))}
    if amount > 0:
        for i in _nested([i for i in kicks if ranks[i] == 1], amount, rng):
            place = out[i].start - 0.5
            if all(abs(place - other) > NEAR for other in hard):
                out[i] = replace(out[i], start=place)
        hats = [i for i, n in enumerate(out) if n.pitch == 42 and ranks[i] == 2]
        for i in _nested(hats, amount / 3, rng):
            out[i] = replace(out[i], pitch=46)
        return sorted(out, key=lambda n: (n.start, n.pitch))
    for i in _nested([i for i in kicks if ranks[i] >= 2], -amount, rng):
        place = float(np.ceil(out[i].start - bar.whole.start - EPS)) + bar.whole.start
        if place < bar.bar.end - EPS and all(abs(place - other) > NEAR for other in hard):
            out[i] = replace(out[i], start=place)
    ghosts = [i for i, n in enumerate(out) if n.pitch in SNARES and n.velocity < 60]
    gone = _nested(ghosts, -amount / SHARE, rng)
    kept = [n for i, n in enumerate(out) if i not in gone]
    return sorted(kept or out, key=lambda n: (n.start, n.pitch))
