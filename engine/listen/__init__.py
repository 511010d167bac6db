"""Listening: what the user's tracks and clips say about key, chords, roles and tempo."""

from engine.listen.files import listen_file
from engine.listen.tracks import listen_tracks

__all__ = ["listen_file", "listen_tracks"]
