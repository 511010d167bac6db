"""A whole take on disk, the manifest last; what is broken off leaves no files and no number to use again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import rpp
import soundfile
from numpy.typing import NDArray
from wavinfo import WavInfoReader

from bridge.arrangement import KeyAt
from bridge.errors import JobError
from bridge.handover.manifest import (
    KeyUsed,
    Limiter,
    Machine,
    Manifest,
    clock2hash,
    json2manifest,
    manifest2json,
    read_manifest,
)
from bridge.handover.take import Frame, TakeFolder, empty_take, file_name
from bridge.messages import Checks
from bridge.timeline import Clock, Metre

EXAMPLE = Path(__file__).parents[2] / "data" / "manifest.example.json"
CLOCK = Clock.from_pairs([(0.0, 0.0), (8.0, 5.0), (16.0, 9.3)], [Metre(0.0, 4, 4)])
SECTIONS = [("Chorus", "chorus", 8.0, 16.0), ("Verse", "verse", 4.0, 8.0)]
FRAME = Frame.of(CLOCK, 8000, SECTIONS, [KeyAt(0.0, "D", "dorian")], project="Night Bus")


@dataclass(frozen=True)
class PlainNote:
    start: float
    length: float
    pitch: int
    velocity: int = 90
    offset_ms: float = 0.0


NOTES = [PlainNote(4 + i, 0.5, 50 + i) for i in range(12)]


def sound(seed: int, samples: int = FRAME.samples) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-0.3, 0.3, (2, samples)).astype(np.float32)


def manifest(take: TakeFolder, stems: list[Any], mix: Any) -> Manifest:
    return Manifest(
        job="job-1",
        take=take.take,
        seed=7,
        sample_rate=FRAME.rate,
        start_sample=FRAME.start_sample,
        samples=FRAME.samples,
        key=KeyUsed("D", "dorian", True),
        composer=Machine("band", "plan-1", "Apache-2.0"),
        renderer=Machine("guide", None, "Apache-2.0"),
        stems=tuple(stems),
        sections=tuple(FRAME.sections),
        mix=mix,
        clock_sha256=clock2hash(CLOCK),
        files={"rpp": "session.rpp"},
    )


def write_take(folder: Path, seed: int = 1) -> Path:
    """Two stems, one with a tail, a mix and a project."""
    with TakeFolder.open(folder, FRAME) as take:
        checks = Checks(lufs=-18.0)
        bass = take.write_stem("bass", "bass", sound(seed), NOTES, renderer="guide", checks=checks, program=33)
        drums = take.write_stem(
            "Drum Kit", "drums", sound(seed + 1), NOTES, renderer="guide", checks=checks, tail=sound(9, 500)
        )
        total = sound(seed) + sound(seed + 1)
        mix = take.write_mix(total, lufs=-14.0, true_peak_dbfs=-1.0, limiter=Limiter(-1.0, 0.0, 0.0))
        take.write_projects()
        return take.finish(manifest(take, [bass, drums], mix)).parent


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_take_holds_all_its_files_and_true_hashes(tmp_path: Path) -> None:
    folder = write_take(tmp_path / "project" / "job-1")
    assert folder.name == "take-1"
    assert names(folder) == [
        "Drum Kit tail.wav", "Drum Kit.mid", "Drum Kit.wav", "bass.mid", "bass.wav", "manifest.json", "mix.wav",
        "session.dawproject", "session.rpp",
    ]  # fmt: skip
    take = read_manifest(folder)
    for stem in take.stems:
        assert hashlib.sha256((folder / stem.wav).read_bytes()).hexdigest() == stem.sha256
        assert hashlib.sha256((folder / stem.midi).read_bytes()).hexdigest() == stem.midi_sha256
    assert take.mix is not None
    assert hashlib.sha256((folder / take.mix.wav).read_bytes()).hexdigest() == take.mix.sha256
    tail = take.stems[1].tail
    assert tail is not None
    assert (tail.wav, tail.samples) == ("Drum Kit tail.wav", 500)
    assert tail.start_sample == FRAME.start_sample + FRAME.samples
    assert hashlib.sha256((folder / tail.wav).read_bytes()).hexdigest() == tail.sha256
    newest = max(folder.iterdir(), key=lambda p: p.stat().st_mtime_ns)
    assert newest.name == "manifest.json"


def test_every_file_lies_where_the_frame_says(tmp_path: Path) -> None:
    folder = write_take(tmp_path)
    assert (FRAME.start_sample, FRAME.samples) == (20_000, CLOCK.beat2sample(16.0, 8000) - 20_000)
    for name in ("bass.wav", "Drum Kit.wav", "mix.wav"):
        info = WavInfoReader(str(folder / name))
        assert (info.bext.time_reference, info.data.frame_count) == (20_000, FRAME.samples)
        assert [label.text for label in info.cues.labels] == ["Verse", "Chorus"]
        assert [cue.sample_offset for cue in info.cues.cues] == [0, 20_000]
    assert WavInfoReader(str(folder / "Drum Kit tail.wav")).bext.time_reference == 20_000 + FRAME.samples
    items = rpp.loads((folder / "session.rpp").read_text()).findall(".//ITEM")
    lines = [{entry[0]: entry[1] for entry in item if isinstance(entry, list)} for item in items]
    places = {item["NAME"]: item["POSITION"] for item in lines}
    tail = (20_000 + FRAME.samples) / 8000
    assert places == {"bass": "2.5", "Drum Kit": "2.5", "Drum Kit tail": str(tail), "mix": "2.5"}


def test_the_stems_sum_to_the_mix(tmp_path: Path) -> None:
    folder = write_take(tmp_path)
    total = sum(soundfile.read(folder / name, dtype="float32")[0] for name in ("bass.wav", "Drum Kit.wav"))
    assert np.array_equal(total, soundfile.read(folder / "mix.wav", dtype="float32")[0])


@pytest.mark.parametrize("ending", [RuntimeError("renderer"), KeyboardInterrupt()], ids=["failure", "cancel"])
def test_a_broken_off_take_leaves_no_files_and_its_number_is_used_up(tmp_path: Path, ending: BaseException) -> None:
    def break_off() -> None:
        with TakeFolder.open(tmp_path, FRAME) as take:
            take.write_stem("bass", "bass", sound(1), NOTES, renderer="guide", checks=Checks())
            assert names(take.path) == ["bass.mid", "bass.wav"]
            raise ending

    with pytest.raises(type(ending)):
        break_off()
    assert names(tmp_path / "take-1") == []
    assert write_take(tmp_path).name == "take-2"


def test_writing_stops_at_once_when_it_is_told_to(tmp_path: Path) -> None:
    """The first call lets one block through; the file of the second is never seen."""
    calls = iter([None, KeyboardInterrupt()])

    def poll() -> None:
        if (problem := next(calls)) is not None:
            raise problem

    frame = Frame.of(CLOCK, 96000, SECTIONS, [], project="Night Bus")
    with pytest.raises(KeyboardInterrupt), TakeFolder.open(tmp_path, frame, poll) as take:
        take.write_mix(sound(1, frame.samples), lufs=None, true_peak_dbfs=None, limiter=None)
    assert names(take.path) == []


def test_a_finished_take_is_never_emptied(tmp_path: Path) -> None:
    folder = write_take(tmp_path)
    before = names(folder)
    empty_take(folder)
    assert names(folder) == before


def test_takes_are_numbered_past_what_exists(tmp_path: Path) -> None:
    first = write_take(tmp_path)
    before = {p.name: p.read_bytes() for p in first.iterdir()}
    assert write_take(tmp_path, seed=5).name == "take-2"
    assert {p.name: p.read_bytes() for p in first.iterdir()} == before


def test_a_stem_of_another_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobError) as refused, TakeFolder.open(tmp_path, FRAME) as take:
        take.write_stem("bass", "bass", sound(1, FRAME.samples - 1), NOTES, renderer="guide", checks=Checks())
    assert refused.value.code == "audio.length"
    assert names(tmp_path / "take-1") == []


def test_an_edit_copies_what_it_keeps_to_the_bit(tmp_path: Path) -> None:
    first = write_take(tmp_path)
    old = read_manifest(first)
    with TakeFolder.open(tmp_path, FRAME) as take:
        kept = [take.keep_stem(first, "job-1/take-1", stem, NOTES) for stem in old.stems]
        take.write_projects()
        second = take.finish(manifest(take, kept, None)).parent
    for name in ("bass.wav", "bass.mid", "Drum Kit.wav", "Drum Kit.mid", "Drum Kit tail.wav"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    assert [s.kept_from for s in read_manifest(second).stems] == ["job-1/take-1"] * 2
    assert len(rpp.loads((second / "session.rpp").read_text()).findall(".//ITEM")) == 5


@pytest.mark.parametrize("damage", ["changed", "gone", "moved"])
def test_an_edit_of_a_damaged_take_is_refused(tmp_path: Path, damage: str) -> None:
    first = write_take(tmp_path)
    stem = read_manifest(first).stems[0]
    if damage == "changed":
        (first / stem.wav).write_bytes((first / stem.wav).read_bytes()[:-1] + b"\x01")
    elif damage == "gone":
        (first / stem.wav).unlink()
    else:
        stem = msgspec.structs.replace(stem, start_sample=0)
    with pytest.raises(JobError) as refused, TakeFolder.open(tmp_path, FRAME) as take:
        take.keep_stem(first, "job-1/take-1", stem, NOTES)
    assert refused.value.code == ("take.moved" if damage == "moved" else "take.changed")
    assert names(tmp_path / "take-2") == []


def test_names_that_collide_or_are_reserved_get_files_of_their_own(tmp_path: Path) -> None:
    given = ["Guitar", "guitar", "mix", "a/b", "a\\b", "x tail", "x", "CON", ".hidden"]
    with TakeFolder.open(tmp_path, FRAME) as take:
        files = [
            take.write_stem(n, "guitar", sound(1), [], renderer="guide", checks=Checks(), tail=sound(2, 5)).wav
            for n in given
        ]
        assert len({f.lower() for f in names(take.path)}) == 3 * len(given)
    assert files == [
        "Guitar.wav", "guitar 2.wav", "mix 2.wav", "a_b.wav", "a_b 2.wav", "x tail.wav", "x 2.wav", "CON_.wav",
        "hidden.wav",
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "file"), [("..", "stem"), ("", "stem"), ("é" * 90, "é" * 80), ("nul.x", "nul.x_")])
def test_awkward_names_become_file_names(name: str, file: str) -> None:
    assert file_name(name) == file


def test_the_design_s_example_parses_and_comes_back() -> None:
    raw = EXAMPLE.read_bytes()
    parsed = json2manifest(raw)
    assert json2manifest(manifest2json(parsed)) == parsed

    def contains(whole: Any, piece: Any) -> bool:
        if isinstance(piece, dict):
            return all(key in whole and contains(whole[key], value) for key, value in piece.items())
        if isinstance(piece, list):
            return len(whole) == len(piece) and all(contains(w, p) for w, p in zip(whole, piece, strict=True))
        return bool(whole == piece)

    assert contains(json.loads(manifest2json(parsed)), json.loads(raw))


DAMAGED = EXAMPLE.read_bytes().replace(b'"take": 1', b'"take": "one"')


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"job": "a"}', DAMAGED])
def test_what_is_no_manifest_is_refused(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(raw)
    with pytest.raises(JobError) as refused:
        read_manifest(tmp_path)
    assert refused.value.code == "manifest.broken"
    assert "manifest.json" in str(refused.value)


def test_a_manifest_of_a_later_version_and_a_missing_one_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(JobError) as missing:
        read_manifest(tmp_path)
    assert missing.value.code == "manifest.missing"
    with pytest.raises(JobError) as later:
        json2manifest(EXAMPLE.read_bytes().replace(b'"version": 1', b'"version": 2'))
    assert later.value.code == "manifest.version"


def test_the_clock_s_hash_sees_every_pair_and_metre() -> None:
    other = Clock.from_pairs([(0.0, 0.0), (8.0, 5.0), (16.0, 9.3)], [Metre(0.0, 3, 4)])
    bent = Clock.from_pairs([(0.0, 0.0), (8.0, 5.0), (16.0, 9.300000001)], [Metre(0.0, 4, 4)])
    assert len({clock2hash(c) for c in (CLOCK, other, bent)}) == 3
    assert clock2hash(CLOCK) == clock2hash(Clock.from_pairs([(0, 0), (8, 5), (16, 9.3)], [Metre(0, 4, 4)]))


def test_importing_the_writers_loads_no_heavy_library() -> None:
    import subprocess
    import sys

    program = (
        "import sys, bridge.handover.take; print(sorted({'numpy', 'mido', 'soundfile', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
