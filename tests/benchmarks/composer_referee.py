"""An independent referee: `smg-metrics` (MIT; Temmie Pratt), which reads MIDI files with libraries of its own.

Needs `pip install 'stembridge[bench]'`. Its figures are of the hidden bars alone, written as MIDI of truth and answer.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Mapping
from pathlib import Path

import mido

from engine.diffusion.canvas import STREAMS, Canvas
from tests.benchmarks.composer_measures import Answer, Notes

TICKS = 480
PROGRAMS = {"drums": 0, "bass": 33, "comp": 4, "pad": 89, "arp": 81, "lead": 27}
DRUM_CHANNEL = 9


def why_absent() -> str:
    """Why the referee cannot sit, or empty."""
    return "" if importlib.util.find_spec("smg_metrics") else "smg-metrics is not installed"


def judge(answer: Answer) -> Mapping[str, float]:
    """Pairwise figures of the hidden bars against the truth, 1 is the same music: F1 of notes with instrument, likeness
    of chroma and of onset patterns by bar, one minus the distance of onset patterns."""
    from smg_metrics import pair_eval

    with tempfile.TemporaryDirectory() as name:
        mine, true = Path(name) / "mine.mid", Path(name) / "true.mid"
        write_smf(mine, hidden_notes(answer, answer.notes), answer.canvas)
        write_smf(true, hidden_notes(answer, answer.canvas.notes), answer.canvas)
        found = pair_eval(mine, true, enable_cs=False)
    return {
        "smg F1": found.notei_f1, "smg chroma": found.sim_chr, "smg groove": found.sim_grv,
        "smg onsets": 1.0 - found.onset_xor,
    }  # fmt: skip


def hidden_notes(answer: Answer, notes: Notes) -> Notes:
    """The notes that begin in hidden bars."""
    grid = answer.canvas.grid
    out = {}
    for s, stream in enumerate(STREAMS):
        steps = ((n, grid.beat2step(n.start)) for n in notes.get(stream, ()))
        out[stream] = [n for n, t in steps if t is not None and t < grid.steps and answer.hidden[grid.bar[t], s]]
    return out


def write_smf(path: Path, notes: Notes, canvas: Canvas) -> None:
    """A plain file of type 1 at 120 bpm: one track per stream, drums on channel 10."""
    metre = canvas.sections[0].bars[0].metre
    file = mido.MidiFile(type=1, ticks_per_beat=TICKS)
    head = mido.MidiTrack([mido.MetaMessage("time_signature", numerator=metre.beats, denominator=metre.unit)])
    file.tracks.append(head)
    for number, stream in enumerate(STREAMS):
        channel = DRUM_CHANNEL if stream == "drums" else number
        timed: list[tuple[int, int, mido.Message]] = []
        for n in notes.get(stream, ()):
            on, off = round(n.start * TICKS), max(round(n.end * TICKS), round(n.start * TICKS) + 1)
            timed.append((on, 1, mido.Message("note_on", channel=channel, note=n.pitch, velocity=n.velocity)))
            timed.append((off, 0, mido.Message("note_off", channel=channel, note=n.pitch)))
        track = mido.MidiTrack([mido.Message("program_change", channel=channel, program=PROGRAMS[stream])])
        now = 0
        for tick, _, message in sorted(timed, key=lambda row: row[:2]):
            track.append(message.copy(time=tick - now))
            now = tick
        file.tracks.append(track)
    file.save(str(path))
