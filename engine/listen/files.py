"""What one file says, as plain JSON values: the answer to `stembridge listen`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from bridge.midifile import read_smf, smf2arrangement
from engine.listen.clips import clip2mono, file2clip
from engine.listen.key import KeyGuess
from engine.listen.picture import picture
from engine.listen.steps import unheard
from engine.listen.style import Style, mono2style
from engine.listen.tracks import listen_tracks
from engine.report import Tick, part_of
from engine.score import PITCH_NAMES

MIDI_SUFFIXES = (".mid", ".midi", ".smf", ".kar")
MAX_BEATS, MAX_CHORDS = 2000, 400
"""As many as are told: an answer stays below what one UDP packet holds."""


def listen_file(path: str | Path, tick: Tick = unheard) -> dict[str, Any]:
    """Key, chords, tempo and roles of a MIDI file, or the style profile of an audio file.

    MIDI: kind, seconds, beats, tempo [{beat, bpm}], metres, key {tonic, mode, confidence, alternatives, given}, chords
    [{beat, beats, symbol}], sections, tracks [{name, role, channel, program, notes}], remarks. Audio: kind and the
    style profile (`style2plain`), with a coarse `picture` of the sound. Confidences are 0-1; what cannot be heard is
    None. Raises `RequestError` for a file that cannot be read, and what `tick` raises.
    """
    path = Path(path)
    return _midi(path) if path.suffix.lower() in MIDI_SUFFIXES else _audio(path, tick)


def _midi(path: Path) -> dict[str, Any]:
    song = read_smf(path)
    arrangement = smf2arrangement(path)
    clock = arrangement.timeline()
    heard = listen_tracks(arrangement, clock)
    key = _key(KeyGuess(heard.key, heard.key_confidence))
    return {
        "kind": "midi",
        "seconds": round(clock.beat2second(clock.end), 3),
        "beats": clock.end,
        "tempo": [{"beat": beat, "bpm": round(clock.bpm_at(beat), 3)} for beat, _ in arrangement.clock[:-1]],
        "metres": [{"beat": m.beat, "beats": m.beats, "unit": m.unit} for m in clock.metres],
        "key": {**key, "given": heard.key.given},
        "chords": [{"beat": c.beat, "beats": c.beats, "symbol": c.symbol} for c in heard.chords],
        "sections": [{"name": s.name, "label": s.label, "start": s.start, "end": s.end} for s in arrangement.sections],
        "tracks": [
            {
                "name": part.name,
                "role": part.role,
                "channel": t.channel + 1,
                "program": t.program,
                "notes": len(t.notes),
            }
            for part, t in zip(heard.parts, song.tracks, strict=True)
        ],
        "remarks": list(heard.notes),
    }


def _audio(path: Path, tick: Tick) -> dict[str, Any]:
    clip = file2clip(path)
    mono = clip2mono(clip, part_of(tick, 0.0, 0.1))
    style = mono2style(clip, mono, part_of(tick, 0.1, 0.95))
    return {"kind": "audio", **style2plain(style), "picture": picture(mono, part_of(tick, 0.95, 1.0))}


def style2plain(style: Style) -> dict[str, Any]:
    """A profile as plain JSON values, small enough for one message: of long clips the first beats and chords."""
    beats, key, chords = style.beats, style.key, style.chords
    downbeats = [beats.seconds[k] for k in beats.downbeats if k < MAX_BEATS]
    return {
        "seconds": style.seconds,
        "sample_rate": style.sample_rate,
        "channels": style.channels,
        "lufs": style.dynamics.lufs,
        "peak_dbfs": style.dynamics.peak_dbfs,
        "key": {
            "tonic": key.tonic,
            "mode": key.mode,
            "confidence": key.confidence,
            "alternatives": [{"tonic": t, "mode": m, "confidence": p} for t, m, p in key.alternatives],
            "chroma": list(key.chroma),
        },
        "tempo": {
            "bpm": beats.bpm,
            "confidence": beats.confidence,
            "alternatives": [{"bpm": bpm, "strength": strength} for bpm, strength in beats.alternatives],
        },
        "beats": [round(t, 3) for t in beats.seconds[:MAX_BEATS]],
        "bars": {
            "downbeats": [round(t, 3) for t in downbeats],
            "beats_per_bar": beats.metre,
            "confidence": beats.bar_confidence,
        },
        "swing": _plain(style.swing),
        "groove": _plain(style.groove),
        "chords": {
            **{k: v for k, v in _plain(chords).items() if k != "spans"},
            "spans": [{"start": a, "end": b, "symbol": s} for a, b, s in chords.spans[:MAX_CHORDS]],
        },
        "spectrum": {**_plain(style.spectrum), "width": style.spectrum.width},
        "dynamics": _plain(style.dynamics),
        "room": _plain(style.room),
        "onsets": _plain(style.onsets),
        "roles": [{"role": role, "activity": activity} for role, activity in style.roles],
    }


def _plain(value: object) -> Any:
    """Any profile's value as JSON holds it."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _key(guess: KeyGuess) -> dict[str, Any]:
    others = [{"tonic": PITCH_NAMES[k.tonic], "mode": k.mode, "confidence": round(p, 3)} for k, p in guess.ranking[1:3]]
    if guess.confidence <= 0:
        return {"tonic": None, "mode": None, "confidence": 0.0, "alternatives": []}
    return {
        "tonic": PITCH_NAMES[guess.key.tonic],
        "mode": guess.key.mode,
        "confidence": round(guess.confidence, 3),
        "alternatives": others,
    }
