"""Draw a take: sections, chords, tempo, every stem's notes over its waveform, the mix, and eight bars from close by.

python examples/draw_take.py TAKE_FOLDER [PICTURE.png]

Reads only what a take is made of: manifest, MIDI and WAV. Bars are counted from the take's start. Needs matplotlib
(`pip install 'stembridge[dev]'`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bridge.handover.manifest import Manifest, SectionUsed, StemFiles, read_manifest
from bridge.handover.project import ROLE_COLOURS
from bridge.midifile import SmfNote, read_smf
from bridge.timeline import Bar, Clock

INCHES, DPI = (16.0, 11.0), 100
LEFT, RIGHT = 0.112, 0.984
COLUMNS = 1400
EARLY_BEATS = 0.06
BACK, PANEL, LINE, TEXT, FAINT = "#101319", "#181c25", "#2b3140", "#eceff4", "#98a1b3"
LABEL_COLOURS = {
    "intro": "#5b7db1", "verse": "#3f9c8f", "pre-chorus": "#a98b3c", "chorus": "#d0654a", "post-chorus": "#c0563f",
    "bridge": "#8a63b8", "solo": "#c2527f", "break": "#5a6a85", "drop": "#d84f5e", "interlude": "#4f87a5",
    "outro": "#6a6f9e",
}  # fmt: skip
CLOSE_BARS = 8

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Stem:
    """A stem as it is drawn: notes in beats of the project, `peaks` and `rms` float [COLUMNS]."""

    files: StemFiles
    colour: Colour
    notes: tuple[SmfNote, ...]
    peaks: NDArray[np.float32]
    rms: NDArray[np.float32]

    @property
    def is_drums(self) -> bool:
        return self.files.role == "drums"


@dataclass(frozen=True)
class Take:
    """All that the picture shows. `clock`: beats of the project to seconds from the take's start."""

    manifest: Manifest
    clock: Clock
    stems: tuple[Stem, ...]
    mix: tuple[NDArray[np.float32], NDArray[np.float32]] | None

    @property
    def seconds(self) -> float:
        return self.manifest.samples / self.manifest.sample_rate

    def section_seconds(self, section: SectionUsed) -> tuple[float, float]:
        """Start and end, counted from the take's start."""
        start = (section.start_sample - self.manifest.start_sample) / self.manifest.sample_rate
        return start, start + section.samples / self.manifest.sample_rate


def read_take(folder: Path) -> Take:
    """Reads the manifest in `folder` and the files it names."""
    manifest = read_manifest(folder)
    songs = [read_smf(folder / stem.midi) for stem in manifest.stems]
    shift = manifest.start_beat
    clock = Clock.from_pairs(
        [(beat + shift, second) for beat, second in songs[0].tempo],
        [type(m)(m.beat + shift, m.beats, m.unit) for m in songs[0].metres],
    )
    stems = []
    for files, song in zip(manifest.stems, songs, strict=True):
        red, green, blue = ROLE_COLOURS[files.role]
        notes = tuple(
            SmfNote(n.start + shift, n.length, n.pitch, n.velocity) for track in song.tracks for n in track.notes
        )
        peaks, rms = wav2envelope(folder / files.wav)
        stems.append(Stem(files, (red / 255, green / 255, blue / 255), notes, peaks, rms))
    mix = wav2envelope(folder / manifest.mix.wav) if manifest.mix else None
    return Take(manifest, clock, tuple(stems), mix)


