"""A tiny runtime folder of SongGeneration in the published layout, written from names and shapes alone.

Windows are 200 codes (8 s) long if not asked otherwise, a quarter of them shared; the rates, the file names and the
tensors' names are the real ones. They are spelled out here once more, so that the product's reading of them is not
tested against itself.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

WINDOW = 200
LATENTS = 12
WIDTH = 16
"""Of a stream's condition, and of the prompt tokenizers' layers."""
CODES, CODE_SIZE = 16384, 4
CHANNELS = 2
"""Of the autoencoder's widest rate."""
STRIDES = (2, 4, 4, 6, 10)
Shapes = dict[str, tuple[int, ...]]


def write_runtime(root: Path, *, seed: int = 0, stems: bool = True, window: int = WINDOW) -> Path:
    """`root`/ckpt with all that sound is made with; without `stems` as v2-fast has it: mixed codes alone."""
    ckpt = root / "ckpt"
    first = {**_quantizer("rvq_bestrq_emb."), **_hearing()}
    if stems:
        second = _quantizer("rvq_bestrq_bgm_emb.")
        tensors = random_tensors({**first, **second, **_flow(window, mask=24, streams=2)}, seed)
        _save(ckpt / "model_septoken" / "model_2.safetensors", tensors)
        _save(ckpt / "model_1rvq" / "model_2_fixed.safetensors", random_tensors(first, seed + 1))
    else:
        tensors = random_tensors({**first, **_flow(window, mask=20, streams=1)}, seed)
        _save(ckpt / "model_1rvq" / "model_2_fixed.safetensors", tensors)
    vae = ckpt / "vae"
    vae.mkdir(parents=True)
    torch.save({"state_dict": random_tensors(_autoencoder(), seed)}, vae / "autoencoder_music_1320k.ckpt")
    decoder = {"channels": CHANNELS, "strides": STRIDES, "use_snake": True, "final_tanh": False}
    config = {"sample_rate": 48000, "model": {"decoder": {"type": "oobleck", "config": decoder}}}
    (vae / "stable_audio_1920_vae.json").write_text(json.dumps(config))
    return ckpt


def random_tensors(shapes: Shapes, seed: int = 0) -> dict[str, Tensor]:
    """A tensor for each name, of its name and the seed alone, of a size that keeps sound and latents within reason."""
    return {name: _tensor(name, shape, seed) for name, shape in shapes.items()}


def _tensor(name: str, shape: tuple[int, ...], seed: int) -> Tensor:
    noise = np.random.default_rng([zlib.crc32(name.encode()), seed]).standard_normal(shape).astype(np.float32)
    last = name.rsplit(".", 1)[-1]
    values: NDArray[np.float32]
    if last == "num_batches_tracked":
        return torch.tensor(1000)
    if last == "counts":
        values = np.full(shape, 200_000.0, np.float32)
    elif last == "sum_x":
        values = noise * 40_000.0
    elif last == "sum_x2":
        values = (np.abs(noise) + 0.5) * 400_000.0
    elif last == "inv_freq":
        values = 10_000.0 ** -(np.arange(shape[0], dtype=np.float32) / shape[0])
    elif last == "running_var" or (last == "weight" and len(shape) == 1):
        values = 1 + 0.1 * np.abs(noise)
    elif last == "weight_g":
        values = 0.5 + 0.1 * np.abs(noise)
    elif len(shape) == 1 or last in ("scale_shift_table", "running_mean"):
        values = 0.1 * noise
    elif name.endswith(("wpe.weight", "mask_emb.weight", "codebook.weight")):
        values = 0.5 * noise
    else:
        fan_in = shape[0] if ".h." in name else int(np.prod(shape[1:]))
        values = noise / np.sqrt(fan_in)
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))


def _save(path: Path, tensors: dict[str, Tensor]) -> None:
    path.parent.mkdir(parents=True)
    save_file(tensors, path)


def _quantizer(prefix: str) -> Shapes:
    base = f"{prefix}quantizers.0."
    shapes: Shapes = {f"{base}stale_counter": (CODES,), f"{base}codebook.weight": (CODES, CODE_SIZE)}
    for name, out, into in (("in_proj", CODE_SIZE, WIDTH), ("out_proj", WIDTH, CODE_SIZE)):
        shapes |= {f"{base}{name}.weight_g": (out, 1, 1), f"{base}{name}.weight_v": (out, into, 1)}
        shapes[f"{base}{name}.bias"] = (out,)
    return shapes


def _flow(window: int, mask: int, streams: int, layers: int = 2) -> Shapes:
    width = mask + streams * WIDTH + 2 * LATENTS
    base = "cfm_wrapper.estimator."
    time = f"{base}adaln_single.emb.timestep_embedder."
    shapes: Shapes = {
        "mask_emb.weight": (3, mask),
        "zero_cond_embedding1": (WIDTH,),
        "normfeat.counts": (1,),
        "normfeat.sum_x": (LATENTS,),
        "normfeat.sum_x2": (LATENTS,),
        "normfeat.sum_target_x2": (LATENTS,),
        "cfm_wrapper.mlp.0.weight": (8, width),
        "hubert.mask_emb": (8,),
        f"{base}wte.weight": (50, width),
        f"{base}wpe.weight": (window, width),
        f"{base}scale_shift_table": (2, width),
        **_linear(f"{base}proj_out", width, width),
        **_norm(f"{base}ln_f", width),
        **_linear(f"{time}linear_1", width, 32),
        **_linear(f"{time}linear_2", width, width),
        **_linear(f"{base}adaln_single.linear", 6 * width, width),
    }
    for layer in range(layers):
        block = f"{base}h.{layer}."
        shapes[f"{block}scale_shift_table"] = (6, width)
        shapes |= _norm(f"{block}ln_1", width) | _norm(f"{block}ln_2", width)
        inner = 2 * width
        for name, into, out in (
            ("attn.c_attn", width, 3 * width), ("attn.c_proj", width, width),
            ("mlp.c_fc", width, inner), ("mlp.c_proj", inner, width),
        ):  # fmt: skip
            shapes |= {f"{block}{name}.weight": (into, out), f"{block}{name}.bias": (out,)}
    return shapes


