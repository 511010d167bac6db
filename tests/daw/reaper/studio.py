"""A musician's desk for one test: a fake REAPER with a project open, the engine beside it, a look at what landed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mido
import pytest
import rpp

from bridge.messages import StemReady
from tests.daw.reaper.engine import BandEngine
from tests.daw.reaper.rig import SCRIPTS, Reaper

RATE = 22_050
ENDS = pytest.mark.parametrize(
    "studio",
    [pytest.param(("lua5.3", "6.19"), id="5.3-v6.19"), pytest.param(("lua5.4", "7.72"), id="5.4-v7.72")],
    indirect=True,
)
"""For a module: only the oldest and the newest REAPER, which have both interpreters and both kinds of region."""
SMALL = {"stems": {"drums": True, "bass": True}}
"""Settings of a project: two stems make a band, so that tests are quick."""


Notes = tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True)
class Take:
    """One take on a track, as the project's file holds it; positions and lengths in seconds."""

    track: str
    parent: str
    name: str
    kind: str
    file: str
    position: float
    length: float
    offset: float
    rate: float
    fades: tuple[float, float]
    loop: bool
    timebase: int
    lane: int
    plays: bool
    colour: int
    notes: Notes
    """(tick, length, pitch, velocity) at 960 ticks to the quarter note, of a MIDI take."""
    ticks: int
    """Where a MIDI take's source ends."""


def read_notes(source: Any) -> tuple[Notes, int]:
    """The notes of an .RPP file's MIDI source, and the tick of its last event."""
    now, sounding, found = 0, {}, []
    for line in source.children:
        if not isinstance(line, list) or line[0] not in ("E", "e"):
            continue
        now += int(line[1])
        status, pitch, velocity = (int(x, 16) for x in line[2:5])
        if status & 0xF0 == 0x90 and velocity:
            sounding[status & 15, pitch] = (now, velocity)
        elif status & 0xF0 in (0x80, 0x90):
            start, struck = sounding.pop((status & 15, pitch))
            found.append((start, now - start, pitch, struck))
    assert not sounding
    return tuple(sorted(found)), now


def read_takes(dump: str) -> list[Take]:
    """All takes of an .RPP file, read by the package `rpp`."""
    found: list[Take] = []
    parents: list[str] = []
    for track in rpp.loads(dump).findall("TRACK"):
        name, depth = track.find("NAME")[1], int(track.find("DEPTH")[1])
        del parents[depth:]
        parent = parents[-1] if parents else ""
        parents.append(name)
        playing = {int(line[1]): line[2] != "0" for line in track.findall("LANEPLAYS")}
        free = track.find("FREEMODE")[1] == "2"
        for item in track.findall("ITEM"):
            parts: list[dict[str, Any]] = [{}]
            chosen = 0
            for line in item.children:
                if line == "TAKE" or (isinstance(line, list) and line[0] == "TAKE"):
                    parts.append({})
                    chosen = len(parts) - 1 if line != "TAKE" else chosen
                elif isinstance(line, list):
                    parts[-1][line[0]] = line
                elif line.tag == "SOURCE":
                    parts[-1]["SOURCE"] = line
            common, lane = parts[0], int(item.find("FIXEDLANE")[1])
            for number, part in enumerate(parts):
                source = part.get("SOURCE")
                if source is None:
                    continue
                file = source.find("FILE")
                notes, ticks = read_notes(source) if source.attrib[0] == "MIDI" else ((), 0)
                found.append(
                    Take(
                        track=name,
                        parent=parent,
                        name=part["NAME"][1],
                        kind=source.attrib[0],
                        file=file[1] if file else "",
                        position=float(common["POSITION"][1]),
                        length=float(common["LENGTH"][1]),
                        offset=float(part["SOFFS"][1]),
                        rate=float(part["PLAYRATE"][1]),
                        fades=(float(common["FADEIN"][2]), float(common["FADEOUT"][2])),
                        loop=common["LOOP"][1] != "0",
                        timebase=int(common["BEAT"][1]),
                        lane=lane,
                        plays=number == chosen and (not free or playing.get(lane, False)),
                        colour=int(track.find("PEAKCOL")[1]),
                        notes=notes,
                        ticks=ticks,
                    )
                )
    return found


def file_notes(path: str) -> Notes:
    """The notes of a MIDI file at 960 ticks to the quarter note: (tick, length, pitch, velocity)."""
    song = mido.MidiFile(path, charset="utf-8")
    found: list[tuple[int, int, int, int]] = []
    for track in song.tracks:
        now, sounding = 0, {}
        for message in track:
            now += message.time
            if message.type == "note_on" and message.velocity:
                sounding[message.channel, message.note] = (now, message.velocity)
            elif message.type in ("note_on", "note_off"):
                start, velocity = sounding.pop((message.channel, message.note))
                ticks = [round(tick * 960 / song.ticks_per_beat) for tick in (start, now)]
                found.append((ticks[0], ticks[1] - ticks[0], message.note, velocity))
    return tuple(sorted(found))


def is_beside(take: Take, audio: Take, notes: Notes) -> bool:
    """Whether a take holds the notes of an audio take; what rings on past its end is cut there."""
    inside = tuple((a, min(a + length, take.ticks) - a, p, v) for a, length, p, v in notes if a < take.ticks)
    place = (take.kind, take.track, take.parent) == ("MIDI", f"{audio.track} MIDI", audio.parent)
    return place and abs(take.position - audio.position) < 1e-3 and bool(notes) and take.notes == inside


