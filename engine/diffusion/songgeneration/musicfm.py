"""The prompt tokenizer's network: MusicFM's convolutions and conformer, and the codebook behind one of its layers.

A log-mel of 100 frames a second goes through two residual blocks of convolutions (stride 2 by 2 each) into conformer
layers at 25 frames a second. The layers are transformers' Wav2Vec2-Conformer with rotary positions. Only the layers
before the one that a codebook listens to are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.diffusion.songgeneration.mel import MELS, halve_rate, sound2mel
from engine.diffusion.songgeneration.quantizer import Codebook, check_codebook, load_codebook
from engine.diffusion.songgeneration.tensors import TensorFile, check_tensors, load_tensors, shapes_of

MODEL = "bestrq.model."
LAYER = "conformer.layers."
UNUSED = ("cls_token", "preprocessor_melspec_2048.", "linear.", "conformer.layer_norm.", "conformer.pos_conv_embed.")
PEAK = 0.9
"""Loudest sample of a channel that is heard as it is."""


@dataclass(frozen=True)
class HearingShape:
    """`channels` of the convolutions; `width`, MLP's `inner`, `heads`, `kernel`, and `layers` of the conformer."""

    channels: int
    width: int
    inner: int
    heads: int
    kernel: int
    layers: int


class ResidualConvolutions(nn.Module):
    """Two convolutions over mels and time, and a third around them; half as many of both."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv3 = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
        self.bn3 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, mels, frames] -> [B, outputs, mels / 2, frames / 2]."""
        inner = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(self.bn3(self.conv3(x)) + inner)


class Subsampling(nn.Module):
    """A log-mel as a quarter as many frames."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(ResidualConvolutions(1, channels), ResidualConvolutions(channels, channels))
        self.linear = nn.Linear(channels * MELS // 4, width)

    def forward(self, mel: Tensor) -> Tensor:
        """[B, mels, frames] -> [B, frames / 4, width]."""
        out: Tensor = self.linear(self.conv(mel[:, None]).flatten(1, 2).transpose(1, 2))
        return out


class Hearing(nn.Module):
    """State names are the checkpoint's under `bestrq.model.`."""

    def __init__(self, shape: HearingShape) -> None:
        super().__init__()
        from transformers import Wav2Vec2ConformerConfig
        from transformers.models.wav2vec2_conformer import modeling_wav2vec2_conformer

        conformer: Any = modeling_wav2vec2_conformer
        config: Any = Wav2Vec2ConformerConfig(
            hidden_size=shape.width,
            intermediate_size=shape.inner,
            num_attention_heads=shape.heads,
            num_hidden_layers=shape.layers,
            conv_depthwise_kernel_size=shape.kernel,
            position_embeddings_type="rotary",
            hidden_act="swish",
        )
        config._attn_implementation = "sdpa"
        self.conv = Subsampling(shape.channels, shape.width)
        self.conformer = nn.Module()
        self.conformer.embed_positions = conformer.Wav2Vec2ConformerRotaryPositionalEmbedding(config)
        self.conformer.layers = nn.ModuleList(
            conformer.Wav2Vec2ConformerEncoderLayer(config) for _ in range(shape.layers)
        )

    def forward(self, mel: Tensor) -> list[Tensor]:
        """[B, 128, frames] -> what goes into the first layer and what comes out of each: [B, frames / 4, width]."""
        hidden = self.conv(mel)
        conformer: Any = self.conformer
        positions = conformer.embed_positions(hidden)
        states = [hidden]
        for layer in conformer.layers:
            hidden = layer(hidden, relative_position_embeddings=positions)
            states.append(hidden)
        return states


@dataclass(frozen=True)
class Ear:
    """A tokenizer: the codebook under `prefix`, listening after `layer` layers."""

    prefix: str
    layer: int


def read_shape(file: TensorFile, layers: int) -> HearingShape:
    """Sizes of the network in a file and its first layers' tensors checked. Raises `JobError` naming what is wrong."""
    layer = f"{MODEL}{LAYER}0."
    width = file.shape(f"{layer}final_layer_norm.weight", 1)[0]
    shape = HearingShape(
        channels=file.shape(f"{MODEL}conv.conv.0.conv1.bias", 1)[0],
        width=width,
        inner=file.shape(f"{layer}ffn1.intermediate_dense.bias", 1)[0],
        heads=max(1, width // (2 * file.shape(f"{MODEL}conformer.embed_positions.inv_freq", 1)[0])),
        kernel=file.shape(f"{layer}conv_module.depthwise_conv.weight", 3)[2],
        layers=layers,
    )
    deeper = {name.split(".")[2] for name in file.under(MODEL) if name.startswith(LAYER)} - {
        str(k) for k in range(layers)
    }
    check_tensors(file, MODEL, shapes_of(_on_meta(shape)), [*UNUSED, *(f"{LAYER}{k}." for k in deeper if k.isdigit())])
    return shape


def _on_meta(shape: HearingShape) -> Hearing:
    with torch.device("meta"):
        return Hearing(shape)


class Tokenizer:
    """One file's network with the codebooks of its `ears`, on a device."""

    def __init__(self, file: TensorFile, ears: tuple[Ear, ...], *, device: str) -> None:
        """Raises `JobError`."""
        self.network = _on_meta(read_shape(file, max(ear.layer for ear in ears)))
        load_tensors(self.network, file, {name: MODEL + name for name in shapes_of(self.network)})
        self.network.to(device)
        self._device = device
        self._ears: list[tuple[int, Codebook]] = []
        for ear in ears:
            check_codebook(file, ear.prefix)
            self._ears.append((ear.layer, load_codebook(file, ear.prefix, "in_proj").to(device)))

    @torch.inference_mode()
    def sounds2codes(self, sounds: Tensor) -> list[Tensor]:
        """float32 [ears, 2, n] at 48 kHz -> codes int64 [n / 1920] of each, heard by the ear of the same place."""
        level = PEAK / sounds.abs().amax(-1, keepdim=True).clamp(min=PEAK)
        mono = halve_rate((sounds * level).mean(1).to(self._device))
        states = self.network(sound2mel(mono))
        return [book.features2codes(states[layer][row]).cpu() for row, (layer, book) in enumerate(self._ears)]
