"""What the user is told: Live's status bar, Live's log, and whoever listens over OSC.

The status bar shows a message for a few seconds only, so what matters is shown again until it was there long enough.
"""

from __future__ import annotations

from typing import Any, Callable

STAY = 10.0
AGAIN = 2.0
PROGRESS_EVERY = 1.0
MAX_TEXT = 300


class Speaker:
    """`say` for what happens, `warn` for what needs the user, `progress` for numbers on the way."""

    def __init__(self, c_instance: Any, tell: Callable[[str], None]) -> None:
        self._c_instance = c_instance
        self._tell = tell
        self._text = ""
        self._until = 0.0
        self._shown = 0.0
        self._now = 0.0

    def say(self, text: str) -> None:
        """Shown once, logged, told."""
        self._log(text)
        if self._now >= self._until:
            self._show(text)

    def warn(self, text: str) -> None:
        """Shown for `STAY` seconds, logged, told."""
        self._log(text)
        self._text, self._until = text, self._now + STAY
        self._show(text)

    def progress(self, text: str) -> None:
        """Shown at most once a second, neither logged nor told."""
        if self._now >= self._until and self._now - self._shown >= PROGRESS_EVERY:
            self._show(text)

    def tick(self, now: float) -> None:
        """Shows a warning again while it holds."""
        self._now = now
        if now < self._until and now - self._shown >= AGAIN:
            self._show(self._text)

    def _log(self, text: str) -> None:
        self._c_instance.log_message("stembridge: " + text)
        self._tell(text)

    def _show(self, text: str) -> None:
        self._shown = self._now
        self._c_instance.show_message("stembridge: " + text[:MAX_TEXT])
