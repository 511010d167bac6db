"""Our plan model: LeLM with one stream, clocked by the musical grid, writes a song's chords.

Each slot (half a bar) is conditioned on its place in the form, the mode, the chords of sections of the same label, the
phrase before, and given chords that come next. Given chords are kept as they stand.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
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
from engine.report import Tick, part_of
from engine.score import Chord, FormSection, Key
from engine.shipped import check_weights

WEIGHTS = Path(__file__).resolve().parent.parent / "weights" / "plan-2.safetensors"
SIZES = LeLMConfig(code_size=CODES, dim=160, inner=432, heads=5, layers=5, theta=10_000.0)
SAMPLING = Sampling(temperature=0.9, top_p=0.9)
RECALL_SHARPNESS = 1.6
"""Logits are multiplied by this where a section of the same label is known: repeats vary little."""
BATCH = 4
"""Rows that the network decodes at a time, wanted or not. At a fixed width a row comes out the same, to the bit,
whatever the others hold; one row alone goes through other kernels, and takes as long as three."""


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


@dataclass(frozen=True)
class PlanWish:
    """What one plan is written from; see `write_plan`."""

    sections: tuple[FormSection, ...]
    key: Key
    given: tuple[Chord, ...]
    seed: int


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
    wish = PlanWish(tuple(sections), key, tuple(given), seed)
    return write_plans(model, [wish], tick=tick, sampling=sampling)[0]


def write_plans(
    model: PlanModel,
    wishes: Sequence[PlanWish],
    *,
    tick: Tick = lambda fraction: None,
    sampling: Sampling = SAMPLING,
) -> list[tuple[Chord, ...]]:
    """The same for several plans, `BATCH` of one length at a time: each is, to the bit, what it would be alone."""
    plans = [_Writing(wish) for wish in wishes]
    of_length: dict[int, list[_Writing]] = {}
    for plan in plans:
        of_length.setdefault(len(plan.slots), []).append(plan)
    of_length.pop(0, None)
    batches = [same[at : at + BATCH] for same in of_length.values() for at in range(0, len(same), BATCH)]
    for i, batch in enumerate(batches):
        _write_batch(model, batch, part_of(tick, i / len(batches), (i + 1) / len(batches)), sampling)
    return [fill_gaps(plan.slots, plan.written, plan.wish.key, plan.wish.given) for plan in plans]


def _write_batch(model: PlanModel, batch: Sequence[_Writing], tick: Tick, sampling: Sampling) -> None:
    """Decodes up to `BATCH` plans of one length; rows that are not wanted repeat the first plan."""
    spare = BATCH - len(batch)

    def conditions(step: int, sequence: Tensor) -> Tensor:
        rows = [plan.features(step, int(sequence[i, 0, step])) for i, plan in enumerate(batch)]
        return model.conditions(torch.tensor([*rows, *[rows[0]] * spare])[:, None])

    def shape(step: int, logits: Tensor) -> Tensor:
        rows = [plan.shape(step, logits[i : i + 1]) for i, plan in enumerate(batch)]
        return torch.cat([*rows, *[rows[0]] * spare])

    seeds = [plan.wish.seed for plan in batch]
    with one_thread():
        out = generate(
            model.lelm,
            len(batch[0].slots),
            rows=BATCH,
            sampling=(sampling,),
            conditions=conditions,
            shape=shape,
            seed=[*seeds, *seeds[:1] * spare],
            tick=tick,
        )
    for plan, codes in zip(batch, out[:, 0], strict=False):
        plan.written = [int(code) for code in codes]


class _Writing:
    """One plan on its way: what is known of every slot, and what may stand in the next one."""

    def __init__(self, wish: PlanWish) -> None:
        self.wish = wish
        self.slots = form2slots(wish.sections, wish.key.mode)
        self.written: list[int] = []
        self._fixed = chords2codes(wish.given, self.slots, wish.key)
        self._codes = list(self._fixed)
        self._sounding = [NONE] * len(self.slots)
        self._kin = both_ways(self.slots)
        scale = Key(0, wish.key.mode).scale
        self._foreign = torch.tensor([i for i in range(1, CODES) if code2chord(i, 0.0, 1.0, 0).pitch_classes - scale])
        outro = bool(wish.sections) and wish.sections[-1].label == "outro"
        self._home = len(self.slots) - 2 if outro else -1
        for i, code in enumerate(self._fixed):
            self._sounding[i] = _sounding(code, self._sounding[i - 1] if i else NONE)

    def features(self, step: int, before: int) -> list[int]:
        """Feature rows of slot `step`; `before` is the code that was drawn for the slot before it."""
        if step:
            self._codes[step - 1] = before
            self._sounding[step - 1] = _sounding(before, self._sounding[step - 2] if step > 1 else NONE)
        return slot_features(step, self.slots, self._kin, self._codes, self._sounding)

    def shape(self, step: int, logits: Tensor) -> Tensor:
        """Logits [1, K, V] of slot `step` - 1 with everything shut out that may not stand there."""
        at, fixed = step - 1, self._fixed
        wanted = fixed[at]
        if wanted is not None:
            return torch.full_like(logits, -torch.inf).index_fill(-1, torch.tensor(wanted), 0.0)
        begins = at == 0 or self.slots[at].opens or fixed[at - 1] is not None
        if 0 <= self._home <= at:
            legal = slice(1, 1 + len(QUALITY_NAMES)) if begins or at == self._home else slice(HOLD, HOLD + 1)
        else:
            legal = slice(1 if begins else HOLD, CODES)
        masked = torch.full_like(logits, -torch.inf)
        masked[..., legal] = logits[..., legal]
        masked[..., self._foreign] = -torch.inf
        known = any(self._codes[k] is not None for k in self._kin[at])
        return masked * (RECALL_SHARPNESS if known else 1.0)


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
