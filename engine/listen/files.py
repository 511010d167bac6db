"""What one file says, as plain JSON values: the answer to `stembridge listen`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.errors import RequestError
from bridge.midifile import read_smf, smf2arrangement
from engine.listen.key import KeyGuess
from engine.listen.sound import RATE, sound2key, sound2tempo
from engine.listen.tracks import listen_tracks
from engine.score import PITCH_NAMES

MIDI_SUFFIXES = (".mid", ".midi", ".smf", ".kar")
MAX_SECONDS = 1200.0
HINT = "Export it again as WAV, FLAC, OGG or MP3."


def listen_file(path: str | Path) -> dict[str, Any]:
    """Key, chords, tempo and roles of a MIDI file, or key, tempo, loudness of an audio file.

    MIDI: kind, seconds, beats, tempo [{beat, bpm}], metres, key {tonic, mode, confidence, alternatives, given}, chords
    [{beat, beats, symbol}], sections, tracks [{name, role, channel, program, notes}], remarks. Audio: kind, seconds,
    sample_rate, channels, lufs, peak_dbfs, key, tempo {bpm, confidence, alternatives}. Confidences are 0-1; what cannot
    be heard is None. Raises `RequestError` for a file that cannot be read.
    """
    path = Path(path)
    return _midi(path) if path.suffix.lower() in MIDI_SUFFIXES else _audio(path)


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


def _audio(path: Path) -> dict[str, Any]:
    audio, rate = _read(path)
    mono = _resample(audio.mean(axis=1), rate)
    tempo = sound2tempo(mono)
    peak = float(np.abs(audio).max(initial=0.0))
    return {
        "kind": "audio",
        "seconds": round(len(audio) / rate, 3),
        "sample_rate": rate,
        "channels": audio.shape[1],
        "lufs": _lufs(audio, rate),
        "peak_dbfs": round(20 * float(np.log10(peak)), 2) if peak > 0 else None,
        "key": _key(sound2key(mono)),
        "tempo": {
            "bpm": tempo.bpm,
            "confidence": tempo.confidence,
            "alternatives": [{"bpm": bpm, "strength": strength} for bpm, strength in tempo.alternatives],
        },
    }


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


def _read(path: Path) -> tuple[NDArray[np.float32], int]:
    """([samples, channels], rate) of at most `MAX_SECONDS`."""
    import soundfile

    if not path.is_file():
        raise RequestError("audio.missing", "there is no such file.", field=str(path), hint="Correct the path.")
    try:
        with soundfile.SoundFile(str(path)) as file:
            rate = int(file.samplerate)
            audio = file.read(round(MAX_SECONDS * rate), dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise RequestError("audio.damaged", "the file cannot be read as audio.", field=str(path), hint=HINT) from error
    if not len(audio):
        raise RequestError("audio.empty", "the audio file holds no samples.", field=str(path), hint=HINT)
    if not np.isfinite(audio).all():
        raise RequestError("audio.damaged", "the file holds values that are no numbers.", field=str(path), hint=HINT)
    return audio, rate


def _resample(mono: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    import soxr

    return np.asarray(soxr.resample(mono, rate, RATE, quality="MQ"), dtype=np.float32) if rate != RATE else mono


def _lufs(audio: NDArray[np.float32], rate: int) -> float | None:
    """Integrated loudness; None for silence and for less than 0.4 s."""
    import pyloudnorm

    if len(audio) < 0.4 * rate or not audio.any() or audio.shape[1] > 5:
        return None
    with np.errstate(divide="ignore"):
        value = float(pyloudnorm.Meter(rate).integrated_loudness(audio))
    return round(value, 2) if np.isfinite(value) else None
