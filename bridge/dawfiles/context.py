"""Notes and sounds of a project as the files that a request names: MIDI per track, WAV where a sound was cut.

Files are named after their content, so that the same project writes nothing twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.arrangement import ContextTrack
from bridge.dawfiles.media import find_file
from bridge.dawfiles.song import NOTES_SUFFIX, FilePart, FileSound
from bridge.errors import JobError
from bridge.handover.files import whole_file
from bridge.handover.midi import write_midi
from bridge.handover.take import file_name
from bridge.paths import AUDIO_ENDINGS
from bridge.timeline import Clock

if TYPE_CHECKING:
    from zipfile import ZipFile

WHOLE = 2e-3
"""Seconds by which a piece may miss its file's ends and still be all of it."""
MAX_SECONDS = 3600.0
"""Longest track of sound that is put together."""
MAX_EMBEDDED = 4 << 30
"""Bytes of one sound file inside a project."""
BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class _Note:
    """A note as `write_midi` reads it."""

    start: float
    length: float
    pitch: int
    velocity: int
    offset_ms: float = 0.0


def part2track(part: FilePart, folder: Path, clock: Clock) -> ContextTrack:
    """Writes the notes as a MIDI file that starts at beat 0. Raises `JobError` as `atomic` does."""
    name = part.name.removesuffix(NOTES_SUFFIX) or "track"
    told = repr((part, clock.beats, clock.seconds)).encode()
    path = folder / f"{file_name(name)}-{hashlib.sha256(told).hexdigest()[:12]}.mid"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        notes = [_Note(n.start, n.length, n.pitch, n.velocity) for n in part.notes]
        _once(partial(write_midi, path, name, notes, clock, start=0.0, end=clock.end, drums=part.drums))
    return ContextTrack(name=name[:200], role="drums" if part.drums else None, midi=str(path), start=0.0)


def sounds2track(
    name: str, sounds: Sequence[FileSound], clock: Clock, folder: Path, home: Path, archive: ZipFile | None
) -> tuple[list[ContextTrack], list[str]]:
    """A track's pieces of sound as one context track per sample rate, and remarks on what cannot be read.

    A single piece that is all of its file is named as it lies; others are put together in a WAV from the first piece's
    start to the last one's end. `home`: the folder of the project; `archive`: its ZIP. Raises `JobError` as `atomic`.
    """
    import soundfile

    remarks: list[str] = []
    pieces: dict[int, list[tuple[FileSound, Path, Any]]] = {}
    for sound in sounds:
        path = _embedded(sound, folder, archive) if sound.inside else find_file(sound.path, home)
        if path is None:
            remarks.append(f'"{name}": the sound {Path(sound.path.replace(chr(92), "/")).name} is not there.')
            continue
        if path.suffix.lower() not in AUDIO_ENDINGS:
            remarks.append(f'"{name}": {path.name} is no kind of sound that is read here.')
            continue
        try:
            info = soundfile.info(path)
        except (soundfile.SoundFileError, OSError):
            remarks.append(f'"{name}": {path.name} cannot be read.')
            continue
        if sound.from_second < info.duration and sound.seconds > 0:
            pieces.setdefault(info.samplerate, []).append((sound, path, info))
    tracks = []
    for rate, found in pieces.items():
        sound, path, info = found[0]
        if len(found) == 1 and sound.from_second < WHOLE and sound.seconds > info.duration - WHOLE:
            tracks.append(ContextTrack(name=name[:200], audio=str(path), start=sound.start))
            continue
        first = min(clock.beat2sample(s.start, rate) for s, _, _ in found)
        last = max(clock.beat2sample(s.start, rate) + round(s.seconds * rate) for s, _, _ in found)
        if last - first > MAX_SECONDS * rate:
            remarks.append(f'"{name}": its sounds span more than {MAX_SECONDS / 60:.0f} minutes and are left out.')
            continue
        told = repr(
            [(s, clock.beat2sample(s.start, rate), p.stat().st_size, p.stat().st_mtime_ns) for s, p, _ in found]
        )
        target = folder / f"{file_name(name)}-{hashlib.sha256(told.encode()).hexdigest()[:12]}.wav"
        if not target.exists():
            folder.mkdir(parents=True, exist_ok=True)
            _once(partial(_join, target, found, clock, rate, first, last))
        tracks.append(ContextTrack(name=name[:200], audio=str(target), start=clock.sample2beat(first, rate)))
    return tracks, remarks


def _join(
    target: Path, pieces: Sequence[tuple[FileSound, Path, Any]], clock: Clock, rate: int, first: int, last: int
) -> None:
    """Samples [first, last) of the project, block by block: the sum of the pieces that lie there."""
    import numpy as np
    import soundfile

    with ExitStack() as stack:
        places = []
        channels = max(info.channels for _, _, info in pieces)
        for sound, path, _ in pieces:
            start = clock.beat2sample(sound.start, rate)
            source = stack.enter_context(soundfile.SoundFile(path))
            offset = round(sound.from_second * rate)
            length = min(round(sound.seconds * rate), source.frames - offset)
            places.append((start, start + length, offset, source))
        file = stack.enter_context(whole_file(target))
        out = stack.enter_context(
            soundfile.SoundFile(file, "w", samplerate=rate, channels=channels, format="WAV", subtype="FLOAT")
        )
        for block in range(first, last, BLOCK):
            stop = min(block + BLOCK, last)
            total = np.zeros((stop - block, channels), np.float32)
            for start, end, offset, source in places:
                low, high = max(start, block), min(end, stop)
                if low < high:
                    source.seek(offset + low - start)
                    read = source.read(high - low, dtype="float32", always_2d=True)
                    total[low - block : low - block + len(read), : read.shape[1]] += read
                    if read.shape[1] == 1 and channels > 1:
                        total[low - block : low - block + len(read), 1:] += read
            out.write(total)
        out.close()


def _embedded(sound: FileSound, folder: Path, archive: ZipFile | None) -> Path | None:
    """The sound file taken out of the project's ZIP; never more bytes than the ZIP says, under a name of our own."""
    import zipfile
    import zlib

    if archive is None:
        return None
    try:
        entry = archive.getinfo(sound.path)
    except KeyError:
        return None
    if entry.file_size > MAX_EMBEDDED or entry.flag_bits & 1:
        return None
    plain = Path(sound.path.replace("\\", "/"))
    path = folder / f"{file_name(plain.stem)}-{entry.CRC:08x}{plain.suffix.lower()}"
    if path.suffix not in AUDIO_ENDINGS or path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)

    def unpack() -> None:
        with archive.open(entry) as packed, whole_file(path) as file:
            left = entry.file_size
            while left > 0 and (block := packed.read(min(1 << 20, left))):
                left -= len(block)
                file.write(block)

    try:
        _once(unpack)
    except (EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error):
        return None
    return path


def _once(write: Callable[[], object]) -> None:
    """Two processes may read the same project at once; the file that is there already is the same."""
    try:
        write()
    except JobError as error:
        if error.code != "disk.exists":
            raise
