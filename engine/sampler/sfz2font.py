"""An SFZ instrument as a SoundFont: its recordings read, its regions in the generators of a SoundFont.

What SoundFonts cannot say is rounded to what they can: one two-pole low-pass, envelopes by exponential segments, 16-bit
samples. Levels are kept relative to the loudest region; the catalogue levels the whole.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from engine.sampler.fontmaker import Mod, Recording, Region, decibels, make_font, timecents
from engine.sampler.sfz import Sfz, SfzRegion, damaged_sfz, read_sfz

CUTOFF, RESONANCE, ATTACK, HOLD, DECAY, SUSTAIN, RELEASE, ATTENUATION, SCALE = 8, 9, 34, 35, 36, 37, 38, 48, 56
LEVEL_SOURCE, FILTER_SOURCE = 0x0502, 0x0002
FULL_TRACK = 960
ENDINGS = (".wav", ".flac", ".ogg", ".aif", ".aiff", ".wave")
MAX_SAMPLES = 600_000_000
LOOPED = ("loop_continuous", "loop_sustain")

Audio = NDArray[np.float32]


def sfz2font(path: Path, name: str) -> tuple[bytes, Sfz]:
    """The bytes of a SoundFont 2 with one preset, and what was read. Raises `RequestError` that names the file."""
    sfz = read_sfz(path)
    recordings: list[Recording] = []
    places: dict[tuple[object, ...], int] = {}
    regions: list[Region] = []
    loudest = max(_number(path, region, "volume", 0.0) for region in sfz.regions)
    total = 0
    for region in sfz.regions:
        try:
            recording, key = _recording(path, region, places)
            if recording is not None:
                places[key] = len(recordings)
                recordings.append(recording)
                total += recording.audio.size
            if total > MAX_SAMPLES:
                raise ValueError("its recordings are larger than 1.2 GB")
            regions.append(_region(region, places[key], loudest))
        except ValueError as problem:
            raise damaged_sfz(path, f"line {region.line}: {problem}") from problem
    return make_font(name, recordings, regions), sfz


def _recording(
    path: Path, region: SfzRegion, known: dict[tuple[object, ...], int]
) -> tuple[Recording | None, tuple[object, ...]]:
    """The region's recording, None where it is known already, and its key."""
    prefix = region.values.get("default_path", "")
    file = (path.parent / (prefix + region.values["sample"]).replace("\\", "/")).resolve()
    root = region.pitch("pitch_keycenter", region.pitch("key", 60))
    first, end = int(region.number("offset", 0)), int(region.number("end", -1))
    looped = region.values.get("loop_mode", region.values.get("loopmode", "")) in LOOPED
    start = int(region.number("loop_start", region.number("loopstart", -1)))
    stop = int(region.number("loop_end", region.number("loopend", -1)))
    loop = (start - first, stop + 1 - first) if looped and start >= first and stop > start else None
    key = (file, root, first, end, loop)
    if key in known:
        return None, key
    audio, rate = _read(file)
    audio = audio[first : end + 1 if end >= 0 else None]
    if len(audio) < 2 or (loop and loop[1] > len(audio)):
        raise ValueError(f"{file.name} is shorter than its offset, end or loop says")
    return Recording(file.stem, audio, rate, root, 0.0, loop), key


def _read(file: Path) -> tuple[Audio, int]:
    if file.suffix.lower() not in ENDINGS:
        raise ValueError(f"{file.name} is no audio file that is read here ({', '.join(ENDINGS)})")
    if not file.is_file():
        raise ValueError(f"the sample {file} is missing")
    try:
        audio, rate = soundfile.read(file, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError) as problem:
        raise ValueError(f"the sample {file.name} is damaged ({problem})") from problem
    if not np.isfinite(audio).all():
        raise ValueError(f"the sample {file.name} is damaged")
    return audio[:, :2], int(rate)


def _region(region: SfzRegion, recording: int, loudest: float) -> Region:
    key = region.pitch("key", -1)
    shift = int(region.number("note_offset", 0) + 12 * region.number("octave_offset", 0))
    low = region.pitch("lokey", key if key >= 0 else 0) + shift
    high = region.pitch("hikey", key if key >= 0 else 127) + shift
    keys = (min(max(low, 0), 127), min(max(high, 0), 127))
    velocities = (int(region.number("lovel", 0)), min(int(region.number("hivel", 127)), 127))
    if keys[0] > keys[1] or velocities[0] > velocities[1]:
        raise ValueError("its keys or velocities end before they begin")
    gens = {
        51: int(region.number("transpose", 0)),
        52: round(region.number("tune", 0)),
        ATTENUATION: decibels(region.number("volume", 0.0) - loudest),
        RELEASE: timecents(region.number("ampeg_release", 0.05)),
    }
    for oper, name in ((ATTACK, "ampeg_attack"), (HOLD, "ampeg_hold"), (DECAY, "ampeg_decay")):
        if name in region.values:
            gens[oper] = timecents(region.number(name, 0.0))
    sustain = min(max(region.number("ampeg_sustain", 100.0), 0.01), 100.0)
    gens[SUSTAIN] = round(-200 * math.log10(sustain / 100))
    if "pitch_keytrack" in region.values:
        gens[SCALE] = round(region.number("pitch_keytrack", 100))
    mods: list[Mod] = []
    track = region.number("amp_veltrack", 100.0)
    if track != 100.0:
        mods.append((LEVEL_SOURCE, ATTENUATION, round(FULL_TRACK * track / 100), 0, 0))
    if "cutoff" in region.values and region.values.get("fil_type", "lpf_2p").startswith("lpf"):
        hertz = min(max(region.number("cutoff", 20000.0), 20.0), 20000.0)
        gens[CUTOFF] = round(1200 * math.log2(hertz / 8.176))
        gens[RESONANCE] = min(max(round(10 * region.number("resonance", 0.0)), 0), 960)
        if "fil_veltrack" in region.values:
            mods.append((FILTER_SOURCE, CUTOFF, round(region.number("fil_veltrack", 0.0)), 0, 0))
    pan = region.number("pan", 0.0) / 100
    return Region(recording, keys, velocities, pan, gens, tuple(mods))


def _number(path: Path, region: SfzRegion, name: str, default: float) -> float:
    try:
        return region.number(name, default)
    except ValueError as problem:
        raise damaged_sfz(path, f"line {region.line}: {problem}") from problem