def check_landed(takes: list[Take], stem: StemReady) -> Take:
    """The take that a stem became: on the sample, untouched, in the band's folder, its notes beside it."""
    (audio,) = [take for take in takes if take.file == stem.wav]
    assert (audio.track, audio.kind) == (stem.stem, "WAVE")
    assert audio.position == stem.start_sample / stem.sample_rate
    assert audio.length == stem.samples / stem.sample_rate
    assert (audio.offset, audio.rate, audio.fades, audio.loop) == (0, 1, (0, 0), False)
    assert audio.timebase == 0, "a later tempo change would move the stem"
    assert audio.parent.startswith("stembridge")
    assert audio.colour & 0x1000000
    notes = file_notes(stem.midi)
    midi = [take for take in takes if is_beside(take, audio, notes)]
    assert bool(midi) == bool(notes), f"{stem.stem}: its notes are not beside it"
    assert all(take.fades == (0, 0) and not take.loop for take in midi)
    return audio


class Studio:
    """One test's REAPER, engine and project `keep.p` in `folder`/song/song.rpp."""

    def __init__(
        self, folder: Path, interpreter: str, version: str, *, imgui: bool = False, data: Path | None = None
    ) -> None:
        self.folder, self.interpreter, self.version, self.imgui = folder, interpreter, version, imgui
        self.data, self.song = data or folder / "data", folder / "song"
        self.data.mkdir(exist_ok=True)
        self.song.mkdir()
        self.boots = 0
        self.reaper = self.start()

    def start(self) -> Reaper:
        """Starts REAPER (again)."""
        self.boots += 1
        env = {"STEMBRIDGE_DATA": str(self.data)}
        self.reaper = Reaper(
            self.interpreter, self.version, self.folder / "home", env, imgui=self.imgui, boots=self.boots
        )
        return self.reaper

    def __enter__(self) -> Studio:
        return self

    def __exit__(self, *_: object) -> None:
        self.reaper.close()

    def engine(self, **options: Any) -> BandEngine:
        return BandEngine(self.data, (self.folder,), **options)

    def open(self, name: str = "song", keep: str = "p", settings: Any = None) -> None:
        """Opens a project with a 4/4 clock at 120 and a rate that is quick to write."""
        file = self.folder / name / f"{name}.rpp"
        file.parent.mkdir(exist_ok=True)
        self.reaper.do(
            "keep[name] = user.open(file) keep[name].state.sample_rate = rate "
            "keep[name].state.ext.STEMBRIDGE = {SETTINGS = settings}",
            name=keep,
            file=file,
            rate=float(RATE),
            settings=json.dumps(SMALL if settings is None else settings),
        )

    def regions(self, *regions: tuple[str, float, float], keep: str = "p") -> None:
        self.reaper.do(
            "for _, one in ipairs(list) do user.region(keep[name], one[1], one[2], one[3]) end", list=regions, name=keep
        )

    def run(self, verb: str) -> None:
        """The user's action, and the tick after it."""
        self.reaper.run(f"stembridge_{verb}.lua")
        self.reaper.tick()

    def status(self) -> dict[str, Any]:
        """What the service tells the window."""
        text = self.reaper.do("return fake.ext.get('stembridge', 'status')")
        found: dict[str, Any] = json.loads(text) if text else {"jobs": [], "messages": []}
        return found

    def said(self) -> str:
        return "\n".join(message["text"] for message in self.status()["messages"])

    def idle(self) -> bool:
        """No job is under way (the status is published every few ticks)."""
        return not self.status()["jobs"]

    def finish(self) -> None:
        """Ticks until every job is over and told."""
        self.reaper.tick(12)
        self.reaper.until(self.idle, "the end of the job")
        self.reaper.tick(12)

    def takes(self, keep: str = "p") -> list[Take]:
        return read_takes(self.reaper.dump(f"keep.{keep}"))

    def own_part(self, keep: str = "p") -> str:
        """The user's part of the project, as text to compare."""
        return str(self.reaper.do("return user.own_part(keep[name])", name=keep))

    def steps(self, keep: str = "p") -> list[str]:
        """The undo history's descriptions that are stembridge's, oldest first."""
        text = "local t = {} for i = 2, keep[name].at do t[#t + 1] = keep[name].history[i].description end return t"
        found = self.reaper.do(text, name=keep)
        return [step for step in found or [] if step.startswith("stembridge")]

    def state(self, keep: str = "p") -> str:
        """All that the undo history covers, as text to compare."""
        text = "local state = model.copy(keep[name].state) state.ext = nil return model.text(state)"
        return str(self.reaper.do(text, name=keep))

    def check(self) -> None:
        """What REAPER would have refused, leaks, bad manners, and changes that no undo step takes back."""
        self.reaper.check()
        unblocked = self.reaper.do("local t = {} for i, p in ipairs(model.projects) do t[i] = p.unblocked end return t")
        assert not any(unblocked), f"changed outside of an undo block: {unblocked}"

    def startup(self) -> None:
        """REAPER's start: what the installer's line in Scripts/__startup.lua runs."""
        path = self.folder / "home" / "Scripts" / "__startup.lua"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'dofile("{SCRIPTS / "stembridge_startup.lua"}")\n')
        self.reaper.do("fake.run(path) fake.notes = {}", path=path)
        self.reaper.check_crashes()


def waves(studio: Studio, keep: str = "p") -> list[str]:
    """Files of the stems on the tracks."""
    return sorted(take.file for take in studio.takes(keep) if take.kind == "WAVE")


def check_all(studio: Studio, engine: BandEngine, keep: str = "p") -> None:
    """Each stem that the engine announced lies on its track once."""
    takes = studio.takes(keep)
    for stem in engine.stems:
        check_landed(takes, stem)
    assert waves(studio, keep) == sorted(stem.wav for stem in engine.stems)


def first_stem(studio: Studio, keep: str = "p") -> None:
    studio.reaper.until(lambda: waves(studio, keep), what="the first stem")
