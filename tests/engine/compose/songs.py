"""Small requests and hand-made hearings for the composer's tests."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.arrangement import Arrangement, KeyAt, MetreAt, Section
from bridge.messages import Render, Scope, StemWanted
from engine.compose import Writers, compose_band, request2form
from engine.score import Chord, Heard, Key, Note, Part, Score

ALL_ROLES = ("drums", "bass", "keys", "guitar", "pad", "strings", "brass", "lead", "arp")
SONG = (("Intro", "intro", 4), ("Verse 1", "verse", 8), ("Chorus 1", "chorus", 8), ("Verse 2", "verse", 8),
        ("Chorus 2", "chorus", 8), ("Outro", "outro", 4))  # fmt: skip
SHORT = (("Verse", "verse", 4), ("Chorus", "chorus", 4))
NOTHING = Heard(Key(0, "major"), ())


def silent(fraction: float) -> None:
    """A tick that nobody watches."""
    assert 0.0 <= fraction <= 1.0 + 1e-9


def song(
    sections: Sequence[tuple[str, str, float]] = SONG,
    *,
    stems: Sequence[str | StemWanted] = ALL_ROLES,
    metre: tuple[int, int] = (4, 4),
    bpm: float = 120.0,
    key: tuple[str, str] | None = None,
    style: str = "pop",
    seed: int = 1,
    scope: Scope | None = None,
    gap: float = 0.0,
) -> Render:
    """A request; sections are (name, label, bars), `gap` beats of silence between them."""
    bar = metre[0] * 4.0 / metre[1]
    placed, at = [], 0.0
    for name, label, bars in sections:
        placed.append(Section(name, label, at, at + bars * bar))
        at += bars * bar + gap
    end = placed[-1].end
    arrangement = Arrangement(
        sample_rate=48000,
        clock=((0.0, 0.0), (end, end * 60.0 / bpm)),
        metres=(MetreAt(0.0, *metre),),
        keys=(KeyAt(0.0, *key),) if key else (),
        sections=tuple(placed),
    )
    wanted = tuple(s if isinstance(s, StemWanted) else StemWanted(s) for s in stems)
    return Render("job", arrangement, stems=wanted, style=style, seed=seed, scope=scope)


def hearing(
    request: Render,
    *parts: tuple[Part, str],
    chords: Sequence[Chord] = (),
    activity: Sequence[tuple[float, float]] = (),
) -> Heard:
    """What listening would say of the request's key and these parts with their uses."""
    keys = request.arrangement.keys
    key = Key(keys[0].pitch_class, keys[0].mode, given=True) if keys else Key(0, "major")
    return Heard(
        key,
        tuple(chords),
        tuple(part for part, _ in parts),
        tuple(use for _, use in parts),
        key_confidence=1.0 if keys else 0.0,
        activity=tuple(activity),
    )


def composed(
    request: Render, heard: Heard | None = None, *, writers: Writers | None = None, previous: Score | None = None
) -> Score:
    """The band's score of a request."""
    clock = request.arrangement.timeline()
    form = request2form(request.arrangement, clock)
    heard = hearing(request) if heard is None else heard
    return compose_band(request, clock, form, heard, writers or Writers(), silent, previous=previous)


def line(role: str, name: str, starts: Sequence[float], pitches: Sequence[int], length: float = 0.5) -> Part:
    """A part of one note per start."""
    return Part(name, role, tuple(Note(s, length, p, 90) for s, p in zip(starts, pitches, strict=True)))


def block_chords(start: float, symbols: Sequence[tuple[int, str]], beats: float = 4.0) -> tuple[Chord, ...]:
    """Given chords of `beats` each from `start`."""
    return tuple(
        Chord(start + i * beats, beats, root, quality, given=True) for i, (root, quality) in enumerate(symbols)
    )


def inside(notes: Sequence[Note], start: float, end: float) -> tuple[Note, ...]:
    """Notes that begin in [start, end)."""
    return tuple(n for n in notes if start <= n.start < end)
