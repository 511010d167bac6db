"""How long a test waits for what must come."""

from __future__ import annotations

PATIENCE = 180.0
"""Seconds: a limit that only what hangs reaches, however busy the machine is. Less than pytest's own (pyproject.toml),
so that the wait itself tells what it waited for."""
