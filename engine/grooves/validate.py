"""What the machine can say about a groove: `problems(groove)` lists every rule that it breaks, for people.

Rules: bass one note at a time inside E1-G3; at most ten notes a voicing, each hand within a ninth or so; a drummer has
two hands and two feet; kick and bass meet as often as the style's `lock` says; the chorus is at least as busy as the
verse and its tune not lower; levels differ; fills hit drums; endings ring; leads stand on chord tones on strong beats.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from bridge.timeline import Bar, Metre
from engine.grooves.groove import FEET, HANDS, LANES, STREAMS, Groove, Level
from engine.grooves.harmony import EPS, chord_at, groove2chords
from engine.grooves.realise import ending, fill, realise_bars
from engine.score import Chord, Key, Note

FEET_PITCHES = {LANES[lane] for lane in FEET}
HAND_PITCHES = {LANES[lane] for lane in HANDS}
HAND_SPAN = 16
"""Semitones that one hand can reach, or a guitarist's fret hand across the strings it strikes together."""
SUNG_SPAN = 19
"""Semitones that a tune covers inside one level: an octave and a half."""
KEYS = tuple(Key(tonic, mode) for tonic in (0, 4, 9) for mode in ("major", "minor"))
BARS = 8


def groove_bars(groove: Groove, count: int = BARS) -> tuple[Bar, ...]:
    """`count` bars in the groove's own metre from beat 0."""
    length, metre = groove.bar_beats, Metre(0.0, groove.beats, groove.unit)
    return tuple(Bar(i, i * length, (i + 1) * length, metre) for i in range(count))


def problems(groove: Groove) -> list[str]:
    """Everything that is wrong with `groove` in any of its versions; empty if nothing is."""
    found: list[str] = []
    for k in range(1, 1 + len(groove.alternatives)):
        found += [f"version {k + 1}: {p}" for p in problems(groove.version(k))]
    bars = groove_bars(groove)
    for key in KEYS:
        for name in (n for n in groove.levels if n != "ending"):
            chords = groove2chords(groove, name, key, bars)
            parts = realise_bars(groove, name, bars, chords, key, fill_at_end=True)
            found += [f"{name} in {key.name}: {p}" for p in part_problems(parts, chords)]
        last = bars[:1]
        chords = groove2chords(groove, "ending", key, last)
        for stream in STREAMS:
            notes = ending(groove, stream, bars[0], chords, key)
            found += [f"ending in {key.name}: {p}" for p in part_problems({stream: notes}, chords)]
    found += _level_problems(groove)
    found += _fill_problems(groove)
    return found


def part_problems(parts: dict[str, list[Note]], chords: Sequence[Chord]) -> list[str]:
    """What cannot be played or sung in realised `parts`."""
    found = []
    for stream, notes in parts.items():
        if stream == "drums":
            found += _limb_problems(notes)
        elif stream in ("comp", "pad"):
            found += [f"{stream}: {p}" for p in _hand_problems(notes)]
        else:
            found += [f"{stream}: {p}" for p in _line_problems(stream, notes)]
        if stream == "lead" and notes and chord_tone_share(notes, chords) < 0.7:
            found.append(f"lead: only {chord_tone_share(notes, chords):.0%} chord tones on beats")
    return found


def _limb_problems(notes: Sequence[Note]) -> list[str]:
    found = []
    for at, hits in _by_start(notes).items():
        hands = [n.pitch for n in hits if n.pitch in HAND_PITCHES]
        feet = [n.pitch for n in hits if n.pitch in FEET_PITCHES]
        if len(hands) > 2 or len(feet) > 2:
            found.append(f"drums: {len(hands)} hands and {len(feet)} feet at beat {at:g}")
        if len({n.pitch for n in hits}) < len(hits):
            found.append(f"drums: one lane twice at beat {at:g}")
    return found


def _hand_problems(notes: Sequence[Note]) -> list[str]:
    found = []
    for at, struck in _by_start(notes).items():
        pitches = sorted(n.pitch for n in struck)
        if len(pitches) > 10:
            found.append(f"{len(pitches)} notes at beat {at:g}")
        split = min(
            max(_span(pitches[:i]), _span(pitches[i:])) for i in range(len(pitches) + 1)
        )  # the better of all ways to share the notes between two hands
        if split > HAND_SPAN:
            found.append(f"no two hands reach {pitches} at beat {at:g}")
        if any(a < 48 and b - a < 5 for a, b in pairwise(pitches)):
            found.append(f"mud below C3: {pitches} at beat {at:g}")
    return found


def _line_problems(stream: str, notes: Sequence[Note]) -> list[str]:
    found = []
    for a, b in pairwise(notes):
        if a.end > b.start + EPS:
            found.append(f"two notes at beat {b.start:g}")
        if stream == "lead" and b.start - a.end < 0.5 and abs(a.pitch - b.pitch) > 12:
            found.append(f"a leap of {abs(a.pitch - b.pitch)} semitones at beat {b.start:g}")
    pitches = [n.pitch for n in notes]
    if stream == "bass" and pitches and not (min(pitches) >= 28 and max(pitches) <= 55):
        found.append(f"outside E1-G3: {min(pitches)}-{max(pitches)}")
    if stream == "lead" and pitches and max(pitches) - min(pitches) > SUNG_SPAN:
        found.append(f"spans {max(pitches) - min(pitches)} semitones")
    return found


