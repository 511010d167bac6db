"""Harmony and hands: what every written note is held to, unless the request asks for free harmony.

Strong places are the pulses of a bar (for a bass: the bar's first beat and where a chord begins).

* Chord on strong places: chords and arpeggios sound tones of the chord, or a seventh, ninth or sixth of the scale that
  grates with none of them; a bass the chord's tones, and the bass of a slash chord where that begins; a tune the
  chord's tones, or a tone that steps on into one.
* Scale everywhere else: the key's, bent to the chord of the moment (or the one that a note is pushed into). A bass may
  step by a semitone into its next note where the user gave no key.
* No strike comes faster than a player of the role can follow up.
* The range of the role; two hands on keys (five notes and a tenth each), six strings on a guitar, so many voices in
  a section of players.
* Bass, lead and arpeggio sound one note at a time; every note ends, with its section at the latest.

What breaks a rule moves to the nearest pitch that keeps it; a note is left out only where there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from engine.compose.keys import Keys
from engine.compose.measure import GRID, strong_beats
from engine.compose.pitches import EPS, chord_at, nearest, scale_tones
from engine.compose.seats import RANGES, Seat
from engine.compose.song import Song
from engine.compose.strikes import NEAR, Strike, fastest_beats, notes2strikes
from engine.score import Chord, Key, Note

MONO = ("bass", "lead", "arp")
HAND_NOTES, HAND_SPAN = 5, 16
VOICES = {"keys": 10, "guitar": 6, "brass": 6, "pad": 8, "strings": 8}
SPANS = {"guitar": 31, "brass": 31, "pad": 36, "strings": 43}
"""Semitones between the lowest and the highest note that are struck together; keys have two hands instead."""
PUSHED = 1.0
"""Beats before a chord change within which a note that rings over it is meant for the new chord."""
HASTE = 0.85
"""Share of a player's shortest time between two strikes that a few of them may be apart."""
BEYOND = 5
"""Semitones by which a part may leave its range, as everywhere in a band."""


def keep_safe(song: Song, seat: Seat, notes: Sequence[Note]) -> tuple[Note, ...]:
    """`notes` (sorted by start) of one written part with everything in its place."""
    if seat.stream == "drums":
        return tuple(notes)
    line = seat.stream in MONO
    notes = playable(song, seat, notes)
    held = one_at_a_time(notes, highest=seat.stream != "bass") if line else tuple(notes)
    strong = strong_places(song, seat.stream)
    out: list[Note] = []
    strikes = notes2strikes(held)
    for i, strike in enumerate(strikes):
        following = strikes[i + 1][0] if i + 1 < len(strikes) else None
        tuned = {n.pitch: _tuned(song, seat, n, strike, following, strong) for n in strike}
        fitted = tuple({p: replace(n, pitch=p) for n in strike for p in (tuned[n.pitch],)}.values())
        out += fitted if line else within_reach(seat.role, fitted)
    return tuple(sorted(out if line else _let_go(seat.role, out), key=lambda n: (n.start, n.pitch)))


def playable(song: Song, seat: Seat, notes: Sequence[Note]) -> tuple[Note, ...]:
    """The notes without those that come faster than a player can strike: of two strikes that are too close the one on
    the weaker place goes."""
    apart = HASTE * fastest_beats(seat.role, song.bpm) - NEAR
    strong = {round(b * GRID) for bar in song.bars for b in strong_beats(bar.whole)}
    kept: list[Strike] = []
    for strike in notes2strikes(notes):
        if not kept or strike[0].start - kept[-1][0].start >= apart:
            kept.append(strike)
        elif _weight(strike, strong) > _weight(kept[-1], strong):
            kept[-1] = strike
    return tuple(note for strike in kept for note in strike)


def _weight(strike: Strike, strong: set[int]) -> tuple[bool, bool, int]:
    place = strike[0].start
    eighth = abs(place * 2 - round(place * 2)) < 2 * NEAR
    return round(place * GRID) in strong, eighth, max(n.velocity for n in strike)


def strong_places(song: Song, stream: str) -> frozenset[int]:
    """Strong places of the song, on a grid of twelfths of a beat."""
    if stream == "bass":
        beats = [*(b.bar.start for b in song.bars), *(c.beat for c in song.chords)]
    else:
        beats = [beat for bar in song.bars for beat in strong_beats(bar.whole)]
    return frozenset(round(beat * GRID) for beat in beats)


def allowed(
    stream: str,
    note: Note,
    strike: Strike,
    following: Note | None,
    chords: Sequence[Chord],
    keys: Keys,
    *,
    strong: bool,
) -> bool:
    """Whether harmony lets the note stand as it is."""
    tone = note.pitch % 12
    meant = meant_chords(note, chords)
    if not meant:
        return tone in keys.at(note.start).scale
    if stream == "bass" and slash_bass(note, meant) is not None:
        return tone == slash_bass(note, meant)
    scales = frozenset().union(*(scale_tones(keys.at(note.start), chord) for chord in meant))
    if any(tone in chord.pitch_classes for chord in meant):
        return True
    if stream == "bass":
        steps_on = following is not None and following.start - note.end < 0.3 and abs(following.pitch - note.pitch) == 1
        return not strong and (tone in scales or (steps_on and not keys.at(note.start).given))
    if not strong:
        return tone in scales or tone in keys.at(note.start).scale
    if stream == "lead":
        after = None if following is None else chord_at(chords, following.start)
        resolves = (
            following is not None and after is not None and 0 < abs(following.pitch - note.pitch) <= 2
            and following.pitch % 12 in after.pitch_classes and following.start - note.start <= 2.0
        )  # fmt: skip
        return resolves and tone in scales
    return any(tone in tensions(chord, keys.at(note.start), strike) for chord in meant)


