"""Sound on tape: read and changed as an array is, and whatever works on it in windows says what the whole says."""

from __future__ import annotations

import errno
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import JobError
from engine.checks.levels import audio2true_peak, clipped_runs, silent_notes
from engine.sampler import mix
from engine.splice import finish_tail, finish_tape, splice, splice_tapes
from engine.tape import WINDOW, Held, Tape, add_onto, loudest, stretch, windows

RATE = 48_000


def noise(samples: int, level: float = 0.1, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((2, samples)) * level).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40), st.lists(st.tuples(st.integers(0, 45), st.integers(0, 45)), max_size=6), st.integers(0, 99))
def test_a_tape_is_read_and_written_as_an_array_is(samples: int, spans: list[tuple[int, int]], seed: int) -> None:
    array, tape = np.zeros((2, samples), np.float32), Tape(samples)
    for number, (a, b) in enumerate(spans):
        low, high = sorted((min(a, samples), min(b, samples)))
        new = noise(high - low, seed=seed + number)
        array[:, low:high] = new
        tape.write(low, new)
        assert np.array_equal(tape[:, a:b], array[:, a:b])
        assert np.array_equal(tape.until(low)[:, :], array[:, :low])
    assert np.array_equal(tape[:, :], array)
    assert np.array_equal(stretch(tape, -3, samples + 5), np.pad(array, ((0, 0), (3, 5))))


def test_a_tape_gives_no_more_than_it_has_and_takes_no_more() -> None:
    tape = Tape.of(noise(10))
    with pytest.raises(IndexError):
        tape.write(8, noise(3))
    with pytest.raises(IndexError):
        tape[:1, 0:5]
    with pytest.raises(TypeError):
        np.abs(tape)  # type: ignore[call-overload]


def test_a_tape_that_is_sent_is_the_same_there() -> None:
    tape = Tape.of(noise(50))
    again = pickle.loads(pickle.dumps(tape.until(30)))
    again.write(0, np.zeros((2, 10), np.float32))
    assert np.array_equal(again[:, 10:], tape[:, 10:30])
    assert np.array_equal(tape[:, :], noise(50))


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    tape = Tape(10)

    class Full:
        def seek(self, at: int) -> None: ...

        def write(self, data: memoryview) -> int:
            raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(tape, "_file", Full())
    with pytest.raises(JobError) as error:
        tape.write(0, noise(10))
    assert error.value.code == "disk.full"


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 400), st.integers(0, 400), st.sampled_from(["cut", "file", "wrap"]), st.floats(1e-6, 1.0),
    st.integers(0, 99),
)  # fmt: skip
def test_tails_are_finished_on_tape_as_in_memory(
    samples: int, ringing: int, mode: str, level: float, seed: int
) -> None:
    audio = noise(samples + ringing, level, seed)
    body, tail = finish_tail(audio, samples, mode, 8000)
    taped, rest = finish_tape(Tape.of(audio), samples, mode, 8000)
    assert np.array_equal(taped[:, :], body)
    assert (rest is None) == (tail is None)
    assert rest is None or tail is None or np.array_equal(rest, tail)


def test_a_splice_on_tape_is_the_splice_in_memory() -> None:
    old, new = noise(RATE, seed=1), noise(RATE, seed=2)
    spans = [(0, 900), (5000, 9000), (9100, 20_000), (40_000, RATE)]
    assert np.array_equal(splice_tapes(Tape.of(old), Tape.of(new), spans, RATE)[:, :], splice(old, new, spans, RATE))


def test_what_is_cut_flat_across_windows_is_counted_once() -> None:
    audio = 0.5 * noise(3 * WINDOW).clip(-0.9, 0.9)
    for at in (100, WINDOW - 2, 2 * WINDOW - 4, 2 * WINDOW, 3 * WINDOW - 4):
        audio[0, at : at + 4] = 0.9
    audio[1, WINDOW - 3 : WINDOW + 3] = -0.8
    # On the left four runs, two of which touch where a window ends and so are one.
    assert clipped_runs(audio) == clipped_runs(Tape.of(audio)) == 5
    long = np.zeros((2, 4 * WINDOW), np.float32)
    long[0, 10 : 3 * WINDOW] = 1.0
    assert clipped_runs(long) == 1


def test_levels_do_not_depend_on_where_windows_end() -> None:
    audio = noise(2 * WINDOW + 777)
    audio[:, WINDOW - 3000 : WINDOW + 9000] = 0.0
    audio[1, WINDOW + 20_000] = 0.9
    assert audio2true_peak(audio) >= 20 * np.log10(0.9) - 1e-6
    assert loudest(Tape.of(audio)) == np.float32(0.9)
    starts = np.array([0.0, WINDOW - 20_000.0, WINDOW - 2500.0, WINDOW + 10.0, WINDOW + 30_000.0])
    assert silent_notes(audio, starts, RATE).tolist() == [WINDOW - 2500.0, WINDOW + 10.0]


def test_a_long_stretch_is_limited_in_windows_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = noise(3 * RATE, 0.45)
    whole, report = mix.limit(audio, RATE)
    monkeypatch.setattr(mix, "STRETCH", 1 << 15)
    tape = Tape.of(audio)
    windowed = mix.limit_in_place(tape, RATE)
    assert report.max_reduction_db > 3.0
    assert np.abs(tape[:, :] - whole).max() <= 1e-7
    assert windowed.seconds_limited == pytest.approx(report.seconds_limited, abs=1e-3)
    assert windowed.max_reduction_db == pytest.approx(report.max_reduction_db, abs=1e-6)
    assert float(mix.true_peaks(tape[:, :]).max()) <= 10 ** (-1 / 20)


def test_sums_are_added_in_windows() -> None:
    one, two = noise(WINDOW + 100, seed=1), noise(WINDOW + 900, seed=2)
    total = Held(one)
    add_onto(total, Tape.of(two))
    assert np.array_equal(total.audio, one + two[:, : one.shape[1]])
    assert [b - a for a, b in windows(2 * WINDOW + 1)] == [WINDOW, WINDOW, 1]
