"""Performing: velocities and micro-timing that make a score breathe, inside the bounds of the checks."""

from engine.perform.performer import perform

__all__ = ["perform"]
