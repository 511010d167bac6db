"""Pattern + chords + key -> notes of one bar, on the grid, in project beats.

`realise` is a function of one bar. Notes may ring past the bar where the pattern ties over the bar line (an
anticipation); `realise_bars` plays a whole stretch, leads the voices from bar to bar and ends each note where the next
one needs its place. Swing and micro-timing are not applied here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bridge.timeline import Bar
from engine.grooves.groove import LANES, STREAMS, Event, Groove, Level, Pattern
from engine.grooves.harmony import EPS, chord_at, next_change
from engine.grooves.pitches import arp_pitch, bass_pitch, lead_pitch
from engine.grooves.rebar import bar_ratio, bar_spans
from engine.grooves.voicing import Voicing, chord2pitches, last_voicing
from engine.score import Chord, Key, Note

PUSH, PUSH_OVER_BAR = 0.5, 1.0
"""A note struck at most so many beats before a chord change and tied over it (over the bar line) is the new chord's."""
DRUM_BEATS = 0.25
DRUM_BASE = {
    "hat": 78,
    "pedal": 62,
    "open": 82,
    "ride": 80,
    "shaker": 66,
    "tamb": 70,
    "triangle": 66,
    "clave": 76,
    "cowbell": 74,
}
DRUM_ACCENT, DRUM_GHOST = 20, -48
MONO = ("bass", "lead", "arp")


@dataclass(frozen=True, slots=True)
class Timed:
    """An event placed in project beats. `over`: it is tied over a bar line (out of the bar, or into it from before)."""

    start: float
    length: float
    event: Event
    over: bool = False


def realise(
    groove: Groove, level: str, stream: str, bar: Bar, bar_in_section: int, chords: Sequence[Chord], key: Key,
    voice: Voicing | None = None,
) -> list[Note]:  # fmt: skip
    """Notes of `stream` in `bar`, the section's bar number `bar_in_section` (from 0), sorted by start, then pitch.

    `chords` cover the bar, and best the next one too (approach notes and anticipations look ahead). `voice` is the
    voicing before (`last_voicing` of the bar before; the lead goes on from it too), None where there is none. A
    stream that the level leaves out gives [].
    """
    if level == "ending":
        return ending(groove, stream, bar, chords, key, voice)
    return _play(groove, groove.levels[level], stream, bar, bar_in_section, chords, key, voice)


def fill(
    groove: Groove, stream: str, bar: Bar, chords: Sequence[Chord], key: Key, *, level: str = "verse",
    bar_in_section: int = 3, variant: int = 0, voice: Voicing | None = None,
) -> list[Note]:  # fmt: skip
    """A bar that leads into the next section: the fill numbered `variant` (counted round); a stream that the fill does
    not write goes on as in `level`."""
    written = groove.fills[variant % len(groove.fills)]
    if stream in written.streams:
        return _play(groove, written, stream, bar, None, chords, key, voice)
    return realise(groove, level, stream, bar, bar_in_section, chords, key, voice)


def ending(
    groove: Groove, stream: str, bar: Bar, chords: Sequence[Chord], key: Key, voice: Voicing | None = None
) -> list[Note]:
    """The last bar of a song."""
    return _play(groove, groove.levels["ending"], stream, bar, None, chords, key, voice)


def realise_bars(
    groove: Groove, level: str, bars: Sequence[Bar], chords: Sequence[Chord], key: Key, *, fill_at_end: bool = False,
    variant: int = 0, streams: Sequence[str] = STREAMS,
) -> dict[str, list[Note]]:  # fmt: skip
    """A whole section: every stream over `bars`, voices led through, overlaps ended, the last bar a fill if asked."""
    out: dict[str, list[Note]] = {}
    for stream in streams:
        notes: list[Note] = []
        voice: Voicing | None = None
        for i, bar in enumerate(bars):
            if fill_at_end and i == len(bars) - 1 and len(bars) > 1:
                new = fill(
                    groove, stream, bar, chords, key, level=level, bar_in_section=i, variant=variant, voice=voice
                )
            else:
                new = realise(groove, level, stream, bar, i, chords, key, voice)
            voice = last_voicing(new) or voice
            notes += new
        out[stream] = tidy(notes, stream)
    return out


def tidy(notes: Sequence[Note], stream: str) -> list[Note]:
    """Bars put together: a note ends where its pitch (or, in single-line streams, any note) is struck again.

    Notes struck twice at once are played once, the louder one.
    """
    mono = stream in MONO
    latest: dict[int, int] = {}
    out: list[Note] = []
    for note in sorted(notes, key=lambda n: (n.start, n.pitch)):
        slot = 0 if mono else note.pitch
        before = latest.get(slot)
        if before is not None and out[before].end > note.start + EPS:
            held = out[before]
            if note.start - held.start < EPS:
                out[before] = max(held, note, key=lambda n: n.velocity)
                continue
            out[before] = replace(held, length=note.start - held.start)
        latest[slot] = len(out)
        out.append(note)
    return out


