"""Sections and lyrics as the text that SongGeneration was trained on.

A section is a block `[label] words`; blocks are joined by " ; ". Blocks without words are `[intro-short]`,
`[inst-medium]`, `[outro-long]` and the like, by their seconds. Sentences end with "."; a block of English ends with
one, a block of Chinese or Japanese does not. Punctuation is half-width, and nothing of it but what can be sung is kept.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bridge.arrangement import Section
from bridge.errors import RequestError
from bridge.labels import name2label
from bridge.timeline import Clock

SEPARATOR = " ; "
SHORT_SECONDS, MEDIUM_SECONDS = 10.0, 20.0
"""Longest block without words that is called short, and medium."""
SILENCE_SECONDS = 2.0
"""A gap between sections that lasts so long is told as silence."""
SUNG = {
    "verse": "verse", "pre-chorus": "verse", "chorus": "chorus", "post-chorus": "chorus", "drop": "chorus",
    "bridge": "bridge", "break": "bridge", "interlude": "bridge", "solo": "bridge", "intro": "verse", "outro": "chorus",
}  # fmt: skip
"""Label of a section with lyrics -> the model's."""
PLAYED = {"intro": "intro", "outro": "outro"}
"""Label of a section without lyrics -> the model's; all others are `inst`."""
PLAIN = str.maketrans({
    "，": ",", "、": ",", "。": ".", "．": ".", "！": "!", "？": "?", "；": ",", ";": ",", "：": ",", ":": ",",
    "‘": "'", "’": "'", "“": " ", "”": " ", '"': " ", "«": " ", "»": " ", "„": " ", "「": " ", "」": " ", "『": " ",
    "』": " ", "《": " ", "》": " ", "…": ".", "—": ",", "–": "-", "(": " ", ")": " ", "（": " ", "）": " ", "*": " ",
    "~": " ", "/": " ", "|": " ", "{": " ", "}": " ", "_": " ", "¿": " ", "¡": " ", "[": " ", "]": " ",
    "【": " ", "】": " ",
})  # fmt: skip
"""What is not in the model's alphabet of punctuation, and what stands for it."""
ENDS = re.compile(r"\s*[.!?]+(?:\s+|$)")
CUTS = re.compile(r"\s*[.!?,]+\s*")
INNER = re.compile(r"[!?]+|\.{2,}|[^\S ]")
"""What may stand inside a phrase and is not sung."""
BRACKETS = re.compile(r"[\[【［]([^\]】］]*)[\]】］]")
IDEOGRAPH_SHARE = 0.2
"""From so large a share of ideographs and kana on a text follows the rules of Chinese."""

Script = Literal["spaced", "unspaced"]


@dataclass(frozen=True)
class Block:
    """One block of the lyric: `section` is the index of the arrangement's section (-1: a gap), `text` what the model
    reads, `sings` whether words stand in it."""

    section: int
    name: str
    text: str
    sings: bool


@dataclass(frozen=True)
class Lyric:
    """All blocks in order, and what was changed on the way, for the user."""

    blocks: tuple[Block, ...]
    remarks: tuple[str, ...]

    @property
    def text(self) -> str:
        """What the model reads."""
        return self.until(len(self.blocks))

    def until(self, count: int) -> str:
        """The first `count` blocks."""
        return SEPARATOR.join(block.text for block in self.blocks[:count])


def sections2lyric(sections: Sequence[Section], clock: Clock, *, sings: bool = True) -> Lyric:
    """The lyric of an arrangement; without `sings` all words are left out.

    Raises `RequestError` on the section whose lyrics hold a heading of another section.
    """
    blocks: list[Block] = []
    remarks: list[str] = []
    until: float | None = None
    for index, section in sorted(enumerate(sections), key=lambda pair: pair[1].start):
        start, end = clock.beat2second(section.start), clock.beat2second(section.end)
        if until is not None and start - until >= SILENCE_SECONDS:
            blocks.append(Block(-1, "", "[silence]", False))
        until = end
        words = _words(section, index, remarks) if sings else ""
        label = SUNG[section.label] if words else PLAYED.get(section.label, "inst")
        if words:
            text = f"[{label}] {words}"
            if label != section.label:
                remarks.append(
                    f'"{section.name}" ({section.label}) is sung as a {label}: the model knows no other word.'
                )
        else:
            text = f"[{label}-{seconds2size(end - start)}]"
            if sings and section.label in ("verse", "pre-chorus", "chorus", "post-chorus"):
                remarks.append(f'"{section.name}" has no lyrics: it is asked for without a voice.')
        blocks.append(Block(index, section.name, text, bool(words)))
    return Lyric(tuple(blocks), tuple(remarks))


def seconds2size(seconds: float) -> str:
    """short, medium or long."""
    return "short" if seconds <= SHORT_SECONDS else "medium" if seconds <= MEDIUM_SECONDS else "long"


def text2script(text: str) -> Script:
    """By which rules a text is written: unspaced for Chinese and Japanese."""
    letters = [c for c in text if c.isalpha()]
    wide = sum(1 for c in letters if "一" <= c <= "鿿" or "぀" <= c <= "ヿ")
    return "unspaced" if letters and wide / len(letters) >= IDEOGRAPH_SHARE else "spaced"


def text2phrases(text: str) -> str:
    """Lyrics of one section as the model reads them: phrases that end with "."; the last one without it where the
    script has no spaces. Empty where there is nothing to sing."""
    plain = unicodedata.normalize("NFKC", text).translate(PLAIN)
    unspaced = text2script(plain) == "unspaced"
    phrases = []
    for line in plain.splitlines():
        for phrase in (CUTS if unspaced else ENDS).split(line):
            words = re.sub(r"\s+,", ",", " ".join(INNER.sub(" ", phrase).split())).strip(" ,.-")
            if any(c.isalnum() for c in words):
                phrases.append(words)
    if not phrases:
        return ""
    return ".".join(phrases) if unspaced else ". ".join(phrases) + "."


def _words(section: Section, index: int, remarks: list[str]) -> str:
    """The section's lyrics without headings. Its own heading is dropped, another section's refused."""
    field = f"arrangement.sections[{index}].lyrics"

    def heading(found: re.Match[str]) -> str:
        told = found.group(1).strip()
        label = name2label(told)
        if label is not None and label != section.label:
            raise RequestError(
                "lyrics.heading",
                f'the lyrics of "{section.name}" hold the heading [{told}], which is another section.',
                field=field,
                hint="Give each section its own lyrics, without headings in brackets.",
            )
        remarks.append(f'[{told}] in the lyrics of "{section.name}" is not sung.')
        return "\n"

    return text2phrases(BRACKETS.sub(heading, section.lyrics))
