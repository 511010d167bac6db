"""Memory does not grow with a song's stems: a take, matched or not, and an edit of one, all of their way, in a song of
one length and a longer one.

What NumPy holds is counted while a take is made of a score, from its playing to its manifest. Reading a whole stem,
or holding one, would show: a stem's samples are far more than what may be kept of each second (levels in bands).
"""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bridge.arrangement import Arrangement, Reference, Section
from bridge.handover.manifest import Machine, read_manifest
from bridge.messages import PieceReady, Render, Scope, StemReady, StemWanted
from bridge.timeline import Clock
from engine.casting import Cast
from engine.models import choose_model, main_row, stem_rows
from engine.previous import open_take
from engine.rendering import Clip
from engine.report import ShareReporter, Stopwatch, Tick
from engine.sampler import Bank
from engine.score import FormSection, Key, Note, Part, Score
from engine.stems import StemMaker
from engine.takes import TakeMaker
from engine.tape import Tape
from tests.engine.match.sounds import beats, steady

RATE = 48_000
SHORT, LONG = 30.0, 210.0
"""Seconds so far apart that what holds a stem whole stands out from chance: how many windows are at work at once makes
up to twenty megabytes, of the 69 that one stem is longer by than the other."""
LONGEST_READ = 1 << 19
"""Samples of a tape that may be read at once: eleven seconds."""


class Counter:
    """A `Reporter` that keeps what NumPy held at most, and how many files there were when each stem was announced."""

    def __init__(self) -> None:
        self.stems: list[str] = []
        self.there: list[int] = []

    def progress(self, stage: str, fraction: float, note: str = "") -> None: ...

    def stem(self, event: StemReady) -> None:
        self.stems.append(event.stem)
        self.there.append(len(list(Path(event.wav).parent.glob("*.wav"))))

    def piece(self, event: PieceReady) -> None:
        raise AssertionError(event)


def usual(stems: StemMaker, parts: Sequence[Part], clip: Clip, tick: Tick) -> Cast:
    """A choice that costs nothing."""
    return Cast({part.name: stems.instrument(part) for part in parts}, 1.0, 1.0, 0.0)


def song(seconds: float) -> tuple[Score, Clock]:
    """Drums and a bass at 120 quarter notes a minute."""
    count = round(2 * seconds)
    drums = tuple(Note(k / 2, 0.2, (36, 42, 38, 42)[k % 4], 70 + k % 5 * 8) for k in range(2 * count))
    bass = tuple(Note(float(k), 0.8, 33 + (0, 7, 5, 3)[k // 4 % 4], 90) for k in range(count))
    clock = Clock.from_pairs([(0.0, 0.0), (float(count), seconds)])
    key = Key(9, "minor", given=True)
    form = FormSection("Verse", "verse", 0.0, float(count), 0.5, 0, ())
    return Score(key, (), (Part("drums", "drums", drums), Part("bass", "bass", bass)), (form,)), clock


def peak_of(
    folder: Path, seconds: float, bank: Bank, *, matched: bool = True, edits: str = ""
) -> tuple[int, Counter, Path]:
    """(bytes that were held at most while the take was made, what was told, the take's folder). `edits`: the take whose
    bass is played anew."""
    score, clock = song(seconds)
    references = (Reference(str(folder / "clip.wav")),) if matched else ()
    sections = (Section("Verse", "verse", 0.0, 2 * seconds),)
    arrangement = Arrangement(RATE, ((0.0, 0.0), (2 * seconds, seconds)), sections=sections, references=references)
    scope = Scope(edits, (), ("bass",)) if edits else None
    job = f"{'edit' if edits else 'song'} {seconds:.0f}"
    request = Render(job, arrangement, stems=(StemWanted("drums"), StemWanted("bass")), scope=scope)
    rows = stem_rows(request)
    row = main_row(choose_model("renderer", request.renderer), rows)
    previous = open_take(edits, folder, "") if edits else None
    maker = TakeMaker(
        request, clock, score, previous, bank, Machine("as-written", None, ""), row, Stopwatch(), threading.Lock(),
        rows, {},
    )  # fmt: skip
    heard = Counter()
    tracemalloc.start(1)
    try:
        maker.make(folder / request.job, 1, ShareReporter(heard, 0.0, 1.0), 0.0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak, heard, folder / request.job / "take-1"


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("engine.matching.cast", usual)
    audio = beats(6.0, rate=RATE, tilt_db=2.0, decay=0.05) + steady(6.0, rate=RATE, wide=0.9) * 0.3
    soundfile.write(tmp_path / "clip.wav", audio.T, RATE, subtype="FLOAT")
    return tmp_path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many samples of a tape were read at once, each time."""
    reads: list[int] = []
    read = Tape.__getitem__

    def watched(tape: Tape, key: tuple[slice, slice]) -> np.ndarray:
        out = read(tape, key)
        reads.append(out.shape[1])
        return out

    monkeypatch.setattr(Tape, "__getitem__", watched)
    return reads


def test_a_longer_song_needs_hardly_more_memory(clip: Path, monkeypatch: pytest.MonkeyPatch, reads: list[int]) -> None:
    # What is opened once and kept, banks and their samples, is not counted.
    first, second = Bank.open(), Bank.open()
    monkeypatch.setattr("engine.matching.Bank.open", lambda *_: second)
    peak_of(clip, 8.0, first)
    (short, _, _), (long, heard, folder) = peak_of(clip, SHORT, first), peak_of(clip, LONG, first)
    stem = round((LONG - SHORT) * RATE) * 8
    assert {stem.name: stem.renderer for stem in read_manifest(folder).stems} == {"drums": "match", "bass": "match"}
    assert max(reads) <= LONGEST_READ
    assert long - short < 0.4 * stem
    assert heard.stems == ["drums", "bass"]
    assert heard.there == [1, 2], "a stem is announced before the next one is written"


def test_nor_does_one_by_the_sampler_alone_and_its_edit(tmp_path: Path, reads: list[int]) -> None:
    bank = Bank.open()
    peak_of(tmp_path, 8.0, bank, matched=False)
    (short, _, _), (long, _, folder) = (peak_of(tmp_path, s, bank, matched=False) for s in (SHORT, LONG))
    assert {stem.renderer for stem in read_manifest(folder).stems} == {"guide"}
    stem = round((LONG - SHORT) * RATE) * 8
    assert long - short < 0.4 * stem
    (short, _, _), (long, _, edit) = (
        peak_of(tmp_path, s, bank, matched=False, edits=f"song {s:.0f}/take-1") for s in (SHORT, LONG)
    )
    kept = {stem.name: stem.kept_from for stem in read_manifest(edit).stems}
    assert kept == {"drums": f"song {LONG:.0f}/take-1", "bass": ""}
    assert long - short < 0.4 * stem
    assert max(reads) <= LONGEST_READ
