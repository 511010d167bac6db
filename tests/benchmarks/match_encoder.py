"""`python -m tests.benchmarks.match_encoder [--steps N]`: a small contrastive encoder of sounds, for `match_metric` to
compare plain statistics with.

A convolutional net over band levels puts what one sound plays in two pieces of music close together and other sounds
far away (NT-Xent: Chen et al., "A simple framework for contrastive learning of visual representations", 2020). A sound
is a band of catalogue instruments, as `engine.training.metric` draws them, behind an equaliser, a width control, a room
and a saturation, all drawn at random and worked on levels. Half of what it learns from is as it was played; the other
half is brought to one and the same reference by the bus stage as it is foreseen, as a choice sees its candidates.

Nothing of the bank that `match_material` holds out is heard here, nor a real clip, nor the judge. What it learnt is
printed on instruments and pieces that were kept from it, beside what the statistics of `engine.match.texture` reach.
One seed makes one net on one machine. On one core two minutes of playing and four of training.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.signal
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from engine.llama import one_thread
from engine.match import Grid, Levels, levels2profile, passage2levels
from engine.match.foresee import foresee_levels
from engine.match.frames import BANDS, Floats, power2db
from engine.match.texture import RATE, distance, levels2texture
from engine.sampler import Bank, Instrument, candidates, render_part
from engine.training.loop import Schedule
from engine.training.metric import ROLES, SECONDS, make_music

LEARNT, KEPT = 40, 4
"""Instruments of a role to learn from, as far as it has them, and to be asked about."""
LEARNT_PIECES, KEPT_PIECES = 8, 3
STEPS, SEED = 1500, 6
SOUNDS, FRAMES = 12, 320
"""In each half of a step: sounds, each in two pieces of music, in so many frames (3.4 s)."""
LEARNING_RATE, DECAY, TEMPERATURE = 2e-3, 1e-2, 0.1
ALIKE = 1 / 3
"""Share of sounds that have the first one's effects and all its instruments but one."""
WIDTHS, SIZE = (128, 128, 192), 96
FLOOR_DB, MIDDLE_DB, SCALE_DB = 70.0, 35.0, 15.0
"""Levels are heard down to this below the loudness of the whole, and scaled."""
ASKED, RIVALS = 10, 16
See = Callable[[Floats], Floats]
Apart = Callable[[Floats, Floats], float]
Band = dict[str, list[Instrument]]
Played = dict[str, Floats]
"""Role -> power [pieces, instruments, 2, frames, BANDS], middle and side."""


@dataclass(frozen=True)
class Sound:
    """`who` [roles]: the instruments' places; `parts` [roles, BANDS], `tone`, `wide` [BANDS]: power gains of the parts,
    of all, of its side; `room`: its share of the power, and seconds in which it falls by 60 dB; `press`: a level in dB
    beside the mean, and how many dB make one above it."""

    who: NDArray[np.intp]
    parts: Floats
    tone: Floats
    wide: Floats
    room: tuple[float, float]
    press: tuple[float, float]


