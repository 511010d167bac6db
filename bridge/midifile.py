"""Standard MIDI files: notes in beats, tempo map, metres, keys, markers; and a whole song file as an `Arrangement`.

Conventions
-----------
beat      ticks / ticks per quarter note, from the file's start
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from bridge import paths
from bridge.arrangement import TONICS, Arrangement, ContextTrack, KeyAt, MetreAt
from bridge.dawfiles.sections import markers2sections, played2sections
from bridge.errors import RequestError
from bridge.midinotes import SmfNote, SmfTrack, Timed, clean_text, timed2tracks
from bridge.timeline import Clock, Metre, check_pairs

if TYPE_CHECKING:
    from mido import MidiFile

__all__ = ["SmfNote", "SmfSong", "SmfTrack", "read_smf", "smf2arrangement"]

MAX_BYTES = paths.MAX_BYTES["MIDI"]
"""Four MB hold about a million events, more than any song; the reader's time and memory are bounded by it."""
MAX_EVENTS = 1_000_000
MAX_CHUNKS = 512
MAX_BEATS = 100_000.0
RELEASE = 0.25
"""A last note may reach this far into the next bar without making it part of the song (beats)."""
LONGEST_BAR = 128.0
"""32/1, the longest metre of the clock (beats)."""


@dataclass(frozen=True, slots=True)
class SmfSong:
    """A file's music. `tempo`: (beat, second) pairs from (0, 0) to `end` or beyond, linear in between; `keys`: (beat,
    tonic name, mode); `markers`: (beat, text); `end`: beat at which the last track ends."""

    path: str
    tracks: tuple[SmfTrack, ...]
    tempo: tuple[tuple[float, float], ...]
    metres: tuple[Metre, ...]
    keys: tuple[tuple[float, str, str], ...]
    markers: tuple[tuple[float, str], ...]
    end: float


def read_smf(path: str | Path) -> SmfSong:
    """Reads a MIDI file of format 0 or 1.

    Raises `RequestError`: `midi.missing`, `midi.too_large`, `midi.damaged` (cut off, or no MIDI at all), `midi.smpte`
    (positions in film frames instead of beats), `midi.format` (format 2), `midi.tempo`, `midi.too_long`.
    """
    path = Path(path)
    midi = _parse(path, _load(path))
    events = sum(len(track) for track in midi.tracks)
    if events > MAX_EVENTS:
        raise _error(path, "midi.too_large", f"{events} events; at most {MAX_EVENTS} are read.", "Export fewer tracks.")
    ticks = midi.ticks_per_beat
    timed = _in_order(midi)
    end = max((tick for tick, _, _ in timed), default=0) / ticks
    if end > MAX_BEATS:
        raise _error(
            path,
            "midi.too_long",
            f"it lasts {end:.3g} beats; at most {MAX_BEATS:.0f} are read.",
            "Cut off what lies far out.",
        )
    return SmfSong(
        path=str(path),
        tracks=timed2tracks(midi, timed, ticks),
        tempo=_tempo(path, timed, ticks, end),
        metres=_metres(timed, ticks, end),
        keys=_keys(timed, ticks),
        markers=tuple(
            (tick / ticks, clean_text(m.text))
            for tick, _, m in timed
            if m.type in ("marker", "cue_marker") and clean_text(m.text)
        ),
        end=end,
    )


def _error(path: Path, code: str, message: str, hint: str) -> RequestError:
    return RequestError(code, message, field=str(path), hint=hint)


def _load(path: Path) -> bytes:
    """The file's bytes, once it is small enough and begins like a MIDI file whose positions are beats."""
    try:
        if not path.is_file():
            raise _error(path, "midi.missing", "there is no such MIDI file.", "Export it again, or correct the path.")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise _error(
                path,
                "midi.too_large",
                f"{size / 1e6:.1f} MB; at most {MAX_BYTES / 1e6:.1f} MB are read.",
                "Export fewer tracks.",
            )
        data = path.read_bytes()
    except OSError as error:
        raise _error(
            path, "midi.missing", f"the file cannot be read ({error.strerror}).", "Check its permissions."
        ) from error
    if len(data) < 14 or data[:4] != b"MThd":
        raise _error(
            path, "midi.damaged", "this is not a standard MIDI file.", "Export it again as a MIDI file (.mid)."
        )
    kind, chunks, division = (int.from_bytes(data[at : at + 2]) for at in (8, 10, 12))
    if kind > 1:
        raise _error(
            path,
            "midi.format",
            f"MIDI format {kind} holds loose patterns, not one song.",
            "Export it as format 0 or 1.",
        )
    if chunks > MAX_CHUNKS:
        raise _error(path, "midi.too_large", f"{chunks} tracks; at most {MAX_CHUNKS} are read.", "Export fewer tracks.")
    if division & 0x8000:
        raise _error(
            path,
            "midi.smpte",
            "its positions are film frames (SMPTE), not beats.",
            "Export it with ticks per quarter note.",
        )
    if division == 0:
        raise _error(path, "midi.damaged", "it says that a quarter note has no ticks.", "Export it again.")
    return data


