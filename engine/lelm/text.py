"""The words of a song -> token ids, as SongGeneration's text side counts them.

Qwen2's byte-level BPE from the user's folder (`vocab.json` + `merges.txt`, or `tokenizer.json`), with the special
tokens of each text. v2 also splits its text at every "." (which keeps its id, 13). Every text begins with `START`.
Sources: the published tokenizer's rules; ids are checked against its published vocabulary when it is opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bridge.errors import JobError, RequestError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Version = Literal["v1", "v2"]
Kind = Literal["mixed", "vocal", "bgm", "separate"]
START = "<|im_start|>"
STRUCTURES = (
    "[verse]", "[chorus]", "[bridge]", "[intro-short]", "[intro-medium]", "[intro-long]", "[outro-short]",
    "[outro-medium]", "[outro-long]", "[inst-short]", "[inst-medium]", "[inst-long]", "[silence]",
)  # fmt: skip
STYLES = (
    "[Musicality-very-high]", "[Musicality-high]", "[Musicality-medium]", "[Musicality-low]",
    "[Musicality-very-low]", "[Pure-Music]",
)  # fmt: skip
BEST, WORST, PURE_MUSIC = STYLES[0], STYLES[4], STYLES[5]
PADDING = 151_643
START_ID = 151_644
FIRST_STRUCTURE = 151_646
LYRIC_ROWS = FIRST_STRUCTURE + len(STRUCTURES)
STYLE_ROWS: dict[Version, int] = {"v1": 151_646, "v2": 151_646 + len(STYLES)}
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PROBES = {"Hello world.": (9707, 1879, 13), "[verse]": (58, 4450, 60)}
"""Text and its ids before special tokens are added: a folder that counts otherwise is another model's."""


@dataclass(frozen=True, slots=True)
class SongWords:
    """What a song is asked for. `lyric` in the published format (sections joined by " ; ", each with its label);
    `description` comma-separated tags. `kind`: the mix, one side of it, or (`separate`) all three."""

    lyric: str
    description: str | None = None
    kind: Kind = "separate"


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """Tokens of a song's words and the most that the model takes, the start token included."""

    lyric: int
    lyric_limit: int
    style: int
    style_limit: int


def words2texts(words: SongWords, version: Version) -> tuple[str, str | None]:
    """Lyric and style text as the model was trained to read them.

    v2 puts its quality tag before the style. The published code loses the tags of pure music that has no
    description; here they stay, as where there is one (QUIRKS.md).
    """
    bgm = words.kind == "bgm"
    lyric = "." if bgm else words.lyric.replace("  ", " ")
    style = words.description.lower() if words.description else None
    if version == "v1":
        return lyric, style
    return lyric, ", ".join((BEST, *([PURE_MUSIC] if bgm else []), style or "."))


def null_style(style: str | None) -> str | None:
    """The style text of the row that guidance steers away from."""
    return f"{WORST}, ." if style is not None and BEST in style else None


class SongText:
    """The two tokenizers of a song model."""

    def __init__(self, folder: Path, version: Version) -> None:
        """Raises `JobError` `songwriter.tokenizer` where the folder holds no Qwen2 vocabulary."""
        points = (".",) if version == "v2" else ()
        self._lyric, self._style = open_tokenizers(folder)
        self._lyric.add_special_tokens([*STRUCTURES, *points])
        self._style.add_special_tokens([*(STYLES if version == "v2" else ()), *points])
        if self._lyric.token_to_id(STRUCTURES[0]) != FIRST_STRUCTURE or self._lyric.token_to_id(START) != START_ID:
            raise _foreign(folder, "its special tokens have other numbers")
        self.version = version

    def lyric_ids(self, lyric: str | None) -> list[int]:
        """Ids of a lyric; None is the null row's."""
        return list(self._lyric.encode(START + (lyric or ""), add_special_tokens=False).ids)

    def style_ids(self, style: str | None) -> list[int]:
        """Ids of a style text; None where there is none."""
        return list(self._style.encode(START + (style or ""), add_special_tokens=False).ids)

    def count(self, words: SongWords, lyric_limit: int, style_limit: int) -> TokenCounts:
        """How long a song's words are."""
        lyric, style = words2texts(words, self.version)
        return TokenCounts(len(self.lyric_ids(lyric)), lyric_limit, len(self.style_ids(style)), style_limit)


def check_counts(counts: TokenCounts) -> None:
    """Raises `RequestError` where words are longer than the model reads: nothing is cut silently."""
    for what, tokens, limit in (
        ("lyric", counts.lyric, counts.lyric_limit),
        ("style", counts.style, counts.style_limit),
    ):
        if tokens > limit:
            raise RequestError(
                f"song.{what}_long",
                f"the {what} takes {tokens} tokens; the song model reads {limit}.",
                field=what,
                hint=f"Shorten it by about {100 - 100 * limit // tokens} %, or ask for fewer sections at once.",
            )


def structures(ids: Sequence[int]) -> list[int]:
    """For each id the section that it lies in: 1-13 from its structure token on, 0 before the first."""
    out, current = [], 0
    for i in ids:
        if FIRST_STRUCTURE <= i < LYRIC_ROWS:
            current = i - FIRST_STRUCTURE + 1
        out.append(current)
    return out


def open_tokenizers(folder: Path) -> tuple[Tokenizer, Tokenizer]:
    """Qwen2's tokenizer twice over one vocabulary, without any model's own tokens: NFC, its pattern, byte-level BPE."""
    from tokenizers import AddedToken, Regex, Tokenizer, normalizers, pre_tokenizers
    from tokenizers.models import BPE

    vocabulary, merges = folder / "vocab.json", folder / "merges.txt"
    try:
        if vocabulary.is_file() and merges.is_file():
            model = BPE.from_file(str(vocabulary), str(merges))
        else:
            model = Tokenizer.from_file(str(folder / "tokenizer.json")).model
    except Exception as problem:  # the library raises bare Exception for any damage
        raise _foreign(folder, f"it cannot be read ({problem})") from problem

    def tokenizer() -> Tokenizer:
        made = Tokenizer(model)
        made.normalizer = normalizers.NFC()
        pieces = pre_tokenizers.Split(Regex(PATTERN), "isolated")
        letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        made.pre_tokenizer = pre_tokenizers.Sequence([pieces, letters])
        return made

    first, second = tokenizer(), tokenizer()
    if first.get_vocab_size() != PADDING:
        raise _foreign(folder, f"it knows {first.get_vocab_size()} tokens, not {PADDING}")
    for text, ids in PROBES.items():
        if tuple(first.encode(text, add_special_tokens=False).ids) != ids:
            raise _foreign(folder, f"it reads {text!r} differently")
    specials = [AddedToken(t, special=True, normalized=False) for t in ("<|endoftext|>", START, "<|im_end|>")]
    first.add_special_tokens(specials)
    second.add_special_tokens(specials)
    return first, second


def _foreign(folder: Path, why: str) -> JobError:
    return JobError(
        "songwriter.tokenizer",
        f"the folder {folder.name} is not the tokenizer of Qwen2 that the song model reads with: {why}.",
        field=str(folder),
        hint="It needs vocab.json and merges.txt (or tokenizer.json) of Qwen2, as in third_party/Qwen2-7B.",
    )
