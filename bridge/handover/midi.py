"""Standard MIDI files of single parts, with the whole tempo map.

A file starts (tick 0) at the take's first beat, as its WAV does, so that both are dropped on the same place. It has two
tracks: the conductor's (tempos, metres, keys, section markers) and the part's. Bars are counted from tick 0. Texts are
UTF-8, as REAPER, Ardour and `bridge.midifile` read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bridge.arrangement import KeyAt
from bridge.handover.files import atomic
from bridge.handover.notes import DRUM_CHANNEL, NoteLike, SpanLike, notes2ticks, ticks2events
from bridge.handover.tempo import TICKS, clock2microseconds
from bridge.timeline import Clock

_MAJOR_DEGREE = {
    "major": 0, "dorian": 2, "phrygian": 4, "lydian": 5, "mixolydian": 7, "minor": 9, "locrian": 11,
}  # fmt: skip
_MINOR_LIKE = {"minor", "dorian", "phrygian", "locrian"}
_MAJOR_NAMES = ("Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#")
_MINOR_NAMES = ("Abm", "Ebm", "Bbm", "Fm", "Cm", "Gm", "Dm", "Am", "Em", "Bm", "F#m", "C#m", "G#m", "D#m", "A#m")


def write_midi(
    path: Path,
    name: str,
    notes: Iterable[NoteLike],
    clock: Clock,
    *,
    start: float,
    end: float,
    keys: Sequence[KeyAt] = (),
    sections: Sequence[SpanLike] = (),
    drums: bool = False,
    program: int | None = None,
) -> str:
    """Writes the new file `path` (type 1, 960 ticks); returns its SHA-256.

    `start`, `end`: beats of the take. Note times are those of `notes2ticks`; the file's own time keeps within 0.3 ms of
    the clock at every tick. `drums` puts the part on channel 10; `program` (0-127) is sent at tick 0. Raises `JobError`
    as `atomic` does.
    """
    import mido

    channel = DRUM_CHANNEL if drums else 0
    events = ticks2events(notes2ticks(notes, clock, start), channel)
    last = max([round((end - start) * TICKS), 1, *(tick for tick, _ in events[-1:])])
    part: list[tuple[int, Any]] = [(0, mido.MetaMessage("track_name", name=name))]
    if program is not None:
        part.append((0, mido.Message("program_change", channel=channel, program=program)))
    part.extend((tick, mido.Message.from_bytes(data)) for tick, data in events)
    file = mido.MidiFile(type=1, ticks_per_beat=TICKS, charset="utf-8")
    file.tracks.append(_track(mido, _conductor(mido, name, clock, start, end, keys, sections), last))
    file.tracks.append(_track(mido, part, last))
    with atomic(path) as sink:
        file.save(file=sink)
        return sink.sha256


def key2signature(key: KeyAt) -> str:
    """The key signature with `key`'s accidentals, as "C" or "F#m".

    MIDI knows major and minor only. A mode gets the signature that has its notes (D dorian: "Am", no accidentals);
    the file names the key itself in a text event.
    """
    tonic = (key.pitch_class - _MAJOR_DEGREE[key.mode]) % 12
    sharps = tonic * 7 % 12  # steps up the circle of fifths from C
    flat = "b" in key.tonic or (sharps > 6 and "#" not in key.tonic)
    accidentals = sharps - 12 if (flat and sharps > 4) or sharps > 7 else sharps
    return (_MINOR_NAMES if key.mode in _MINOR_LIKE else _MAJOR_NAMES)[accidentals + 7]


def _conductor(
    mido: Any,
    name: str,
    clock: Clock,
    start: float,
    end: float,
    keys: Sequence[KeyAt],
    sections: Sequence[SpanLike],
) -> list[tuple[int, Any]]:
    """(tick, meta message), not sorted."""

    def tick(beat: float) -> int:
        return max(0, round((beat - start) * TICKS))

    events = [(0, mido.MetaMessage("track_name", name=name))]
    events += [(at, mido.MetaMessage("set_tempo", tempo=tempo)) for at, tempo in clock2microseconds(clock, start, end)]
    metres = [clock.metre_at(start), *(m for m in clock.metres if start < m.beat < end)]
    for i, metre in enumerate(metres):
        at = tick(metre.beat) if i else 0
        events.append((at, mido.MetaMessage("time_signature", numerator=metre.beats, denominator=metre.unit)))
    reigning = [k for k in keys if k.beat <= start][-1:] or list(keys[:1])
    for i, key in enumerate([*reigning, *(k for k in keys if start < k.beat < end and k not in reigning)]):
        at = tick(key.beat) if i else 0
        events.append((at, mido.MetaMessage("key_signature", key=key2signature(key))))
        events.append((at, mido.MetaMessage("text", text=f"key: {key.tonic} {key.mode}")))
    events += [(tick(s.start), mido.MetaMessage("marker", text=s.name)) for s in sections if start <= s.start < end]
    return events


def _track(mido: Any, events: list[tuple[int, Any]], last: int) -> Any:
    """Absolute ticks to a track; the sort keeps the order of events on one tick."""
    track = mido.MidiTrack()
    now = 0
    for tick, message in sorted(events, key=lambda event: event[0]):
        track.append(message.copy(time=tick - now))
        now = tick
    track.append(mido.MetaMessage("end_of_track", time=max(0, last - now)))
    return track