class Encoder(nn.Module):
    """Levels [N, frames, BANDS] in dB -> unit vectors [N, SIZE]: convolutions over time, and of what comes out of each
    the mean and the spread, so that any length will do."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv1d(before, after, 5, 2, 2, bias=False), nn.BatchNorm1d(after), nn.ReLU())
            for before, after in itertools.pairwise((BANDS, *WIDTHS))
        )
        self.head = nn.Linear(2 * sum(WIDTHS), SIZE)

    def forward(self, level: Tensor) -> Tensor:
        """As the class says."""
        power = (10 ** (level / 10)).sum(2).mean(1).clamp_min(1e-14)
        below = level - 10 * torch.log10(power)[:, None, None]
        at = ((below.clamp_min(-FLOOR_DB) + MIDDLE_DB) / SCALE_DB).transpose(1, 2)
        seen = []
        for layer in self.layers:
            at = layer(at)
            seen += [at.mean(2), (at.var(2) + 1e-4).sqrt()]
        return functional.normalize(self.head(torch.cat(seen, 1)), dim=1)

    def embed(self, level: Floats) -> Floats:
        """[SIZE] of levels [frames, BANDS] in dB."""
        with one_thread(), torch.inference_mode():
            return np.asarray(self.eval()(torch.from_numpy(level)[None])[0].numpy())


def away(a: Floats, b: Floats) -> float:
    """How unlike two embeddings are: 0 to 2."""
    return 1.0 - float(a @ b)


def instruments() -> tuple[Band, Band]:
    """Drawn at random: those to learn from, and those that are kept from it, whatever role they play."""
    rng, bank = np.random.default_rng(SEED), Bank.open()
    known = {role: candidates(bank, role) for role in ROLES}
    drawn = {role: [some[i] for i in rng.permutation(len(some))[: KEPT + LEARNT]] for role, some in known.items()}
    kept = {role: some[:KEPT] for role, some in drawn.items()}
    names = {one.name for some in kept.values() for one in some}
    return {role: [one for one in some if one.name not in names] for role, some in drawn.items()}, kept


def record(who: Band, pieces: int, seed: int) -> Played:
    """Every instrument in so many pieces of `engine.training.metric`'s music."""
    rng, bank, samples = np.random.default_rng(seed), Bank.open(), int(SECONDS * RATE)
    played: dict[str, list[list[Floats]]] = {role: [] for role in ROLES}
    for _ in range(pieces):
        music, clock = make_music(rng)
        for role, part in music.items():
            sounds = [render_part(bank, part, i, clock, RATE, 0, samples, 0, lambda _: None) for i in who[role]]
            played[role].append([np.stack([one.mid, one.side]) for one in map(passage2levels, sounds)])
    return {role: np.array(rows, dtype=np.float32) for role, rows in played.items()}


def draw_sound(rng: np.random.Generator, counts: Sequence[int]) -> Sound:
    """Of roles with so many instruments."""
    return Sound(
        who=np.array([rng.integers(count) for count in counts]),
        parts=np.stack([_gains(rng, 2.0) * 10 ** np.float32(rng.normal(0, 0.4)) for _ in counts]),
        tone=_gains(rng, 6.0),
        wide=_gains(rng, 5.0),
        room=(float(rng.integers(2)) * 10 ** float(rng.uniform(-3, -1)), float(rng.uniform(0.2, 1.5))),
        press=(float(rng.uniform(-6, 6)), float(rng.uniform(1, 4))),
    )


def play(played: Played, sound: Sound, pieces: Sequence[int], start: int, frames: int) -> Floats:
    """Power [frames, BANDS] of a sound from frame `start` on, every role in a piece."""
    both = np.zeros((2, frames, BANDS), np.float32)
    for role, who, gain, piece in zip(ROLES, sound.who, sound.parts, pieces, strict=True):
        both += played[role][piece, who, :, start : start + frames] * gain
    power = (both[0] + both[1] * sound.wide) * sound.tone
    (share, seconds), (knee, ratio) = sound.room, sound.press
    stays = 10 ** (-6 * Grid(RATE).hop / RATE / seconds)
    power += share * scipy.signal.lfilter([1 - stays], [1, -stays], power, axis=0)
    loud = power.sum(axis=1)
    over = np.maximum(power2db(loud) - power2db(loud.mean()) - knee, 0.0)
    return np.asarray(power * 10 ** (-(1 - 1 / ratio) * over / 10)[:, None], dtype=np.float32)


def draw_pairs(played: Played, rng: np.random.Generator, sounds: int, frames: int, *, foreseen: bool) -> Floats:
    """dB [2 * sounds, frames, BANDS]: sounds in two pieces each, one behind the other; all behind the bus stage that
    brings them to one of them, if `foreseen`. In half of all draws every role of a sound has a piece of its own."""
    counts = [played[role].shape[1] for role in ROLES]
    many, length = played[ROLES[0]].shape[0], played[ROLES[0]].shape[3]
    scattered = rng.random() < 0.5
    first, heard = draw_sound(rng, counts), []
    # Every sound like the first one differs from it, and from the others, by another instrument.
    changes = rng.permutation([(k, by) for k, count in enumerate(counts) for by in range(1, count)])
    for k in range(sounds):
        sound = draw_sound(rng, counts) if k else first
        if k and rng.random() < ALIKE:
            role, by = changes[k - 1]
            sound = replace(first, who=(first.who + by * (np.arange(len(ROLES)) == role)) % counts)
        pairs = [rng.permutation(many)[:2] for _ in ROLES] if scattered else [rng.permutation(many)[:2]] * len(ROLES)
        starts = rng.integers(length - frames + 1, size=2).tolist()
        heard += [play(played, sound, pieces, at, frames) for *pieces, at in zip(*pairs, starts, strict=True)]
    if foreseen:
        power = heard[int(rng.integers(len(heard)))]
        reference = levels2profile(Levels(power, np.zeros_like(power), 2 * power.sum(axis=1)), Grid(RATE))
        return np.stack([foresee_levels(one, reference) for one in heard])
    return power2db(np.stack(heard))


