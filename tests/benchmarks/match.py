"""`python -m tests.benchmarks.match [--clips N] [--sounds N]`: does the band sound like the reference?

One song of the band's, brought to real clips and to sounds of a held-out bank (`match_material`); every result is
measured against a part of the reference that the engine was not given (`match_measures`). Rows: the guide; the guide
through fixed gains per band, width and loudness (static), and that fitted to its own result in third octaves
(fitted); the guide through the whole bus stage (quantile); instruments
chosen and nothing else (retrieval); `match` itself (ours); the song in the reference's very sound, or the clip's own
other half (oracle); `match` for another reference (wrong). Then: how often is the nearest of all references the one
that was asked for, what choosing and matching cost, and what stays as it was (time, silence, pitch, clicks).

Needs `pip install immich-memories-music tinysoundfont librosa pretty_midi` and `pip install --no-deps musicnn==0.1.0`;
sets whose package is not there are left out. About half a minute of CPU for each reference.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from bridge.arrangement import Arrangement, Reference, Section
from bridge.messages import Render, StemWanted
from engine.casting import cast
from engine.helpers import Unheard
from engine.match import (
    Goal,
    Grid,
    apply_curves,
    audio2levels,
    audio2profile,
    audio2tone,
    design_curves,
    fit_tone,
    limit_curves,
)
from engine.matching import Matcher
from engine.rendering import Clip as RenderedClip
from engine.report import ShareReporter, Stopwatch
from engine.sampler import Bank, Instrument
from engine.sampler.mix import limit, true_peaks
from engine.stems import StemMaker, request2frame
from engine.stretches import Scene
from tests.benchmarks import match_safety
from tests.benchmarks.match_material import PLAYED, RATE, Clip, excerpt, held_out_sounds, real_clips
from tests.benchmarks.match_measures import NAMES, Measured, distances, measure
from tests.benchmarks.musicnn_judge import why_absent

Audio = NDArray[np.float32]
ROWS = ("guide", "static", "fitted", "quantile", "retrieval", "ours", "oracle", "wrong")


@dataclass(frozen=True)
class Matched:
    """A song brought to a reference: `stems` as they are handed over, `raw` as the chosen instruments play them,
    seconds per stage."""

    stems: dict[str, Audio]
    raw: dict[str, Audio]
    seconds: dict[str, float]
    repaired: int

    @property
    def mix(self) -> Audio:
        return np.sum(list(self.stems.values()), axis=0, dtype=np.float32)


class Studio:
    """The song and those who play it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.score, self.clock = excerpt(*PLAYED)
        self.bank = Bank.open()
        self.stems = self._maker(())
        self.guide = {part.name: self._play(part.name, self.stems) for part in self.score.parts}

    def match(self, clip: Clip) -> Matched:
        """Through the engine's own `Matcher`."""
        path = self.folder / f"{clip.name}.wav"
        soundfile.write(path, clip.given.T, RATE, subtype="FLOAT")
        stems = self._maker((Reference(str(path)),))
        matcher = Matcher(stems, Scene(stems.request, self.clock, stems.frame, self.score))
        share = ShareReporter(Unheard(), 0.0, 1.0)
        began = time.perf_counter()
        sounds = {part.name: sound for part, sound in matcher.match(self.score.parts, share, 0.0, 1.0)}
        whole = time.perf_counter() - began
        who = {name: sound.instrument for name, sound in sounds.items()}
        raw = {name: self._play(name, stems, who[name]) for name in sounds}
        seconds = {**stems.watch.seconds, "whole": whole}
        repaired = sum(bool(sound.renderer) for sound in sounds.values())
        return Matched({name: sound.audio for name, sound in sounds.items()}, raw, seconds, repaired)

    def by_curves(self, clip: Clip, *, moving: bool, fitted: bool = True) -> Audio:
        """The guide's mix through the bus stage, or its fixed steps alone, with or without what is fitted at last."""
        bus = np.sum(list(self.guide.values()), axis=0, dtype=np.float32)
        profile = audio2profile(clip.given, RATE)
        assert profile is not None
        curves = design_curves(audio2levels(bus, Grid(RATE)), Goal(profile, moving=moving), RATE)
        if fitted:
            curves = fit_tone(bus, curves, audio2tone(clip.given, RATE))
        return apply_curves(
            bus, limit_curves(bus, curves, profile.lufs, true_peaks, profile.peak_db if moving else None)
        )

    def costs(self, clip: Clip) -> tuple[float, float]:
        """CPU seconds of choosing, and of the bus stage for all stems, design included."""
        began = time.process_time()
        who = cast(self.stems, self.score.parts, RenderedClip(clip.given, RATE), lambda _: None)
        chosen = time.process_time()
        assert who.after <= who.before
        bus = np.sum(list(self.guide.values()), axis=0, dtype=np.float32)
        profile = audio2profile(clip.given, RATE)
        assert profile is not None
        curves = design_curves(audio2levels(bus, Grid(RATE)), Goal(profile), RATE)
        curves = fit_tone(bus, curves, audio2tone(clip.given, RATE))
        curves = limit_curves(bus, curves, profile.lufs, true_peaks, profile.peak_db)
        for raw in self.guide.values():
            apply_curves(raw, curves)
        return chosen - began, time.process_time() - chosen

    def _maker(self, references: tuple[Reference, ...]) -> StemMaker:
        end = self.clock.end
        pairs = tuple(zip(self.clock.beats, self.clock.seconds, strict=True))
        sections = (Section("Song", "chorus", 0.0, end),)
        arrangement = Arrangement(RATE, pairs, sections=sections, references=references)
        stems = tuple(StemWanted(part.role, part.name) for part in self.score.parts)
        request = Render("bench", arrangement, stems=stems, style=PLAYED[0])
        frame = request2frame(request, self.clock, self.score)
        return StemMaker(request, self.clock, frame, self.score, None, self.bank, Stopwatch(), threading.Lock())

    def _play(self, name: str, stems: StemMaker, instrument: Instrument | None = None) -> Audio:
        part = next(part for part in self.score.parts if part.name == name)
        return stems.play(part, instrument or stems.instrument(part), 0, stems.frame.samples, lambda _: None)


