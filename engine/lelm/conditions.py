"""What a song model reads before the first token: lyric, prompt clip, style -> prefix embeddings.

Order: lyric (`lyric_limit` positions), prompt (`prompt_frames` + 2), style (`style_limit`); stream 1 goes to the main
transformer, stream 2 to the sub-transformer. Short texts are padded and their padding is attended to, as in training:
the prefix always has the same length, and the null row's depends on the style's class alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.lelm.checkpoint import (
    LYRIC_TABLE,
    PROMPT_STARTS,
    PROMPT_TABLES,
    STRUCTURE_TABLE,
    STYLE_TABLE,
    SongTensors,
)
from engine.lelm.text import PADDING, structures

Prefix = tuple[Tensor, Tensor]
"""Embeddings [1, L, D] for the main and the sub-transformer."""


class Conditions:
    """The tables of the conditions. They stay in the memory-mapped file: a song reads about a thousand rows."""

    def __init__(self, tensors: SongTensors) -> None:
        self._tables = tensors.conditions
        self._config = tensors.config
        self._special = tensors.lelm.special

    @property
    def length(self) -> int:
        """Positions of a prefix."""
        return self._config.lyric_limit + self._config.prompt_frames + 2 + self._config.style_limit

    def prefix(self, lyric: Sequence[int], prompt: Tensor | None, style: Sequence[int]) -> Prefix:
        """float32 embeddings of a row. `lyric` and `style` are ids, no longer than their limits; `prompt` int64
        [3, n] codes or None."""
        words, tags = self.lyric(lyric), self.style(style)
        first, second = self.prompt(prompt)
        return torch.cat((words, first, tags), 1), torch.cat((words, second, tags), 1)

    def lyric(self, ids: Sequence[int]) -> Tensor:
        """[1, lyric_limit, D]: each token's row and the row of the section it lies in."""
        limit = self._config.lyric_limit
        sections = torch.tensor(_padded(structures(ids), limit, 0))
        rows = self._rows(LYRIC_TABLE, torch.tensor(_padded(ids, limit, PADDING)))
        return (rows + self._rows(STRUCTURE_TABLE, sections))[None]

    def style(self, ids: Sequence[int]) -> Tensor:
        """[1, style_limit, D]."""
        return self._rows(STYLE_TABLE, torch.tensor(_padded(ids, self._config.style_limit, PADDING)))[None]

    def prompt(self, codes: Tensor | None) -> Prefix:
        """[1, prompt_frames + 2, D] for both streams: a start row, then the clip behind an end token."""
        tokens = self.prompt_tokens(codes)
        first = self._rows(PROMPT_TABLES[0], tokens[0])
        second = self._rows(PROMPT_TABLES[1], tokens[1]) + self._rows(PROMPT_TABLES[2], tokens[2])
        starts = (self._tables[name].float() for name in PROMPT_STARTS)
        one, two = (torch.cat((start, rows))[None] for start, rows in zip(starts, (first, second), strict=True))
        return one, two

    def prompt_tokens(self, codes: Tensor | None) -> Tensor:
        """[3, prompt_frames + 1]: an end token and the codes, cut or padded; a codebook that is not given (its first
        code is the special one) is special throughout."""
        frames = self._config.prompt_frames
        tokens = torch.full((3, frames + 1), self._special)
        if codes is not None:
            given = codes[:, :frames]
            tokens[:, 1 : 1 + given.shape[1]] = given
            tokens[:, 0] = self._config.code_size
            tokens[tokens[:, 1] == self._special] = self._special
        return tokens

    def _rows(self, name: str, at: Tensor) -> Tensor:
        return F.embedding(at, self._tables[name]).float()


def _padded(ids: Sequence[int], length: int, padding: int) -> list[int]:
    return [*ids, *[padding] * (length - len(ids))]
