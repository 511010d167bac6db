"""What the band does with a musician, from the examples' requests through the public road to the notes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import msgspec
import numpy as np
import pytest

from bridge.arrangement import ContextTrack
from bridge.messages import Render, Scope
from bridge.timeline import Bar
from engine.compose.edit import score2keys
from engine.compose.form import form2shape
from engine.compose.harmonise import chords_fit
from engine.compose.measure import (
    KICKS,
    bar_notes,
    chord_tone_rate,
    in_key_rate,
    kick_bass_agreement,
    onsets,
    overlap,
    root_rate,
    same_label_similarity,
)
from engine.compose.morph import distance
from engine.compose.song import Song
from engine.grooves import fill, groove
from engine.score import Note, Score
from tests.engine.compose.asking import ask, changed, midi, outline, rock
from tests.engine.compose.songs import inside

EXAMPLES = Path(__file__).parents[3] / "examples" / "cocomposer"


@pytest.fixture(scope="module", autouse=True)
def _beside_the_examples() -> Iterator[None]:
    sys.path.insert(0, str(EXAMPLES))
    yield
    sys.path.remove(str(EXAMPLES))


def example(name: str) -> ModuleType:
    return importlib.import_module(name)


def bars_of(score: Score) -> list[Bar]:
    return [bar for section in score.sections for bar in section.bars]


def remark(score: Score, words: str) -> str:
    return next((line for line in score.remarks if words in line), "")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Render, Score]:
    folder = tmp_path_factory.mktemp("song")
    request = example("whole_song").build(folder)
    return request, ask(request, folder)


def shaped(request: Render, score: Score) -> Song:
    """The song that a take is of, to measure by."""
    clock = request.arrangement.timeline()
    shapes = form2shape(score.sections, clock, ("drums", "bass", "comp", "pad", "arp", "lead"), seed=request.seed)
    return Song(shapes, score.chords, score2keys(score), groove(score.feel.groove), request.seed)


def test_a_whole_song_comes_from_sections_alone(whole) -> None:
    _, score = whole
    bars = bars_of(score)
    assert all(part.notes for part in score.parts)
    assert root_rate(score.part("bass").notes, bars, score.chords) > 0.6
    assert chord_tone_rate(score.part("lead").notes, bars, score.chords) > 0.75
    chorus, verse = score.sections[2], score.sections[1]
    assert [c.root for c in score.chords if chorus.start <= c.beat < chorus.end][:4] != [
        c.root for c in score.chords if verse.start <= c.beat < verse.end
    ][:4]


def test_a_melody_gets_its_chords_and_its_room(tmp_path: Path) -> None:
    module = example("melody")
    request = module.build(tmp_path)
    score = ask(request, tmp_path)
    tune = [Note(4.0 * k + i, 0.9, p, 88) for k in range(8) for i, p in enumerate(module.PHRASES[k % 4][:3])]
    assert (chords_fit(tune, bars_of(score), score.chords) or 0.0) > 0.9
    alone = ask(changed(request, tracks=()), tmp_path)
    assert (chords_fit(tune, bars_of(score), alone.chords) or 0.0) < 0.8
    beats = {n.start for n in score.part("lead").notes}
    assert beats
    assert all(beat % 4.0 > 2.89 for beat in beats)
    assert all(n.pitch < 72 for n in score.part("keys").notes if n.start % 4.0 < 2.5)


def test_named_chords_stand_with_their_basses_and_ninths(tmp_path: Path) -> None:
    score = ask(example("chords").build(tmp_path, "Am9 D9 | Am9/G D9/F#"), tmp_path)
    assert [c.symbol for c in score.chords[:4]] == ["Am9", "D9", "Am9/G", "D9/F#"]
    assert score.key.name == "A dorian"
    bass = score.part("bass").notes
    assert root_rate(bass, bars_of(score), score.chords) > 0.6
    slash = [n for n in bass if any(c.bass is not None and abs(n.start - c.beat) < 1e-6 for c in score.chords)]
    assert {n.pitch % 12 for n in slash} <= {7, 6}
    ninths = [n for n in score.part("keys").notes if n.pitch % 12 in (11, 4) and not n.start % 4.0]
    assert ninths


def test_a_chord_that_is_none_is_refused_by_its_place(tmp_path: Path) -> None:
    from bridge.errors import RequestError

    with pytest.raises(RequestError) as refused:
        ask(example("chords").build(tmp_path, "Am9 H7"), tmp_path)
    assert refused.value.field == "arrangement.chords[1].symbol"


def agreement(score: Score, drums: Sequence[Note], bass: Sequence[Note]) -> float:
    """Kick and bass together, 0-1, without the last bar of each section."""
    bars = [bar for section in score.sections for bar in section.bars[:-1]]
    return kick_bass_agreement(drums, bass, bars) or 0.0


@pytest.mark.parametrize("style", ["rock", "funk", "disco"])
def test_a_bass_meets_the_kick_that_was_given(style: str, tmp_path: Path) -> None:
    kicks = {"given": (0.0, 0.75, 2.5, 3.25), "strange": (0.0, 1.5, 1.75, 2.25)}
    request = changed(example("drums_and_bass").build(tmp_path, "bass"), style=style)
    bass = ask(request, tmp_path).part("bass").notes
    score = ask(request, tmp_path)
    own, other = (agreement(score, rock(8, kicks[name]), bass) for name in ("given", "strange"))
    assert own > 0.6
    assert own > other + 0.2
    alone = ask(changed(request, tracks=()), tmp_path).part("bass").notes
    assert own > agreement(score, rock(8, kicks["given"]), alone) + 0.15


@pytest.mark.parametrize("style", ["rock", "funk"])
def test_a_kick_meets_the_bass_that_was_given(style: str, tmp_path: Path) -> None:
    module = example("drums_and_bass")
    request = changed(module.build(tmp_path, "drums"), style=style)
    score = ask(request, tmp_path)
    line = [Note(4.0 * k + at, 0.5, pitch, 88) for k in range(8) for at, pitch in module.BASS]
    drums = score.part("drums").notes
    alone = ask(changed(request, tracks=()), tmp_path).part("drums").notes
    assert agreement(score, drums, line) > agreement(score, alone, line) + 0.15
    assert any(n.pitch == 38 for n in drums) or any(n.pitch in (37, 39, 40) for n in drums)


@pytest.mark.parametrize("stems", ["bass", "drums,keys", "lead,pad,guitar"])
def test_a_hole_is_filled_and_nothing_else_is_touched(whole, stems: str, tmp_path: Path) -> None:
    request, score = whole
    edit = example("hole").build(tmp_path, f"{request.job}/take-1", stems, "48", "56")
    new = ask(changed(edit, job="edit"), tmp_path, take=score)
    for part in score.parts:
        old, fresh = part.notes, new.part(part.name).notes
        assert outline(n for n in fresh if not 48 <= n.start < 56) == outline(n for n in old if not 48 <= n.start < 56)
        assert (outline(inside(fresh, 48, 56)) != outline(inside(old, 48, 56))) == (part.name in stems.split(","))


def test_a_hole_hears_what_lies_around_it(whole, tmp_path: Path) -> None:
    """A part whose bars were taken out is nearer to them after the filling than another groove's part is: it goes by
    the bars before and after, and by the other parts."""
    from dataclasses import replace

    request, score = whole
    song = shaped(request, score)
    hole = [row for row, bar in enumerate(song.bars) if 56 <= bar.bar.start < 72]
    for name in ("bass", "drums"):
        gapped = tuple(n for n in score.part(name).notes if not 56 <= n.start < 72)
        parts = tuple(replace(p, notes=gapped) if p.name == name else p for p in score.parts)
        scope = Scope(f"{request.job}/take-1", stems=(name,), start=56, end=72)
        filled = ask(changed(request, job="fill", scope=scope, seed=9), tmp_path, take=replace(score, parts=parts))
        strange = ask(changed(request, style="bossa nova", seed=9), tmp_path)
        near = distance(song, score.part(name).notes, filled.part(name).notes, hole)
        far = distance(song, score.part(name).notes, strange.part(name).notes, hole)
        assert near < far - 0.15, name


def test_it_goes_on_for_so_many_bars(whole, tmp_path: Path) -> None:
    from bridge.arrangement import Section

    request, score = whole
    end = score.sections[-1].end
    clock = request.arrangement.clock
    longer = ((0.0, 0.0), (end + 24.0, clock[-1][1] * (end + 24.0) / end))
    section = Section("More", "chorus", end, end + 24.0)
    more = changed(request, job="more", continues=f"{request.job}/take-1", clock=longer, sections=(section,), seed=5)
    new = ask(more, tmp_path, take=score)
    assert [len(f.bars) for f in new.sections] == [6]
    assert new.key == score.key
    assert new.feel.groove == score.feel.groove
    drums, before = new.part("drums").notes, score.part("drums").notes
    chorus = score.sections[2]
    alike = [
        overlap(onsets(drums, a), onsets(before, b))
        for a, b in zip(new.sections[0].bars[:4], chorus.bars[:4], strict=True)
    ]
    assert np.mean(alike) > 0.6


def test_vary_goes_from_the_same_notes_to_new_ones(whole, tmp_path: Path) -> None:
    request, score = whole
    song = shaped(request, score)
    rows = range(len(song.bars))
    gone = {part.name: [] for part in score.parts}
    for strength in (0.0, 0.25, 0.6, 1.0):
        edit = example("vary").build(tmp_path, f"{request.job}/take-1", str(strength))
        new = ask(changed(edit, job="varied"), tmp_path, take=score)
        if strength == 0.0:
            assert [p.notes for p in new.parts] == [p.notes for p in score.parts]
        for part in score.parts:
            gone[part.name].append(distance(song, part.notes, new.part(part.name).notes, rows))
    for name, path in gone.items():
        assert path == sorted(path), name
        assert path[0] == 0.0
        assert path[1] < 0.8 * path[-1], name
        assert path[-1] > 0.2, name


def test_a_track_is_varied_by_a_strength(tmp_path: Path) -> None:
    from tests.engine.compose.songs import song

    line = [Note(0.5 * i, 0.4, (40, 40, 47, 43)[i % 4], 90) for i in range(64)]
    path = midi(tmp_path / "line.mid", line)
    left = []
    for strength in (0.0, 0.4, 1.0):
        track = ContextTrack("Line", role="bass", midi=path, use="vary", strength=strength)
        request = changed(song((("Verse", "verse", 8),), stems=("bass",), key=("E", "minor")), tracks=(track,))
        bass = ask(request, tmp_path).part("bass").notes
        bars = [(inside(bass, 4.0 * k, 4.0 * k + 4), inside(line, 4.0 * k, 4.0 * k + 4)) for k in range(8)]
        left.append(float(np.mean([overlap(frozenset(outline(a)), frozenset(outline(b))) for a, b in bars])))
    assert left[0] == 1.0
    assert left[0] > left[1] > left[2]


def test_energy_shapes_how_much_is_played(tmp_path: Path) -> None:
    request = example("energy").build(tmp_path)
    score = ask(request, tmp_path)
    count = [sum(len(inside(p.notes, f.start, f.end)) for p in score.parts) for f in score.sections]
    verses = count[1:-1]
    assert verses == sorted(verses)
    assert verses[-1] > 1.8 * verses[0]
    loud = [np.mean([n.velocity for p in score.parts for n in inside(p.notes, f.start, f.end)]) for f in score.sections]
    assert loud[5] > loud[2]
    assert not inside(score.part("drums").notes, 0.0, score.sections[0].bars[-1].start)


def test_sections_end_in_fills_stops_and_an_ending_and_come_back_alike(tmp_path: Path) -> None:
    kinds: set[str] = set()
    for seed in range(3):
        request = changed(example("whole_song").build(tmp_path), seed=seed, style="pop")
        score = ask(request, tmp_path)
        drums = score.part("drums").notes
        for section in score.sections[1:-1]:
            usual, last = onsets(drums, section.bars[4]), onsets(drums, section.bars[-1])
            kinds.add("plain" if usual == last else "stop" if len(last) < 0.6 * len(usual) else "fill")
        final = score.sections[-1].bars[-1]
        assert len(bar_notes(drums, final)) <= 8
        assert score.chords[-1].root == score.key.tonic
        for name in ("bass", "keys"):
            alike = same_label_similarity(score.part(name).notes, score.sections, score.chords)
            assert 0.5 < alike < 1.0, name
    assert {"fill", "stop"} <= kinds


def test_some_sections_end_in_the_pick_up_of_their_groove(tmp_path: Path) -> None:
    pop = groove("pop")
    picked = 0
    for seed in range(3):
        score = ask(changed(example("whole_song").build(tmp_path), seed=seed, style="pop"), tmp_path)
        drums = score.part("drums").notes
        for bar in (section.bars[-1] for section in score.sections[:-1]):
            picked += any(
                onsets(drums, bar) == onsets(fill(pop, "drums", bar, score.chords, score.key, variant=k), bar)
                for k, kind in enumerate(pop.fills)
                if kind.name == "pickup"
            )
    assert 1 <= picked <= 9, "now and then, not always"


@pytest.mark.parametrize(
    ("metre", "style"),
    [("3/4", "waltz"), ("6/8", "ballad"), ("5/4", "jazz"), ("7/8", "math rock"), ("4/4", "swing jazz")],
)
def test_metres_and_feels(metre: str, style: str, tmp_path: Path) -> None:
    score = ask(example("metres").build(tmp_path, metre, style), tmp_path)
    beats, unit = map(int, metre.split("/"))
    assert all(bar.end - bar.start == pytest.approx(beats * 4 / unit) for bar in bars_of(score))
    drums = score.part("drums").notes
    ones = [bar for bar in bars_of(score) if 0 in onsets(drums, bar)]
    assert len(ones) > 0.7 * len(bars_of(score))
    swung = [n for p in score.parts for n in p.notes if n.start % 1 == 0.5 and n.offset_ms > 40]
    thirds = [n for p in score.parts for n in p.notes if abs(n.start % 1 - 2 / 3) < 0.01]
    assert bool(swung or thirds) == (style in ("swing jazz", "jazz") or bool(thirds))
    if style == "swing jazz":
        assert swung or thirds


@pytest.mark.parametrize("style", ["soul", "house", "ballad", "metal", "bossa nova"])
@pytest.mark.parametrize("bpm", ["60", "200"])
def test_tempos_stay_playable(bpm: str, style: str, tmp_path: Path) -> None:
    request = example("tempos").build(tmp_path, bpm, style)
    score = ask(request, tmp_path)
    per_beat = 60.0 / float(bpm)
    for part in score.parts:
        starts = sorted({round(n.start, 2) for n in part.notes})
        pauses = np.diff(starts) * per_beat
        assert np.percentile(pauses, 5) > 0.05, part.name
        seconds = (score.sections[-1].end - score.sections[0].start) * per_beat
        assert 0.1 < len(starts) / seconds < 14.0, part.name
    if (bpm, style) in (("200", "soul"), ("200", "ballad")):
        assert "played in half time" in remark(score, "groove:")
    if (bpm, style) in (("60", "house"), ("60", "bossa nova")):
        assert "played in double time" in remark(score, "groove:")


@pytest.mark.parametrize("mode", ["major", "minor", "dorian", "mixolydian"])
def test_all_keys(mode: str, tmp_path: Path) -> None:
    for tonic in ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"):
        request = example("keys").build(tmp_path, tonic, mode)
        request = msgspec.structs.replace(request, stems=request.stems[:2])
        score = ask(request, tmp_path)
        assert score.key.name.endswith(mode)
        for part in score.parts:
            assert in_key_rate(part.notes, score.key) == 1.0, (tonic, mode, part.name)


def test_the_kick_is_on_the_one(whole) -> None:
    _, score = whole
    drums = score.part("drums").notes
    loud = [bar for f in score.sections if f.label == "chorus" for bar in f.bars]
    assert np.mean([0 in onsets(drums, bar, KICKS) for bar in loud]) > 0.7


def test_a_track_without_known_notes_cannot_be_given_space_and_the_result_says_so(tmp_path: Path) -> None:
    request = example("controls").build(tmp_path)
    empty = ContextTrack("Voice", role="vocals", midi=midi(tmp_path / "late.mid", [Note(900.0, 1.0, 60, 90)]))
    stems = (msgspec.structs.replace(request.stems[2], leave_space_for="Voice"),)
    score = ask(changed(request, stems=stems, tracks=(empty,)), tmp_path)
    assert "could not keep clear of Voice" in remark(score, "keys: ")