def _hearing(channels: int = 4, layers: int = 8, kernel: int = 7) -> Shapes:
    base = "bestrq.model."
    inner = 2 * WIDTH
    shapes: Shapes = {
        f"{base}cls_token": (WIDTH,),
        f"{base}conformer.embed_positions.inv_freq": (4,),
        f"{base}conformer.pos_conv_embed.conv.bias": (WIDTH,),
        **_norm(f"{base}conformer.layer_norm", WIDTH),
        **_linear(f"{base}conv.linear", WIDTH, channels * 32),
        **_linear(f"{base}linear", 64, WIDTH),
    }
    for block, inputs in ((0, 1), (1, channels)):
        for k, into in ((1, inputs), (2, channels), (3, inputs)):
            conv = f"{base}conv.conv.{block}."
            shapes |= {f"{conv}conv{k}.weight": (channels, into, 3, 3), f"{conv}conv{k}.bias": (channels,)}
            shapes |= _batch_norm(f"{conv}bn{k}", channels)
    for k in range(layers):
        layer = f"{base}conformer.layers.{k}."
        for part in ("ffn1", "ffn2"):
            shapes |= _linear(f"{layer}{part}.intermediate_dense", inner, WIDTH)
            shapes |= _linear(f"{layer}{part}.output_dense", WIDTH, inner)
        for part in ("q", "k", "v", "out"):
            shapes |= _linear(f"{layer}self_attn.linear_{part}", WIDTH, WIDTH)
        for part in ("ffn1_layer", "self_attn_layer", "conv_module.layer", "ffn2_layer", "final_layer"):
            shapes |= _norm(f"{layer}{part}_norm", WIDTH)
        shapes |= _batch_norm(f"{layer}conv_module.batch_norm", WIDTH)
        shapes |= {
            f"{layer}conv_module.pointwise_conv1.weight": (2 * WIDTH, WIDTH, 1),
            f"{layer}conv_module.depthwise_conv.weight": (WIDTH, 1, kernel),
            f"{layer}conv_module.pointwise_conv2.weight": (WIDTH, WIDTH, 1),
        }
    return shapes


def _autoencoder() -> Shapes:
    blocks = len(STRIDES)
    widths = [CHANNELS, *(CHANNELS * 2**k for k in range(blocks))]
    deepest = widths[-1]
    shapes: Shapes = {
        **_conv("encoder.layers.0", CHANNELS, 2, 7),
        **_conv(f"encoder.layers.{blocks + 2}", 2 * LATENTS, deepest, 3),
        **_conv("decoder.layers.0", deepest, LATENTS, 7),
        f"decoder.layers.{blocks + 2}.weight_g": (2, 1, 1),
        f"decoder.layers.{blocks + 2}.weight_v": (2, CHANNELS, 7),
        **_snake(f"encoder.layers.{blocks + 1}", deepest),
        **_snake(f"decoder.layers.{blocks + 1}", CHANNELS),
    }
    for k, stride in enumerate(STRIDES):
        inner = f"encoder.layers.{k + 1}.layers."
        for unit in (0, 1, 2):
            shapes |= _residual(f"{inner}{unit}", widths[k])
        shapes |= _snake(f"{inner}3", widths[k]) | _conv(f"{inner}4", widths[k + 1], widths[k], 2 * stride)
        inner = f"decoder.layers.{blocks - k}.layers."
        shapes |= _snake(f"{inner}0", widths[k + 1])
        up = f"{inner}1."
        shapes |= {f"{up}weight_g": (widths[k + 1], 1, 1), f"{up}weight_v": (widths[k + 1], widths[k], 2 * stride)}
        shapes[f"{up}bias"] = (widths[k],)
        for unit in (2, 3, 4):
            shapes |= _residual(f"{inner}{unit}", widths[k])
    return shapes


def _residual(name: str, width: int) -> Shapes:
    inner = f"{name}.layers."
    snakes = _snake(f"{inner}0", width) | _snake(f"{inner}2", width)
    return snakes | _conv(f"{inner}1", width, width, 7) | _conv(f"{inner}3", width, width, 1)


def _conv(name: str, out: int, into: int, kernel: int) -> Shapes:
    return {f"{name}.weight_g": (out, 1, 1), f"{name}.weight_v": (out, into, kernel), f"{name}.bias": (out,)}


def _snake(name: str, width: int) -> Shapes:
    return {f"{name}.alpha": (width,), f"{name}.beta": (width,)}


def _linear(name: str, out: int, into: int) -> Shapes:
    return {f"{name}.weight": (out, into), f"{name}.bias": (out,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _batch_norm(name: str, width: int) -> Shapes:
    return {**_norm(name, width), f"{name}.running_mean": (width,), f"{name}.running_var": (width,),
            f"{name}.num_batches_tracked": ()}  # fmt: skip
