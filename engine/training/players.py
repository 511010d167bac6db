"""How `engine/listen/players.json` was made: `python -m engine.training.players MIXES.npz [OUT.json]`.

Songs of this program in 16 styles, each part by two instruments at random from the catalogue; of every song several
mixes of a random choice of parts at random levels, with a room or without, half of them mastered; and noises. Traits of
`engine.listen.players`, a logistic regression per role, its ridge chosen on songs of its own by how honest its
confidence is there; a third of the songs is held out and says how well it does (AUC: how often a mix with the role is
surer than one without). What is below `LEAST_AUC` there is not shipped; what is was fitted to all songs then.
`MIXES.npz` keeps the mixes' traits: making them (five minutes) can go in pieces. Same seed, same file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.signal import fftconvolve

from bridge.arrangement import Arrangement, KeyAt, Section
from bridge.messages import Render, StemWanted
from engine.compose.band import compose_band
from engine.compose.form import request2form
from engine.compose.writers import Writers
from engine.diffusion.parts import PartsModel
from engine.lelm.plan import PlanModel
from engine.listen.onsets import RATE, sound2strength
from engine.listen.players import CLIP_AT, WEIGHTS, sound2traits
from engine.perform import perform
from engine.sampler import Bank, candidates, render_part
from engine.score import PITCH_NAMES, Heard, Key

STYLES = (
    "pop", "funk", "neo-soul", "swing jazz", "bossa nova", "hard rock", "house", "lo-fi", "reggae", "synthwave", "punk",
    "ballad", "trap", "disco", "country", "metal",
)  # fmt: skip
BANDS = (
    ("drums", "bass", "keys", "pad", "lead"),
    ("drums", "bass", "guitar", "brass", "arp"),
    ("drums", "bass", "guitar", "strings", "lead"),
    ("drums", "bass", "keys", "strings", "arp"),
    ("drums", "bass", "pad", "brass", "guitar"),
)
ROLES = ("drums", "bass", "keys", "guitar", "pad", "strings", "brass", "lead", "arp")
READ: tuple[tuple[str, ...], ...] = (*((role,) for role in ROLES), ("keys", "guitar"), ("pad", "strings"))
"""What is tried to be told: each role, and pairs that play alike ("keys or guitar")."""
SONGS, MIXES, NOISES, SEED = 100, 24, 120, 77
SAVED_EVERY = 10
SECONDS, PLAYED_RATE = 14.0, 44100
RIDGES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
LEAST_AUC = 0.8

Floats = NDArray[np.float64]
Stems = dict[str, list[NDArray[np.float32]]]


def songs(count: int = SONGS, seed: int = SEED, first: int = 0) -> Iterator[Stems]:
    """Role -> its part by two instruments, mono at `RATE`, song by song; another seed gives other songs."""
    writers, bank = Writers(PlanModel.load(), PartsModel.load()), Bank.open()
    for number in range(first, count):
        rng = np.random.default_rng([seed, number])
        bpm, roles = float(rng.uniform(75, 150)), BANDS[number % len(BANDS)]
        tonic, mode = int(rng.integers(12)), ("major", "minor")[number % 2]
        arrangement = Arrangement(
            PLAYED_RATE,
            ((0.0, 0.0), (32.0, 32 * 60 / bpm)),
            keys=(KeyAt(0.0, PITCH_NAMES[tonic], mode),),
            sections=(Section("A", "chorus" if number % 3 else "verse", 0.0, 32.0),),
        )
        request = Render(f"song-{number}", arrangement, stems=tuple(StemWanted(r) for r in roles),
                         style=STYLES[number % len(STYLES)], seed=823 + seed + number)  # fmt: skip
        clock = arrangement.timeline()
        heard = Heard(Key(tonic, mode, given=True), (), key_confidence=1.0)
        form = request2form(arrangement, clock)
        score = compose_band(request, clock, form, heard, writers, lambda fraction: None)
        score = perform(score, clock, score.feel, number)
        samples = min(clock.span2samples(0.0, 32.0, PLAYED_RATE), round(SECONDS * PLAYED_RATE))
        stems: Stems = {}
        for part in score.parts:
            choice = candidates(bank, part.role)
            for _ in range(2):
                instrument = choice[int(rng.integers(len(choice)))]
                audio = render_part(bank, part, instrument, clock, PLAYED_RATE, 0, samples, 0, lambda fraction: None)
                mono = np.asarray(soxr.resample(audio.mean(axis=0), PLAYED_RATE, RATE), dtype=np.float32)
                stems.setdefault(part.role, []).append(mono)
        yield stems


def song2mixes(stems: Stems, seed: int) -> Iterator[tuple[Floats, Floats]]:
    """(traits, [ROLES] 0 or 1) of mixes of a random choice of a song's parts."""
    rng = np.random.default_rng([SEED, seed])
    for _ in range(MIXES):
        chosen = [role for role in stems if rng.random() < 0.6] or [str(rng.choice(list(stems)))]
        mix = np.zeros_like(next(iter(stems.values()))[0])
        for role in chosen:
            mix += stems[role][int(rng.integers(2))] * np.float32(10 ** (rng.normal(0, 4) / 20))
        if rng.random() < 0.4:
            time = np.arange(int(rng.uniform(0.3, 2.0) * RATE)) / RATE
            answer = rng.normal(size=len(time)) * 10 ** (-3 * time / time[-1])
            wet = fftconvolve(mix, answer / np.sqrt((answer**2).sum()))[: len(mix)]
            mix = (mix + rng.uniform(0.1, 0.5) * wet).astype(np.float32)
        mix /= max(float(np.abs(mix).max()), 1e-6)
        if rng.random() < 0.5:
            mix = master(mix, rng)
        traits = sound2traits(mix, sound2strength(mix))
        if traits is not None:
            yield traits, np.array([float(role in chosen) for role in ROLES])


