"""Stems in the sound of a reference: instruments chosen, played, then one bus stage for all stems of a reference.

Stems are grouped by their reference. A group's curves are found on its sum and applied to each of its stems, so what
the stems become adds up to what their sum becomes. In an edit a group whose reference is the earlier take's goes on
with that take's instruments and curves; so everything the edit leaves alone can stay as it is.
"""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

import msgspec
import numpy as np

from bridge.arrangement import Reference
from engine.casting import Cast, cast, clip2rate, in_room
from engine.checks.levels import audio2lufs
from engine.cutkit import CutKit, clip2kit, open_kit, play_kit
from engine.hands import Hands, Spooled
from engine.match import (
    Curves,
    Distances,
    Goal,
    Grid,
    Placed,
    Profile,
    Tone,
    apply_curves,
    audio2levels,
    audio2profile,
    audio2tone,
    curves2bytes,
    design_curves,
    fit_tone,
    flat_curves,
    hold_silence,
    levels2profile,
    limit_curves,
    loud_rests,
    profiles2distances,
    reach,
)
from engine.matched import Clipped, Group, group2curves, reference2clipped
from engine.rendering import Clip
from engine.report import ShareReporter, Tick, wait_for
from engine.rests import part2rests, usual_in_rests
from engine.sampler import Bank, Instrument, candidates
from engine.sampler.mix import limit, true_peaks
from engine.score import Part
from engine.sounds import Sound
from engine.splice import Audio, finish_tail, splice
from engine.standins import STANDS_IN, repaired, replaced
from engine.stems import TAIL_SECONDS, StemMaker
from engine.stretches import Scene, reference2clip