def _play(
    groove: Groove, level: Level, stream: str, bar: Bar, index: int | None, chords: Sequence[Chord], key: Key,
    voice: Voicing | None,
) -> list[Note]:  # fmt: skip
    pattern = level.streams.get(stream)
    if pattern is None:
        return []
    timed = _place(groove, pattern, bar, index)
    if stream == "drums":
        return _drums(timed, bar, crash=level.crash and index == 0)
    if stream in ("comp", "pad"):
        return _chords(pattern, timed, bar, chords, key, voice)
    following = _place(groove, pattern, replace(bar, start=bar.end, end=2 * bar.end - bar.start), (index or 0) + 1)
    following = [t for t in following if t.start > bar.end - EPS][:1]
    phrase = voice if stream == "lead" and (index or 0) % pattern.bars else None
    return _line(stream, pattern, timed, following, bar, chords, key, phrase)


def _place(groove: Groove, pattern: Pattern, bar: Bar, index: int | None) -> list[Timed]:
    """The pattern's events in bar number `index` of a section (None: a fill or ending), trimmed to the room in `bar`.

    A bar that begins with a tie strikes that note anew where nobody played it before: at the start of a section, and
    where re-barring has cut off the end of the bar before.
    """
    spans = bar_spans(groove, bar, index)
    total = pattern.bars * pattern.steps
    reaches_line = bar_ratio(groove, bar.metre) is not None or spans[-1].last % pattern.steps == 0
    ties_on = reaches_line and index is not None and bar.end - bar.start > bar.metre.bar_beats - EPS
    out: list[Timed] = []
    for span in spans:
        last = span is spans[-1]
        events = _struck(pattern, span.first, span.last)
        if span is spans[0]:
            events += _held(pattern, span.first, anew=not index or not reaches_line)
        for event in events:
            start = bar.start + span.offset + (event.step - span.first) * span.step_beats
            if start > bar.end - EPS:
                continue
            end = event.step + event.length
            over = last and ties_on and end > span.last
            steps = min(total, (end if over else min(end, span.last)) - event.step)
            length = steps * span.step_beats
            into = start < bar.start - EPS
            out.append(Timed(start, length if over or into else min(length, bar.end - start), event, over or into))
    return sorted(out, key=lambda t: t.start)


