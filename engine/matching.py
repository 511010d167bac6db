"""Stems in the sound of a reference: instruments chosen, played, then one bus stage for all stems of a reference.

Stems are grouped by their reference. A group's curves are found on its sum and applied to each of its stems, so what
the stems become adds up to what their sum becomes. In an edit a group whose reference is the earlier take's goes on
with that take's instruments and curves; so everything the edit leaves alone can stay as it is.
"""

from __future__ import annotations

import queue
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import numpy as np

from bridge.arrangement import Reference
from engine.bussing import Played, add_up, finish, play_tested, settled
from engine.casting import Cast, cast, clip2rate, in_room
from engine.checks.levels import audio2lufs
from engine.cutkit import CutKit, clip2kit, open_kit, play_kit
from engine.hands import WORKED_ON, Hands
from engine.match import (
    Curves,
    Distances,
    Goal,
    Grid,
    Profile,
    Tone,
    apply_curves,
    audio2levels,
    audio2profile,
    audio2tone,
    curves2bytes,
    design_curves,
    fit_tone,
    levels2profile,
    limit_curves,
    profiles2distances,
    reach,
)
from engine.matched import Clipped, Group, group2curves, reference2clipped
from engine.rendering import Clip
from engine.report import ShareReporter, Tick
from engine.sampler import Bank, Instrument, candidates
from engine.sampler.mix import true_peaks
from engine.score import Part
from engine.sounds import Sound
from engine.splice import finish_tape, splice_tapes
from engine.standins import STANDS_IN, repaired
from engine.stems import TAIL_SECONDS, StemMaker
from engine.stretches import Scene, reference2clip
from engine.tape import Tape, put_onto

CHOSEN, PLAYED, DESIGNED = 0.35, 0.6, 0.7
"""Shares of a group's time after which its instruments are chosen, its parts played, its curves found."""
NEARER_DB = 0.5
"""So much nearer, all distances added up, a mix must come; else the guide stands in."""
JUDGED_SECONDS = 30.0
"""So much of a matched song is measured to tell how near it has come."""


