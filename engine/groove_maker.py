"""A groove from a MIDI file: heard, put on the grid, cut into levels and fills, stripped to degrees, written down.

What the file does not play (a chorus, a fill, a pad, ...) is lent by the groove of the book that is nearest in metre,
words and tempo, or that `like` names; the remarks say so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from bridge.errors import RequestError
from bridge.midifile import extended, read_smf, smf2arrangement
from bridge.timeline import Bar, Clock, Metre
from engine.grooves import STREAMS, Groove, Level, Pattern, Progression, book, choose, groove, library, user_folder
from engine.grooves.derive import derive_levels
from engine.grooves.groove import FILL_KINDS, Degree, Event
from engine.grooves.learn import Passage, chords2pattern, drums2pattern, grid_error, line2pattern
from engine.grooves.notation import parse_groove
from engine.grooves.passages import drums2passages, sections2passages
from engine.grooves.validate import problems
from engine.grooves.write import groove2text
from engine.listen import listen_tracks
from engine.score import QUALITIES, SCALES, Chord, Heard, Key, Note

LOOSE = 0.2
"""Mean distance from the grid, in steps, from which on no grid is heard (0.25 is chance)."""
TEMPO_ROOM = 0.12
STREAM_OF = {"drums": "drums", "bass": "bass", "keys": "comp", "guitar": "comp", "brass": "comp", "pad": "pad",
             "strings": "pad", "arp": "arp", "lead": "lead", "vocals": "lead"}  # fmt: skip
SLASH = {3: 4, 4: 4, 7: 7, 10: 10, 2: 2}
IDEA_BARS = (1, 2, 4, 8)


def add_file(request: dict[str, Any]) -> dict[str, Any]:
    """Reads `file`, writes `name`.groove into the user's folder, says what was found. Raises `RequestError`."""
    name, path = request["name"], Path(request["file"])
    target = user_folder() / f"{name}.groove"
    _check_name(name, target, replaces=request.get("replace", False))
    tags = tuple(t.strip().lower() for t in request.get("tags", "").split(",") if t.strip()) or (
        name.replace("-", " "),
    )
    title = request.get("title") or name.replace("-", " ").capitalize()
    lender = groove(request["like"]) if request.get("like") else None
    made, remarks = file2groove(path, name, title, tags, lender)
    text = groove2text(made)
    if parse_groove(text, target.name) != made:
        raise RequestError("groove.lost", "the groove cannot be written down as it was heard.", field=str(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    return {"name": name, "file": str(target), "remarks": remarks}


def _check_name(name: str, target: Path, *, replaces: bool) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise RequestError("groove.name", f"'{name}' is no name for a groove.", field="name", hint="As in my-groove.")
    if any(g.name == name for g in book()):
        raise RequestError("groove.twice", f"the book has a groove '{name}'.", field="name", hint="Take another name.")
    taken = target.exists() or any(g.name == name for g in library().grooves)
    if taken and not (replaces and target.exists()):
        raise RequestError(
            "groove.twice", f"you have a groove '{name}'.", field="name", hint="--replace writes over it."
        )


def file2groove(
    path: Path, name: str, title: str, tags: tuple[str, ...], lender: Groove | None = None
) -> tuple[Groove, list[str]]:
    """The groove and remarks about it. Raises `RequestError`: as `read_smf`, and `groove.no_drums`, `groove.metre`,
    `groove.grid`, `groove.short`."""
    song = read_smf(path)
    arrangement = smf2arrangement(path)
    clock = Clock.from_pairs(extended(song.tempo, 128.0), song.metres, field=str(path))
    heard = listen_tracks(arrangement, clock)
    drums = [n for part in heard.parts if part.role == "drums" for n in part.notes]
    if not drums:
        raise RequestError(
            "groove.no_drums", "no drums are played in this file.", field=str(path),
            hint="Put them on MIDI channel 10, or call their track Drums.",
        )  # fmt: skip
    bars = list(clock.bars(0.0, arrangement.clock[-1][0]))
    metre = Counter((b.metre.beats, b.metre.unit) for b in bars).most_common(1)[0][0]
    remarks = []
    if any((b.metre.beats, b.metre.unit) != metre for b in bars):
        remarks.append(f"only the bars in {metre[0]}/{metre[1]} were read, the other metres left out")
    bars = [b for b in bars if (b.metre.beats, b.metre.unit) == metre and _whole(b)]
    feel = _feel(path, drums, metre)
    per = 4 if feel == "straight" else 3
    steps = round(metre[0] * 4 * per / metre[1])
    if song.markers:
        passages = sections2passages(arrangement.sections, bars)
    else:
        passages = drums2passages(drums, bars, per)
        remarks.append("the file has no markers: its levels were told apart by what the drums repeat")
    if not any(p.kind in ("verse", "chorus") for p in passages):
        raise RequestError(
            "groove.short", "no bars repeat, so there is no groove to learn.", field=str(path),
            hint="Play a pattern at least twice, or set markers: Verse, Chorus, Fill, Ending.",
        )  # fmt: skip
    bpm = clock.bpm_at(passages[0].start)
    lender = lender or _lender(tags, metre, bpm, steps, feel)
    key = replace(heard.key, mode="minor" if 3 in SCALES[heard.key.mode] else "major")
    chords = heard.chords or (Chord(0.0, bars[-1].end, key.tonic, "m" if key.mode == "minor" else ""),)
    maker = Maker(
        passages, heard, chords, key, per, steps, lender if lender.steps == steps and lender.feel == feel else None
    )
    levels, fills = maker.levels(), maker.fills()
    remarks += maker.remarks
    low, high = round(bpm * (1 - TEMPO_ROOM)), round(bpm * (1 + TEMPO_ROOM))
    plain = Groove(
        name, title, tags, *metre, feel, float(low), float(high), 0.5, 16, 0.0,
        tuple(maker.progressions()), derive_levels(levels), fills,
    )  # fmt: skip
    heard_faults = list(dict.fromkeys(re.sub(r" in [A-G]\S* (major|minor)", "", p) for p in problems(plain)))
    remarks += [f"worth a look: {fault}" for fault in heard_faults[:6]]
    return plain, remarks


def _whole(bar: Bar) -> bool:
    return abs(bar.end - bar.start - bar.metre.bar_beats) < 1e-6


def _feel(path: Path, drums: Sequence[Note], metre: tuple[int, int]) -> str:
    """The grid that the drums keep to: sixteenths or triplets, whichever is nearer."""
    errors = {feel: grid_error(drums, per) for feel, per in (("straight", 4), ("triplet", 3))}
    whole = [feel for feel, per in (("straight", 4), ("triplet", 3)) if (metre[0] * 4 * per / metre[1]).is_integer()]
    if not whole or metre[0] * 16 / metre[1] > 96:
        raise RequestError("groove.metre", f"bars of {metre[0]}/{metre[1]} have no grid.", field=str(path))
    feel = min(whole, key=lambda f: (errors[f] / (4 if f == "straight" else 3), f))
    if errors[feel] > LOOSE:
        raise RequestError(
            "groove.grid", f"the drums lie {errors[feel]:.0%} of a step beside the grid on average.", field=str(path),
            hint="Quantise them to sixteenths or triplets, or export with the song's tempo map.",
        )  # fmt: skip
    return feel


def _lender(tags: Sequence[str], metre: tuple[int, int], bpm: float, steps: int, feel: str) -> Groove:
    """The nearest groove of the book; one on the same grid where there is one."""
    chosen = choose(", ".join(tags), Metre(0.0, *metre), bpm, 0).groove
    if chosen.steps == steps and chosen.feel == feel and chosen.name.split("/")[0] not in library().own:
        return chosen
    same = [g for g in book() if g.steps == steps and g.feel == feel]
    return min(same, key=lambda g: abs((g.bpm_low + g.bpm_high) / 2 - bpm), default=chosen)


class Maker:
    """Builds levels, fills and chord ideas from a song's passages. `lender` is None where no groove has the grid."""

    def __init__(
        self, passages: Sequence[Passage], heard: Heard, chords: Sequence[Chord], key: Key, per: int, steps: int,
        lender: Groove | None,
    ) -> None:  # fmt: skip
        self.passages, self.chords, self.key, self.per, self.steps, self.lender = (
            passages,
            chords,
            key,
            per,
            steps,
            lender,
        )
        self.remarks: list[str] = []
        self.notes: dict[str, list[Note]] = {stream: [] for stream in STREAMS}
        self.tracks: dict[str, str] = {}
        for part in sorted(heard.parts, key=lambda p: -len(p.notes)):
            stream = STREAM_OF[part.role]
            if stream == "drums" or stream not in self.tracks:
                self.notes[stream] += part.notes
                self.tracks[stream] = part.name
            else:
                self.remarks.append(f"{part.name} was left out: {self.tracks[stream]} plays the {stream} already")

    def levels(self) -> dict[str, Level]:
        """The levels that were played; verse, chorus and ending always."""
        found: dict[str, Level] = {}
        for kind in ("intro", "verse", "chorus", "bridge", "ending"):
            played = [p for p in self.passages if p.kind == kind]
            level = self._level(kind, max(played, key=lambda p: len(p.bars))) if played else None
            if level is not None:
                found[kind] = level
        for kind, other in (("verse", "chorus"), ("chorus", "verse")):
            if kind not in found:
                found[kind] = Level(kind, found[other].streams, crash=kind == "chorus")
                self.remarks.append(f"the file has no {kind}: it plays the {other}'s patterns")
        for kind in ("verse", "chorus"):
            found[kind] = self._complete(found[kind])
        if "ending" not in found or not {"bass", "comp"} <= set(found["ending"].streams):
            found["ending"] = self._ending(found.get("ending"))
        return {kind: found[kind] for kind in ("intro", "verse", "chorus", "bridge", "ending") if kind in found}

    def fills(self) -> tuple[Level, ...]:
        """Fills, stops and pick-ups that were played, each once."""
        found: list[Level] = []
        for passage in self.passages:
            if passage.kind not in FILL_KINDS:
                continue
            level = self._level(passage.kind, Passage(passage.kind, passage.bars[-1:]))
            if level is not None and all(level.streams["drums"].events != f.streams["drums"].events for f in found):
                found.append(level)
        if found:
            return tuple(found)
        if self.lender is not None:
            self.remarks.append(f"the file has no fill: those of {self.lender.name} are played")
            return tuple(
                Level(f.name, {"drums": f.streams["drums"]}) for f in self.lender.fills if "drums" in f.streams
            )
        self.remarks.append("the file has no fill: a plain roll is played")
        last = range(self.steps - self.per, self.steps)
        roll = (Event(0, 1, "kick"), *(Event(s, 1, "snare", 0, int(s == self.steps - 1)) for s in last))
        return (Level("fill", {"drums": Pattern(1, self.steps, roll)}),)

    def progressions(self) -> list[Progression]:
        """The chords that were heard under each level, as degrees."""
        found: list[Progression] = []
        for passage in self.passages:
            if passage.kind in ("intro", "verse", "chorus", "bridge"):
                idea = self._progression(passage)
                if idea not in found:
                    found.append(idea)
        for kind, other in (("verse", "chorus"), ("chorus", "verse")):
            if not any(p.level == kind for p in found):
                found += [replace(p, level=kind) for p in found if p.level == other][:1]
        return found

    def _level(self, kind: str, passage: Passage) -> Level | None:
        single = kind in FILL_KINDS or kind == "ending"
        drums, crash, strange = drums2pattern(self.notes["drums"], passage, self.per, self.steps, 1 if single else 0)
        if strange:
            pitches = ", ".join(str(p) for p in sorted(strange))
            self.remarks.append(f"{kind}: drum pitches that have no lane were left out: {pitches}")
        if drums is None:
            return None
        streams = {"drums": drums}
        for stream in STREAMS[1:]:
            here = (self.notes[stream], passage, self.chords, self.key, self.per, self.steps)
            made = chords2pattern(*here) if stream in ("comp", "pad") else line2pattern(stream, *here)
            if made is not None:
                streams[stream] = made
        return Level(kind, streams, crash)

    def _complete(self, level: Level) -> Level:
        """The level with all six streams: what was not played is the lender's, or held chords and long notes."""
        missing = [s for s in STREAMS if s not in level.streams]
        if not missing:
            return level
        if self.lender is not None:
            lent = {s: self.lender.levels[level.name].streams[s] for s in missing}
            self.remarks.append(f"{level.name}: {', '.join(missing)} as in {self.lender.name}")
        else:
            lent = {s: self._plain(s) for s in missing}
            self.remarks.append(f"{level.name}: {', '.join(missing)} in long notes, as no groove has this grid")
        return replace(level, streams={s: {**level.streams, **lent}[s] for s in STREAMS})

    def _plain(self, stream: str) -> Pattern:
        low, high = {"bass": (28, 50), "comp": (55, 76), "pad": (55, 76), "arp": (67, 88), "lead": (62, 80)}[stream]
        symbol = {"bass": "1", "comp": "x", "pad": "x", "arp": "a", "lead": "5"}[stream]
        length = self.steps if stream != "lead" else max(1, self.steps // 2)
        shape = "triad" if stream in ("comp", "pad") else ""
        return Pattern(1, self.steps, (Event(0, length, symbol),), low, high, shape)

    def _ending(self, played: Level | None) -> Level:
        """The drums that were played, or a kick and a crash, under a chord that rings."""
        hit = Pattern(1, self.steps, (Event(0, 1, "kick", 0, 1), Event(0, 1, "crash")))
        streams = {"drums": hit, "bass": self._plain("bass"), "comp": self._plain("comp"), "pad": self._plain("pad")}
        if played is None:
            self.remarks.append("the file has no ending: a last chord rings")
        return Level("ending", {**streams, **(played.streams if played else {})})

    def _progression(self, passage: Passage) -> Progression:
        """As many bars as the chords take to come round, at most eight."""
        bars = [self._bar_degrees(bar) for bar in passage.bars]
        count = next(
            (n for n in IDEA_BARS if n < len(bars) and all(bars[i] == bars[i % n] for i in range(n, len(bars)))), 0
        ) or max(n for n in IDEA_BARS if n <= len(bars))
        return Progression(passage.kind, self.key.mode, count, tuple(d for bar in bars[:count] for d in bar))

    def _bar_degrees(self, bar: Bar) -> tuple[Degree, ...]:
        """The chords of a bar in halves where it has two, in beats where it has more."""
        inside = sorted({round(c.beat - bar.start) for c in self.chords if bar.start < c.beat < bar.end - 0.5} - {0})
        length = bar.end - bar.start
        edges = [0.0, *(float(i) for i in inside if 0 < i < length), length]
        found: list[Degree] = []
        for a, b in pairwise(edges):
            middle = bar.start + (a + b) / 2
            chord = next((c for c in reversed(self.chords) if c.beat <= middle), self.chords[0])
            degree = chord2degree(chord, self.key, b - a)
            if found and replace(found[-1], beats=0.0) == replace(degree, beats=0.0):
                found[-1] = replace(found[-1], beats=found[-1].beats + degree.beats)
            else:
                found.append(degree)
        return tuple(found)


def chord2degree(chord: Chord, key: Key, beats: float) -> Degree:
    """A chord as a degree of the key; roots outside the scale are altered ones, flat ones first."""
    place = (chord.root - key.tonic) % 12
    scale = SCALES[key.mode]
    spelled = [
        (alter != 0, -alter, d) for alter in (0, -1, 1) for d, step in enumerate(scale) if (step + alter) % 12 == place
    ]
    _, alter, degree = min(spelled)
    bass = None if chord.bass is None else (chord.bass - chord.root) % 12
    if bass is not None and bass in (3, 4):
        bass = QUALITIES[chord.quality][1] if QUALITIES[chord.quality][1] in (3, 4) else None
    elif bass not in SLASH:
        bass = None
    return Degree(degree, -alter, chord.quality, bass, beats)
