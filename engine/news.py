"""Who hears of what: events of jobs go out to their followers and to all observers, once they are durable."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

from bridge.messages import Event
from bridge.transport import Outlet
from engine.store.journal import Journal


class News:
    """Sends in the order in which things were said. What depends on a change of the job table waits for its commit.

    Where the disk refuses the commit, the news goes out all the same: the change is tried again until it is kept.
    """

    def __init__(self, journal: Journal, publish: Callable[[str, Event], None]) -> None:
        self._journal = journal
        self._publish = publish
        self._followers: dict[str, dict[Hashable, Outlet]] = {}

    def follow(self, job: str, outlet: Outlet) -> None:
        """From now on `outlet` hears of the job; two outlets of one key count once."""
        self._followers.setdefault(job, {})[outlet.key] = outlet

    def tell(self, outlet: Outlet, events: Iterable[Event]) -> None:
        """Answers one sender."""
        said = tuple(events)

        def send(error: Exception | None) -> None:
            del error
            for event in said:
                outlet.send(event)

        self._journal.after(send)

    def emit(self, job: str, event: Event) -> None:
        """Tells all who follow the job now, and forgets those who are gone."""
        followers = self._followers.get(job, {})
        present = list(followers.items())

        def send(error: Exception | None) -> None:
            del error
            for key, outlet in present:
                if not outlet.send(event) and followers.get(key) is outlet:
                    del followers[key]
            self._publish(job, event)

        self._journal.after(send)

    def end(self, job: str) -> None:
        """Nothing more will be said of the job; what has been said still goes out."""
        self._followers.pop(job, None)
