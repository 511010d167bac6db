"""Sections and lyrics as the model's text: labels, lengths, punctuation by script, headings, tags."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bridge.arrangement import LABELS, Section
from bridge.errors import RequestError
from bridge.labels import name2label
from bridge.timeline import Clock
from engine.song.lyrics import BRACKETS, sections2lyric, text2phrases, text2script
from engine.song.tags import words2description, words2prompt_type

CLOCK = Clock.steady(120.0, 400.0)
KNOWN = re.compile(r"\[(verse|chorus|bridge|silence|(intro|inst|outro)-(short|medium|long))\]")


def section(label: str, start: float, end: float, lyrics: str = "", name: str = "") -> Section:
    return Section(name or label.title(), label, start, end, lyrics=lyrics)


def test_a_song_reads_as_the_official_samples_do() -> None:
    lyric = sections2lyric(
        [
            section("intro", 0, 16),
            section("verse", 16, 48, "Last bus home, the windows glow.\nNobody talks, nobody knows"),
            section("solo", 48, 72),
            section("chorus", 72, 104, "Hold on! Hold on…"),
            section("outro", 104, 160),
        ],
        CLOCK,
    )
    assert lyric.text == (
        "[intro-short] ; [verse] Last bus home, the windows glow. Nobody talks, nobody knows. ; [inst-medium] ; "
        "[chorus] Hold on. Hold on. ; [outro-long]"
    )
    assert lyric.remarks == ()


def test_chinese_blocks_do_not_end_with_a_stop() -> None:
    text = "夜晚的街灯闪烁，我漫步在熟悉的角落。\n回忆像潮水般涌来！"
    assert text2phrases(text) == "夜晚的街灯闪烁.我漫步在熟悉的角落.回忆像潮水般涌来"
    assert text2script("回忆 memories 像潮水般涌来") == "unspaced"
    assert text2script("one 夜 in a whole English line") == "spaced"
    assert text2phrases("君の名は。ありがとう") == "君の名は.ありがとう"
    assert text2phrases("¿Dónde estás?\n«Mi amor»; ven") == "Dónde estás. Mi amor, ven."
    assert text2phrases("사랑해요. 안녕") == "사랑해요. 안녕."


@pytest.mark.parametrize("label", LABELS)
def test_every_label_has_a_word_with_and_without_lyrics(label: str) -> None:
    for lyrics in ("", "la la la"):
        (block,) = sections2lyric([section(label, 0, 16, lyrics)], CLOCK).blocks
        assert KNOWN.match(block.text)
        assert block.sings == bool(lyrics)


def test_what_is_changed_is_said() -> None:
    sung = sections2lyric([section("pre-chorus", 0, 16, "rising", name="Build")], CLOCK)
    assert sung.text == "[verse] rising."
    assert sung.remarks == ('"Build" (pre-chorus) is sung as a verse: the model knows no other word.',)
    silent = sections2lyric([section("verse", 0, 16, name="Verse 2")], CLOCK)
    assert (silent.text, len(silent.remarks)) == ("[inst-short]", 1)
    assert "Verse 2" in silent.remarks[0]
    assert sections2lyric([section("verse", 0, 16, "words")], CLOCK, sings=False).text == "[inst-short]"


def test_a_long_gap_is_told_as_silence_and_a_short_one_is_not() -> None:
    gap = sections2lyric([section("verse", 0, 16, "one"), section("outro", 24, 40)], CLOCK)
    assert gap.text == "[verse] one. ; [silence] ; [outro-short]"
    assert [block.section for block in gap.blocks] == [0, -1, 1]
    assert "silence" not in sections2lyric([section("verse", 0, 16, "one"), section("outro", 18, 40)], CLOCK).text


def test_a_heading_in_the_lyrics_is_dropped_or_refused() -> None:
    lyric = sections2lyric([section("verse", 0, 16, "[Verse 1]\nfirst line (ooh)\n[x2]")], CLOCK)
    assert lyric.text == "[verse] first line ooh."
    assert len(lyric.remarks) == 2
    with pytest.raises(RequestError) as refused:
        sections2lyric([section("intro", 0, 8), section("verse", 8, 16, "one\n【Chorus】\ntwo", name="A")], CLOCK)
    assert refused.value.field == "arrangement.sections[1].lyrics"
    assert "[Chorus]" in refused.value.message
    assert '"A"' in refused.value.message


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=60), min_size=1, max_size=5))
def test_whatever_is_written_the_text_keeps_the_models_alphabet_of_punctuation(texts: list[str]) -> None:
    sections = [section("verse", 16.0 * i, 16.0 * (i + 1), text) for i, text in enumerate(texts)]
    assume(all(name2label(heading) in (None, "verse") for text in texts for heading in BRACKETS.findall(text)))
    lyric = sections2lyric(sections, CLOCK)
    assert len(lyric.text.split(" ; ")) == len(texts)
    for block in lyric.blocks:
        label = KNOWN.match(block.text)
        assert label
        words = block.text[label.end() :]
        assert not re.search(r"[;:!?，。！？；：\[\]\n\r\t\"()]|\.\.|  ", words)
        assert not block.sings or any(c.isalnum() for c in words)


def test_tags_are_ordered_and_nothing_of_the_users_words_is_lost() -> None:
    told = words2description("neo-soul, warm, laid back, female vocals, Rhodes", 96.2)
    assert told == "female, r&b, neo-soul, warm, laid back, rhodes, the bpm is 96."
    assert words2description("", 96.0) == ""
    assert words2description("female vocals, pop", 100.0, voice=False) == "pop, the bpm is 100."
    assert words2description("rock, 140 bpm", 120.0) == "rock, 140 bpm."
    assert words2description("pop", None, stem_words=("breathy", "")) == "pop, breathy."


@pytest.mark.parametrize(
    ("style", "kind"), [("Hip Hop, dark", "Hip-Hop"), ("neo-soul", "R&B/Soul"), ("polka", "Auto"), ("", "Auto")]
)
def test_style_words_choose_prompt_codes(style: str, kind: str) -> None:
    assert words2prompt_type(style) == kind