CHOSEN, PLAYED, DESIGNED = 0.35, 0.6, 0.7
"""Shares of a group's time after which its instruments are chosen, its parts played, its curves found."""
WORKED_ON = 2
NEARER_DB = 0.5
"""So much nearer, all distances added up, a mix must come; else the guide stands in."""
SURELY_BELOW = 0.6
"""No sound whose samples stay below this has a true peak near full scale."""
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
        """New instruments and curves for the parts, then each part's sound; two are worked on at a time."""
        who = hands.run(cast, self.stems, parts, clip, hands.tick("choose", 0.0, CHOSEN))
        if len(parts) == 1:
            who = hands.run(self._with_cut_kit, parts[0], clip, clipped.audio, who)
        players, swapped = dict(who.instruments), dict[str, str]()
        with tempfile.TemporaryFile() as spool, tempfile.TemporaryFile() as shelf:
            raws = self._play_all(parts, players, spool, hands)
            while True:
                hands.tick("match", PLAYED, DESIGNED)(0.0)
                curves, before, after = hands.run(self._design, parts, raws, wanted)
                if after.total > before.total - NEARER_DB:
                    why = f"the mix was as near to {clipped.audio} before the match ({before.total:.1f} dB) as after"
                    why = f"{STANDS_IN}: {why} ({after.total:.1f} dB)"
                    for part, sound in self._guides(parts, hands, why):
                        yield part, repaired(sound, why)
                    return
                sounds = self._finish_all(parts, players, raws, curves, shelf, hands)
                others = {} if swapped else replaced(parts, players, sounds)
                if not others:
                    break
                # The curves were found for who did not pass; once more for who plays in the end.
                for part, raw in zip(parts, raws, strict=True):
                    if part.name in others:
                        players[part.name], swapped[part.name] = others[part.name]
                        raw.write(hands.run(self._play, part, players[part.name], 0, raw.length, lambda _: None))
            played: dict[str, str] = {}
            stood_in = []
            for k, (part, sound) in enumerate(zip(parts, sounds, strict=True)):
                if part.name in swapped and not sound.verdict.checks.repaired:
                    sound = repaired(sound, swapped[part.name])
                if sound.instrument is not None and not sound.renderer:
                    played[part.name] = sound.instrument.name
                if sound.verdict.checks.repaired:
                    stood_in.append(part.name)
                yield part, replace(sound, audio=Spooled(shelf, k, self.stems.frame.samples).read())
        group = Group(
            clipped,
            played,
            self._is_whole(parts),
            round(who.before, 3),
            round(who.after, 3),
            before,
            after,
            curves2bytes(curves),
            tuple(stood_in),
            who.room_db,
            *(kit for name, (kit, _) in self.kits.items() if name in played and kit.instrument.name == played[name]),
        )
        self.groups.append(group)

    def _with_cut_kit(self, part: Part, clip: Clip, name: str, who: Cast) -> Cast:
        """The choice, with a kit cut from the reference in place of the chosen one where that comes nearer."""
        with self.stems.watch.timing("choose"):
            found = clip2kit(self.stems, part, clip, name, who.instruments[part.name], self.folder)
        if found is None:
            return who
        self.kits[part.name] = found.kit, open_kit(found.kit, self.folder)
        return replace(who, instruments={part.name: found.kit.instrument}, after=found.distance)

    def _play(self, part: Part, instrument: Instrument, start: int, stop: int, tick: Tick) -> Audio:
        """Samples [start, stop) of a part by one of the catalogue's instruments, or by the kit cut for it."""
        kit, bank = self.kits.get(part.name, (None, None))
        if kit is None or bank is None or kit.instrument.name != instrument.name:
            return self.stems.play(part, instrument, start, stop, tick)
        return play_kit(self.stems, bank, kit, part, start, stop, tick)

    def _play_all(
        self, parts: Sequence[Part], players: Mapping[str, Instrument], spool: IO[bytes], hands: Hands
    ) -> list[Spooled]:
        """The parts by their instruments with what rings on, on disk: a song's stems are too much for memory. Raises
        `JobError` where the disk is full."""
        frame = self.stems.frame
        raws = [Spooled(spool, k, frame.samples + round(TAIL_SECONDS * frame.rate)) for k in range(len(parts))]
        for k, (part, raw) in enumerate(zip(parts, raws, strict=True)):
            low, high = (CHOSEN + (PLAYED - CHOSEN) * (k + i) / len(parts) for i in (0, 1))
            tick = hands.tick(f"guide: {part.name}", low, high)
            raw.write(hands.run(self._play, part, players[part.name], 0, raw.length, tick))
        return raws

    def _finish_all(
        self,
        parts: Sequence[Part],
        players: Mapping[str, Instrument],
        raws: Sequence[Spooled],
        curves: Curves,
        shelf: IO[bytes],
        hands: Hands,
    ) -> list[Sound]:
        """Each part's sound, its audio on the shelf; two are worked on at a time."""
        sounds: list[Sound] = []
        running: deque[Future[Sound]] = deque()

        def put_away() -> None:
            sound = wait_for(running.popleft(), hands.share.poll)
            Spooled(shelf, len(sounds), sound.audio.shape[1]).write(sound.audio)
            sounds.append(replace(sound, audio=np.zeros((2, 0), np.float32)))

        for k, (part, raw) in enumerate(zip(parts, raws, strict=True)):
            hands.tick(f"match: {part.name}", DESIGNED + (1 - DESIGNED) * k / len(parts), 1.0)(0.0)
            running.append(hands.pool.submit(self._finish, part, players[part.name], raw, curves))
            if len(running) > WORKED_ON:
                put_away()
        while running:
            put_away()
        return sounds

    def _design(
        self, parts: Sequence[Part], raws: Sequence[Spooled], wanted: _Wanted
    ) -> tuple[Curves, Distances, Distances]:
        """The curves for a group, and how far its sum is from the reference before and after."""
        rate, profile = self.stems.frame.rate, wanted.profile
        with self.stems.watch.timing("match"):
            bus = np.zeros((2, self.stems.frame.samples), np.float32)
            for raw in raws:
                bus += raw.view()[:, : bus.shape[1]]
            alone = self._is_whole(parts)
            levels = audio2levels(bus, Grid(rate))
            lufs = profile.lufs if alone else self._own_lufs(parts, bus)
            curves = design_curves(levels, Goal(profile, alone, lufs), rate)
            curves = fit_tone(bus, curves, wanted.tone, width=profile.width is not None)
            if alone:
                curves = limit_curves(bus, curves, profile.late_lufs, true_peaks, profile.peak_db)
            else:
                curves = limit_curves(bus, curves, lufs, true_peaks)
            own = levels2profile(levels, Grid(rate))
            middle = max(0, bus.shape[1] - round(JUDGED_SECONDS * rate)) // 2
            heard = apply_curves(bus, curves, middle, bus.shape[1] - middle)
            new = levels2profile(audio2levels(heard, Grid(rate)), Grid(rate))
            return curves, profiles2distances(own, profile), profiles2distances(new, profile)

    def _own_lufs(self, parts: Sequence[Part], bus: Audio) -> float | None:
        """How loud a group is beside others: as it was in the edited take, else as it is played."""
        old = [files for part in parts if (files := self.stems.edited(part)) is not None]
        if len(old) == len(parts):
            bus = np.sum([self.stems.before(files)[0] for files in old], axis=0, dtype=np.float32)
        return audio2lufs(bus, self.stems.frame.rate)

    def _is_whole(self, parts: Sequence[Part]) -> bool:
        """Whether the parts are all that sounds in the take."""
        return {p.name for p in parts} == {p.name for p in self.stems.score.parts if p.notes or p.role == "vocals"}

    def _finish(self, part: Part, instrument: Instrument, played: Spooled, curves: Curves) -> Sound:
        """A part's sound from what was played. Where a check fails that the usual instrument passes, that one plays in
        its place, and where it fails because of the bus stage, the guide stands in as it is, as loud."""
        raw = played.view()
        sound = self._checked(part, instrument, raw, curves)
        if sound.verdict.good:
            return sound
        why = sound.verdict.problems[0].message
        usual = self.stems.instrument(part)
        plain = self.stems.play(part, usual, 0, raw.shape[1], lambda _: None)
        if usual != instrument:
            again = self._checked(part, usual, plain, curves)
            if len(again.verdict.problems) < len(sound.verdict.problems):
                return repaired(again, f"played by {usual.name} instead of {instrument.name}: {why}")
        samples, rate = self.stems.frame.samples, self.stems.frame.rate
        lufs = [audio2lufs(audio[:, :samples], rate) for audio in (apply_curves(raw, curves), plain)]
        gain = lufs[0] - lufs[1] if lufs[0] is not None and lufs[1] is not None else 0.0
        # As loud as the match would be; or as the sampler plays it, where the limiter is what does the harm.
        for flat in (flat_curves(curves, gain), replace(flat_curves(curves, 0.0), level=np.zeros(1, np.int16))):
            guide = self._checked(part, usual, plain, flat)
            if len(guide.verdict.problems) < len(sound.verdict.problems):
                return replace(repaired(guide, f"{STANDS_IN}: {why}"), renderer="guide")
        return sound

    def _checked(self, part: Part, instrument: Instrument, raw: Audio, curves: Curves) -> Sound:
        frame, stems = self.stems.frame, self.stems
        with stems.watch.timing("match", part.name):
            audio = self._settled(part, instrument, (raw, 0), (apply_curves(raw, curves), 0))
        old = stems.edited(part)
        if old is None:
            audio, tail = finish_tail(audio, frame.samples, stems.request.tail, frame.rate)
        else:
            before, tail = stems.before(old)
            spans = stems.scope_spans()
            mode = "file" if stems.request.tail == "file" else "cut"
            new, ringing = finish_tail(audio, frame.samples, mode, frame.rate)
            tail = ringing if spans[-1][1] == frame.samples else tail
            audio = splice(before, new, spans, frame.rate)
        return Sound(audio, tail, instrument, stems.check(audio, part))

    def _settled(self, part: Part, instrument: Instrument, raw: Placed, matched: Placed) -> Audio:
        """The matched sound, silent where what was played is and where the usual instrument would be, and below full
        scale: stems may reach above it where others take away from their sum."""
        stems, frame = self.stems, self.stems.frame
        audio, begin = matched
        guides, usual = [raw], stems.instrument(part)
        if usual.name != instrument.name:
            rests = part2rests(part, stems.clock, frame.rate, frame.start_sample, begin + audio.shape[1])
            guides += usual_in_rests(stems, part, usual, loud_rests(audio, frame.rate, begin, rests))
        audio = hold_silence(audio, frame.rate, begin, guides)
        return audio if float(np.abs(audio).max(initial=0.0)) < SURELY_BELOW else limit(audio, frame.rate)[0]

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
        before, tail = stems.before(old)
        new, spans = before.copy(), stems.scope_spans()
        around = reach(frame.rate)
        for start, end in spans:
            low = max(0, start - around)
            stop = end if end < frame.samples else end + round(TAIL_SECONDS * frame.rate)
            first = max(0, start - round(0.01 * frame.rate))
            raw = self._play(part, instrument, low, stop + around, hands.tick(f"guide: {part.name}", 0.0, 0.5))
            with stems.watch.timing("match", part.name):
                audio = apply_curves(raw, curves, first, stop, low)
                audio = self._settled(part, instrument, (raw, low), (audio, first))
            mode = "file" if stems.request.tail == "file" else "cut"
            if end == frame.samples:
                new[:, first:end], tail = finish_tail(audio, end - first, mode, frame.rate)
            else:
                new[:, first:end] = audio
        audio = splice(before, new, spans, frame.rate)
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
