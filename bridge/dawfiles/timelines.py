"""The lanes and clips of a DAWproject, flattened: every note and every unstretched sound at its place in the project.

A clip's content begins at its `playStart`; where the clip is longer than its loop, the loop comes round. Content may be
another list of clips, a reference to content elsewhere, and be measured in beats or in seconds, whatever its parent is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from xml.etree.ElementTree import Element

from bridge.dawfiles.song import FileSound
from bridge.midinotes import SmfNote
from bridge.timeline import Clock

MAX_NOTES = 1_000_000
MAX_PASSES = 20_000
"""Times that loops come round, all clips together."""
MAX_NESTING = 24
"""Clips inside clips, references included."""
UNSTRETCHED = 1e-3
"""Seconds by which a warped sound may leave the straight line of its own time and still count as unstretched."""
CONTENT = ("Lanes", "Notes", "Clips", "Warps", "Audio")


def number(element: Element, name: str, default: float = 0.0) -> float:
    """A finite number from an attribute; `default` where it is missing or is none ("inf")."""
    try:
        value = float(element.get(name, ""))
    except ValueError:
        return default
    return value if math.isfinite(value) and abs(value) < 1e9 else default


@dataclass
class Arranged:
    """What lies on the tracks. `notes` by (track name, channel)."""

    notes: dict[tuple[str, int], list[SmfNote]] = field(default_factory=dict)
    sounds: list[FileSound] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Place:
    """Where content lies: its time `play` (in `unit`) is at `beat`; what is heard of it lies from `low` to `high`."""

    track: str
    unit: str
    beat: float
    play: float
    low: float
    high: float
    depth: int = 0


def arrange(root: Element, arrangement: Element, clock: Clock, unit: str) -> Arranged:
    """All notes and sounds of the arrangement, but for those of muted tracks. `unit`: of its outermost lanes."""
    walk = _Walk(root, clock)
    for lanes in arrangement.findall("Lanes"):
        walk.lanes(lanes, _Place("", unit, 0.0, 0.0, 0.0, math.inf))
    return walk.arranged


class _Walk:
    def __init__(self, root: Element, clock: Clock) -> None:
        self.arranged = Arranged()
        self._clock = clock
        self._names: dict[str, str] = {}
        self._muted: set[str] = set()
        self._by_id = {element.get("id", ""): element for element in root.iter() if element.get("id")}
        self._notes = self._passes = 0
        structure = root.find("Structure")
        if structure is not None:
            self._meet(structure, muted=False)

    def _meet(self, parent: Element, *, muted: bool) -> None:
        """The tracks in a structure or in a group; what is in a muted group is muted."""
        for track in parent.findall("Track"):
            identity = track.get("id", "")
            self._names[identity] = " ".join((track.get("name") or f"Track {len(self._names) + 1}").split())[:200]
            mute = track.find("Channel/Mute")
            silent = muted or (mute is not None and mute.get("value") in ("true", "1"))
            if silent:
                self._muted.add(identity)
            self._meet(track, muted=silent)

    def lanes(self, element: Element, place: _Place) -> None:
        """A list of lanes, or any timeline that lies on a track."""
        track = element.get("track")
        if track in self._muted:
            if len(element.findall(".//Clip")):
                self.arranged.remarks.append(f'"{self._names[track]}" is muted and was left out.')
            return
        if track is not None:
            place = replace(place, track=self._names.get(track, track))
        self._content(element, place)

    def _content(self, element: Element, place: _Place) -> None:
        if place.depth > MAX_NESTING:
            return
        unit = element.get("timeUnit") or place.unit
        if unit != place.unit:
            place = replace(place, unit=unit, beat=self._beat(place, 0.0), play=0.0)
        place = replace(place, depth=place.depth + 1)
        if element.tag == "Lanes":
            for child in element:
                if child.tag in CONTENT:
                    self.lanes(child, place)
        elif element.tag == "Clips":
            for clip in element.findall("Clip"):
                self._clip(clip, place)
        elif element.tag == "Notes":
            self._gather(element, place)
        elif element.tag == "Audio":
            self._sound(element, place, self._clock.beat2second(self._beat(place, 0.0)))
        elif element.tag == "Warps":
            self._warped(element, place)

    def _beat(self, place: _Place, time: float) -> float:
        """Where a time of the content lies in the project (beats)."""
        if place.unit == "seconds":
            return self._clock.second2beat(self._clock.beat2second(place.beat) + time - place.play)
        return place.beat + time - place.play

    def _clip(self, clip: Element, place: _Place) -> None:
        if clip.get("enable") in ("false", "0"):
            return
        content = next((child for child in clip if child.tag in CONTENT), None)
        if content is None:
            content = self._by_id.get(clip.get("reference", ""))
        if content is None or content.tag not in CONTENT:
            return
        start = self._beat(place, number(clip, "time"))
        end = place.high
        duration = number(clip, "duration", -1.0)
        if duration >= 0:
            end = min(end, self._beat(place, number(clip, "time") + duration))
        unit = clip.get("contentTimeUnit") or place.unit
        inside = replace(place, unit=unit, beat=start, play=number(clip, "playStart"), high=end)
        if duration < 0 and clip.get("playStop") is not None:
            end = min(end, self._beat(inside, number(clip, "playStop")))
        for passing in self._rounds(clip, replace(inside, high=end)):
            if passing.high > place.low:
                self._content(content, replace(passing, low=max(passing.low, place.low)))

    def _rounds(self, clip: Element, place: _Place) -> Iterator[_Place]:
        """The clip's content once, and again from its loop's start as often as the clip has room."""
        first, last = number(clip, "loopStart"), number(clip, "loopEnd")
        at, play = place.beat, place.play
        if last <= first or math.isinf(place.high) or play >= last:
            yield replace(place, low=max(place.low, at))
            return
        while at < place.high - 1e-9 and self._passes < MAX_PASSES:
            self._passes += 1
            here = replace(place, beat=at, play=play)
            after = self._beat(here, last)
            yield replace(here, low=max(place.low, at), high=min(place.high, after))
            if after <= at:
                return
            at, play = after, first

    def _gather(self, element: Element, place: _Place) -> None:
        for note in element.findall("Note"):
            start = self._beat(place, number(note, "time"))
            end = min(self._beat(place, number(note, "time") + number(note, "duration")), place.high)
            pitch, velocity = int(number(note, "key", -1)), number(note, "vel", 0.8)
            if not place.low - 1e-9 <= start < place.high - 1e-9 or not 0 <= pitch <= 127 or start < 0:
                continue
            self._notes += 1
            if self._notes > MAX_NOTES:
                self.arranged.remarks.append(f"of its notes the first {MAX_NOTES} are heard.")
                return
            heard = SmfNote(start, max(end - start, 1e-3), pitch, min(127, max(1, round(velocity * 127))))
            key = (place.track, int(number(note, "channel")))
            self.arranged.notes.setdefault(key, []).append(heard)

    def _warped(self, element: Element, place: _Place) -> None:
        """A sound under warp markers: taken where they leave its own time as it is."""
        audio = element.find("Audio")
        if audio is None:
            if any(child.tag in CONTENT for child in element):
                self.arranged.remarks.append(f'"{place.track}": a warped clip was left out.')
            return
        lines = []
        for warp in element.findall("Warp"):
            second = self._clock.beat2second(self._beat(place, number(warp, "time")))
            lines.append(second - number(warp, "contentTime"))
        if element.get("contentTimeUnit") != "seconds" or not lines or max(lines) - min(lines) > UNSTRETCHED:
            self.arranged.remarks.append(f'"{place.track}": a sound that is stretched was left out.')
            return
        self._sound(audio, place, lines[0])

    def _sound(self, audio: Element, place: _Place, zero: float) -> None:
        """`zero`: the project's second at which the sound's own second 0 lies."""
        file = audio.find("File")
        if file is None or not file.get("path"):
            return
        start = max(place.low, self._clock.second2beat(zero))
        from_second = max(0.0, self._clock.beat2second(start) - zero)
        seconds = number(audio, "duration", 3600.0) - from_second
        if not math.isinf(place.high):
            seconds = min(seconds, self._clock.beat2second(place.high) - self._clock.beat2second(start))
        if seconds <= 0 or start < 0:
            return
        path = file.get("path", "")
        inside = file.get("external") not in ("true", "1")
        while inside and path.startswith("./"):
            path = path[2:]
        self.arranged.sounds.append(FileSound(place.track, start, path, from_second, seconds, inside))