def _struck(pattern: Pattern, first: int, last: int) -> list[Event]:
    """Events of the endlessly repeated pattern that are struck in steps [`first`, `last`)."""
    total = pattern.bars * pattern.steps
    found: list[Event] = []
    for turn in range(first // total, (last - 1) // total + 1):
        at = turn * total
        found += [replace(e, step=e.step + at) for e in pattern.events if first <= e.step + at < last]
    return found


def _held(pattern: Pattern, first: int, *, anew: bool) -> list[Event]:
    """The events held over step `first`, with their own start; `anew`: struck at `first` instead."""
    total = pattern.bars * pattern.steps
    here = first % total
    found: list[Event] = []
    for e in pattern.events:
        for step in (e.step, e.step - total):
            if step < here < step + e.length and anew:
                found.append(replace(e, step=first, length=step + e.length - here))
            elif step < here < step + e.length:
                found.append(replace(e, step=first - here + step))
    return found


def _drums(timed: Sequence[Timed], bar: Bar, *, crash: bool) -> list[Note]:
    notes = []
    crashed = crash and not any(t.event.symbol.startswith("crash") and t.start < bar.start + EPS for t in timed)
    for t in timed:
        lane = t.event.symbol
        if crashed and t.start < bar.start + EPS and lane in ("hat", "open", "ride", "bell"):
            continue
        base = DRUM_BASE.get(lane, 94)
        shift = {1: DRUM_ACCENT, 0: 0, -1: DRUM_GHOST if lane in ("snare", "stick") else -24}[t.event.dynamic]
        metric = 0 if lane in ("kick", "snare", "clap", "stick") else _metric(t.start, bar)
        notes.append(Note(t.start, DRUM_BEATS, LANES[lane], _velocity(base + shift + metric)))
    if crashed:
        notes.append(Note(bar.start, DRUM_BEATS, LANES["crash"], 108))
    return sorted(notes, key=lambda n: (n.start, n.pitch))


def _chords(
    pattern: Pattern, timed: Sequence[Timed], bar: Bar, chords: Sequence[Chord], key: Key, voice: Voicing | None
) -> list[Note]:
    notes: list[Note] = []
    for t in timed:
        held: dict[int, Note] = {}
        for start, end, chord in _pieces_within(t, chords, bar):
            pitches = chord2pitches(chord, key, pattern.shape, pattern.low, pattern.high, voice)
            voice = Voicing(pitches)
            length = end - start if t.event.symbol != "m" else min(end - start, 0.125)
            now = {p: Note(start, length, p, _loudness(t, bar)) for p in _part(t.event.symbol, pitches, chord, pattern)}
            for pitch, old in held.items():
                if pitch in now:
                    now[pitch] = replace(old, length=end - old.start)
                else:
                    notes.append(old)
            held = now
        notes += held.values()
    return sorted(notes, key=lambda n: (n.start, n.pitch))


def _part(symbol: str, pitches: tuple[int, ...], chord: Chord, pattern: Pattern) -> tuple[int, ...]:
    """The voices that a hit's symbol sounds."""
    if symbol == "u":
        return pitches[-2:] if len(pitches) < 5 else pitches[-3:]
    if symbol == "l":
        return pitches[:1]
    if symbol == "p":
        root = pattern.low + (chord.root - pattern.low) % 12
        return (root, root + 7) if root + 7 <= pattern.high else (root,)
    if symbol == "s":
        third = {(chord.root + 3) % 12, (chord.root + 4) % 12} & chord.pitch_classes
        return tuple(sorted({p + (chord.root + 5 - p) % 12 if p % 12 in third else p for p in pitches}))
    return pitches


def _line(
    stream: str, pattern: Pattern, timed: Sequence[Timed], following: Sequence[Timed], bar: Bar,
    chords: Sequence[Chord], key: Key, voice: Voicing | None,
) -> list[Note]:  # fmt: skip
    """`voice` is where a tune left off; None where a phrase begins: it then starts at the home of its register."""
    notes: list[Note] = []
    before: int | None = voice.pitches[-1] if voice else None
    for i, t in enumerate(timed):
        ahead = [*timed[i + 1 :], *following]
        pieces = _pieces_within(t, chords, bar)
        if stream == "lead" and t.start < bar.start - EPS:
            continue
        for k, (start, end, chord) in enumerate(pieces):
            if stream == "bass":
                pitch = bass_pitch(t.event, chord, key, pattern, _target(ahead, chords, key, pattern))
            elif stream == "arp":
                pitch = arp_pitch(t.event, chord, key, pattern)
            else:
                if k and before is not None:
                    if before % 12 not in chord.pitch_classes:
                        break
                    notes[-1] = replace(notes[-1], length=end - notes[-1].start)
                    continue
                pitch = lead_pitch(t.event, chord, key, pattern, before)
            before = pitch
            dead = stream == "bass" and t.event.symbol == "x"
            length, velocity = (min(end - start, 0.125), 44) if dead else (end - start, _loudness(t, bar))
            if k and notes and notes[-1].pitch == pitch:
                notes[-1] = replace(notes[-1], length=end - notes[-1].start)
            else:
                notes.append(Note(start, length, pitch, velocity))
    return notes


def _target(ahead: Sequence[Timed], chords: Sequence[Chord], key: Key, pattern: Pattern) -> int | None:
    """Pitch of the next note that is no approach itself."""
    for t in ahead:
        if t.event.symbol not in "/\\x":
            return bass_pitch(t.event, _pieces(t, chords)[0][2], key, pattern, None)
    return None


def _pieces(t: Timed, chords: Sequence[Chord]) -> list[tuple[float, float, Chord]]:
    """A note's time cut where the chord tones change. A short push before a change belongs to the new chord."""
    end = t.start + t.length
    change = next_change(chords, t.start)
    at = t.start
    if change is not None and change - t.start <= (PUSH_OVER_BAR if t.over else PUSH) + EPS and end > change + EPS:
        at = change
    out: list[tuple[float, float, Chord]] = []
    start = t.start
    while True:
        chord = chord_at(chords, at)
        change = next_change(chords, at)
        if change is None or change >= end - EPS:
            out.append((start, end, chord))
            return out
        out.append((start, change, chord))
        start = at = change


def _pieces_within(t: Timed, chords: Sequence[Chord], bar: Bar) -> list[tuple[float, float, Chord]]:
    """The pieces struck in `bar`: of a note tied over a bar line, each bar strikes those that begin in it."""
    return [p for p in _pieces(t, chords) if bar.start - EPS <= p[0] < bar.end - EPS]


def _metric(start: float, bar: Bar) -> int:
    """Louder on the one and on beats, softer between."""
    place = start - bar.start
    if place < EPS:
        return 6
    for division, weight in ((1.0, 2), (0.5, -4)):
        if abs(place / division - round(place / division)) < 1e-3:
            return weight
    return -9


def _loudness(t: Timed, bar: Bar) -> int:
    base = {"m": 46, "u": 78, "l": 84}.get(t.event.symbol, 86)
    return _velocity(base + _metric(t.start, bar) + {1: 16, 0: 0, -1: -24}[t.event.dynamic])


def _velocity(value: int) -> int:
    return max(12, min(124, value))
