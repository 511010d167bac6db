"""`python -m tests.benchmarks.match [--clips A:B] [--sounds A:B] [--kept FILE]`: how near the reference is the band?

One song of the band's, brought to real clips and to sounds of a held-out bank (`match_material`); every result is
measured against a part of the reference that the engine was not given (`match_measures`). Rows: the guide; the guide
through fixed gains per band, width and loudness (static); the guide through the whole bus stage (quantile); instruments
chosen and nothing else (retrieval); `match` itself (ours); the song in the reference's very sound, or the clip's own
other half (oracle); `match` for another reference (wrong). Then: how often is the nearest of all references the one
that was asked for, what choosing and matching cost, and what stays as it was (time, silence, pitch, clicks).

About half a minute of CPU for each reference, so it can run in pieces (0:5, 5:10, ...): `--kept` holds what all of them
measured, and every run reports all of it; with empty pieces (0:0) it only reports.

Needs `pip install immich-memories-music tinysoundfont librosa pretty_midi` and `pip install --no-deps musicnn==0.1.0`;
sets whose package is not there are left out.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from bridge.arrangement import Arrangement, Reference, Section
from bridge.messages import Render, StemWanted
from engine.casting import cast
from engine.helpers import Unheard
from engine.match import (
    Curves,
    Goal,
    Grid,
    apply_curves,
    audio2levels,
    audio2profile,
    audio2tone,
    design_curves,
    fit_tone,
    hold_silence,
    limit_curves,
)
from engine.match.clicks import most_gain
from engine.matched import Group, group2curves
from engine.matching import Matcher
from engine.rendering import Clip as RenderedClip
from engine.report import ShareReporter, Stopwatch
from engine.sampler import Bank, Instrument
from engine.sampler.mix import limit, true_peaks
from engine.stems import StemMaker, request2frame
from engine.stretches import Scene
from tests.benchmarks import match_safety
from tests.benchmarks.match_kept import Costs, Kept, Numbers, Tried, keep, read
from tests.benchmarks.match_material import PLAYED, RATE, Clip, excerpt, held_out_sounds, played, real_clips
from tests.benchmarks.match_measures import NAMES, Measured, distances, measure
from tests.benchmarks.musicnn_judge import why_absent

Audio = NDArray[np.float32]
ROWS = ("guide", "static", "quantile", "retrieval", "ours", "oracle", "wrong")

CLIPS, SOUNDS = 20, 10
"""How many references each set has."""
BLOCK, HEARD = RATE // 20, 1e-6
"""Samples of a block; power of one that can be compared."""


@dataclass(frozen=True)
class Matched:
    """A song brought to a reference: `stems` as handed over, `raw` as the chosen instruments play them, `still`
    the same through all of the bus stage that does not move, the `most` that the stage does to any frequency of them,
    `who` they are, and why stems were `repaired`."""

    stems: dict[str, Audio]
    raw: dict[str, Audio]
    still: dict[str, Audio]
    most: dict[str, Audio]
    who: dict[str, str]
    repaired: dict[str, tuple[str, ...]]

    @property
    def mix(self) -> Audio:
        return added(self.stems)


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
        sounds = {part.name: sound for part, sound in matcher.match(self.score.parts, share, 0.0, 1.0)}
        who = {name: sound.instrument for name, sound in sounds.items()}
        raw = {name: self._play(name, stems, who[name]) for name in sounds}
        still, most = {}, {}
        for name, sound in sounds.items():
            if sound.renderer or not matcher.groups:
                still[name], most[name] = raw[name], by_gain(raw[name], sound.audio[:, :])
            else:
                still[name] = by_filters(raw[name], matcher.groups[0])
                most[name] = most_gain(group2curves(matcher.groups[0]), raw[name].shape[1])
        return Matched(
            {name: sound.audio[:, :] for name, sound in sounds.items()},
            raw,
            still,
            most,
            {name: player.name if player else "" for name, player in who.items()},
            {name: tuple(sound.verdict.checks.repaired) for name, sound in sounds.items()},
        )

    def by_curves(self, clip: Clip, *, moving: bool) -> Audio:
        """The guide's mix through the bus stage, or through its fixed gains, width and loudness alone."""
        bus = added(self.guide)
        return apply_curves(bus, self._curves(bus, clip, moving=moving))

    def costs(self, clip: Clip) -> Costs:
        """CPU seconds of choosing, and of the bus stage for all stems, design included."""
        began = time.process_time()
        cast(self.stems, self.score.parts, RenderedClip(clip.given, RATE), lambda _: None)
        chosen = time.process_time()
        bus = added(self.guide)
        curves = self._curves(bus, clip, moving=True)
        for raw in self.guide.values():
            hold_silence(apply_curves(raw, curves), RATE, 0, [(raw, 0)])
        minutes = bus.shape[1] / RATE / 60
        return Costs(len(self.guide), chosen - began, (time.process_time() - chosen) / minutes)

    def measure(self, mix: Audio) -> Measured:
        """Of a mix, while it plays."""
        return measure(played(mix, self.clock), RATE)

    def _curves(self, bus: Audio, clip: Clip, *, moving: bool) -> Curves:
        profile = audio2profile(clip.given, RATE)
        assert profile is not None
        curves = design_curves(audio2levels(bus, Grid(RATE)), Goal(profile, moving=moving), RATE)
        if not moving:
            return limit_curves(bus, curves, profile.lufs, true_peaks)
        curves = fit_tone(bus, curves, audio2tone(clip.given, RATE))
        return limit_curves(bus, curves, profile.lufs, true_peaks, profile.peak_db)

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


