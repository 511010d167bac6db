"""A groove from a MIDI file and back: what is learned plays what was played."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mido
import pytest

from bridge.errors import RequestError
from engine.groove_maker import add_file, file2groove
from engine.grooves import (
    STREAMS,
    Groove,
    book,
    choose,
    groove,
    groove2chords,
    library,
    realise_bars,
    user_folder,
)  # fmt: skip
from engine.grooves.notation import parse_groove
from engine.grooves.validate import groove_bars
from engine.grooves.write import groove2text
from engine.rehearsal import groove2rehearsal, rehearsal2midi
from engine.score import Key

SONGS = ("pop", "tango", "merengue", "bebop", "slow-blues", "jig", "afro-cuban", "waltz", "five-four", "seven-eight",
         "samba")  # fmt: skip


@pytest.fixture(autouse=True)
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMBRIDGE_DATA", str(tmp_path / "data"))


def song(name: str, folder: Path) -> Path:
    path = folder / f"{name}.mid"
    rehearsal2midi(groove2rehearsal(groove(name), times=2), path)
    return path


def without(path: Path, *kinds: str, tracks: int | None = None) -> Path:
    """The file without some kinds of messages and all but its first tracks."""
    file = mido.MidiFile(path)
    for track in file.tracks:
        kept, carried = [], 0
        for message in track:
            if message.type in kinds:
                carried += message.time
            else:
                kept.append(message.copy(time=message.time + carried))
                carried = 0
        track[:] = kept
    file.tracks[:] = file.tracks[:tracks]
    out = path.with_name(f"cut {path.name}")
    file.save(out)
    return out


def hits(g: Groove, level: str, stream: str, like: Groove) -> set[tuple[float, int]]:
    key = Key(0, like.progressions[0].mode)
    bars = groove_bars(like, 4)
    notes = realise_bars(g, level, bars, groove2chords(like, level, key, bars), key, streams=[stream])[stream]
    return {(round(n.start, 3), n.pitch) for n in notes}


def agreement(a: set[tuple[float, int]], b: set[tuple[float, int]]) -> float:
    return 2 * len(a & b) / max(1, len(a) + len(b))


@pytest.mark.parametrize("name", SONGS)
def test_a_groove_played_and_learned_strikes_the_same_drums(name: str, tmp_path: Path) -> None:
    old = groove(name)
    new, _ = file2groove(song(name, tmp_path), "mine", "Mine", ("mine",))
    assert (new.beats, new.unit, new.feel) == (old.beats, old.unit, old.feel)
    for level in ("intro", "verse", "chorus", "bridge"):
        assert hits(new, level, "drums", old) == hits(old, level, "drums", old), level
    assert {f.name for f in new.fills} == {f.name for f in old.fills}


def test_pitches_come_back_as_degrees_of_the_chords(tmp_path: Path) -> None:
    shares: dict[str, list[float]] = {s: [] for s in STREAMS[1:]}
    for name in ("pop", "tango", "merengue", "waltz", "samba"):
        old = groove(name)
        new, _ = file2groove(song(name, tmp_path), "mine", "Mine", ("mine",))
        for level in ("verse", "chorus"):
            for stream, found in shares.items():
                found.append(agreement(hits(new, level, stream, old), hits(old, level, stream, old)))
    means = {stream: sum(found) / len(found) for stream, found in shares.items()}
    assert min(means.values()) >= 0.75, means


def test_what_is_written_is_read_back() -> None:
    for g in book():
        assert parse_groove(groove2text(g), g.name) == g


def test_an_added_groove_is_chosen_by_its_words_and_can_be_replaced(tmp_path: Path) -> None:
    path = song("tango", tmp_path)
    request: dict[str, Any] = {"file": str(path), "name": "night-walk", "tags": "night walk, quetzal"}
    answer = add_file(request)
    assert Path(answer["file"]).parent == user_folder()
    assert library().own == {"night-walk"}
    g = groove("night-walk")
    assert choose("quetzal", groove_bars(g, 1)[0].metre, 118.0, 3).groove == g
    assert book() == tuple(b for b in library().grooves if b.name != "night-walk")
    with pytest.raises(RequestError, match="you have a groove"):
        add_file(request)
    add_file({**request, "replace": True})


@pytest.mark.parametrize(
    ("name", "message"), [("pop", "the book has"), ("Night Walk", "no name for a groove"), ("../x", "no name")]
)
def test_bad_names_are_refused(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=message):
        add_file({"file": str(song("pop", tmp_path)), "name": name})
    assert not user_folder().exists()


def test_a_damaged_groove_of_the_users_is_said_and_does_not_stop_the_others(tmp_path: Path) -> None:
    user_folder().mkdir(parents=True)
    (user_folder() / "broken.groove").write_text("groove broken\nmetre five\n")
    (user_folder() / "pop.groove").write_text(groove2text(groove("pop")))
    (user_folder() / "letters.groove").write_bytes(b"\xff\xfe\xff")
    known = library()
    assert known.grooves == book()
    assert {str(p.field).split(":")[0] for p in known.damaged} == {"broken.groove", "pop.groove", "letters.groove"}
    choice = choose("bossa nova", groove_bars(groove("pop"), 1)[0].metre, 130.0, 1)
    assert choice.groove.name == "bossa-nova"
    assert "broken.groove" in choice.reason


def test_without_markers_levels_are_what_the_drums_repeat(tmp_path: Path) -> None:
    old = groove("pop")
    path = without(song("pop", tmp_path), "marker")
    new, remarks = file2groove(path, "mine", "Mine", ("mine",))
    assert any("no markers" in r for r in remarks)
    for level in ("verse", "chorus"):
        assert agreement(hits(new, level, "drums", old), hits(old, level, "drums", old)) > 0.85, level
    assert new.fills


def test_what_is_not_played_is_lent_and_said(tmp_path: Path) -> None:
    path = without(song("pop", tmp_path), tracks=2)
    new, remarks = file2groove(path, "mine", "Mine", ("mine",), groove("disco"))
    assert new.levels["verse"].streams["bass"] == groove("disco").levels["verse"].streams["bass"]
    assert "verse: bass, comp, pad, arp, lead as in disco" in remarks


def test_a_metre_that_no_groove_has_gets_long_notes(tmp_path: Path) -> None:
    file = mido.MidiFile(ticks_per_beat=480)
    track = mido.MidiTrack([mido.MetaMessage("time_signature", numerator=11, denominator=8)])
    for _ in range(8):
        for eighth in range(11):
            pitch = 36 if eighth in (0, 6) else 38 if eighth in (3, 9) else 42
            track.append(mido.Message("note_on", channel=9, note=pitch, velocity=90))
            track.append(mido.Message("note_off", channel=9, note=pitch, time=240))
    file.tracks.append(track)
    file.save(tmp_path / "eleven.mid")
    new, remarks = file2groove(tmp_path / "eleven.mid", "mine", "Mine", ("mine",))
    assert new.metre == "11/8"
    assert new.levels["verse"].bars == 1
    assert any("in long notes" in r for r in remarks)
    assert any("no chorus" in r for r in remarks)


def test_files_that_hold_no_groove_are_refused(tmp_path: Path) -> None:
    path = song("pop", tmp_path)
    file = mido.MidiFile(path)
    del file.tracks[1]
    file.save(tmp_path / "no drums.mid")
    with pytest.raises(RequestError, match="no drums"):
        file2groove(tmp_path / "no drums.mid", "mine", "Mine", ("mine",))
    loose = mido.MidiFile(path)
    loose.tracks[:] = loose.tracks[:2]
    for i, message in enumerate(loose.tracks[1]):
        loose.tracks[1][i] = message.copy(time=message.time + (37 * i) % 61 if message.time else 0)
    loose.save(tmp_path / "loose.mid")
    with pytest.raises(RequestError, match="beside the grid"):
        file2groove(tmp_path / "loose.mid", "mine", "Mine", ("mine",))
    with pytest.raises(RequestError, match="no such MIDI file"):
        file2groove(tmp_path / "nowhere.mid", "mine", "Mine", ("mine",))
