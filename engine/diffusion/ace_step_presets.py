"""What each kind of ACE-Step 1.5 checkpoint can do, and the settings that it was made for.

Kinds are told by the transformer's configuration: `is_turbo` (guidance distilled into the weights), else
`model_version` ("base" or "sft"), else the name it came under (`bridge.checkpoints`). XL checkpoints (4B) are of the
same kinds and differ in size only. Sources: the model's own task lists (turbo and sft know text2music, repaint and
cover; lego, extract and complete were trained into base only), and what its users found: a shift that does not fit the
kind breaks the music into segments, and guidance makes a lego stem collapse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.errors import RequestError
from engine.rendering import Task

EVERYONE: tuple[Task, ...] = ("cover", "repaint", "text2music")
BASE_ONLY: tuple[Task, ...] = ("lego", "extract")


@dataclass(frozen=True)
class Preset:
    """`steps` and `shift` of the schedule, guidance scale by task, and how far from the guide by default.

    `strength` is the noise level (0-1) that the guide's latents start at; it is rounded to a step of the schedule.
    """

    steps: int
    shift: float
    tasks: tuple[Task, ...]
    guidance: Mapping[Task, float] = field(default_factory=dict)
    strength: Mapping[Task, float] = field(default_factory=dict)

    def schedule(self) -> list[float]:
        """Noise levels, first 1, falling; the last step ends at 0."""
        linear = [1.0 - i / self.steps for i in range(self.steps)]
        return [self.shift * t / (1.0 + (self.shift - 1.0) * t) for t in linear]

    def schedule_from(self, strength: float) -> list[float]:
        """The schedule from the level nearest to `strength` on: distilled networks know only its levels."""
        levels = self.schedule()
        first = min(range(len(levels)), key=lambda i: abs(levels[i] - strength))
        return levels[first:]


FROM_GUIDE: dict[Task, float] = {"cover": 0.75, "repaint": 0.75, "lego": 0.83, "text2music": 1.0, "extract": 1.0}
WITH_GUIDANCE: dict[Task, float] = {"cover": 7.0, "repaint": 7.0, "text2music": 7.0, "lego": 1.0, "extract": 1.0}
PRESETS = {
    "turbo": Preset(8, 3.0, EVERYONE, dict.fromkeys(EVERYONE, 1.0), FROM_GUIDE),
    "sft": Preset(50, 1.0, EVERYONE, WITH_GUIDANCE, FROM_GUIDE),
    "base": Preset(50, 1.0, EVERYONE + BASE_ONLY, WITH_GUIDANCE, FROM_GUIDE),
}


def check_task(name: str, variant: str, task: Task, stem: str) -> None:
    """Raises `RequestError` where a checkpoint of this variant was not trained for the task."""
    if task not in PRESETS[variant].tasks:
        raise RequestError(
            "renderer.task",
            f"{stem}: {name} is a {variant} checkpoint; {task!r} was trained into base checkpoints only.",
            field="renderer",
            hint="Add an ACE-Step base checkpoint (`stembridge models add`) and name it for this stem.",
        )
