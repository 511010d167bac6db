"""The official layout, built for tests: Qwen2's tokenizer folder and a tiny song model with random weights.

The vocabulary is that of PyPI's `dashscope` (Apache-2.0); its merges are found again from the ranks.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import zlib
from pathlib import Path

import pytest
import torch

from engine.lelm.text import LYRIC_ROWS, STYLE_ROWS, Version

CONFIG = """
max_dur: {seconds}
prompt_len: 1
audio_tokenizer_frame_rate: 25
lm:
  lm_type: Llama
  dim: {dim}
  intermediate_size: {inner}
  num_heads: {heads}
  num_layers: {layers}
  num_layers_sub: {sub_layers}
  code_depth: 3
  code_size: {code_size}
  max_position_embeddings: 4096
  max_position_embeddings_sub: 4096
  rope_theta: 500000.0
  rope_theta_sub: 100000.0
codebooks_pattern:
  modeling: delay
  delay: {{delays: [0, {delay}, {delay}]}}
fuser:
  sum: []
  prepend: [description, prompt_audio, type_info]
conditioners:
  prompt_audio:
    qt_embedding:
      max_len: ${{eval:${{prompt_len}}*${{audio_tokenizer_frame_rate}}+2}}
  description:
    QwTokenizer:
      max_len: 48
      add_token_list: ${{load_yaml:conf/vocab.yaml}}
  type_info:
    QwTextTokenizer:
      max_len: 20
"""
SIZES = {
    "dim": 32, "inner": 64, "heads": 2, "layers": 2, "sub_layers": 1, "code_size": 16_384, "delay": 6, "seconds": 8,
}  # fmt: skip


def byte_letters() -> dict[int, str]:
    """The printable letter that stands for each byte in a byte-level vocabulary."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {b: chr(b) for b in plain}
    letters |= {b: chr(256 + n) for n, b in enumerate(b for b in range(256) if b not in letters)}
    return letters


def split(ranks: dict[bytes, int], token: bytes) -> tuple[bytes, bytes]:
    """The two parts that a token was merged from: byte pairs are merged by rank until two are left."""
    parts = [bytes([b]) for b in token]
    while len(parts) > 2:
        at = min(range(len(parts) - 1), key=lambda i: ranks.get(parts[i] + parts[i + 1], 1 << 30))
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts[0], parts[1]


def qwen_folder(folder: Path) -> Path:
    """Writes `vocab.json` and `merges.txt` of Qwen2 (151,643 tokens). Skips the test where dashscope is absent."""
    found = importlib.util.find_spec("dashscope")
    if found is None or found.origin is None:
        pytest.skip("no dashscope: its copy of Qwen2's vocabulary serves these tests (pip install '.[dev]')")
    lines = (Path(found.origin).parent / "resources" / "qwen.tiktoken").read_bytes().splitlines()
    ranks = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in lines if line)}
    letters = byte_letters()

    def spell(token: bytes) -> str:
        return "".join(letters[b] for b in token)

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({spell(token): rank for token, rank in ranks.items()}), "utf-8")
    pairs = [split(ranks, token) for token in ranks if len(token) > 1]
    merges = "".join(f"{spell(a)} {spell(b)}\n" for a, b in pairs)
    (folder / "merges.txt").write_text("#version: 0.2\n" + merges, "utf-8")
    return folder


def tiny_shapes(version: Version = "v2", **sizes: int) -> dict[str, tuple[int, ...]]:
    """Names (without `audiolm.`) and shapes of a song model's tensors, unused ones included."""
    s = SIZES | sizes
    dim, inner, codes, out = s["dim"], s["inner"], s["code_size"] + 2, s["code_size"] + 1
    shapes: dict[str, tuple[int, ...]] = {"emb.0.weight": (codes, dim)}
    shapes |= {f"layer2_emb.{k}.weight": (codes, dim) for k in range(3)}
    for stack, layers in (("transformer", s["layers"]), ("transformer2", s["sub_layers"])):
        shapes |= {f"{stack}.model.embed_tokens.weight": (out, dim), f"{stack}.model.norm.weight": (dim,)}
        shapes[f"{stack}.lm_head.weight"] = (out, dim)
        for n in range(layers):
            layer = f"{stack}.model.layers.{n}."
            shapes |= {f"{layer}self_attn.{p}_proj.weight": (dim, dim) for p in "qkvo"}
            shapes |= {f"{layer}mlp.{p}_proj.weight": (inner, dim) for p in ("gate", "up")}
            shapes[f"{layer}mlp.down_proj.weight"] = (dim, inner)
            shapes |= {f"{layer}{p}_layernorm.weight": (dim,) for p in ("input", "post_attention")}
    shapes |= {"linears.0.weight": (out, dim), "linears.1.weight": (out, dim)}
    shapes |= {"mlp.0.weight": (dim, 2 * dim), "mlp.0.bias": (dim,), "mlp.2.weight": (dim, dim), "mlp.2.bias": (dim,)}
    shapes |= {"out_norm.weight": (dim,), "out_norm.bias": (dim,)}
    at = "condition_provider.conditioners."
    shapes |= {
        f"{at}description.output_proj.weight": (LYRIC_ROWS, dim),
        f"{at}description.structure_emb.weight": (200, dim),
        f"{at}type_info.output_proj.weight": (STYLE_ROWS[version], dim),
        f"{at}prompt_audio.EOT_emb": (1, dim),
        f"{at}prompt_audio.layer2_EOT_emb": (1, dim),
    }
    return shapes | {f"{at}prompt_audio.emb.{k}.weight": (codes, dim) for k in range(3)}


def tiny_weights(version: Version = "v2", **sizes: int) -> dict[str, torch.Tensor]:
    """Random weights, each seeded by its name."""
    out = {}
    for name, shape in tiny_shapes(version, **sizes).items():
        generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        noise = torch.randn(shape, generator=generator)
        if "norm" in name and name.endswith("weight"):
            out[name] = 1 + 0.1 * noise
        elif "emb" in name or "output_proj" in name:
            out[name] = 0.5 * noise
        else:
            gain = 4.0 if "lm_head" in name or name.startswith("linears") else 1.0
            out[name] = gain * noise / shape[-1] ** 0.5
    return out


def tiny_checkpoint(folder: Path, version: Version = "v2", **sizes: int) -> Path:
    """Writes `config.yaml` and `model.pt` as the published folders hold them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(CONFIG.format(**(SIZES | sizes)), "utf-8")
    weights = tiny_weights(version, **sizes)
    torch.save({f"audiolm.{name}": tensor for name, tensor in weights.items()}, folder / "model.pt")
    return folder
