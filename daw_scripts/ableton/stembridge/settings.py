"""What the user has chosen: `settings.json` beside the script for all sets, and what a set keeps for itself."""

from __future__ import annotations

import json
import os
from typing import Any

from .labels import ROLES
from .wishes import VERBS

FILE = "settings.json"
MAX_BYTES = 64 << 10
DEFAULTS: dict[str, Any] = {
    "style": "",
    "seed": 0,
    "takes": 1,
    "stems": ["drums", "bass", "keys", "pad", "lead"],
    "sample_rate": 0,
    "versions": "auto",
    "midi_channel": 16,
    "midi_cc": {verb: 20 + i for i, verb in enumerate(VERBS)},
    "midi_note": {verb: 36 + i for i, verb in enumerate(VERBS)},
    "osc_host": "127.0.0.1",
    "osc_port": 11055,
    "runtime": "",
}
OF_A_SET = ("style", "seed", "takes", "stems")
VERSIONS = ("auto", "lanes", "scenes", "tracks")


def load(folder: str) -> tuple[dict[str, Any], list[str]]:
    """The settings, and what is wrong with the file; what is wrong or missing is the default."""
    try:
        with open(os.path.join(folder, FILE), "rb") as file:
            found = json.loads(file.read(MAX_BYTES).decode("utf-8"))
    except FileNotFoundError:
        return merged(DEFAULTS, {})
    except (OSError, ValueError, RecursionError) as error:
        return dict(DEFAULTS), [f"{FILE} cannot be read ({error}); the usual settings hold."]
    return merged(DEFAULTS, found)


def merged(base: dict[str, Any], chosen: Any) -> tuple[dict[str, Any], list[str]]:
    """`base` with what is right of `chosen`, and a sentence for each thing that is not."""
    if not isinstance(chosen, dict):
        return dict(base), ["The settings are no JSON object."]
    result, wrong = dict(base), []
    for name, value in chosen.items():
        if name in DEFAULTS and is_right(name, value):
            result[name] = dict(base[name], **value) if isinstance(value, dict) else value
        else:
            wrong.append(f"The setting '{name}' is not known or has an impossible value; it is ignored.")
    return result, wrong


def is_right(name: str, value: Any) -> bool:
    """Whether a value may be that setting's."""
    if name in ("style", "osc_host", "runtime"):
        return isinstance(value, str) and len(value) <= 2000
    if name == "stems":
        return isinstance(value, list) and bool(value) and all(role in ROLES for role in value)
    if name == "versions":
        return value in VERSIONS
    if name in ("midi_cc", "midi_note"):
        return isinstance(value, dict) and all(v in VERBS and _whole(n, 0, 127) for v, n in value.items())
    low, high = {
        "seed": (0, (1 << 63) - 1), "takes": (1, 8), "sample_rate": (0, 384_000), "midi_channel": (1, 16),
        "osc_port": (0, 65_535),
    }[name]  # fmt: skip
    return _whole(value, low, high)


def _whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