def wav2envelope(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Peak and RMS of `COLUMNS` equal pieces of a file, over all channels, linear."""
    with soundfile.SoundFile(path) as file:
        edges = np.linspace(0, file.frames, COLUMNS + 1).astype(int)
        peaks, rms = np.zeros(COLUMNS, np.float32), np.zeros(COLUMNS, np.float32)
        for i, count in enumerate(np.diff(edges)):
            block = file.read(int(count), dtype="float32", always_2d=True)
            if block.size:
                peaks[i] = np.abs(block).max()
                rms[i] = np.sqrt(np.mean(np.square(block)))
    return peaks, rms


def draw_take(take: Take) -> Figure:
    """The whole picture, 1600 x 1100 pixels."""
    figure = Figure(figsize=INCHES, dpi=DPI, facecolor=BACK)
    draw_title(figure, take)
    top, bottom = 0.845, 0.335
    draw_sections(panel(figure, top + 0.004, 0.062, take.seconds, BACK), take)
    height = (top - bottom) / (len(take.stems) + 1.05)
    draw_tempo(panel(figure, top - 0.40 * height, 0.40 * height, take.seconds), take)
    at = top - 0.40 * height
    for stem in take.stems:
        at -= height
        draw_stem(panel(figure, at + 0.004, height - 0.005, take.seconds), take, stem)
    axes = panel(figure, bottom - 0.002, 0.62 * height, take.seconds)
    if take.mix is not None:
        draw_wave(axes, take.mix[0], take.mix[1], take.seconds, (0.72, 0.76, 0.84), 0.5, 0.48)
    name_row(axes, "mix", "", FAINT)
    mark_sections(axes, take)
    draw_seconds(axes, take.seconds)
    draw_closely(figure, take)
    return figure


def panel(figure: Figure, bottom: float, height: float, seconds: float, colour: str = PANEL) -> Axes:
    """A bare strip over the whole take, from 0 to 1 upwards."""
    axes = figure.add_axes((LEFT, bottom, RIGHT - LEFT, height), facecolor=colour)
    axes.set_xlim(0, seconds)
    axes.set_ylim(0, 1)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)
    return axes


def draw_title(figure: Figure, take: Take) -> None:
    manifest = take.manifest
    bpms = sorted({round(take.clock.bpm_at(b), 1) for b in take.clock.beats[:-1]})
    tempo = f"{bpms[0]:g} bpm" if len(bpms) == 1 else f"{bpms[0]:g} to {bpms[-1]:g} bpm"
    minutes, seconds = divmod(round(take.seconds), 60)
    facts = [
        f"{manifest.key.tonic} {manifest.key.mode}", tempo, f"{minutes}:{seconds:02d}",
        f"{len(manifest.sections)} sections", f"{len(manifest.stems)} stems", f"{manifest.sample_rate / 1000:g} kHz",
        f"seed {manifest.seed}",
    ]  # fmt: skip
    title = manifest.project or manifest.job
    figure.text(LEFT, 0.956, title, color=TEXT, size=25, weight="bold", va="baseline")
    figure.text(LEFT, 0.926, "   ·   ".join(facts), color=FAINT, size=14, va="baseline")
    words = f"“{manifest.words}”" if manifest.words else ""
    figure.text(RIGHT, 0.956, words, color=FAINT, size=15, style="italic", ha="right", va="baseline")


def draw_sections(axes: Axes, take: Take) -> None:
    """Coloured bands with their names, and beneath each the chords it begins with, as many as there is room for."""
    for section in take.manifest.sections:
        start, end = take.section_seconds(section)
        colour = LABEL_COLOURS.get(section.label, "#5a6a85")
        axes.add_collection(rectangle(start, 0.42, end - start, 0.56, colour, 1.0))
        room = (end - start) / take.seconds * (RIGHT - LEFT) * INCHES[0] * 72
        axes.text(
            start + 0.006 * take.seconds, 0.69, fit(section.name, room, 13), color="white", size=13, weight="bold",
            va="center",
        )  # fmt: skip
        symbols = [c.symbol for c in take.manifest.chords if section.start - 1e-6 <= c.beat < section.end - 1e-6]
        axes.text(
            start + 0.006 * take.seconds, 0.19, fit(chord_line(symbols), room, 12), color=TEXT, size=12, va="center"
        )


def chord_line(symbols: Sequence[str]) -> str:
    """The chords once, without repeats side by side: "Am7  F  C  G" for a section that goes round in them."""
    changes = [s for i, s in enumerate(symbols) if i == 0 or s != symbols[i - 1]]
    for period in range(1, len(changes)):
        if all(changes[i] == changes[i - period] for i in range(period, len(changes))):
            return "  ".join(changes[:period])
    return "  ".join(changes)


def fit(text: str, points: float, size: float) -> str:
    """As many whole words of `text` as fit into `points` at a font `size`; a letter is about 0.57 sizes wide."""
    most = int((points - 10) / (0.57 * size))
    if len(text) <= most:
        return text
    return text[: max(0, most)].rpartition(" ")[0].rstrip() or text[: max(0, most)]


def draw_tempo(axes: Axes, take: Take) -> None:
    """Quarter notes per minute, drawn as steps (a ramp is many of them), with a number where it changes clearly."""
    clock = take.clock
    seconds = np.minimum(clock.seconds, take.seconds)
    bpm = [clock.bpm_at(b) for b in clock.beats[:-1]]
    low, high = min(bpm), max(bpm)
    levels = [0.62 + 0.24 * ((b - low) / (high - low) if high - low > 0.05 else 0.5) for b in bpm]
    axes.stairs(levels, seconds, color="#b9c3d6", lw=2.2, baseline=None)
    told = -1e9
    for level, b, second in zip(levels, bpm, seconds[:-1], strict=True):
        if second - told > 0.08 * take.seconds:
            axes.text(second + 0.005 * take.seconds, level - 0.12, f"{b:.4g}", color="#b9c3d6", size=11, va="top")
            told = second
    name_row(axes, "tempo", "", "#b9c3d6")
    mark_sections(axes, take)


def draw_stem(axes: Axes, take: Take, stem: Stem) -> None:
    """Notes above, sound below."""
    mark_sections(axes, take)
    draw_wave(axes, stem.peaks, stem.rms, take.seconds, stem.colour, 0.185, 0.175)
    draw_notes(axes, take, stem, stem.notes, 0.4, 0.95, min_seconds=take.seconds / 900)
    name_row(axes, stem.files.name, stem.files.instrument, stem.colour)


def draw_wave(
    axes: Axes,
    peaks: NDArray[np.float32],
    rms: NDArray[np.float32],
    seconds: float,
    colour: Colour,
    middle: float,
    height: float,
) -> None:
    """Peaks pale, RMS strong, both scaled to the file's own highest peak."""
    x = (np.arange(COLUMNS) + 0.5) * seconds / COLUMNS
    scale = height / max(float(peaks.max()), 1e-6)
    for level, alpha in ((peaks, 0.38), (rms, 0.85)):
        axes.fill_between(x, middle - level * scale, middle + level * scale, color=colour, alpha=alpha, lw=0)


def draw_notes(
    axes: Axes,
    take: Take,
    stem: Stem,
    notes: Sequence[SmfNote],
    bottom: float,
    top: float,
    *,
    min_seconds: float,
    low: float | None = None,
    high: float | None = None,
) -> None:
    """Bars in seconds and pitch between `bottom` and `top`; drums get a lane per sound. Loud notes shine."""
    if not notes:
        return
    if stem.is_drums:
        lanes = {pitch: i for i, pitch in enumerate(sorted({n.pitch for n in notes}))}
        rows, floor = float(len(lanes)), 0.0
    else:
        lanes = {}
        floor = min(n.pitch for n in notes) - 1.0 if low is None else low
        rows = (max(n.pitch for n in notes) + 1.0 if high is None else high) - floor
        rows = max(rows, 14.0) if high is None else rows
    step = (top - bottom) / rows
    boxes, faces = [], []
    for note in notes:
        start = take.clock.beat2second(note.start)
        end = max(start + min_seconds, take.clock.beat2second(note.start + note.length))
        y = bottom + (lanes[note.pitch] if stem.is_drums else note.pitch - floor) * step
        thick = step * 0.72 if stem.is_drums else max(step * 0.86, 0.012)
        boxes.append([(start, y), (end, y), (end, y + thick), (start, y + thick)])
        faces.append((*stem.colour, 0.35 + 0.65 * note.velocity / 127))
    axes.add_collection(PolyCollection(boxes, facecolors=faces, linewidths=0))


def draw_seconds(axes: Axes, seconds: float) -> None:
    step = next(s for s in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600) if seconds / s <= 16)
    ticks = np.arange(0, 0.99 * seconds, step)
    axes.set_xticks(ticks, [f"{int(t // 60)}:{int(t % 60):02d}" for t in ticks], color=FAINT, size=11)
    axes.tick_params(length=0, pad=5)


