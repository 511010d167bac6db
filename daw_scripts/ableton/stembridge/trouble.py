"""What the musician is told when something cannot be done."""

from __future__ import annotations


class Trouble(Exception):
    """Shown as it is: what was wrong, where, what to do."""
