"""stembridge in Ableton Live: a MIDI Remote Script for Live 11.3.25, 12.0.5 and later.

Live imports this package from `User Library/Remote Scripts` and calls `create_instance` when "stembridge" is chosen
as a control surface. Standard library only, Python 3.7 syntax; nothing of Ableton's own Python frameworks is used.
"""

from __future__ import annotations

from typing import Any

VERSION = "0.1.0"
PROTOCOL = 1


def create_instance(c_instance: Any) -> Any:
    """Live's entry point; `c_instance` is Live's side of the control surface."""
    from .surface import Surface

    return Surface(c_instance)