def _gains(rng: np.random.Generator, spread: float) -> Floats:
    """Power gains [BANDS], drawn in dB at seven places and joined by straight lines."""
    level = np.interp(np.arange(BANDS), np.linspace(0, BANDS - 1, 7), rng.normal(0, spread, 7))
    return np.asarray(10 ** (level / 10), dtype=np.float32)


@one_thread()
def learn(played: Played, steps: int, sounds: int, frames: int, seed: int) -> tuple[Encoder, list[float]]:
    """The encoder after so many steps, and each step's loss."""
    rng, losses = np.random.default_rng(seed), []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Encoder()
    schedule = Schedule(steps, LEARNING_RATE)
    optimiser = torch.optim.AdamW(net.parameters(), LEARNING_RATE, weight_decay=DECAY)
    for step in range(steps):
        halves = [draw_pairs(played, rng, sounds, frames, foreseen=foreseen) for foreseen in (False, True)]
        embedded = net.train()(torch.from_numpy(np.concatenate(halves)))
        loss = torch.stack([_contrast(half) for half in embedded.chunk(2)]).mean()
        for group in optimiser.param_groups:
            group["lr"] = schedule.at(step)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(loss.item())
    return net, losses


def _contrast(embedded: Tensor) -> Tensor:
    """NT-Xent of unit vectors [2 * sounds, SIZE]: each must find its neighbour among all others."""
    near = (embedded @ embedded.T / TEMPERATURE).fill_diagonal_(-torch.inf)
    return functional.cross_entropy(near, torch.arange(len(near)) ^ 1)


def same_found(played: Played, see: See, apart: Apart, *, foreseen: bool, asked: int = ASKED) -> float:
    """Share of passages whose nearest among all others of RIVALS sounds is the same sound's, of so many draws."""
    rng, hits = np.random.default_rng(SEED), []
    for _ in range(asked):
        levels = draw_pairs(played, rng, RIVALS, played[ROLES[0]].shape[3], foreseen=foreseen)
        seen = [see(level) for level in levels]
        far = np.array([[apart(a, b) for b in seen] for a in seen]) + np.diag(np.full(len(seen), np.inf))
        hits.append(far.argmin(axis=1) == np.arange(len(seen)) ^ 1)
    return float(np.mean(hits))


def train(steps: int = STEPS) -> Encoder:
    """Plays, learns and prints what was learnt."""
    began = time.perf_counter()
    learnt, kept = instruments()
    played, others = record(learnt, LEARNT_PIECES, SEED), record(kept, KEPT_PIECES, SEED + 1)
    recorded = time.perf_counter()
    net, losses = learn(played, steps, SOUNDS, FRAMES, SEED)
    seconds = f"{recorded - began:.0f} s of playing, {time.perf_counter() - recorded:.0f} s of training"
    print(f"an encoder of {sum(p.numel() for p in net.parameters())} parameters, {steps} steps, {seconds}")
    print("loss, by tenths of the way:", *(f"{np.mean(some):.2f}" for some in np.array_split(losses, 10)), flush=True)
    print(f"the same sound is found among {2 * RIVALS - 1} passages (as played / foreseen):")
    for name, sounds in ("instruments and pieces it learnt from", played), ("others", others):
        for measure, see, apart in ("the encoder", net.embed, away), ("our statistics", levels2texture, distance):
            shares = [same_found(sounds, see, apart, foreseen=foreseen) for foreseen in (False, True)]
            print(f"  {name}, {measure}: {shares[0]:.0%} / {shares[1]:.0%}", flush=True)
    return net


def main() -> None:
    """Trains and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=STEPS)
    train(parser.parse_args().steps)


if __name__ == "__main__":
    main()
