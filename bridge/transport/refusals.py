"""Counts what the transports refuse or drop, by code, and keeps the log readable while somebody floods the engine."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable

QUIET_SECONDS = 60.0
"""A code is logged at once, then at most this often, with how many there have been."""

log = logging.getLogger(__name__)


class Refusals:
    """One count for each code. The codes are the transports' own, so there are never many."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.counts: Counter[str] = Counter()
        self._logged: dict[str, float] = {}
        self._clock = clock

    def count(self, code: str, detail: str = "") -> None:
        """One more of `code`. `detail` is for the log: never a token, and cut to 200 letters."""
        self.counts[code] += 1
        now = self._clock()
        if now - self._logged.get(code, float("-inf")) >= QUIET_SECONDS:
            self._logged[code] = now
            log.warning("refused: %s (%d so far) %s", code, self.counts[code], detail[:200])
