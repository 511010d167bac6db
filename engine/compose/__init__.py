"""Composing: from the user's sections, words and tracks to a score."""

from engine.compose.as_written import compose_as_written
from engine.compose.band import compose_band
from engine.compose.form import request2form
from engine.compose.writers import Writers

__all__ = ["Writers", "compose_as_written", "compose_band", "request2form"]