def draw_closely(figure: Figure, take: Take) -> None:
    """The busiest section's first bars: all stems in one piano roll, chord names above, drums in lanes below."""
    section, bars = busiest_bars(take)
    start, end = take.clock.beat2second(bars[0].start), take.clock.beat2second(bars[-1].end)
    bottom, height = 0.044, 0.205
    axes = panel(figure, bottom, height, 1.0)
    axes.set_xlim(start, end)
    for bar in bars:
        at = take.clock.beat2second(bar.start)
        axes.axvline(at, color=LINE, lw=1.2)
        axes.text(at, -0.03, f"bar {bar.index + 1}", color=FAINT, size=11, va="top")
        beats = np.arange(bar.start, bar.end - 1e-6, 4 / bar.metre.unit)[1:]
        marks = [[(take.clock.beat2second(b), 0), (take.clock.beat2second(b), 1)] for b in beats]
        axes.add_collection(LineCollection(marks, colors=LINE, linewidths=0.5))
    # A note played just ahead of the bar line belongs to the bar.
    begin, close = bars[0].start + EARLY_BEATS, bars[-1].end - EARLY_BEATS
    shown = {s.files.name: [n for n in s.notes if n.start + n.length > begin and n.start < close] for s in take.stems}
    pitched = [n.pitch for s in take.stems if not s.is_drums for n in shown[s.files.name]]
    low, high = (min(pitched) - 1.0, max(pitched) + 2.0) if pitched else (0.0, 128.0)
    shortest = (end - start) / 260
    for stem in take.stems:
        area = (0.03, 0.27) if stem.is_drums else (0.32, 0.98)
        draw_notes(axes, take, stem, shown[stem.files.name], *area, min_seconds=shortest, low=low, high=high)
    for chord in take.manifest.chords:
        if bars[0].start - 1e-6 <= chord.beat < bars[-1].end - 1e-6:
            at = take.clock.beat2second(chord.beat)
            axes.text(at, 1.03, chord.symbol, color=TEXT, size=13, weight="bold", va="bottom")
    name_row(axes, section.name, f"bars {bars[0].index + 1} to {bars[-1].index + 1}", TEXT)


