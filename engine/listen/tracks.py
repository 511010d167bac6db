"""The user's context tracks -> key, chords, parts with roles, and where given audio sounds.

A MIDI file of several tracks becomes several parts. Its own tempo map does not matter here: notes stay in beats and are
counted from the track's `start` on the project's clock.
"""

from __future__ import annotations

from collections.abc import Sequence

from bridge.arrangement import Arrangement, ContextTrack, KeyAt
from bridge.midifile import read_smf
from bridge.timeline import Clock
from engine.listen.activity import audio2activity
from engine.listen.chords import tones2chords
from engine.listen.key import KeyGuess, tones2key
from engine.listen.roles import guess_role, name2role
from engine.listen.tones import Tones, parts2tones
from engine.score import Chord, Heard, Key, Note, Part

MELODIC = ("lead", "vocals")
SURE = 0.5
"""A heard key below this confidence is reported as uncertain."""


def listen_tracks(arrangement: Arrangement, clock: Clock) -> Heard:
    """Hears all tracks of the arrangement (paths absolute).

    Keys that the arrangement gives win over what is heard; chords follow the key in force. With nothing to hear the key
    is C major with confidence 0. Parts keep the notes inside the timeline. Chords come from parts that carry harmony: a
    melody alone gives none, they are written to it. Raises `RequestError` for a file that cannot be read.
    """
    parts: list[Part] = []
    uses: list[str] = []
    remarks: list[str] = []
    activity: list[tuple[float, float]] = []
    for track in arrangement.tracks:
        if track.midi is not None:
            found = _track2parts(track, clock)
            parts += found
            uses += [track.use] * len(found)
            if not found:
                remarks.append(f"There are no notes inside the timeline in {track.name}.")
        if track.audio is not None and (track.role or name2role(track.name) or "lead") in MELODIC:
            spans = audio2activity(track.audio, clock, track.start)
            activity += spans
            if not spans:
                remarks.append(f"Nothing sounds inside the timeline in {track.name}.")
    tones = parts2tones(parts)
    guess, chords = hear(parts, tones, clock, arrangement.keys)
    if not arrangement.keys and len(tones.start):
        sure = "" if guess.confidence >= SURE else ", but not for certain: give the key if it is another"
        remarks.append(f"The key sounds like {guess.key.name}{sure}.")
    if len(tones.start) and not chords:
        remarks.append("The tracks hold a melody only; chords are written to it.")
    return Heard(guess.key, chords, tuple(parts), tuple(uses), tuple(remarks), guess.confidence, join_spans(activity))


def hear(
    parts: Sequence[Part], tones: Tones, clock: Clock, given: Sequence[KeyAt] = ()
) -> tuple[KeyGuess, tuple[Chord, ...]]:
    """Key and chords of parts: the key from the notes, chords in that key, the key again with the chords' help, and the
    chords in the key so found."""
    harmonic = any(part.notes and part.role not in (*MELODIC, "drums") for part in parts)
    if given:
        keys = [(k.beat, Key(k.pitch_class, k.mode, True)) for k in given]
        return KeyGuess(keys[0][1], 1.0), tones2chords(tones, clock, keys) if harmonic else ()
    guess = tones2key(tones)
    if not harmonic:
        return guess, ()
    guess = tones2key(tones, tones2chords(tones, clock, [(clock.start, guess.key)]))
    return guess, tones2chords(tones, clock, [(clock.start, guess.key)])


def _track2parts(track: ContextTrack, clock: Clock) -> list[Part]:
    """Parts of a context track's file, in project beats. A role that is given holds for all but a drum channel."""
    song = read_smf(track.midi or "")
    out = []
    for smf in song.tracks:
        notes = tuple(
            Note(n.start + track.start, n.length, n.pitch, n.velocity)
            for n in smf.notes
            if clock.start <= n.start + track.start < clock.end
        )
        if not notes:
            continue
        alone = len(song.tracks) == 1
        name = track.name if alone else smf.name or f"{track.name} {smf.channel + 1}"
        if track.role and (alone or not smf.is_drums):
            role = track.role
        else:
            role = guess_role(f"{smf.name} {track.name}" if alone else smf.name, smf.channel, smf.program, notes)
        out.append(Part(name, role, notes))
    return out


def join_spans(spans: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Sorted, disjoint spans that cover the same beats."""
    out: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((start, end))
    return tuple(out)
