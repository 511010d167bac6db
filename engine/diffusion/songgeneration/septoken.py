"""The renderer file's network: codes to condition, the flow's estimator, and the latents' statistics.

Two layouts are known. `model_septoken` hears vocal and accompaniment codes, each with its codebook (20 heads).
`model_1rvq` as v2-fast renders with it hears mixed codes alone (30 heads). All other sizes are read from the shapes;
the number of heads is not in them. The first is held to the published numbers; of the second only its sizes are
known (39 layers of width 1200), so it is loaded when every tensor fits this structure and refused when one does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.diffusion.songgeneration.estimator import Estimator, EstimatorShape
from engine.diffusion.songgeneration.flow import Solver
from engine.diffusion.songgeneration.quantizer import Codebook, check_codebook, load_codebook
from engine.diffusion.songgeneration.tensors import TensorFile, check_tensors, load_tensors, shapes_of

ESTIMATOR = "cfm_wrapper.estimator."
FIRST, SECOND = "rvq_bestrq_emb.", "rvq_bestrq_bgm_emb."
NEVER_READ = (
    "hubert.", "bestrq.", "cfm_wrapper.mlp.", "rsp48toclap.", "rsq48towav2vec.", "rsq48tobestrq.", "rsq48tohubert.",
    "zero_cond_embedding1", "normfeat.sum_target_x2",
)  # fmt: skip
"""Other networks of the file: training's, and the prompt tokenizer's."""
SETTLED = 100_000
"""Latents from which the statistics are no longer changed by rendering in the published code; fewer are refused."""
LEAST_STD = 1e-12


@dataclass(frozen=True)
class RendererShape:
    """`streams`: codebook's prefix and row of the codes, in the order of the condition; `condition` is its width."""

    estimator: EstimatorShape
    streams: tuple[tuple[str, int], ...]
    codes: int
    condition: int
    mask: int
    latents: int


def read_shape(file: TensorFile) -> RendererShape:
    """Sizes of a renderer file, every tensor checked against them. Raises `JobError` naming what does not fit."""
    two = file.under(SECOND)
    streams = ((FIRST, 1), (SECOND, 2)) if two else ((FIRST, 0),)
    books = [check_codebook(file, prefix) for prefix, _row in streams]
    mask, latents = file.shape("mask_emb.weight", 2)[1], file.shape("normfeat.sum_x", 1)[0]
    condition = sum(width for _codes, width in books)
    positions, width = file.shape(f"{ESTIMATOR}wpe.weight", 2)
    parts = mask + condition + 2 * latents
    if parts != width:
        raise file.refusal(
            f"has an estimator of width {width}, while its mask ({mask}), condition ({condition}) and latents "
            f"(2 x {latents}) are {parts} together: a layout that is not known"
        )
    layers = 1 + max((int(name.split(".")[0]) for name in file.under(f"{ESTIMATOR}h.")), default=-1)
    shape = EstimatorShape(
        width=width,
        inner=file.shape(f"{ESTIMATOR}h.0.mlp.c_fc.bias", 1)[0],
        layers=layers,
        heads=20 if two else 30,
        positions=positions,
        times=file.shape(f"{ESTIMATOR}adaln_single.emb.timestep_embedder.linear_1.weight", 2)[1],
        out=latents,
    )
    if width % (2 * shape.heads):
        raise file.refusal(f"has an estimator of width {width}, which {shape.heads} heads cannot share")
    if positions % 4:
        raise file.refusal(f"has windows of {positions} frames, which cannot overlap by a quarter")
    check_tensors(file, ESTIMATOR, shapes_of(_on_meta(shape)), ["wte."])
    check_tensors(file, "normfeat.", {"counts": (1,), "sum_x": (latents,), "sum_x2": (latents,)}, ["sum_target_x2"])
    check_tensors(file, "mask_emb.", {"weight": (3, mask)})
    owned = (ESTIMATOR, "normfeat.", "mask_emb.", FIRST, SECOND)
    unknown = [name for name in file.shapes if not name.startswith((*owned, *NEVER_READ))]
    if unknown:
        raise file.refusal(f"has tensors that are not known: {', '.join(unknown[:6])}")
    codes = {codes for codes, _width in books}
    return RendererShape(shape, streams, min(codes), condition, mask, latents)


def _on_meta(shape: EstimatorShape) -> Estimator:
    with torch.device("meta"):
        return Estimator(shape)


@dataclass(frozen=True)
class Septoken:
    """The network on its device. `mean`, `std` [latents]; `masks` [3, mask]: row 1 of known frames, 2 of new ones."""

    shape: RendererShape
    solver: Solver
    codebooks: tuple[Codebook, ...]
    masks: Tensor
    mean: Tensor
    std: Tensor

    @classmethod
    def load(cls, file: TensorFile, *, device: str, dtype: torch.dtype) -> Septoken:
        """Reads what rendering uses. Raises `JobError`."""
        shape = read_shape(file)
        mean, std = load_statistics(file)
        estimator = _on_meta(shape.estimator)
        load_tensors(estimator, file, {name: ESTIMATOR + name for name in shapes_of(estimator)})
        estimator.halve(dtype)
        estimator.to(device)
        books = tuple(load_codebook(file, prefix, "out_proj").to(device) for prefix, _row in shape.streams)
        masks = file.take(["mask_emb.weight"])["mask_emb.weight"].to(device)
        return cls(shape, Solver(estimator), books, masks, mean.to(device), std.to(device))

    def condition(self, codes: Tensor) -> Tensor:
        """Codes int64 [B, 3, T] (mixed, vocal, accompaniment) -> float32 [B, T, condition]."""
        streams = zip(self.codebooks, self.shape.streams, strict=True)
        return torch.cat([book.codes2condition(codes[:, row]) for book, (_prefix, row) in streams], -1)

    def normalise(self, latents: Tensor) -> Tensor:
        """The autoencoder's latents [..., latents] as the flow knows them."""
        return (latents - self.mean) / self.std.clamp(min=LEAST_STD)

    def denormalise(self, latents: Tensor) -> Tensor:
        """The flow's latents [..., latents] as the autoencoder knows them."""
        return latents * self.std + self.mean


def load_statistics(file: TensorFile) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each latent channel. Raises `JobError` where too few latents were counted."""
    counts, total, squares = file.take(["normfeat.counts", "normfeat.sum_x", "normfeat.sum_x2"]).values()
    if not counts.item() >= SETTLED:
        raise file.refusal(f"has latent statistics of {counts.item():g} frames only (normfeat.counts)")
    mean = total / counts
    return mean, (squares / counts - mean**2).clamp(min=0).sqrt()
