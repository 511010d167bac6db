"""An independent ear for benchmarks: the penultimate layer of MusiCNN (Pons and Serra, "musicnn: Pre-trained
convolutional neural networks for music audio tagging", 2019), read from its TensorFlow checkpoint without TensorFlow.

A judge only: nothing in the engine knows it. Needs `pip install --no-deps musicnn==0.1.0` and librosa.
"""

from __future__ import annotations

import importlib.util
import struct
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
import torch.nn.functional as nn
from numpy.typing import NDArray

RATE, SIZE, HOP, MELS = 16000, 512, 256, 96
PATCH = 187
EPSILON = 1e-3
Tensors = dict[str, torch.Tensor]


def why_absent() -> str:
    """Why the judge cannot sit, or empty."""
    missing = [name for name in ("musicnn", "librosa") if importlib.util.find_spec(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


def audio2embedding(audio: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    """[200] of [channels, samples]: the mean over patches of 3 s, half overlapping; at least 3 s of sound."""
    import librosa

    mono = soxr.resample(audio.mean(axis=0), rate, RATE)
    mel = librosa.feature.melspectrogram(y=mono, sr=RATE, hop_length=HOP, n_fft=SIZE, n_mels=MELS).T
    logs = np.log10(10000 * mel.astype(np.float16).astype(np.float32) + 1)
    starts = range(0, max(len(logs) - PATCH + 1, 1), PATCH // 2)
    patches = [logs[s : s + PATCH] for s in starts]
    patches = [np.pad(p, ((0, PATCH - len(p)), (0, 0))) for p in patches]
    with torch.no_grad():
        return np.asarray(_penultimate(torch.from_numpy(np.stack(patches))).mean(dim=0).double().numpy())


def distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """1 - cosine of two embeddings."""
    return float(1.0 - a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def _penultimate(x: torch.Tensor) -> torch.Tensor:
    """[patches, 200] of log-mel patches [patches, 187, 96]."""
    w = _weights()
    x = _norm(x[:, None], w, "")
    timbral = [_block(nn.pad(x, (0, 0, 3, 3)), w, k) for k in (0, 1)]
    temporal = [_block(_same(x, size), w, k) for k, size in ((2, 128), (3, 64), (4, 32))]
    front = torch.cat([*timbral, *temporal], dim=1).transpose(1, 2)
    one = _layer(front, w, 5).transpose(1, 2)
    two = _layer(one, w, 6).transpose(1, 2) + one
    three = _layer(two, w, 7).transpose(1, 2) + two
    features = torch.cat([front, one, two, three], dim=2)
    pooled = torch.stack([features.max(dim=1).values, features.mean(dim=1)], dim=2).flatten(1)
    flat = _norm(pooled, w, "_9")
    return _norm(nn.relu(flat @ w["dense/kernel"] + w["dense/bias"]), w, "_10")


def _same(x: torch.Tensor, size: int) -> torch.Tensor:
    return nn.pad(x, (0, 0, (size - 1) // 2, size // 2))


def _block(x: torch.Tensor, w: Tensors, k: int) -> torch.Tensor:
    """[patches, filters, frames]: convolution, ReLU, normalisation, the highest over all pitches."""
    return _norm(nn.relu(_convolve(x, w, k)), w, f"_{k + 1}").amax(dim=3)


def _layer(x: torch.Tensor, w: Tensors, k: int) -> torch.Tensor:
    """[patches, filters, frames] of [patches, frames, features]."""
    return _norm(nn.relu(_convolve(nn.pad(x[:, None], (0, 0, 3, 3)), w, k)), w, f"_{k + 1}")[..., 0]


def _convolve(x: torch.Tensor, w: Tensors, k: int) -> torch.Tensor:
    name = f"conv2d_{k}" if k else "conv2d"
    return nn.conv2d(x, w[f"{name}/kernel"].permute(3, 2, 0, 1), w[f"{name}/bias"])


def _norm(x: torch.Tensor, w: Tensors, suffix: str) -> torch.Tensor:
    values = {
        key: w[f"batch_normalization{suffix}/{key}"] for key in ("moving_mean", "moving_variance", "gamma", "beta")
    }
    return nn.batch_norm(
        x, values["moving_mean"], values["moving_variance"], values["gamma"], values["beta"], eps=EPSILON
    )


@lru_cache(maxsize=1)
def _weights(model: str = "MSD_musicnn") -> Tensors:
    spec = importlib.util.find_spec("musicnn")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(spec.submodule_search_locations[0]) / model
    data = (folder / ".data-00000-of-00001").read_bytes()
    tensors = {}
    for name, (shape, offset, size) in read_index((folder / ".index").read_bytes()).items():
        if "Adam" not in name and size == 4 * int(np.prod(shape)):
            values = np.frombuffer(data[offset : offset + size], "<f4").reshape(shape)
            tensors[name.removeprefix("model/")] = torch.from_numpy(values.copy())
    return tensors


def read_index(raw: bytes) -> dict[str, tuple[tuple[int, ...], int, int]]:
    """Name -> (shape, offset, bytes) of a TensorFlow checkpoint's index: a table of blocks with shared key prefixes."""
    _, at = _varint(raw, len(raw) - 48)
    _, at = _varint(raw, at)
    start, at = _varint(raw, at)
    size, _ = _varint(raw, at)
    found = {}
    for _, handle in _block_rows(raw, start, size):
        first, at = _varint(handle, 0)
        length, _ = _varint(handle, at)
        for key, value in _block_rows(raw, first, length):
            if key:
                fields = _message(value)
                dims = [_message(d).get(1, [0])[0] for d in _message(fields.get(2, [b""])[0]).get(2, [])]
                found[key.decode()] = (tuple(dims), fields.get(4, [0])[0], fields.get(5, [0])[0])
    return found


def _block_rows(raw: bytes, start: int, size: int) -> list[tuple[bytes, bytes]]:
    (restarts,) = struct.unpack_from("<I", raw, start + size - 4)
    at, end, key, rows = start, start + size - 4 - 4 * restarts, b"", []
    while at < end:
        shared, at = _varint(raw, at)
        fresh, at = _varint(raw, at)
        length, at = _varint(raw, at)
        key = key[:shared] + raw[at : at + fresh]
        rows.append((key, raw[at + fresh : at + fresh + length]))
        at += fresh + length
    return rows


def _message(raw: bytes) -> dict[int, list[Any]]:
    """Fields of a protocol buffer by number."""
    at = 0
    fields: dict[int, list[Any]] = {}
    value: int | bytes
    while at < len(raw):
        tag, at = _varint(raw, at)
        if tag & 7 == 0:
            value, at = _varint(raw, at)
        elif tag & 7 == 2:
            length, at = _varint(raw, at)
            value, at = raw[at : at + length], at + length
        else:
            value, at = raw[at : at + 4], at + 4
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
