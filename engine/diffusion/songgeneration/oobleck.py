"""The autoencoder between latents at 25 Hz and stereo at 48 kHz: diffusers' Oobleck with the published tensors.

Encoder and decoder are read apart, each when it is wanted, and their weight normalisation is folded. A long song is
decoded in chunks with the latents around them in view, which is as decoding it whole: a sample depends on fewer than
`MARGIN` frames to either side.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from bridge.errors import JobError
from engine.diffusion.songgeneration.tensors import TensorFile, check_tensors, load_tensors, shapes_of

RATE = 48_000
FRAME = 1920
"""Samples of one frame of latents."""
MARGIN = 16
"""Frames around a chunk that are decoded with it and thrown away."""
CHUNK = 256
"""Frames decoded at once: about 1 GB of activations at the published size."""
STD_FLOOR = 1e-4
Side = Literal["encoder", "decoder"]
RESIDUAL = ("snake1", "conv1", "snake2", "conv2")


@dataclass(frozen=True)
class OobleckShape:
    """`strides` and `multiples` of the channels from sound to latents; `latents` channels."""

    channels: int
    strides: tuple[int, ...]
    multiples: tuple[int, ...]
    latents: int


def diffusers2published(name: str, blocks: int) -> str:
    """What the published file calls a tensor of an `AutoencoderOobleck` with that many blocks."""
    side, first, *rest = name.split(".")
    own = rest[-1]
    if first != "block":
        return f"{side}.layers.{ {'conv1': 0, 'snake1': blocks + 1, 'conv2': blocks + 2}[first] }.{own}"
    block, part = int(rest[0]) + 1, rest[1]
    if part.startswith("res_unit"):
        unit = int(part.removeprefix("res_unit")) + (1 if side == "decoder" else -1)
        return f"{side}.layers.{block}.layers.{unit}.layers.{RESIDUAL.index(rest[2])}.{own}"
    place = {"snake1": 0, "conv_t1": 1}[part] if side == "decoder" else {"snake1": 3, "conv1": 4}[part]
    return f"{side}.layers.{block}.layers.{place}.{own}"


def read_shape(file: TensorFile, config: Path) -> OobleckShape:
    """Sizes of an autoencoder file, every tensor checked against them. Raises `JobError` naming what does not fit."""
    check_config(config)
    blocks = max((int(n.split(".")[0]) for n in file.under("decoder.layers.")), default=0) - 2
    if blocks < 1:
        raise file.refusal("lacks the tensors decoder.layers")
    channels = file.shape(f"decoder.layers.{blocks + 1}.alpha", 1)[0]
    ups = [file.shape(f"decoder.layers.{block}.layers.1.weight_v", 3) for block in range(blocks, 0, -1)]
    shape = OobleckShape(
        channels=channels,
        strides=tuple(up[2] // 2 for up in ups),
        multiples=tuple(up[0] // channels for up in ups),
        latents=file.shape("decoder.layers.0.weight_v", 3)[1],
    )
    if math.prod(shape.strides) != FRAME:
        raise file.refusal(f"makes {math.prod(shape.strides)} samples of a latent frame, not {FRAME}")
    check_names(file, shape)
    return shape


def check_config(path: Path) -> None:
    """What the tensors cannot say: rate, and that nothing bends the sound at the end. Raises `JobError`."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        found = {"sample_rate": config["sample_rate"]}
        found |= {key: config["model"]["decoder"]["config"][key] for key in ("use_snake", "final_tanh")}
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise JobError("renderer.load", f"{path} does not describe an autoencoder ({problem!r}).") from problem
    wanted = {"sample_rate": RATE, "use_snake": True, "final_tanh": False}
    if found != wanted:
        raise JobError("renderer.load", f"{path} describes an autoencoder with {found}; known is {wanted}.")


def on_meta(shape: OobleckShape) -> Any:
    """The network without its weights."""
    from diffusers import AutoencoderOobleck

    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the way of weight normalisation that the names are of
        network = AutoencoderOobleck(
            encoder_hidden_size=shape.channels,
            downsampling_ratios=list(shape.strides),
            channel_multiples=list(shape.multiples),
            decoder_channels=shape.channels,
            decoder_input_channels=shape.latents,
            sampling_rate=RATE,
        )
        deepest = shape.channels * shape.multiples[-1]  # means and scales, which diffusers makes as wide as its start
        network.encoder.conv2 = nn.utils.weight_norm(nn.Conv1d(deepest, 2 * shape.latents, 3, padding=1))
    return network