def meant_chords(note: Note, chords: Sequence[Chord]) -> tuple[Chord, ...]:
    """The chord under a note; of one pushed over a change of chord the new one as well."""
    here = chord_at(chords, note.start)
    if here is None:
        return ()
    ahead = chord_at(chords, note.start + PUSHED)
    pushed = ahead is not None and ahead != here and note.start < ahead.beat < note.end - EPS
    return (here, ahead) if pushed and ahead is not None else (here,)


def slash_bass(note: Note, meant: Sequence[Chord]) -> int | None:
    """The bass that a slash chord demands of the note that it begins under; None anywhere else."""
    return next((c.bass for c in meant if c.bass is not None and abs(c.beat - note.start) < NEAR), None)


def tensions(chord: Chord, key: Key, strike: Strike) -> frozenset[int]:
    """Tones of the scale that colour a chord without grating: not a semitone above one of its tones; the fourth only
    where no third is struck with it."""
    sounding = {n.pitch % 12 for n in strike}
    third = {(chord.root + 3) % 12, (chord.root + 4) % 12} & chord.pitch_classes
    tones = {t for t in scale_tones(key, chord) if (t - 1) % 12 not in chord.pitch_classes}
    if not third & sounding:
        tones.add((chord.root + 5) % 12)
    return frozenset(tones)


def within_reach(role: str, strike: Strike) -> Strike:
    """The strike as hands can play it: what lies outside a hand comes an octave nearer, or is left out where that note
    sounds already; of too many notes the inner ones go."""
    notes = sorted(strike, key=lambda n: n.pitch)
    while len(notes) > VOICES[role]:
        notes.pop(len(notes) // 2)
    for _ in range(2 * len(notes)):
        pitches = [n.pitch for n in notes]
        if _reachable(role, pitches):
            break
        gaps = [b - a for a, b in pairwise(pitches)]
        alone = 0 if gaps[0] >= gaps[-1] else len(notes) - 1
        moved = replace(notes[alone], pitch=pitches[alone] + (12 if alone == 0 else -12))
        rest = [n for i, n in enumerate(notes) if i != alone]
        inside = moved.pitch not in pitches and pitches[0] < moved.pitch < pitches[-1]
        notes = sorted([*rest, moved] if inside else rest, key=lambda n: n.pitch)
    return tuple(notes)


def _reachable(role: str, pitches: Sequence[int]) -> bool:
    if len(pitches) < 2:
        return True
    if role != "keys":
        return pitches[-1] - pitches[0] <= SPANS[role]
    return any(_hand(pitches[:k]) and _hand(pitches[k:]) for k in range(len(pitches) + 1))


def _hand(pitches: Sequence[int]) -> bool:
    return len(pitches) <= HAND_NOTES and (not pitches or pitches[-1] - pitches[0] <= HAND_SPAN)


def one_at_a_time(notes: Sequence[Note], *, highest: bool) -> tuple[Note, ...]:
    """A line: of notes struck together the highest (lowest) one, each released when the next one begins."""
    chosen = [max(s, key=lambda n: n.pitch if highest else -n.pitch) for s in notes2strikes(notes)]
    held = [replace(n, length=b.start - n.start) if n.end > b.start + EPS else n for n, b in pairwise(chosen)]
    return (*held, *chosen[-1:])


def _tuned(song: Song, seat: Seat, note: Note, strike: Strike, following: Note | None, strong: frozenset[int]) -> int:
    """The note's pitch, or the nearest one in range that harmony lets stand."""
    on = round(note.start * GRID) in strong
    if allowed(seat.stream, note, strike, following, song.chords, song.keys, strong=on):
        return note.pitch
    meant = meant_chords(note, song.chords)
    key = song.keys.at(note.start)
    demanded = slash_bass(note, meant) if seat.stream == "bass" else None
    if demanded is not None:
        return nearest(note.pitch, {demanded}, *RANGES["bass"])
    tones = meant[-1].pitch_classes if meant and on else scale_tones(key, meant[-1] if meant else None)
    if not on and key.given:
        tones = tones & key.scale or tones
    low, high = RANGES[seat.role]
    return nearest(note.pitch, tones, max(note.pitch - 6, low - BEYOND), min(note.pitch + 6, high + BEYOND))


def _let_go(role: str, notes: Sequence[Note]) -> list[Note]:
    """No more notes at a time than the role has voices: the oldest ones are released for new ones."""
    out: list[Note] = []
    sounding: list[int] = []
    for note in sorted(notes, key=lambda n: (n.start, n.pitch)):
        sounding = [i for i in sounding if out[i].end > note.start + NEAR]
        while len(sounding) >= VOICES[role] and out[sounding[0]].start < note.start - NEAR:
            i = sounding.pop(0)
            out[i] = replace(out[i], length=note.start - out[i].start)
        sounding.append(len(out))
        out.append(note)
    return out