@dataclass(frozen=True)
class Tried:
    """One reference: what it is measured as, and every row's measures."""

    clip: Clip
    judged: Measured
    rows: dict[str, Measured]
    matched: Matched


def try_clip(studio: Studio, clip: Clip, guide: Measured) -> Tried:
    """All rows but the wrong reference's."""
    matched = studio.match(clip)
    retrieval, _ = limit(np.sum(list(matched.raw.values()), axis=0, dtype=np.float32), RATE)
    mixes = {
        "static": studio.by_curves(clip, moving=False, fitted=False),
        "fitted": studio.by_curves(clip, moving=False),
        "quantile": studio.by_curves(clip, moving=True),
        "retrieval": retrieval,
        "ours": matched.mix,
        "oracle": clip.given if clip.truth is None else clip.truth,
    }
    rows = {"guide": guide, **{name: measure(mix, RATE) for name, mix in mixes.items()}}
    return Tried(clip, measure(clip.judged, RATE), rows, matched)


def table(title: str, tried: Sequence[Tried]) -> list[str]:
    """Mean distances per row; how often ours is nearer than static."""
    lines = [f"{title} ({len(tried)} references)", f"  {'':<10}" + "".join(f"{name:>14}" for name in NAMES)]
    for row in ROWS:
        if row == "wrong":
            others = [tried[(k + len(tried) // 2) % len(tried)] for k in range(len(tried))]
            values = [distances(o.rows["ours"], t.judged) for o, t in zip(others, tried, strict=True)]
        else:
            values = [distances(t.rows[row], t.judged) for t in tried]
        mean = np.mean(values, axis=0)
        lines.append(f"  {row:<10}" + f"{mean[0]:>14.3f}" + "".join(f"{x:>14.2f}" for x in mean[1:]))
    ours = np.array([distances(t.rows["ours"], t.judged) for t in tried])
    static = np.array([distances(t.rows["static"], t.judged) for t in tried])
    better = (ours < static).mean(axis=0)
    lines.append(f"  {'ours wins':<10}" + "".join(f"{x:>14.0%}" for x in better) + "   (against static)")
    return lines


def found(tried: Sequence[Tried], row: str) -> tuple[float, float]:
    """Share of references whose row's nearest judged half is their own: by the judge's embedding, and by all distances
    together (each divided by its mean)."""
    every = np.array([[distances(t.rows[row], other.judged) for other in tried] for t in tried])
    own = np.arange(len(tried))
    scaled = (every / every.mean(axis=(0, 1))).sum(axis=2)
    return float((every[..., 0].argmin(axis=1) == own).mean()), float((scaled.argmin(axis=1) == own).mean())


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--sounds", type=int, default=10)
    options = parser.parse_args()
    if why := why_absent():
        raise SystemExit(f"the judge is {why}")
    with tempfile.TemporaryDirectory() as name:
        studio = Studio(Path(name))
        mix, _ = limit(np.sum(list(studio.guide.values()), axis=0, dtype=np.float32), RATE)
        guide = measure(mix, RATE)
        sets = {"real clips": real_clips(options.clips), "held-out sounds": held_out_sounds(options.sounds)}
        everything: list[Tried] = []
        for title, clips in sets.items():
            tried = []
            for clip in clips:
                tried.append(try_clip(studio, clip, guide))
                heard = {row: distances(m, tried[-1].judged) for row, m in tried[-1].rows.items()}
                print(f"{clip.name}: " + ", ".join(f"{row} {d[0]:.3f}" for row, d in heard.items()), flush=True)
            everything += tried
            if not tried:
                print(f"{title}: none here")
                continue
            print("\n".join(table(title, tried)), flush=True)
            for row in ("guide", "static", "fitted", "ours", "oracle"):
                judge, all_ = found(tried, row)
                by = f"{judge:.0%} by the judge, {all_:.0%} by all distances"
                print(f"  nearest of {len(tried)} is its own, {row}: {by}", flush=True)
        print("\n".join(match_safety.report(studio, everything)))


if __name__ == "__main__":
    main()