def check_names(file: TensorFile, shape: OobleckShape) -> dict[str, str]:
    """diffusers' name -> the file's, for every tensor of both sides. Raises `JobError`."""
    own = shapes_of(on_meta(shape))
    names = {name: diffusers2published(name, len(shape.strides)) for name in own}
    # diffusers keeps a snake's numbers as [1, channels, 1]
    check_tensors(file, "", {names[n]: s[1:2] if n.endswith((".alpha", ".beta")) else s for n, s in own.items()})
    return names


def load_side(file: TensorFile, shape: OobleckShape, side: Side, device: str) -> nn.Module:
    """The encoder, [B, 2, samples] -> [B, 2 * latents, frames], or the decoder, the other way from [B, latents,
    frames], with its weight normalisation folded. Raises `JobError`."""
    whole = on_meta(shape)
    network: nn.Module = getattr(whole, side)
    names = check_names(file, shape)
    load_tensors(network, file, {n: names[f"{side}.{n}"] for n in shapes_of(network)})
    for part in network.modules():
        if hasattr(part, "weight_g"):
            nn.utils.remove_weight_norm(part)
    return network.requires_grad_(False).to(device)


@torch.inference_mode()
def encode(encoder: nn.Module, audio: Tensor, noise: Tensor) -> Tensor:
    """float32 [B, 2, frames * 1920] at 48 kHz -> latents [B, latents, frames]: means, and `noise` of the same shape
    by their deviations."""
    mean: Tensor
    with full_precision():
        mean, scale = encoder(audio).chunk(2, dim=1)
    return mean + noise * (nn.functional.softplus(scale) + STD_FLOOR)


def full_precision() -> AbstractContextManager[None]:
    """Convolutions on a GPU in all of float32's bits, and the same ones every time."""
    flags: AbstractContextManager[None] = torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )
    return flags


class StreamDecoder:
    """Latents in as they come, sound out as soon as the latents that it depends on are there.

    What it hands out, joined, is the sound of the joined latents. Rows are decoded one by one: a chunk of one fills
    any device, and its bytes do not depend on its company.
    """

    def __init__(self, decoder: nn.Module, tell: Callable[[], None] = lambda: None) -> None:
        """`tell` is called after every chunk."""
        self._decoder = decoder
        self._tell = tell
        self._latents: Tensor | None = None
        self._start = 0
        self._done = 0

    @torch.inference_mode()
    def feed(self, latents: Tensor, overhang: int | None = None) -> Tensor:
        """float32 [B, latents, n] -> float32 [B, 2, samples], the last `MARGIN` frames being held back until more
        comes. With `overhang` it is the end, and so many of the last frames are no part of the song but seen."""
        held = latents if self._latents is None else torch.cat([self._latents, latents], -1)
        end = self._start + held.shape[-1]
        until = max(self._done, end - MARGIN) if overhang is None else end - overhang
        chunks = [self._decode(held, at, min(at + CHUNK, until)) for at in range(self._done, until, CHUNK)]
        keep = max(self._start, until - MARGIN)
        self._latents, self._start, self._done = held[..., keep - self._start :], keep, until
        return torch.cat(chunks, -1) if chunks else latents.new_zeros(len(latents), 2, 0)

    def _decode(self, held: Tensor, at: int, until: int) -> Tensor:
        """The sound of frames `at`-`until` of the song."""
        left = max(self._start, at - MARGIN)
        seen = held[..., left - self._start : until + MARGIN - self._start]
        cut = slice((at - left) * FRAME, (until - left) * FRAME)
        rows = []
        for row in seen:
            with full_precision():
                rows.append(self._decoder(row[None])[..., cut])
            self._tell()
        return torch.cat(rows)


def count_chunks(frames: int) -> int:
    """About how many chunks a song is decoded in, for each row."""
    return math.ceil(frames / CHUNK) + 1
