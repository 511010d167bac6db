"""Small songs for the end-to-end tests, as JSON values."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import mido

Json = dict[str, Any]


def eight_bars(out: Path, **changes: Any) -> Json:
    """A verse and a chorus of four bars each: 100 bpm, then 120; five stems; A minor."""
    request: Json = {
        "type": "render",
        "job": f"test-{uuid.uuid4().hex[:8]}",
        "project": {"name": "Eight bars", "out": str(out)},
        "arrangement": {
            "sample_rate": 48000,
            "clock": [[0.0, 0.0], [16.0, 9.6], [32.0, 17.6]],
            "keys": [{"beat": 0.0, "tonic": "A", "mode": "minor"}],
            "sections": [
                {"name": "Verse", "label": "verse", "start": 0.0, "end": 16.0},
                {"name": "Chorus", "label": "chorus", "start": 16.0, "end": 32.0},
            ],
        },
        "style": "pop",
        "seed": 3,
    }
    return {**request, **changes}


def chord_song(path: Path) -> Path:
    """A MIDI file as a musician exports it: 90 bpm, markers, a keys track, a drum track on channel 10, key D minor."""
    song = mido.MidiFile(ticks_per_beat=480)
    conductor = mido.MidiTrack(
        [
            mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(90)),
            mido.MetaMessage("time_signature", numerator=4, denominator=4),
            mido.MetaMessage("key_signature", key="Dm"),
            mido.MetaMessage("marker", text="Verse 1"),
            mido.MetaMessage("marker", text="Chorus", time=16 * 480),
            mido.MetaMessage("end_of_track", time=16 * 480),
        ]
    )
    keys = mido.MidiTrack([mido.MetaMessage("track_name", name="Piano")])
    for pitches in [(50, 57, 62, 65), (46, 58, 62, 65), (48, 55, 60, 64), (45, 57, 61, 64)] * 2:
        keys += [mido.Message("note_on", note=p, velocity=70) for p in pitches]
        keys += [mido.Message("note_off", note=p, time=4 * 480 if i == 0 else 0) for i, p in enumerate(pitches)]
    drums = mido.MidiTrack([mido.MetaMessage("track_name", name="Drums")])
    for step in range(64):
        pitch = 36 if step % 4 == 0 else 38 if step % 4 == 2 else 42
        drums.append(mido.Message("note_on", channel=9, note=pitch, velocity=90))
        drums.append(mido.Message("note_off", channel=9, note=pitch, time=240))
    song.tracks += [conductor, keys, drums]
    song.save(path)
    return path
