"""Our plan model: LeLM with one stream, clocked by the musical grid, writes a song's chords.

Each slot (half a bar) is conditioned on its place in the form, the mode, the chords of sections of the same label, the
phrase before, and given chords that come next. Given chords are kept as they stand.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn

from engine.lelm.decoding import Sampling, generate
from engine.lelm.network import LeLM, LeLMConfig
from engine.lelm.slots import (
    CODES,
    FEATURES,
    HOLD,
    NONE,
    QUALITY_NAMES,
    Slot,
    both_ways,
    chords2codes,
    code2chord,
    form2slots,
    slot_features,
)
from engine.llama import one_thread
from engine.report import Tick
from engine.score import Chord, FormSection, Key
from engine.shipped import check_weights

WEIGHTS = Path(__file__).resolve().parent.parent / "weights" / "plan-1.safetensors"
SIZES = LeLMConfig(code_size=CODES, dim=160, inner=432, heads=5, layers=5, theta=10_000.0)
SAMPLING = Sampling(temperature=0.9, top_p=0.9)
RECALL_SHARPNESS = 1.6
"""Logits are multiplied by this where a section of the same label is known: repeats vary little."""


class PlanModel(nn.Module):
    """LeLM and the embedding tables of a slot's features."""

    def __init__(self, config: LeLMConfig = SIZES) -> None:
        super().__init__()
        self.lelm = LeLM(config)
        self.features = nn.ModuleList([nn.Embedding(rows, config.dim) for rows in FEATURES.values()])

    @classmethod
    def load(cls, path: Path | None = None) -> PlanModel:
        """The shipped weights, or those of `path` (safetensors with the sizes in its metadata)."""
        check_weights(path or WEIGHTS)
        with safe_open(path or WEIGHTS, framework="pt") as file:
            fields = json.loads(file.metadata()["config"])
            state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        model = cls(LeLMConfig(**{**fields, "delays": tuple(fields["delays"])}))
        model.load_state_dict(state)
        return model.eval()

    def config_json(self) -> str:
        """Sizes as JSON, for the metadata of a weight file."""
        return json.dumps(asdict(self.lelm.config))

    def conditions(self, rows: Tensor) -> Tensor:
        """Feature rows [B, S, len(FEATURES)] -> [B, S, D]."""
        return torch.stack([table(rows[..., i]) for i, table in enumerate(self.features)]).sum(0)

    def forward(self, tokens: Tensor, rows: Tensor) -> Tensor:
        """Logits [B, S, codes] of each slot; `tokens` [B, S] are the slots before them, `special` first."""
        logits: Tensor = self.lelm(tokens[:, None], conditions=self.conditions(rows))
        return logits[:, 0]


def write_plan(
    model: PlanModel,
    sections: Sequence[FormSection],
    key: Key,
    given: Sequence[Chord] = (),
    *,
    seed: int,
    tick: Tick = lambda fraction: None,
    sampling: Sampling = SAMPLING,
) -> tuple[Chord, ...]:
    """Chords over every bar of `sections`, in order; `given` ones stand as they are, with their own beats.

    What is written keeps to the key's scale (minor with its raised seventh). Every section begins with a chord of its
    own; an outro's last bar is the tonic's unless chords are given there. Same model, form,
    key, given chords and seed: same chords.
    """
    slots = form2slots(sections, key.mode)
    if not slots:
        return tuple(given)
    fixed = chords2codes(given, slots, key)
    codes = list(fixed)
    sounding = [NONE] * len(slots)
    kin = both_ways(slots)
    scale = Key(0, key.mode).scale
    foreign = torch.tensor([i for i in range(1, CODES) if code2chord(i, 0.0, 1.0, 0).pitch_classes - scale])
    home = len(slots) - 2 if sections[-1].label == "outro" else -1
    for i, code in enumerate(fixed):
        sounding[i] = _sounding(code, sounding[i - 1] if i else NONE)

    def conditions(step: int, sequence: Tensor) -> Tensor:
        if step:
            code = int(sequence[0, 0, step])
            codes[step - 1] = code
            sounding[step - 1] = _sounding(code, sounding[step - 2] if step > 1 else NONE)
        return model.conditions(torch.tensor([[slot_features(step, slots, kin, codes, sounding)]]))

    def shape(step: int, logits: Tensor) -> Tensor:
        at = step - 1
        wanted = fixed[at]
        if wanted is not None:
            return torch.full_like(logits, -torch.inf).index_fill(-1, torch.tensor(wanted), 0.0)
        begins = at == 0 or slots[at].opens or fixed[at - 1] is not None
        if 0 <= home <= at:
            legal = slice(1, 1 + len(QUALITY_NAMES)) if begins or at == home else slice(HOLD, HOLD + 1)
        else:
            legal = slice(1 if begins else HOLD, CODES)
        masked = torch.full_like(logits, -torch.inf)
        masked[..., legal] = logits[..., legal]
        masked[..., foreign] = -torch.inf
        return masked * (RECALL_SHARPNESS if any(codes[k] is not None for k in kin[at]) else 1.0)

    with one_thread():
        out = generate(
            model.lelm, len(slots), sampling=(sampling,), conditions=conditions, shape=shape, seed=seed, tick=tick
        )
    return fill_gaps(slots, [int(code) for code in out[0, 0]], key, given)


def fill_gaps(slots: Sequence[Slot], codes: Sequence[int], key: Key, given: Sequence[Chord]) -> tuple[Chord, ...]:
    """Chords from codes wherever no given chord lies; chords are cut at given ones and at section starts."""
    chords: list[Chord] = []
    for slot, code in zip(slots, codes, strict=True):
        if code == HOLD and chords and abs(chords[-1].end - slot.start) < 1e-9:
            last = chords[-1]
            chords[-1] = Chord(last.beat, slot.end - last.beat, last.root, last.quality)
        elif code != HOLD:
            chords.append(code2chord(code, slot.start, slot.end, key.tonic))
    kept = sorted(given, key=lambda c: c.beat)
    out = list(kept)
    for chord in chords:
        at = chord.beat
        for fixed in (*kept, None):
            stop = chord.end if fixed is None else min(fixed.beat, chord.end)
            if stop - at > 1e-6:
                out.append(Chord(at, stop - at, chord.root, chord.quality))
            if fixed is None or fixed.beat >= chord.end:
                break
            at = max(at, fixed.end)
    return tuple(sorted(out, key=lambda c: c.beat))


def _sounding(code: int | None, before: int) -> int:
    if code is None:
        return NONE
    return before if code == HOLD else code
