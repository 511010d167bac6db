"""A REAPER project as REAPER writes it (versions 4 to 7) or as `bridge.handover.rpp` does.

Read: tempo map with its ramps (straight over time), metres, regions, markers, MIDI items with their events inside the
project, pooled or in a file, and audio items that play unstretched; of several takes the chosen one. The project's
offset is a matter of display: positions count from the project's start, whatever its ruler says. Muted tracks and items
are left out; so is what is stretched, pitched, reversed or missing, which is said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bridge.dawfiles.media import file2seconds
from bridge.dawfiles.ramps import TempoPoint, points2pairs
from bridge.dawfiles.rpp_midi import Pool, item2notes
from bridge.dawfiles.rpp_text import Block, read_rpp_text, to_number
from bridge.dawfiles.song import FilePart, FileSong, FileSound, check_song_pairs, tidy_metres
from bridge.errors import RequestError
from bridge.midinotes import DRUM_CHANNEL, SmfNote
from bridge.timeline import Clock, Metre

DEFAULT_RATE = 48000
MAX_NOTES = 1_000_000
MAX_ROUNDS = 1000
"""Times that one item's sound comes round."""
SHORTEST = 1e-4
"""Seconds: what is shorter is a rounding, not a sound."""
REVERSED = 2
"""Bit of a section's mode."""


@dataclass
class _Item:
    """An item with its chosen take. Seconds; `offset` into the source, `rate` of its playing."""

    position: float
    length: float
    loops: bool
    offset: float
    rate: float
    stretched: bool
    source: Block


def read_rpp(path: Path) -> FileSong:
    """The project at `path`. Raises `RequestError` `file.missing`, `file.too_large`, `file.damaged`, `file.tempo`."""
    root = read_rpp_text(path)
    points, changes = _tempo_points(root)
    pairs = check_song_pairs(points2pairs(points, "seconds"), path)
    clock = Clock.from_pairs(pairs)
    metres = _metres(changes, clock)
    regions, markers = _regions_and_markers(root, clock)
    pool = Pool.of(root)
    parts: list[FilePart] = []
    sounds: list[FileSound] = []
    remarks: list[str] = []
    notes_read = 0
    muted = _muted(root.blocks("TRACK"))
    for number, track in enumerate(root.blocks("TRACK"), 1):
        name = " ".join((track.first("NAME") or [""])[0:1]).strip()[:200] or f"Track {number}"
        items = [item for block in track.blocks("ITEM") for item in _items(block)]
        if muted[number - 1]:
            if items:
                remarks.append(f'"{name}" is muted and was left out.')
            continue
        notes: dict[int, list[SmfNote]] = {}
        for item in items:
            kind = item.source.fields[0] if item.source.fields else ""
            if kind in ("MIDI", "MIDIPOOL"):
                heard, problem = item2notes(item.source, item, clock, pool, path.parent)
                for channel, played in heard.items():
                    notes.setdefault(channel, []).extend(played)
                    notes_read += len(played)
            else:
                pieces, problem = _sounds(name, item, clock, path.parent)
                sounds += pieces
            if problem:
                remarks.append(f'"{name}": {problem}')
        if notes_read > MAX_NOTES:
            raise RequestError("file.too_large", f"it holds more than {MAX_NOTES} notes.", field=str(path))
        for channel, played in sorted(notes.items()):
            unique = {(note.start, note.pitch): note for note in played}
            ordered = tuple(unique[key] for key in sorted(unique))
            parts.append(FilePart(name, ordered, drums=channel == DRUM_CHANNEL))
    return FileSong(
        path=path,
        rate=int(root.value("SAMPLERATE", 0, DEFAULT_RATE)) or DEFAULT_RATE,
        pairs=pairs,
        metres=metres,
        markers=tuple(markers),
        regions=tuple(regions),
        parts=tuple(parts),
        sounds=tuple(sounds),
        remarks=tuple(dict.fromkeys(remarks)),
    )


def _muted(tracks: Sequence[Block]) -> list[bool]:
    """Which tracks are silent: muted themselves, or in a muted folder. ISBUS: 1 opens a folder, 2 -n closes n."""
    silent, folders = [], [False]
    for track in tracks:
        here = folders[-1] or track.value("MUTESOLO") == 1
        silent.append(here)
        kind, closed = track.value("ISBUS"), -int(track.value("ISBUS", 1))
        if kind == 1:
            folders.append(here)
        elif kind == 2 and closed > 0:
            del folders[max(1, len(folders) - closed) :]
    return silent


def _tempo_points(root: Block) -> tuple[list[TempoPoint], dict[float, tuple[int, int]]]:
    """Tempo points, and metres by second. A point: second, bpm, shape (odd: it holds), beats + 65536 * unit."""
    tempo = root.first("TEMPO") or []
    bpm = to_number(tempo, 0, 120.0)
    metres: dict[float, tuple[int, int]] = {}
    _add_metre(metres, 0.0, int(to_number(tempo, 1, 4)), int(to_number(tempo, 2, 4)))
    points: list[TempoPoint] = []
    for envelope in root.blocks("TEMPOENVEX"):
        for line in envelope.lines:
            if not isinstance(line, list) or not line or line[0] != "PT":
                continue
            second, tempo_there = max(0.0, to_number(line, 1)), to_number(line, 2)
            if tempo_there > 0:
                points.append(TempoPoint(second, tempo_there, int(to_number(line, 3, 1)) % 2 == 0))
            packed = int(to_number(line, 4))
            if packed > 0:
                _add_metre(metres, second, packed & 0xFFFF, packed >> 16)
    points.sort(key=lambda point: point.at)
    return points or [TempoPoint(0.0, bpm if bpm > 0 else 120.0)], metres