def busiest_bars(take: Take) -> tuple[SectionUsed, list[Bar]]:
    """The section with most notes per beat, and its first `CLOSE_BARS` bars."""

    def density(section: SectionUsed) -> float:
        notes = sum(section.start <= n.start < section.end for stem in take.stems for n in stem.notes)
        return notes / (section.end - section.start)

    section = max(take.manifest.sections, key=density)
    return section, list(take.clock.bars(section.start, section.end))[:CLOSE_BARS]


def mark_sections(axes: Axes, take: Take) -> None:
    """Bands in the sections' colours, hardly visible, and a line where each begins."""
    for section in take.manifest.sections:
        start, end = take.section_seconds(section)
        axes.add_collection(rectangle(start, 0, end - start, 1, LABEL_COLOURS.get(section.label, "#5a6a85"), 0.07))
        axes.axvline(start, color=LINE, lw=1)


def name_row(axes: Axes, name: str, detail: str, colour: str | Colour) -> None:
    """Right-aligned names left of a strip, cut to the room there is."""
    room = LEFT * INCHES[0] * 72 - 8
    for text, size, ink, weight, up in ((name, 14, colour, "bold", 7), (detail, 10, FAINT, "normal", -10)):
        axes.annotate(
            fit(text, room, size), (0, 0.5), (-10, up if detail else 0), xycoords="axes fraction",
            textcoords="offset points", color=ink, size=size, weight=weight, ha="right", va="center",
        )  # fmt: skip


def rectangle(x: float, y: float, width: float, height: float, colour: str, alpha: float) -> PolyCollection:
    """One filled box."""
    corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    return PolyCollection([corners], facecolors=[colour], alpha=alpha, linewidths=0)


def main(arguments: Sequence[str]) -> None:
    folder = Path(arguments[0])
    picture = Path(arguments[1]) if len(arguments) > 1 else folder / "take.png"
    draw_take(read_take(folder)).savefig(picture)
    print(picture)


if __name__ == "__main__":
    main(sys.argv[1:])
