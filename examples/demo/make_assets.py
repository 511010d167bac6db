"""Makes the files of the demo: the chord idea (MIDI) and the reference clip (a take of our own engine, 12 s).

Run `python examples/demo/make_assets.py` from the project's root; the results are committed.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import mido
import numpy as np
import soundfile
import soxr

from bridge.client import Client
from bridge.messages import Done, decode_shape, encode

HERE = Path(__file__).parent
TICKS = 480

VERSE = [((45, 57, 60, 64, 67), 4), ((41, 57, 60, 64), 4), ((48, 55, 60, 64), 4), ((43, 55, 59, 62), 4)]
CHORUS = [
    ((41, 57, 60, 65), 4),
    ((43, 55, 59, 62), 4),
    ((45, 57, 60, 64), 4),
    ((40, 55, 59, 64), 2),
    ((48, 55, 60, 64), 2),
]


def chord_idea(path: Path) -> None:
    """Two four-bar ideas, played twice each: the verse from beat 0 on, the chorus from beat 64 on."""
    notes = []
    for start, idea in ((0, [*VERSE, *VERSE]), (64, [*CHORUS, *CHORUS])):
        beat = start
        for pitches, beats in idea:
            for pitch in pitches:
                notes.append((beat * TICKS, mido.Message("note_on", note=pitch, velocity=74)))
                notes.append(((beat + beats) * TICKS - 20, mido.Message("note_off", note=pitch)))
            beat += beats
    track = mido.MidiTrack(
        [mido.MetaMessage("track_name", name="Keys idea"), mido.Message("program_change", program=4)]
    )
    at = 0
    for tick, message in sorted(notes, key=lambda n: (n[0], n[1].type == "note_on", n[1].note)):
        track.append(message.copy(time=tick - at))
        at = tick
    mido.MidiFile(type=0, ticks_per_beat=TICKS, tracks=[track]).save(path)


def reference_clip(path: Path) -> None:
    """Twelve seconds of a synthwave take: what the demo's request names as its reference."""
    with tempfile.TemporaryDirectory() as folder:
        request = {
            "type": "render",
            "job": "reference",
            "project": {"name": "Reference", "out": folder},
            "arrangement": {
                "sample_rate": 48000,
                "clock": [[0, 0], [32, 17.142857142857142]],
                "keys": [{"beat": 0, "tonic": "D", "mode": "minor"}],
                "sections": [{"name": "Chorus", "label": "chorus", "start": 0, "end": 32}],
            },
            "style": "synthwave, night, wide",
            "seed": 11,
        }
        with Client.connect(start=True) as client:
            events = list(client.request(decode_shape(json.dumps(request))))
        done = events[-1]
        if not isinstance(done, Done):
            raise SystemExit(encode(done).decode())
        audio, rate = soundfile.read(Path(done.manifests[0]).with_name("mix.wav"), dtype="float32")
    clip = soxr.resample(audio[: 12 * rate], rate, 32000).astype(np.float32)
    clip[-3200:] *= np.linspace(1.0, 0.0, 3200, dtype=np.float32)[:, None]
    soundfile.write(path, clip, 32000, format="OGG", subtype="VORBIS")


if __name__ == "__main__":
    chord_idea(HERE / "keys_idea.mid")
    reference_clip(HERE / "reference.ogg")
