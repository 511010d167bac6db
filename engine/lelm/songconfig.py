"""SongGeneration's `config.yaml`: the sizes and limits that a song model was trained with.

The published files hold two kinds of references besides plain ones, `${eval:...}` and `${load_yaml:...}`. The first is
read here as integer arithmetic over `+ - * /` and names of the same file, the second is left as it stands (the list
that it names is `text.STRUCTURES`). Nothing is evaluated, nothing is imported.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.errors import JobError

REFERENCE = re.compile(r"\$\{([\w.]+)\}")
ARITHMETIC = re.compile(r"\$\{eval:((?:[^{}]|\{[^{}]*\})*)\}")
OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
MAX_DEPTH = 8
NAME = "config.yaml"


@dataclass(frozen=True, slots=True)
class SongConfig:
    """What the file says. `lyric_limit` and `style_limit` are prefix positions of text, the start token included;
    `prompt_frames` codes of a prompt clip; `delays` in frames, one for each codebook."""

    dim: int
    inner: int
    heads: int
    layers: int
    sub_layers: int
    theta: float
    sub_theta: float
    code_size: int
    delays: tuple[int, ...]
    max_seconds: int
    frame_rate: int
    prompt_frames: int
    lyric_limit: int
    style_limit: int
    positions: int
    sub_positions: int


def read_config(path: Path) -> SongConfig:
    """Reads a `config.yaml`. Raises `JobError` `songwriter.layout` where a value is missing or not of its kind."""
    import yaml

    try:
        root = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as problem:
        raise _damaged(path, f"cannot be read ({type(problem).__name__})") from problem
    if not isinstance(root, Mapping):
        raise _damaged(path, "holds no settings")

    def number(name: str, least: float = 1) -> float:
        value = resolve(root, name, path)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= 1e9:
            raise _damaged(path, f"says {name}: {value!r}, where a number from {least:g} is needed")
        return value

    def whole(name: str, least: int = 1) -> int:
        value = number(name, least)
        if value != int(value):
            raise _damaged(path, f"says {name}: {value!r}, where a whole number is needed")
        return int(value)

    delays = resolve(root, "codebooks_pattern.delay.delays", path)
    sound = isinstance(delays, list) and delays and all(type(d) is int and 0 <= d <= 10_000 for d in delays)
    if not sound or len(delays) != whole("lm.code_depth"):
        raise _damaged(path, f"says delays: {delays!r}, where one delay for each of lm.code_depth codebooks is needed")
    prepend = resolve(root, "fuser.prepend", path)
    if prepend != ["description", "prompt_audio", "type_info"]:
        raise _damaged(path, f"puts {prepend!r} before the song; known is description, prompt_audio, type_info")
    conditioners = "conditioners"
    return SongConfig(
        dim=whole("lm.dim"),
        inner=whole("lm.intermediate_size"),
        heads=whole("lm.num_heads"),
        layers=whole("lm.num_layers"),
        sub_layers=whole("lm.num_layers_sub", 0),
        theta=number("lm.rope_theta"),
        sub_theta=number("lm.rope_theta_sub"),
        code_size=whole("lm.code_size"),
        delays=tuple(delays),
        max_seconds=whole("max_dur"),
        frame_rate=whole("audio_tokenizer_frame_rate"),
        prompt_frames=whole(f"{conditioners}.prompt_audio.qt_embedding.max_len", 3) - 2,
        lyric_limit=whole(f"{conditioners}.description.QwTokenizer.max_len"),
        style_limit=whole(f"{conditioners}.type_info.QwTextTokenizer.max_len"),
        positions=whole("lm.max_position_embeddings"),
        sub_positions=whole("lm.max_position_embeddings_sub"),
    )


def resolve(root: Mapping[str, Any], name: str, path: Path, depth: int = 0) -> Any:
    """The value at a dotted name, with its references followed."""
    value: Any = root
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise _damaged(path, f"has no {name}")
        value = value[part]
    if not isinstance(value, str):
        return value
    if depth > MAX_DEPTH:
        raise _damaged(path, f"refers in a circle at {name}")

    def follow(text: str) -> str:
        return REFERENCE.sub(lambda m: str(resolve(root, m[1], path, depth + 1)), text)

    if whole := REFERENCE.fullmatch(value):
        return resolve(root, whole[1], path, depth + 1)
    if sum_ := ARITHMETIC.fullmatch(value):
        return calculate(follow(sum_[1]), name, path)
    return value


def calculate(text: str, name: str, path: Path) -> float:
    """A sum of numbers: `10*25+2` -> 252."""

    def value(node: ast.expr) -> float:
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return float(node.value)
        if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
            return float(OPERATORS[type(node.op)](value(node.left), value(node.right)))
        raise ValueError(text)

    try:
        return value(ast.parse(text[:200], mode="eval").body)
    except (ValueError, SyntaxError, ArithmeticError, RecursionError, MemoryError):
        raise _damaged(path, f"says {name}: {text!r}, which is no sum of numbers") from None


def _damaged(path: Path, what: str) -> JobError:
    return JobError(
        "songwriter.layout", f"the song model's {path.name} {what}.", field=str(path), hint="Fetch the file again."
    )
