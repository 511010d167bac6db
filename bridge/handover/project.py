"""What every project file of a take shows, whatever its format: stems, mix, colours, tempos from second 0 on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.handover.notes import NoteLike
from bridge.handover.tempo import Tempo, clock2tempos
from bridge.timeline import MAX_BPM, MIN_BPM, Clock, Metre

Colour = tuple[int, int, int]

ROLE_COLOURS: dict[str, Colour] = {
    "drums": (224, 93, 68), "bass": (245, 186, 66), "keys": (38, 166, 154), "guitar": (174, 213, 76),
    "pad": (126, 87, 194), "strings": (204, 96, 208), "brass": (188, 140, 96), "lead": (236, 82, 140),
    "arp": (66, 165, 245), "vocals": (228, 232, 240),
}  # fmt: skip
"""One colour (red, green, blue) per role: tracks in DAWs, bars in pictures."""
GREY: Colour = (120, 128, 136)


@dataclass(frozen=True, slots=True)
class ProjectStem:
    """A stem of the project: `wav` relative to the project file, its place in samples, and the notes beside it.

    `tail`: a file of what rings on, `tail_samples` long, that lies right after the stem on its track; or empty.
    """

    name: str
    role: str
    wav: str
    start_sample: int
    samples: int
    notes: Sequence[NoteLike] = ()
    tail: str = ""
    tail_samples: int = 0
    channels: int = 2

    @property
    def colour(self) -> Colour:
        """The role's."""
        return ROLE_COLOURS.get(self.role, GREY)


@dataclass(frozen=True, slots=True)
class ProjectMix:
    """The mix, on a muted track of its own."""

    wav: str
    start_sample: int
    samples: int
    channels: int = 2


def clock2project_tempos(clock: Clock) -> list[Tempo]:
    """The clock's tempos, with one in front that carries the project's second 0 to the clock's first pair.

    Where it can, that one makes the file's beats the project's own (beat b of the clock is quarter note b of the
    file): the first tempo's beat is then 0. Else it is the clock's beat that lies at second 0.
    """
    tempos = clock2tempos(clock)
    head = tempos[0]
    if head.second <= 0:
        inside = [t for t in tempos if t.second > 0]
        reigning = tempos[len(tempos) - len(inside) - 1]
        return [Tempo(clock.second2beat(0.0), 0.0, reigning.bpm), *inside]
    own = 60.0 * head.beat / head.second
    lead_in = own if MIN_BPM <= own <= MAX_BPM else head.bpm
    return [Tempo(head.beat - head.second * lead_in / 60.0, 0.0, lead_in), *tempos]


def clock2project_metres(clock: Clock, origin: float) -> list[tuple[float, Metre, bool]]:
    """Metres of a file whose second 0 is the clock's beat `origin`: (beat of the clock, metre, whether the bar before
    is cut by it). The first one is at `origin`. Where that is no bar line of the clock, the metre is said again on the
    next one, so that the file's bars are the project's from there on."""
    found = {metre.beat if i else clock.start: metre for i, metre in enumerate(clock.metres)}
    line = next((bar.start for bar in clock.bars(origin) if bar.start > origin + 1e-9), None)
    if line is not None:
        found.setdefault(line, clock.metre_at(line))
    points = [(origin, clock.metre_at(max(clock.start, origin)), False)]
    for beat, metre in sorted(found.items()):
        if beat <= origin + 1e-9:
            continue
        last, before, _ = points[-1]
        bars = (beat - last) / before.bar_beats
        cut = abs(bars - round(bars)) > 1e-6
        if cut or (metre.beats, metre.unit) != (before.beats, before.unit):
            points.append((beat, metre, cut))
    return points