def master(mix: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """A mix as others might finish it: another tone (3 dB in eight places of the spectrum) and some saturation."""
    spectrum = np.fft.rfft(mix)
    octaves = np.log2(np.maximum(np.arange(len(spectrum)) / len(mix) * RATE, 30.0) / 30.0)
    tone = np.interp(octaves, np.linspace(0.0, octaves[-1], 8), rng.normal(0.0, 3.0, 8))
    sound = np.fft.irfft(spectrum * 10 ** (tone / 20), len(mix))
    sound /= max(float(np.abs(sound).max()), 1e-6)
    return np.asarray(np.tanh(sound * rng.uniform(0.5, 4.0)), dtype=np.float32)


def nobody(seed: int = SEED) -> Iterator[tuple[Floats, Floats]]:
    """(traits, [ROLES] zeros) of `NOISES` noises of any colour that swell and fall: full, and nobody plays."""
    rng = np.random.default_rng([seed, NOISES])
    for _ in range(NOISES):
        length = int(SECONDS * RATE)
        spectrum = np.fft.rfft(rng.normal(size=length))
        octaves = np.log2(np.maximum(np.arange(len(spectrum)) / length * RATE, 30.0) / 30.0)
        colour = np.interp(octaves, np.linspace(0.0, octaves[-1], 8), rng.normal(0.0, 6.0, 8))
        colour -= octaves * rng.uniform(0.0, 6.0)
        swell = np.interp(np.arange(length), np.linspace(0, length, 12), rng.normal(0.0, rng.uniform(0.0, 6.0), 12))
        sound = np.fft.irfft(spectrum * 10 ** (colour / 20), length) * 10 ** (swell / 20)
        mono = np.asarray(sound / np.abs(sound).max(), dtype=np.float32)
        traits = sound2traits(mono, sound2strength(mono))
        if traits is not None:
            yield traits, np.zeros(len(ROLES))


def fit(traits: Floats, truth: Floats, ridge: float) -> tuple[Floats, float]:
    """(weights, bias) of a logistic regression of normalised traits [mixes, traits]."""
    sign = 2.0 * truth - 1.0

    def loss(x: Floats) -> tuple[float, Floats]:
        margin = sign * (traits @ x[:-1] + x[-1])
        slope = -sign / (1.0 + np.exp(margin)) / len(truth)
        value = float(np.logaddexp(0.0, -margin).mean()) + ridge * float(x[:-1] @ x[:-1]) / 2
        return value, np.append(traits.T @ slope + ridge * x[:-1], slope.sum())

    found = minimize(loss, np.zeros(traits.shape[1] + 1), jac=True, method="L-BFGS-B")
    return np.asarray(found.x[:-1]), float(found.x[-1])


def area(scores: Floats, truth: Floats) -> float:
    """Area under the curve: the share of pairs that are in the right order."""
    having, lacking = scores[truth > 0.5], scores[truth < 0.5]
    if not len(having) or not len(lacking):
        return 0.5
    return float((having[:, None] > lacking[None, :]).mean() + 0.5 * (having[:, None] == lacking[None, :]).mean())


def surprise(margin: Floats, truth: Floats) -> float:
    """Mean -log of the probability (logistic of `margin`) given to what is true: small where confidence is honest."""
    return float(np.logaddexp(0.0, -(2.0 * truth - 1.0) * margin).mean())


def make_mixes(path: Path) -> None:
    """Writes traits [mixes, traits], truth [mixes, ROLES], song [mixes]; goes on where it was interrupted."""
    rows: list[tuple[Floats, Floats, int]] = []
    if path.exists():
        kept = np.load(path)
        rows = list(zip(kept["traits"], kept["truth"], kept["song"].tolist(), strict=True))
    first = rows[-1][2] + 1 if rows else 0
    for number, stems in enumerate(songs(first=first), first):
        rows += [(traits, truth, number) for traits, truth in song2mixes(stems, number)]
        if (number + 1) % SAVED_EVERY == 0 or number + 1 == SONGS:
            traits, truth, song = (np.array([row[i] for row in rows]) for i in range(3))
            np.savez(path, traits=traits, truth=truth, song=song)


def fit_reading(path: Path) -> tuple[dict[str, object], list[tuple[str, float, float]]]:
    """(what is shipped, (role, AUC on held-out songs, share of the mixes that have it))."""
    data = np.load(path)
    noises = list(nobody())
    traits, truth = (
        np.concatenate([data[key], [row[i] for row in noises]]) for i, key in enumerate(("traits", "truth"))
    )
    song = np.concatenate([data["song"], np.arange(len(noises))])
    # Blocks of as many songs as there are bands: every band is on every side.
    block = song // len(BANDS) % 3
    held, tuning = block == 2, block == 1
    mean, scale = traits[~held].mean(axis=0), np.maximum(traits[~held].std(axis=0), 1e-6)
    place = np.clip((traits - mean) / scale, -CLIP_AT, CLIP_AT)
    rows, report = [], []
    for group in READ:
        role, has = " or ".join(group), truth[:, [ROLES.index(r) for r in group]].max(axis=1)
        inner = ~held & ~tuning
        tried = {}
        for ridge in RIDGES:
            weights, bias = fit(place[inner], has[inner], ridge)
            tried[ridge] = surprise(place[tuning] @ weights + bias, has[tuning])
        ridge = min(tried, key=lambda r: tried[r])
        found = area(place[held] @ fit(place[~held], has[~held], ridge)[0], has[held])
        report.append((role, found, float(has.mean())))
        if found >= LEAST_AUC:
            # What is shipped has heard them all.
            rows.append((role, *fit(place, has, ridge), found))
    shipped: dict[str, object] = {
        "roles": [row[0] for row in rows],
        "auc": [round(row[3], 3) for row in rows],
        "mean": np.round(mean, 3).tolist(),
        "scale": np.round(scale, 3).tolist(),
        "weights": [np.round(row[1], 4).tolist() for row in rows],
        "bias": [round(row[2], 4) for row in rows],
    }
    return shipped, report


def main() -> None:
    """Makes what is missing, fits, and prints how well it does on the held-out songs."""
    path = Path(sys.argv[1])
    make_mixes(path)
    shipped, report = fit_reading(path)
    for role, found, share in report:
        print(
            f"{role:16} AUC {found:.3f}  in {share:.0%} of the mixes" + ("" if found >= LEAST_AUC else "  not shipped")
        )
    (Path(sys.argv[2]) if len(sys.argv) > 2 else WEIGHTS).write_text(json.dumps(shipped) + "\n")


if __name__ == "__main__":
    main()
