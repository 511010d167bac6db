"""Errors that a musician can act on: what was wrong, where, what to do."""

from __future__ import annotations


class StembridgeError(Exception):
    """Base of every error that is shown to the user without a traceback.

    `code` is stable and machine-readable (`clock.not_increasing`); `field` is the path of the
    offending value in the request (`arrangement.clock[3]`), a file, or empty; `hint` says what to do.
    """

    def __init__(self, code: str, message: str, *, field: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.hint = hint

    def __str__(self) -> str:
        where = f"{self.field}: " if self.field else ""
        todo = f" {self.hint}" if self.hint else ""
        return f"{where}{self.message}{todo}"


class RequestError(StembridgeError):
    """The request is refused before any work is done (CLI exit code 2)."""


class JobError(StembridgeError):
    """An accepted job could not be finished (CLI exit code 3)."""