def by_filters(audio: Audio, group: Group) -> Audio:
    """A sound through a bus stage without all that moves in it; fixed filters make no clicks."""
    curves = group2curves(group)
    moving, level = np.zeros((1, curves.moving.shape[1]), np.int8), np.zeros(1, np.int16)
    return apply_curves(audio, replace(curves, moving=moving, level=level))


def by_gain(raw: Audio, new: Audio) -> Audio:
    """[samples] the most that a stand-in, which is only turned up and held by a limiter, is turned up by: as the moment
    that is held least, and a little over, for that moment itself is as sharp as this allows."""
    blocks = [audio[:, : audio.shape[1] // BLOCK * BLOCK].reshape(2, -1, BLOCK) for audio in (raw, new)]
    before, after = (np.square(block).mean(axis=(0, 2)) for block in blocks)
    ratio = np.sqrt(after / np.maximum(before, HEARD))[before > HEARD].max(initial=1.0)
    return np.full(raw.shape[1], 1.01 * ratio, np.float32)


def added(stems: dict[str, Audio]) -> Audio:
    """The sum of stems."""
    return np.asarray(np.sum(list(stems.values()), axis=0, dtype=np.float32))


def try_clip(studio: Studio, title: str, clip: Clip, guide: Measured) -> Tried:
    """All rows but the wrong reference's."""
    matched = studio.match(clip)
    retrieval, _ = limit(added(matched.raw), RATE)
    mixes = {
        "static": studio.by_curves(clip, moving=False),
        "quantile": studio.by_curves(clip, moving=True),
        "retrieval": retrieval,
        "ours": matched.mix,
        "oracle": clip.given if clip.truth is None else clip.truth,
    }
    rows = {"guide": guide, **{name: studio.measure(mix) for name, mix in mixes.items()}}
    left = [
        match_safety.leave(
            part,
            studio.clock,
            match_safety.Sounds(
                studio.guide[part.name],
                matched.raw[part.name],
                matched.still[part.name],
                matched.most[part.name],
                matched.stems[part.name],
            ),
            matched.who[part.name],
            matched.repaired[part.name],
        )
        for part in studio.score.parts
    ]
    numbers = {name: Numbers.of(row) for name, row in rows.items()}
    return Tried(title, clip.name, Numbers.of(measure(clip.judged, RATE)), numbers, left)


def table(title: str, tried: Sequence[Tried]) -> list[str]:
    """Mean distances per row; how often ours is nearer than static."""
    lines = [f"{title} ({len(tried)} references)", f"  {'':<10}" + "".join(f"{name:>14}" for name in NAMES)]
    judged = [t.judged.measured() for t in tried]

    def away(row: str, by: int = 0) -> NDArray[np.float64]:
        others = [tried[(k + by) % len(tried)] for k in range(len(tried))]
        return np.array([distances(o.rows[row].measured(), j) for o, j in zip(others, judged, strict=True)])

    for row in ROWS:
        mean = (away("ours", len(tried) // 2) if row == "wrong" else away(row)).mean(axis=0)
        lines.append(f"  {row:<10}" + f"{mean[0]:>14.3f}" + "".join(f"{x:>14.2f}" for x in mean[1:]))
    better = (away("ours") < away("static")).mean(axis=0)
    lines.append(f"  {'ours wins':<10}" + "".join(f"{x:>14.0%}" for x in better) + "   (against static)")
    for row in ("guide", "static", "ours", "oracle"):
        judge, all_ = found(tried, row)
        lines.append(
            f"  nearest of {len(tried)} is its own, {row}: {judge:.0%} by the judge, {all_:.0%} by all distances"
        )
    return lines


def to_given_loudness(tried: Sequence[Tried]) -> str:
    """How far the rows are from the loudness of what the engine was given, in the mean."""
    clips = [*real_clips(CLIPS), *held_out_sounds(SOUNDS)]
    given = {clip.name: measure(clip.given, RATE).lufs for clip in clips}
    rows = ((row, [abs(t.rows[row].lufs - given[t.name]) for t in tried]) for row in ("static", "quantile", "ours"))
    return "loudness against the half that was given: " + ", ".join(f"{row} {np.mean(x):.2f} LU" for row, x in rows)


def found(tried: Sequence[Tried], row: str) -> tuple[float, float]:
    """Share of references whose row's nearest judged half is their own: by the judge's embedding, and by all distances
    together (each divided by its mean)."""
    judged = [t.judged.measured() for t in tried]
    every = np.array([[distances(t.rows[row].measured(), other) for other in judged] for t in tried])
    own = np.arange(len(tried))
    scaled = (every / every.mean(axis=(0, 1))).sum(axis=2)
    return float((every[..., 0].argmin(axis=1) == own).mean()), float((scaled.argmin(axis=1) == own).mean())


def piece(text: str) -> slice:
    """A:B of a set, or so many from its beginning."""
    first, _, last = text.rpartition(":")
    return slice(int(first or 0), int(last))


def main() -> None:
    """Measures the pieces that are asked for, and reports all that is kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=piece, default=slice(0, CLIPS), help="which of the twenty real clips, A:B")
    parser.add_argument("--sounds", type=piece, default=slice(0, SOUNDS), help="which of the ten held-out sounds, A:B")
    parser.add_argument("--kept", type=Path, help="a JSON file that keeps what was measured")
    options = parser.parse_args()
    if why := why_absent():
        raise SystemExit(f"the judge is {why}")
    with tempfile.TemporaryDirectory() as name:
        kept = options.kept or Path(name) / "kept.json"
        wanted = [
            *(("real clips", clip) for clip in real_clips(CLIPS, options.clips)),
            *(("held-out sounds", clip) for clip in held_out_sounds(SOUNDS, options.sounds)),
        ]
        if wanted:
            studio = Studio(Path(name))
            mix, _ = limit(added(studio.guide), RATE)
            guide = studio.measure(mix)
            if read(kept).costs is None:
                keep(kept, [], studio.costs(wanted[0][1]))
            for title, clip in wanted:
                one = try_clip(studio, title, clip, guide)
                keep(kept, [one])
                near = {row: distances(m.measured(), one.judged.measured())[0] for row, m in one.rows.items()}
                print(f"{clip.name}: " + ", ".join(f"{row} {d:.3f}" for row, d in near.items()), flush=True)
        report(read(kept))


def report(kept: Kept) -> None:
    """Prints the tables."""
    for title in dict.fromkeys(row.set for row in kept.tried):
        print("\n".join(table(title, [row for row in kept.tried if row.set == title])))
    if kept.tried:
        print("\n".join(table("all", kept.tried)))
        print(to_given_loudness(kept.tried))
        print("\n".join(match_safety.report(kept)))


if __name__ == "__main__":
    main()