def chord_tone_share(notes: Sequence[Note], chords: Sequence[Chord]) -> float:
    """Share of the notes struck on quarter-note beats that belong to the chord or its ninth (1 where none is)."""
    on_beat = [n for n in notes if abs(n.start - round(n.start)) < EPS]
    if not on_beat:
        return 1.0
    return sum(n.pitch % 12 in _consonant(chord_at(chords, n.start)) for n in on_beat) / len(on_beat)


def _consonant(chord: Chord) -> frozenset[int]:
    """Chord tones, and the ninth: the colour that a tune may rest on."""
    return chord.pitch_classes | {(chord.root + 2) % 12}


def density(level: Level) -> float:
    """Struck cells a bar, all streams."""
    return sum(len(p.events) / p.bars for p in level.streams.values())


def lock(level: Level) -> float:
    """Share of kick and bass onsets that meet, of whichever strikes less often."""
    bars = level.bars
    drums, bass = level.streams["drums"], level.streams["bass"]
    kick = {(b, e.step) for b in range(bars) for e in drums.bar(b) if e.symbol == "kick"}
    low = {(b, e.step) for b in range(bars) for e in bass.bar(b)}
    return len(kick & low) / max(1, min(len(kick), len(low)))


def _level_problems(groove: Groove) -> list[str]:
    found = []
    verse, chorus = groove.levels["verse"], groove.levels["chorus"]
    if density(chorus) < density(verse):
        found.append(f"the chorus ({density(chorus):.1f} notes a bar) is thinner than the verse ({density(verse):.1f})")
    same = (s for s in STREAMS if verse.streams[s] == chorus.streams[s])
    found += [f"{stream} is the same in verse and chorus" for stream in same]
    if chorus.streams["lead"].high < verse.streams["lead"].high:
        found.append("the chorus's lead lies lower than the verse's")
    for level in (verse, chorus):
        if lock(level) < groove.lock:
            found.append(f"{level.name}: kick and bass meet in {lock(level):.0%}, asked are {groove.lock:.0%}")
        rest = 1 - _cover(level, "lead")
        if rest < 0.1:
            found.append(f"{level.name}: the lead leaves {rest:.0%} of the time to the others")
    return found


def _cover(level: Level, stream: str) -> float:
    pattern = level.streams[stream]
    return sum(e.length for e in pattern.events) / (pattern.bars * pattern.steps)


def _fill_problems(groove: Groove) -> list[str]:
    found = []
    key, bar = Key(0, "major"), groove_bars(groove, 1)[0]
    chords = groove2chords(groove, "verse", key, [bar])
    for i, written in enumerate(groove.fills):
        hits = fill(groove, "drums", bar, chords, key, variant=i)
        late = [n for n in hits if n.start >= bar.start + (bar.end - bar.start) / 2]
        if written.name == "fill" and (len(late) < 3 or all(n.pitch in (42, 46, 51, 70) for n in late)):
            found.append(f"fill {i + 1} does not fill")
        if written.name == "stop" and silence(written) < groove.steps / 4:
            found.append(f"fill {i + 1} does not stop: the band is silent for {silence(written)} steps")
        if written.name == "pickup" and not _picks_up(written):
            found.append(f"fill {i + 1} picks nothing up: neither bass nor lead moves to the next bar line")
        if written.streams["drums"] in (level.streams["drums"] for level in groove.levels.values()):
            found.append(f"fill {i + 1} is a level's drums")
    last = groove.levels["ending"].streams
    return found + [f"the ending lacks {stream}" for stream in ("drums", "bass", "comp") if stream not in last]


def silence(level: Level) -> int:
    """Steps of the longest stretch of a bar in which nothing of `level` is struck or held."""
    steps = max(p.steps for p in level.streams.values())
    sounding = [
        any(e.step <= s < e.step + e.length for p in level.streams.values() for e in p.events) for s in range(steps)
    ]
    longest = run = 0
    for sounds in sounding:
        run = 0 if sounds else run + 1
        longest = max(longest, run)
    return longest


def _picks_up(level: Level) -> bool:
    """Whether bass or lead strikes at least two notes in the bar's second half, one of them in its last quarter."""
    lines = [level.streams[s] for s in ("bass", "lead") if s in level.streams]
    for pattern in lines:
        late = [e.step for e in pattern.events if e.step >= pattern.steps // 2]
        if len(late) >= 2 and late[-1] >= pattern.steps * 3 // 4:
            return True
    return False


def _by_start(notes: Sequence[Note]) -> dict[float, list[Note]]:
    grouped: dict[float, list[Note]] = defaultdict(list)
    for note in notes:
        grouped[round(note.start, 4)].append(note)
    return grouped


def _span(pitches: Sequence[int]) -> int:
    return pitches[-1] - pitches[0] if pitches else 0