def _add_metre(metres: dict[float, tuple[int, int]], second: float, beats: int, unit: int) -> None:
    if 1 <= beats <= 32 and unit in (1, 2, 4, 8, 16, 32):
        metres[second] = (beats, unit)


def _metres(changes: dict[float, tuple[int, int]], clock: Clock) -> tuple[Metre, ...]:
    """In beats. REAPER keeps seconds with twelve decimals, so what misses a sixteenth of a beat by less is on it."""
    placed: dict[float, tuple[int, int]] = {}
    for second, metre in changes.items():
        beat = clock.second2beat(second)
        near = round(beat * 96) / 96
        placed[near if abs(near - beat) < 1e-7 else beat] = metre
    return tidy_metres(placed)


def _regions_and_markers(
    root: Block, clock: Clock
) -> tuple[list[tuple[float, float, str, str]], list[tuple[float, str]]]:
    """Regions are two lines with one number: the first has the name, the second the end."""
    regions: list[tuple[float, float, str, str]] = []
    markers: list[tuple[float, str]] = []
    begun: dict[str, tuple[float, str]] = {}
    for line in root.lines:
        if not isinstance(line, list) or len(line) < 3 or line[0] != "MARKER":
            continue
        beat = _tidy_beat(clock.second2beat(max(0.0, to_number(line, 2))))
        name = " ".join(line[3].split())[:200] if len(line) > 3 else ""
        if int(to_number(line, 4)) & 1:
            if line[1] in begun:
                start, title = begun.pop(line[1])
                if beat > start:
                    regions.append((start, beat, title, ""))
            else:
                begun[line[1]] = (beat, name)
        elif name:
            markers.append((beat, name))
    return regions, sorted(markers)


def _tidy_beat(beat: float) -> float:
    """A beat read from seconds: what lies within a hundred-thousandth of a 96th is on it."""
    near = round(beat * 96) / 96
    return near if abs(near - beat) < 1e-5 else beat


def _items(block: Block) -> list[_Item]:
    """The item with its chosen take, or with all of them where all play; [] where it is muted or holds none."""
    takes: list[Block] = [Block("", [])]
    chosen = 0
    for line in block.lines:
        if isinstance(line, list) and line and line[0] == "TAKE":
            if "SEL" in line:
                chosen = len(takes)
            takes.append(Block("", []))
        else:
            takes[-1].lines.append(line)
    if block.value("MUTE") == 1:
        return []
    every = block.value("ALLTAKES") == 1
    items = []
    for take in takes if every else takes[chosen : chosen + 1]:
        sources = take.blocks("SOURCE")
        if not sources:
            continue
        playing = take.first("PLAYRATE") or []
        rate = to_number(playing, 0, 1.0) or 1.0
        items.append(
            _Item(
                position=block.value("POSITION"),
                length=block.value("LENGTH"),
                loops=block.value("LOOP", 0, 0) == 1,
                offset=take.value("SOFFS"),
                rate=rate,
                stretched=abs(rate - 1) > 1e-9
                or abs(to_number(playing, 2)) > 1e-9
                or any(isinstance(line, list) and line and line[0] == "SM" for line in take.lines),
                source=sources[0],
            )
        )
    return items


def _sounds(track: str, item: _Item, clock: Clock, home: Path) -> tuple[list[FileSound], str]:
    """The item's sound, once or as often as it comes round, and what was left out."""
    source, begin, size = item.source, 0.0, math.inf
    while source.fields[:1] == ["SECTION"]:
        if int(source.value("MODE")) & REVERSED:
            return [], "a sound that plays backwards was left out."
        begin += source.value("STARTPOS")
        size = min(size, source.value("LENGTH") or math.inf)
        inner = source.blocks("SOURCE")
        if not inner:
            return [], "an item without a file was left out."
        source = inner[0]
    path = " ".join((source.first("FILE") or [""])[:1])
    if not path:
        return [], "" if source.fields[:1] in (["CLICK"], ["EMPTY"]) else "an item without a file was left out."
    if item.stretched:
        return [], f"{Path(path.replace(chr(92), '/')).name} is stretched or pitched and was left out."
    if item.loops and math.isinf(size):
        size = file2seconds(path, home) - begin
    # Before the source's start, and before the project's, there is silence.
    silence = max(0.0, -item.offset, -item.position)
    position, length, offset = item.position + silence, item.length - silence, item.offset + silence
    sounds: list[FileSound] = []
    while length > SHORTEST and len(sounds) < MAX_ROUNDS:
        if item.loops and math.isfinite(size) and size > SHORTEST:
            offset %= size
        heard = min(length, size - offset)
        if heard <= SHORTEST:
            break
        sounds.append(FileSound(track, clock.second2beat(position), path, begin + offset, heard))
        position, length, offset = position + heard, length - heard, 0.0
        if not item.loops:
            break
    return sounds, ""