def _parse(path: Path, data: bytes) -> MidiFile:
    import mido

    try:
        return mido.MidiFile(file=BytesIO(data), clip=True)
    except EOFError as error:
        raise _error(path, "midi.damaged", "the MIDI file is cut off.", "Export or copy it again.") from error
    except (
        Exception
    ) as error:  # mido lets many kinds of error out of a damaged file, one of them derived from Exception alone
        raise _error(path, "midi.damaged", f"the MIDI file is damaged ({error}).", "Export it again.") from error


def _in_order(midi: MidiFile) -> Timed:
    timed: Timed = []
    for index, track in enumerate(midi.tracks):
        tick = 0
        for message in track:
            tick += message.time
            timed.append((tick, index, message))
    timed.sort(key=lambda item: item[0])
    return timed


def _tempo(path: Path, timed: Timed, ticks: int, end: float) -> tuple[tuple[float, float], ...]:
    """Tempo events of all chunks as (beat, second) pairs, checked as a clock, to at least one beat."""
    changes: dict[int, int] = {0: 500_000}
    for tick, _, message in timed:
        if message.type == "set_tempo":
            changes[tick] = message.tempo
    pairs: list[tuple[float, float]] = []
    second, tick, tempo = 0.0, 0, changes[0]
    for at in sorted(changes):
        second += (at - tick) / ticks * tempo / 1e6
        if not pairs or changes[at] != tempo:
            pairs.append((at / ticks, second))
        tick, tempo = at, changes[at]
    stop = max(end, pairs[-1][0] + 1.0)
    pairs.append((stop, second + (stop - tick / ticks) * tempo / 1e6))
    try:
        check_pairs(pairs, "tempo map")
    except RequestError as error:
        raise _error(
            path, "midi.tempo", f"its tempo map cannot be played: {error.message}", "Correct the tempo track."
        ) from error
    return tuple(pairs)


def _metres(timed: Timed, ticks: int, end: float) -> tuple[Metre, ...]:
    """Metres from beat 0 on (4/4 until the file says another); repeats of the metre in force are left out."""
    changes: dict[float, Metre] = {0.0: Metre(0.0, 4, 4)}
    for tick, _, message in timed:
        beat = tick / ticks
        if message.type == "time_signature" and (beat < end or beat == 0.0):
            changes[beat] = Metre(beat, message.numerator, message.denominator)
    metres: list[Metre] = []
    for metre in (changes[beat] for beat in sorted(changes)):
        if not metres or (metre.beats, metre.unit) != (metres[-1].beats, metres[-1].unit):
            metres.append(metre)
    return tuple(metres)


def _keys(timed: Timed, ticks: int) -> tuple[tuple[float, str, str], ...]:
    """Key signatures; repeats are left out."""
    keys: list[tuple[float, str, str]] = []
    for tick, _, message in timed:
        if message.type != "key_signature":
            continue
        minor = message.key.endswith("m")
        tonic = message.key[:-1] if minor else message.key
        if tonic in TONICS and (not keys or keys[-1][1:] != (tonic, "minor" if minor else "major")):
            keys.append((tick / ticks, tonic, "minor" if minor else "major"))
    return tuple(keys)


def smf2arrangement(path: str | Path, sample_rate: int = 48000) -> Arrangement:
    """A request's arrangement from a song in a MIDI file: its tempo map, metres, keys, markers and all of its tracks.

    Sections come from the markers (`markers2sections`; what precedes the first is an intro) or, without any, from how
    much is played (`played2sections`). The song ends with the bar of its last note.

    A lone signature of C major is what programs write when nobody chose a key, so it is not taken as a given key.
    The file comes back as one `follow` context track; listening splits it into its parts.
    Raises `RequestError`, as `read_smf` does, and `midi.empty` for a file without notes.
    """
    song = read_smf(path)
    notes = [note for track in song.tracks for note in track.notes]
    if not notes:
        raise _error(
            Path(path), "midi.empty", "there are no notes in this MIDI file.", "Export the tracks that hold the music."
        )
    played = max(max(note.start + 0.01, note.start + note.length - RELEASE) for note in notes)
    clock = Clock.from_pairs(extended(song.tempo, LONGEST_BAR), song.metres, field=str(path))
    bars = list(clock.bars(0.0, played))
    end = bars[-1].end
    lines = [bar.start for bar in bars]
    sections = markers2sections(song.markers, lines, end) or played2sections(notes, lines, end)
    pairs = [pair for pair in song.tempo[:-1] if pair[0] < end]
    pairs.append((end, clock.beat2second(end)))
    keys = () if [k[1:] for k in song.keys] == [("C", "major")] else song.keys
    return Arrangement(
        sample_rate=sample_rate,
        clock=tuple(pairs),
        metres=tuple(MetreAt(m.beat, m.beats, m.unit) for m in song.metres if m.beat < end),
        keys=tuple(KeyAt(*key) for key in keys if key[0] < end),
        sections=sections,
        tracks=(ContextTrack(name=Path(path).stem, midi=str(path), start=0.0, use="follow"),),
    )


def extended(tempo: Sequence[tuple[float, float]], beats: float) -> list[tuple[float, float]]:
    """The tempo map with its last tempo going on for `beats` more."""
    (b0, s0), (b1, s1) = tempo[-2:]
    return [*tempo[:-1], (b1 + beats, s1 + beats * (s1 - s0) / (b1 - b0))]
