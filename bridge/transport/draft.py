"""A render request written line by line, for senders that have no JSON: a Max patch, TouchOSC, a footswitch.

A draft belongs to its sender, unless it was opened with a reply port; it expires when no line comes for
`EXPIRES` seconds. Lines only collect; `bridge.validate` judges the request that they make.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import msgspec

from bridge.errors import RequestError
from bridge.messages import DEFAULT_STEMS, PROTOCOL
from bridge.paths import MIDI_ENDINGS
from bridge.wishes import CONTROLS

MAX_DRAFTS = 32
MAX_LINES = 20_000
EXPIRES = 1800.0


@dataclass
class Draft:
    """One request in the making. Each method below `line` is one address of the OSC table.

    Once `sent` it takes no more lines, and is kept so that the order to render can be repeated for safety.
    """

    job: str
    owner: Hashable
    port: int
    touched: float
    lines: int = 0
    sent: bool = False
    _pairs: list[tuple[float, float]] = field(default_factory=list)
    _tempi: list[tuple[float, float]] = field(default_factory=list)
    _arrangement: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _stems: list[dict[str, Any]] = field(default_factory=list)
    _wishes: list[tuple[str, str, float | str]] = field(default_factory=list)
    _project: dict[str, Any] = field(default_factory=dict)
    _rate: int = 48_000
    _options: dict[str, Any] = field(default_factory=dict)

    def line(self, name: str, values: list[Any]) -> None:
        """Adds one line. Raises `RequestError` where there are too many."""
        self.lines += 1
        if self.lines > MAX_LINES:
            raise RequestError("draft.too_long", f"a draft has at most {MAX_LINES} lines.", hint="Send JSON instead.")
        getattr(self, name)(*values)

    def project(self, name: str, root: str) -> None:
        self._project = {"name": name, "root": root}

    def rate(self, hz: int) -> None:
        self._rate = hz

    def tempo(self, beat: float, bpm: float) -> None:
        self._tempi.append((beat, bpm))

    def clock(self, beat: float, second: float) -> None:
        self._pairs.append((beat, second))

    def metre(self, beat: float, beats: int, unit: int) -> None:
        self._add("metres", beat=beat, beats=beats, unit=unit)

    def key(self, beat: float, tonic: str, mode: str) -> None:
        self._add("keys", beat=beat, tonic=tonic, mode=mode.lower())

    def section(self, name: str, label: str, start: float, end: float, energy: float | None = None) -> None:
        self._add("sections", name=name, label=label, start=start, end=end, energy=energy)

    def track(self, name: str, role: str, path: str, use: str, start: float = 0.0) -> None:
        kind = "midi" if PurePath(path).suffix.lower() in MIDI_ENDINGS else "audio"
        self._add("tracks", name=name, role=role or None, use=use, start=start, **{kind: path})

    def reference(self, path: str, start: float, seconds: float) -> None:
        self._add("references", audio=path, from_second=start, seconds=seconds or None)

    def stem(self, role: str, name: str = "", instrument: str = "") -> None:
        self._stems.append({"role": role, "name": name, "instrument": instrument})

    def control(self, stem: str, name: str, value: float) -> None:
        if name not in CONTROLS:
            raise RequestError(
                "draft.control", f"there is no control {name!r}.", field="name", hint=f"One of {', '.join(CONTROLS)}."
            )
        self._wishes.append((stem, name, value))

    def space(self, stem: str, other: str) -> None:
        self._wishes.append((stem, "leave_space_for", other))

    def style(self, words: str) -> None:
        self._options["style"] = words

    def seed(self, n: int) -> None:
        self._options["seed"] = n

    def takes(self, n: int) -> None:
        self._options["takes"] = n

    def composer(self, name: str) -> None:
        self._options["composer"] = name

    def renderer(self, name: str) -> None:
        self._options["renderer"] = name

    def soundfont(self, path: str) -> None:
        self._options["soundfont"] = path

    def _add(self, group: str, **values: Any) -> None:
        self._arrangement.setdefault(group, []).append(values)

    def request(self) -> bytes:
        """The render request in JSON, to be sent. Raises `RequestError` where the lines give no clock, or a wish for a
        stem that is not drafted."""
        arrangement = {"sample_rate": self._rate, "clock": self._clock(), **self._arrangement}
        stems = self._wished()
        self.sent = True
        return msgspec.json.encode(
            {
                "type": "render",
                "version": PROTOCOL,
                "job": self.job,
                "project": self._project,
                "arrangement": arrangement,
                "stems": stems,
                **self._options,
            }
        )

    def _wished(self) -> list[dict[str, Any]]:
        """The stems, the usual five unless any was named, with what is wished of them: a name stands before a role."""
        stems = [dict(stem) for stem in self._stems or [{"role": role} for role in DEFAULT_STEMS]]
        for title, name, value in self._wishes:
            named = [stem for stem in stems if (stem.get("name") or stem["role"]) == title]
            meant = named or [stem for stem in stems if stem["role"] == title]
            if not meant:
                raise RequestError(
                    "draft.stem",
                    f"the draft has no stem {title!r}.",
                    field="stem",
                    hint=f"It has {', '.join(stem.get('name') or stem['role'] for stem in stems)}.",
                )
            for stem in meant:
                stem[name] = value
        return stems

    def _clock(self) -> list[tuple[float, float]]:
        if self._pairs and self._tempi:
            raise RequestError("draft.clock", "the draft has both tempo and clock lines.", hint="Send one kind only.")
        if self._pairs:
            return self._pairs
        if not self._tempi:
            raise RequestError("draft.clock", "the draft has no tempo.", hint="Send /draft/tempo beat bpm first.")
        end = max((section["end"] for section in self._arrangement.get("sections", [])), default=0.0)
        return tempi2pairs(self._tempi, end)


def tempi2pairs(tempi: list[tuple[float, float]], end: float) -> list[tuple[float, float]]:
    """(beat, bpm) steps to (beat, second) pairs from beat 0 = second 0 up to beat `end` or beyond.

    The first tempo holds from beat 0. Raises `RequestError` for tempi out of order or out of reach.
    """
    for i, (beat, bpm) in enumerate(tempi):
        if not 0 <= beat < 1e7 or not 1 <= bpm <= 10_000 or (i and beat <= tempi[i - 1][0]):
            raise RequestError("draft.tempo", f"{bpm:g} bpm at beat {beat:g}: beats from 0 on, rising; bpm above 1.")
    pairs = [(0.0, 0.0)]
    last = max(end, tempi[-1][0] + 1.0)
    stops = [*(beat for beat, _ in tempi[1:]), last]
    for (_, bpm), stop in zip(tempi, stops, strict=True):
        beat, second = pairs[-1]
        pairs.append((float(stop), second + (stop - beat) * 60.0 / bpm))
    return pairs


class Drafts:
    """All open drafts, by owner and id."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._drafts: dict[tuple[Hashable, str], Draft] = {}
        self._clock = clock

    def new(self, job: str, owner: Hashable, port: int) -> Draft:
        """Opens a draft, replacing one of the same owner and id. Raises `RequestError` where too many are open."""
        self._expire()
        self._drafts.pop((owner, job), None)
        for key in [key for key, draft in self._drafts.items() if draft.job == job and draft.port and port]:
            del self._drafts[key]
        if len(self._drafts) >= MAX_DRAFTS:
            raise RequestError("draft.too_many", f"{MAX_DRAFTS} drafts are open already.", hint="Render or drop one.")
        draft = Draft(job, owner, port, self._clock())
        self._drafts[owner, job] = draft
        return draft

    def current(self, owner: Hashable) -> Draft:
        """The draft that a line of this sender goes to. Raises `RequestError` where that is not clear."""
        self._expire()
        writable = [draft for draft in self._drafts.values() if not draft.sent]
        own = [draft for draft in writable if draft.owner == owner]
        shared = [draft for draft in writable if draft.port]
        if not own and len(shared) > 1:
            raise RequestError(
                "draft.which",
                "several drafts are open to any sender.",
                hint="Send all lines from one port, or drop the others.",
            )
        if not own and not shared:
            raise RequestError("draft.none", "this sender has no open draft.", hint="Send /draft/new id first.")
        draft = own[-1] if own else shared[0]
        draft.touched = self._clock()
        return draft

    def find(self, job: str, owner: Hashable) -> Draft | None:
        """The draft of that id that this sender may use."""
        self._expire()
        own = self._drafts.get((owner, job))
        return own or next((draft for draft in self._drafts.values() if draft.job == job and draft.port), None)

    def drop(self, draft: Draft) -> None:
        """Forgets a draft."""
        self._drafts.pop((draft.owner, draft.job), None)

    def _expire(self) -> None:
        oldest = self._clock() - EXPIRES
        for key in [key for key, draft in self._drafts.items() if draft.touched < oldest]:
            del self._drafts[key]