@dataclass(eq=False)
class Matcher:
    """Matches the stems of one take. `earlier`: the groups of the take that is edited. `groups`, `unmatched`: what
    became of it, once all sounds are there. `kits`: those that were cut from a reference, by part, with their banks."""

    stems: StemMaker
    scene: Scene
    earlier: tuple[Group, ...] = ()
    groups: list[Group] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)
    kits: dict[str, tuple[CutKit, Bank]] = field(default_factory=dict)
    folder: Path = field(default_factory=Path)
    _makers: queue.SimpleQueue[StemMaker] = field(default_factory=queue.SimpleQueue)

    def __post_init__(self) -> None:
        """A second bank beside the take's own makes use of a second core."""
        font = self.stems.request.soundfont
        bank = Bank.open(Path(font)) if font else Bank.open()
        self._makers.put(self.stems)
        self._makers.put(replace(self.stems, bank=bank, playing=threading.Lock()))

    def match(
        self, parts: Sequence[Part], share: ShareReporter, begin: float, width: float
    ) -> Iterator[tuple[Part, Sound]]:
        """The parts with their sounds, group by group. `begin` and `width`: their share of the take. Raises `JobError`
        for a reference that cannot be read, and `JobCancelled`."""
        pool = ThreadPoolExecutor(WORKED_ON, thread_name_prefix="match")
        with tempfile.TemporaryDirectory(prefix="stembridge-", ignore_cleanup_errors=True) as folder:
            self.folder = Path(folder)
            try:
                at = begin
                for reference, members in self._grouped(parts):
                    step = width * len(members) / len(parts)
                    yield from self._match_group(reference, members, Hands(pool, share, at, step))
                    at += step
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _grouped(self, parts: Sequence[Part]) -> list[tuple[Reference | None, list[Part]]]:
        """Parts by their reference, in the order of the first of each."""
        groups: dict[Reference | None, list[Part]] = {}
        for part in parts:
            groups.setdefault(self.scene.wanted_reference(part), []).append(part)
        return list(groups.items())

    def _match_group(
        self,
        reference: Reference | None,
        parts: list[Part],
        hands: Hands,
    ) -> Iterator[tuple[Part, Sound]]:
        clipped = None if reference is None else reference2clipped(reference)
        fresh = []
        for part in parts:
            old = self._going_on(part, clipped)
            if old is None:
                fresh.append(part)
                continue
            yield part, hands.run(self._again, part, old, hands)
        if not fresh:
            return
        assert reference is not None
        assert clipped is not None
        clip = reference2clip(reference)
        heard = clip2rate(clip, self.stems.frame.rate)
        profile = audio2profile(heard, self.stems.frame.rate)
        if profile is None:
            why = f"the reference {clipped.audio} is silent or too short, so it was not matched"
            yield from self._guides(fresh, hands, why)
            return
        tone = audio2tone(heard if len(heard) == 2 else np.repeat(heard, 2, axis=0), self.stems.frame.rate)
        yield from self._match_fresh(clip, _Wanted(profile, tone), clipped, fresh, hands)

    def _guides(self, parts: Sequence[Part], hands: Hands, why: str) -> Iterator[tuple[Part, Sound]]:
        """The parts by the sampler alone, and why."""
        self.unmatched.append(f"{', '.join(part.name for part in parts)}: {why}.")
        for part in parts:
            sound = hands.run(self.stems.make, part, hands.share, hands.at, 0.0)
            yield part, replace(sound, renderer="guide", remarks=(*sound.remarks, why))

    def _match_fresh(
        self, clip: Clip, wanted: _Wanted, clipped: Clipped, parts: list[Part], hands: Hands
    ) -> Iterator[tuple[Part, Sound]]:
        """New instruments and curves for the parts, then each part's sound as soon as it is there; two are worked on at
        a time."""
        who = hands.run(cast, self.stems, parts, clip, hands.tick("choose", 0.0, CHOSEN))
        if len(parts) == 1:
            who = hands.run(self._with_cut_kit, parts[0], clip, clipped.audio, who)
        played = list(self._play_all(parts, who.instruments, hands))
        hands.tick("match", PLAYED, DESIGNED)(0.0)
        curves, before, after = hands.run(self._design, parts, [one.raw for one in played], wanted)
        if after.total > before.total - NEARER_DB:
            why = f"the mix was as near to {clipped.audio} before the match ({before.total:.1f} dB) as after"
            why = f"{STANDS_IN}: {why} ({after.total:.1f} dB)"
            for part, sound in self._guides(parts, hands, why):
                yield part, repaired(sound, why)
            return
        players: dict[str, str] = {}
        stood_in = []
        for part, sound in self._finish_all(parts, played, curves, hands):
            if sound.instrument is not None and not sound.renderer:
                players[part.name] = sound.instrument.name
            if sound.verdict.checks.repaired:
                stood_in.append(part.name)
            yield part, sound
        group = Group(
            clipped,
            players,
            self._is_whole(parts),
            round(who.before, 3),
            round(who.after, 3),
            before,
            after,
            curves2bytes(curves),
            tuple(stood_in),
            who.room_db,
            *(kit for name, (kit, _) in self.kits.items() if players.get(name) == kit.instrument.name),
        )
        self.groups.append(group)

    def _with_cut_kit(self, part: Part, clip: Clip, name: str, who: Cast) -> Cast:
        """The choice, with what can be cut from the reference in place of the chosen instrument."""
        with self.stems.watch.timing("choose"):
            found = clip2kit(self.stems, part, clip, name, who.instruments[part.name], self.folder)
        if found is None:
            return who
        self.kits[part.name] = found.kit, open_kit(found.kit, self.folder)
        return replace(who, instruments={part.name: found.kit.instrument}, after=found.after)

    @contextmanager
    def _maker(self) -> Iterator[StemMaker]:
        """One of two who play, each by a bank of its own: no more are at work at a time."""
        maker = self._makers.get()
        try:
            yield maker
        finally:
            self._makers.put(maker)

    def _play(self, stems: StemMaker, part: Part, instrument: Instrument, start: int, stop: int, tick: Tick) -> Tape:
        """Samples [start, stop) of a part by one of the catalogue's instruments, or by the kit cut for it."""
        kit, bank = self.kits.get(part.name, (None, None))
        if kit is None or bank is None or kit.instrument.name != instrument.name:
            return stems.tape(part, instrument, start, stop, tick)
        return play_kit(stems, bank, kit, part, start, stop, tick)

    def _play_all(self, parts: Sequence[Part], players: Mapping[str, Instrument], hands: Hands) -> Iterator[Played]:
        """The parts by their instruments with what rings on, on tapes: a song's stems are too much for memory. Raises
        `JobError` where the disk is full."""
        length = self.stems.frame.samples + round(TAIL_SECONDS * self.stems.frame.rate)

        def play(part: Part, tick: Tick) -> Played:
            with self._maker() as stems:
                raw = self._play(stems, part, players[part.name], 0, length, tick)
                return play_tested(stems, part, players[part.name], raw)

        def work(k: int, part: Part) -> tuple[Callable[..., Played], Part, Tick]:
            low, high = (CHOSEN + (PLAYED - CHOSEN) * (k + i) / len(parts) for i in (0, 1))
            return play, part, hands.tick(f"guide: {part.name}", low, high)

        return hands.each(work(k, part) for k, part in enumerate(parts))

    def _finish_all(
        self, parts: Sequence[Part], played: Sequence[Played], curves: Curves, hands: Hands
    ) -> Iterator[tuple[Part, Sound]]:
        """Each part's sound, in order; two are worked on at a time."""

        def work(part: Part, one: Played) -> Sound:
            with self._maker() as stems:
                return finish(stems, part, one, curves)

        sounds = hands.each((work, part, one) for part, one in zip(parts, played, strict=True))
        for k, (part, sound) in enumerate(zip(parts, sounds, strict=True)):
            hands.tick(f"match: {part.name}", DESIGNED + (1 - DESIGNED) * k / len(parts), 1.0)(0.0)
            yield part, sound

    def _design(
        self, parts: Sequence[Part], raws: Sequence[Tape], wanted: _Wanted
    ) -> tuple[Curves, Distances, Distances]:
        """The curves for a group, and how far its sum is from the reference before and after."""
        rate, profile = self.stems.frame.rate, wanted.profile
        with self.stems.watch.timing("match"):
            bus = add_up(raws, self.stems.frame.samples)
            alone = self._is_whole(parts)
            levels = audio2levels(bus, Grid(rate))
            lufs = profile.lufs if alone else self._own_lufs(parts, bus)
            curves = design_curves(levels, Goal(profile, alone, lufs), rate)
            curves = fit_tone(bus, curves, wanted.tone, width=profile.width is not None)
            if alone:
                curves = limit_curves(bus, curves, profile.lufs, true_peaks, profile.peak_db)
            else:
                curves = limit_curves(bus, curves, lufs, true_peaks)
            own = levels2profile(levels, Grid(rate))
            middle = max(0, bus.shape[1] - round(JUDGED_SECONDS * rate)) // 2
            heard = apply_curves(bus, curves, middle, bus.shape[1] - middle)
            new = levels2profile(audio2levels(heard, Grid(rate)), Grid(rate))
            return curves, profiles2distances(own, profile), profiles2distances(new, profile)

    def _own_lufs(self, parts: Sequence[Part], bus: Tape) -> float | None:
        """How loud a group is beside others: as it was in the edited take, else as it is played."""
        old = [files for part in parts if (files := self.stems.edited(part)) is not None]
        if len(old) == len(parts):
            bus = add_up([self.stems.tape_before(files)[0] for files in old], self.stems.frame.samples)
        return audio2lufs(bus, self.stems.frame.rate)

    def _is_whole(self, parts: Sequence[Part]) -> bool:
        """Whether the parts are all that sounds in the take."""
        return {p.name for p in parts} == {p.name for p in self.stems.score.parts if p.notes or p.role == "vocals"}

    def _going_on(self, part: Part, clipped: Clipped | None) -> Group | None:
        """The earlier take's group that a part of an edit goes on in: the same reference, or none is given now."""
        if self.stems.edited(part) is None:
            return None
        same = (g for g in self.earlier if part.name in g.stems and clipped in (None, g.reference))
        return next(same, None)

    def _again(self, part: Part, group: Group, hands: Hands) -> Sound:
        """The scope's spans of a stem played and matched as the earlier take was; the rest stays."""
        stems, frame, curves = self.stems, self.stems.frame, group2curves(group)
        old = stems.edited(part)
        assert old is not None
        instrument = self._as_before(part, group)
        before, tail = stems.tape_before(old)
        new, spans = Tape.of(before), stems.scope_spans()
        around = reach(frame.rate)
        for start, end in spans:
            low = max(0, start - around)
            stop = end if end < frame.samples else end + round(TAIL_SECONDS * frame.rate)
            first = max(0, start - round(0.01 * frame.rate))
            tick = hands.tick(f"guide: {part.name}", 0.0, 0.5)
            raw = self._play(stems, part, instrument, low, stop + around, tick)
            with stems.watch.timing("match", part.name):
                audio = settled(stems, part, instrument, (raw, low), curves, first, stop)
            if end == frame.samples:
                mode = "file" if stems.request.tail == "file" else "cut"
                audio, tail = finish_tape(audio, end - first, mode, frame.rate)
            put_onto(new, first, audio)
        audio = splice_tapes(before, new, spans, frame.rate)
        self._go_on(group, part, instrument)
        return Sound(audio, tail, instrument, stems.check(audio, part))

    def _as_before(self, part: Part, group: Group) -> Instrument:
        """The earlier take's instrument, unless the words now name another, or it has gone; in the earlier room."""
        usual, kit = self.stems.instrument(part), group.kit
        if kit is not None and kit.instrument.name == group.stems[part.name] and not part.instrument.strip():
            self.kits[part.name] = kit, open_kit(kit, self.folder)
            return kit.instrument
        known = () if part.instrument.strip() else candidates(self.stems.bank, part.role)
        same = (self.stems.seat(part, i) for i in known if i.name == group.stems[part.name])
        return in_room(next(same, usual), group.room_db)

    def _go_on(self, group: Group, part: Part, instrument: Instrument) -> None:
        """Notes that the part is still in its group."""
        for k, row in enumerate(self.groups):
            if row.curves == group.curves:
                self.groups[k] = msgspec.structs.replace(row, stems={**row.stems, part.name: instrument.name})
                return
        self.groups.append(msgspec.structs.replace(group, stems={part.name: instrument.name}))


@dataclass(frozen=True)
class _Wanted:
    """The reference as the bus stage sees it."""

    profile: Profile
    tone: Tone
