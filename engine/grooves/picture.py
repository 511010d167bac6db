"""Grooves as pictures: every level a column of bars, every lane or pitch a row, for SVG and PNG.

Conventions: units are pixels; a step is `STEP` wide; colours say how loud a note is (velocity). Drawn in C, in the mode
of the groove's first chord idea.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from bridge.errors import RequestError
from engine.grooves.draw import FILLS, LANE_NAMES, Drawn, groove2drawn
from engine.grooves.groove import LEVELS, STREAMS, Groove
from engine.score import PITCH_NAMES

STEP, ROW, LEFT, GAP, TITLE = 11, 10, 64, 16, 22
COLOURS = {"drums": (60, 60, 60), "bass": (30, 90, 170), "comp": (200, 110, 20), "pad": (120, 150, 60),
           "arp": (140, 80, 170), "lead": (190, 40, 60)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Box:
    """A filled rectangle, `colour` in 0-255 RGB."""

    x: float
    y: float
    width: float
    height: float
    colour: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Text:
    """Words with their upper left corner."""

    x: float
    y: float
    words: str


@dataclass(frozen=True, slots=True)
class Picture:
    """Shapes in the order in which they are painted."""

    width: int
    height: int
    shapes: tuple[Box | Text, ...]


def draw_file(groove: Groove, path: Path) -> None:
    """Writes the picture as `.svg` or `.png`. Raises `RequestError` for another ending."""
    kind = path.suffix.lower()
    if kind not in (".svg", ".png"):
        raise RequestError("groove.picture", f"{path.name} is neither .svg nor .png.", field="out")
    picture = groove2picture(groove)
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == ".svg":
        path.write_text(picture2svg(picture), encoding="utf-8")
    else:
        write_png(picture, path)


def groove2picture(groove: Groove) -> Picture:
    """All levels one below the other, then the fills."""
    names = [
        *(name for name in LEVELS if name != "ending"),
        *(f"fill {i + 1}" for i in range(len(groove.fills))),
        "ending",
    ]
    shapes: list[Box | Text] = []
    about = f"{groove.title}  ({groove.name})   {groove.metre}   {groove.bpm_low:.0f}-{groove.bpm_high:.0f} bpm"
    shapes.append(Text(8, 6, about))
    y, width = 30.0, 320.0
    for name in names:
        drawn = groove2drawn(groove, name)
        new, height, reach = _block(groove, name, drawn, y)
        shapes += new
        y += height + GAP
        width = max(width, reach)
    return Picture(round(width + 12), round(y), tuple(shapes))


def _block(groove: Groove, name: str, drawn: Drawn, top: float) -> tuple[list[Box | Text], float, float]:
    """Shapes, height and right edge of one level."""
    per = groove.steps_per_quarter
    bars = len(drawn.bars)
    right = LEFT + bars * groove.steps * STEP
    kind = f" ({groove.fills[int(name[4:]) - 1].name})" if name.startswith(FILLS) else ""
    shapes: list[Box | Text] = [Text(8, top, f"{name}{kind}")]
    shapes += [Text(LEFT + chord.beat * per * STEP, top + 8, chord.symbol) for chord in drawn.chords]
    y = top + TITLE
    for stream in STREAMS:
        notes = drawn.parts[stream]
        rows = sorted({n.pitch for n in notes}, reverse=True)
        for k, pitch in enumerate(rows):
            if k % 2 == 0:
                shapes.append(Box(LEFT, y + k * ROW, right - LEFT, ROW, (244, 244, 244)))
            label = LANE_NAMES[pitch] if stream == "drums" else f"{PITCH_NAMES[pitch % 12]}{pitch // 12 - 1}"
            shapes.append(Text(8, y + k * ROW, label))
        for n in notes:
            length = 1.0 if stream == "drums" else max(1.0, n.length * per)
            x = LEFT + n.start * per * STEP
            wide = min(length * STEP, right - x) - 1
            shapes.append(Box(x, y + rows.index(n.pitch) * ROW + 1, wide, ROW - 2, _shade(COLOURS[stream], n.velocity)))
        y += len(rows) * ROW + (4 if rows else 0)
    for step in range(0, bars * groove.steps + 1, per):
        line = step % groove.steps == 0
        colour = (90, 90, 90) if line else (215, 215, 215)
        shapes.append(Box(LEFT + step * STEP, top + TITLE, 1, y - top - TITLE, colour))
    return shapes, y - top, right


def _shade(colour: tuple[int, int, int], velocity: int) -> tuple[int, int, int]:
    """Paler for soft notes."""
    white = 0.75 * (1 - min(velocity, 110) / 110)
    red, green, blue = (round(c + (255 - c) * white) for c in colour)
    return red, green, blue


def picture2svg(picture: Picture) -> str:
    """The picture as SVG text."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{picture.width}" height="{picture.height}" '
        'font-family="sans-serif" font-size="9">',
        f'<rect width="{picture.width}" height="{picture.height}" fill="white"/>',
    ]
    for shape in picture.shapes:
        if isinstance(shape, Text):
            lines.append(f'<text x="{shape.x:g}" y="{shape.y + 8:g}">{escape(shape.words)}</text>')
        else:
            red, green, blue = shape.colour
            colour = f"#{red:02x}{green:02x}{blue:02x}"
            size = f'width="{shape.width:g}" height="{shape.height:g}"'
            lines.append(f'<rect x="{shape.x:g}" y="{shape.y:g}" {size} fill="{colour}"/>')
    return "\n".join([*lines, "</svg>"]) + "\n"


def write_png(picture: Picture, path: Path) -> None:
    """The picture as a PNG file."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (picture.width, picture.height), "white")
    pen = ImageDraw.Draw(image)
    for shape in picture.shapes:
        if isinstance(shape, Text):
            pen.text((shape.x, shape.y - 2), shape.words, fill=(0, 0, 0), font_size=9)
        else:
            right, bottom = max(shape.x + shape.width - 1, shape.x), shape.y + shape.height - 1
            pen.rectangle((shape.x, shape.y, right, bottom), fill=shape.colour)
    image.save(path)
