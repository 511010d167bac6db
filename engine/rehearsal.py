"""A groove to listen to: a few bars of every level, fills between them, as the band's sampler plays it.

Order: intro, verse (a fill at its end), chorus (a stop), verse (a pick-up), bridge, chorus, ending.
Beats are quarter notes from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bridge.timeline import Bar, Clock, Metre
from engine.compose.feel import style2feel
from engine.grooves import STREAMS, Groove, ending, fill, groove2chords, last_voicing, realise, tidy
from engine.grooves.groove import ROOTED
from engine.perform import perform
from engine.sampler import Bank, choose_instrument, mix_stems, render_part
from engine.score import Chord, FormSection, Key, Note, Part, Score

if TYPE_CHECKING:
    from mido import MidiTrack

    Message = Any

RATE = 48000
TAIL_SECONDS = 3.0
FORM = (("intro", 2, ""), ("verse", 4, "fill"), ("chorus", 4, "stop"), ("verse", 4, "pickup"), ("bridge", 4, "fill"),
        ("chorus", 4, ""), ("ending", 1, ""))  # fmt: skip
"""Level, bars, and the kind of fill in the last of them."""
ENERGY = {"intro": 0.3, "verse": 0.5, "chorus": 0.85, "bridge": 0.5, "ending": 0.7}


@dataclass(frozen=True)
class Rehearsal:
    """The score of a groove's levels and its clock. `fills`: the kind of fill that each section ends with, or ""."""

    score: Score
    clock: Clock
    fills: tuple[str, ...]


def groove2rehearsal(groove: Groove, bpm: float | None = None, key: Key | None = None, times: int = 1) -> Rehearsal:
    """All levels in one go, each `times` as long as in `FORM` but for the ending.

    `bpm` defaults to the middle of the groove's tempi, `key` to C in its first mode.
    """
    bpm = bpm or (groove.bpm_low + groove.bpm_high) / 2
    key = key or Key(0, groove.progressions[0].mode)
    metre = Metre(0.0, groove.beats, groove.unit)
    sections: list[FormSection] = []
    chords: list[Chord] = []
    at, index = 0.0, 0
    heard: dict[str, int] = {}
    for level, plain, _ in FORM:
        length = groove.bar_beats
        count = plain if level == "ending" else plain * times
        bars = tuple(Bar(index + i, at + i * length, at + (i + 1) * length, metre) for i in range(count))
        again = heard[level] = heard.get(level, -1) + 1
        sections.append(FormSection(level.title(), level, at, bars[-1].end, ENERGY[level], again, bars))
        chords += groove2chords(groove, level, key, bars, again)
        at, index = bars[-1].end, index + count
    parts = tuple(
        Part(stream, _role(groove, stream), notes)
        for stream in STREAMS
        if (notes := tuple(_play(groove, stream, sections, chords, key)))
    )
    feel, _ = style2feel("", groove)
    score = Score(key, tuple(chords), parts, tuple(sections), feel=feel)
    clock = Clock.steady(bpm, at + 4 * groove.bar_beats, metre=(groove.beats, groove.unit))
    kinds = [f.name for f in groove.fills]
    return Rehearsal(score, clock, tuple(kind if kind in kinds or not kind else "fill" for _, _, kind in FORM))


def _play(
    groove: Groove, stream: str, sections: Sequence[FormSection], chords: Sequence[Chord], key: Key
) -> list[Note]:
    """One stream through all sections. Streams that a derived level leaves out rest there."""
    kinds = [f.name for f in groove.fills]
    notes: list[Note] = []
    voice = None
    for section, (level, _, kind) in zip(sections, FORM, strict=True):
        for i, bar in enumerate(section.bars):
            if level == "ending":
                new = ending(groove, stream, bar, chords, key, voice)
            elif kind and i == len(section.bars) - 1:
                variant = kinds.index(kind) if kind in kinds else section.index
                new = fill(
                    groove, stream, bar, chords, key, level=level, bar_in_section=i, variant=variant, voice=voice
                )
            else:
                new = realise(groove, level, stream, bar, i, chords, key, voice)
            voice = last_voicing(new) or voice
            notes += new
    return tidy(notes, stream)


def _role(groove: Groove, stream: str) -> str:
    """Who plays a stream: comps that stand on their roots are guitars, others keys."""
    if stream != "comp":
        return stream
    return "guitar" if groove.levels["verse"].streams["comp"].shape in ROOTED else "keys"


def rehearsal2audio(rehearsal: Rehearsal, style: str) -> NDArray[np.float32]:
    """float32 [2, samples] at `RATE`, mixed and limited. `style` words choose the instruments."""
    played = perform(rehearsal.score, rehearsal.clock, rehearsal.score.feel, 1)
    end = rehearsal.score.sections[-1].end
    samples = rehearsal.clock.span2samples(0.0, end, RATE)
    bank = Bank.open()
    tail = round(TAIL_SECONDS * RATE)
    stems = [
        render_part(
            bank, part, choose_instrument(bank, part.role, "", style), rehearsal.clock, RATE, 0, samples, tail,
            lambda fraction: None,
        )
        for part in played.parts
    ]  # fmt: skip
    mix, _ = mix_stems(stems, RATE)
    return mix


def play_file(groove: Groove, path: Path, bpm: float | None = None) -> float:
    """Writes the groove's levels as a 24-bit WAV file. Gives its seconds."""
    import soundfile

    audio = rehearsal2audio(groove2rehearsal(groove, bpm), ", ".join(groove.tags))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio.T, RATE, subtype="PCM_24")
    return float(audio.shape[1] / RATE)


def rehearsal2midi(rehearsal: Rehearsal, path: Path) -> None:
    """Writes the rehearsal as a MIDI file with a track a part (drums on channel 10), metre, tempo, key and markers."""
    import mido

    ticks = 480
    score, clock = rehearsal.score, rehearsal.clock
    metre = clock.metres[0]
    minor = "m" if score.key.mode == "minor" else ""
    names = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
    minors = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
    meta = [
        (0.0, mido.MetaMessage("time_signature", numerator=metre.beats, denominator=metre.unit)),
        (0.0, mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(clock.bpm_at(0.0)))),
        (0.0, mido.MetaMessage("key_signature", key=(minors if minor else names)[score.key.tonic] + minor)),
    ]
    for section, kind in zip(score.sections, rehearsal.fills, strict=True):
        meta.append((section.start, mido.MetaMessage("marker", text=section.name)))
        if kind:
            meta.append((section.bars[-1].start, mido.MetaMessage("marker", text=kind)))
    file = mido.MidiFile(ticks_per_beat=ticks, charset="utf-8")
    file.tracks.append(_track(meta, ticks))
    for i, part in enumerate(score.parts):
        channel = 9 if part.role == "drums" else i if i < 9 else i + 1
        events = [(0.0, mido.MetaMessage("track_name", name=part.name.title()))]
        for note in part.notes:
            events.append(
                (note.start, mido.Message("note_on", channel=channel, note=note.pitch, velocity=note.velocity))
            )
            events.append((note.end, mido.Message("note_off", channel=channel, note=note.pitch)))
        file.tracks.append(_track(events, ticks))
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save(path)


def _track(events: Sequence[tuple[float, Message]], ticks: int) -> MidiTrack:
    """Events at their beats, releases before strikes, as a track with delta times."""
    import mido

    track = mido.MidiTrack()
    now = 0
    for beat, message in sorted(events, key=lambda e: (round(e[0] * ticks), e[1].type != "note_off")):
        tick = round(beat * ticks)
        track.append(message.copy(time=tick - now))
        now = tick
    return track
