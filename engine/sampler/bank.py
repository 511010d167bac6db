"""The band's sounds: the shipped fonts, kits and patches, and the user's own fonts.

Opening a bank reads the tables of one font only; the others are opened when one of their presets plays. A preset's
samples are decoded when a part is played, and only those that its notes need; a few players are kept. Nothing here is
shared between threads.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.sampler import kit as kits
from engine.sampler.catalogue import BAND, Role
from engine.sampler.drumfont import DrumFont, velocity2step
from engine.sampler.instrument import Instrument
from engine.sampler.measure import DRUM_BPM, DRUM_PHRASE, VELOCITY, Measured, attack_ms, loudness
from engine.sampler.ownbanks import OWN, Stamp, own_path, own_stamp
from engine.sampler.player import Player, ahead, without_beginning
from engine.sampler.soundfont import Preset, SoundFont, damaged, open_soundfont, sample_lengths
from engine.sampler.synth import SynthPlayer, patch
from engine.sampler.zones import Zone, bake, check_addresses, preset_zones

Audio = NDArray[np.float32]
Note = Callable[[int, int, int], Audio]
"""(pitch, velocity, hold in samples) -> float32 [2, n]."""

SOUNDS = Path(__file__).parent / "sounds"
SHIPPED = SOUNDS / f"{BAND}.sf3"
MEASURE_RATE = 44100
KEPT_PLAYERS = 2
KEPT_FONTS = 4

PlayerKey = tuple[str, Preset, int, int, frozenset[tuple[int, int]]]
"""Font, preset, rate, cents, (pitch, velocity) pairs."""


@dataclass
class Bank:
    """Open with `Bank.open`. `user` tells whether `font` is the user's own."""

    font: SoundFont
    user: bool
    _fonts: OrderedDict[str, SoundFont] = field(default_factory=OrderedDict)
    _zones: dict[tuple[str, Preset], list[tuple[Zone, list[Zone]]]] = field(default_factory=dict)
    _players: OrderedDict[PlayerKey, Player] = field(default_factory=OrderedDict)
    _measured: dict[tuple[str, str, Preset], Measured] = field(default_factory=dict)
    _stamps: dict[str, Stamp] = field(default_factory=dict)

    @classmethod
    def open(cls, soundfont: Path | None = None) -> Bank:
        """The shipped sounds, or the user's SF2/SF3 for the melodic roles. Raises `RequestError` that names a damaged
        file."""
        return cls(open_soundfont(soundfont or SHIPPED), soundfont is not None)

    def named_font(self, name: str) -> SoundFont:
        """The font of that name: "" is the bank's own, others are shipped or the user's. Raises `RequestError` where
        the user's is gone or damaged. One of the user's that was added again is opened again."""
        if not name:
            return self.font
        if name in self._stamps and self._stamps[name] != own_stamp(name):
            self._forget(name)
        if name not in self._fonts:
            stamp = own_stamp(name)
            path = own_path(name) or SOUNDS / f"{name}.sf3"
            self._fonts[name] = open_soundfont(path)
            if stamp is not None:
                self._stamps[name] = stamp
            while len(self._fonts) > KEPT_FONTS:
                gone, _ = self._fonts.popitem(last=False)
                self._zones = {key: zones for key, zones in self._zones.items() if key[0] != gone}
        self._fonts.move_to_end(name)
        return self._fonts[name]

    def _forget(self, name: str) -> None:
        """Drops all that was read, made and measured of a font."""
        self._fonts.pop(name, None)
        self._stamps.pop(name, None)
        self._zones = {key: zones for key, zones in self._zones.items() if key[0] != name}
        self._players = OrderedDict((key, player) for key, player in self._players.items() if key[0] != name)
        self._measured.clear()

    def lend(self, name: str, font: SoundFont) -> None:
        """Makes an open font known under a name, before it is one of the user's."""
        self._fonts[name] = font

    def player(
        self, preset: Preset, rate: int, notes: Iterable[tuple[int, int]], cents: int = 0, font: str = ""
    ) -> Player:
        """A player of a font's preset for these (pitch, velocity) pairs. Raises `RequestError` where the font's samples
        are damaged."""
        source = self.named_font(font)
        key = (font, preset, rate, cents, frozenset(notes))
        if key in self._players:
            self._players.move_to_end(key)
            return self._players[key]
        if (font, preset) not in self._zones:
            zones = preset_zones(source, preset)
            if font.startswith(OWN) or (self.user and not font):
                check_addresses(source, zones, sample_lengths(source, preset))
            self._zones[font, preset] = zones
        try:
            player = Player(bake(source, self._zones[font, preset], key[4], cents), rate)
        except RuntimeError as error:
            raise damaged(source.path, f"cannot be played ({error})") from error
        self._players[key] = player
        while len(self._players) > KEPT_PLAYERS:
            self._players.popitem(last=False)
        return player

    def notes_of(self, instrument: Instrument, rate: int, notes: Iterable[tuple[int, int]]) -> Note:
        """Plays single notes of a melodic instrument, for these (pitch, velocity) pairs."""
        skip = round(instrument.skip_ms / 1000 * rate)
        if instrument.kind == "synth":
            return partial(_synth_note, SynthPlayer(patch(instrument.synth), rate), skip)
        player = self.player((instrument.bank, instrument.preset), rate, notes, instrument.cents, instrument.font)
        return lambda pitch, velocity, hold: player.note(pitch, velocity, hold, skip)

    def drums(self, instrument: Instrument, rate: int, notes: Iterable[tuple[int, int]]) -> DrumFont:
        """Plays the hits of a font's drum preset, for these (pitch, velocity) pairs."""
        steps = [(pitch, velocity2step(velocity)) for pitch, velocity in notes]
        preset = (instrument.bank, instrument.preset)
        return DrumFont(self.player(preset, rate, steps, instrument.cents, instrument.font), rate)

    def measured(self, role: Role, instrument: Instrument) -> Measured:
        """Loudness and attack of an instrument on the role's test phrase, at unity gain."""
        key = (role.name, instrument.name, (instrument.bank, instrument.preset))
        if key not in self._measured:
            audio, attack, peak = self.phrase(role, instrument)
            self._measured[key] = Measured(loudness(audio, MEASURE_RATE), attack, peak)
        return self._measured[key]

    def phrase(self, role: Role, instrument: Instrument) -> tuple[Audio, float, float]:
        """The role's test phrase at 44.1 kHz, float32 [2, n], dry and at unity gain; the median attack in ms; for drums
        the greatest magnitude of a hardest hit, else 0."""
        if instrument.kind == "kit":
            return _kit_phrase(lambda pitch, velocity: _piece(instrument.kit, pitch, velocity), range(35, 82))
        if instrument.kind == "fontkit":
            wanted = {(pitch, 127) for pitch in range(35, 82)} | {(p, v) for _, p, v in DRUM_PHRASE}
            drums = self.drums(instrument, MEASURE_RATE, wanted)
            return _kit_phrase(drums.hit, range(35, 82))
        hold = int(role.seconds * MEASURE_RATE)
        play = self.notes_of(instrument, MEASURE_RATE, [(pitch, VELOCITY) for pitch in role.phrase])
        notes = [play(pitch, VELOCITY, hold) for pitch in role.phrase]
        step = 0 if role.together else hold
        length = max(step * (len(notes) - 1) + max(n.shape[1] for n in notes), MEASURE_RATE)
        audio = np.zeros((2, length), np.float32)
        for k, note in enumerate(notes):
            audio[:, k * step : k * step + note.shape[1]] += note
        return audio, float(np.median([attack_ms(n, MEASURE_RATE) for n in notes])), 0.0


def _synth_note(synth: SynthPlayer, skip: int, pitch: int, velocity: int, hold: int) -> Audio:
    sound = synth.note(pitch, velocity, hold + skip)
    return without_beginning(sound, skip + ahead(sound[:, skip:], synth.rate))


def _piece(kit: str, pitch: int, velocity: int) -> Audio:
    return kits.hit(kits.kit(kit).pieces[pitch], velocity, 0, MEASURE_RATE)


def _kit_phrase(hit: Callable[[int, int], Audio], pitches: Iterable[int]) -> tuple[Audio, float, float]:
    beat = 60.0 / DRUM_BPM * MEASURE_RATE
    audio = np.zeros((2, int(8 * beat)), np.float32)
    attacks = []
    for bar in (0, 1):
        for at, pitch, velocity in DRUM_PHRASE:
            sound = hit(pitch, velocity)
            first = int((at + 4 * bar) * beat)
            stop = min(first + sound.shape[1], audio.shape[1])
            audio[:, first:stop] += sound[:, : stop - first]
            attacks.append(attack_ms(sound, MEASURE_RATE))
    hardest = max(float(np.abs(hit(pitch, 127)).max(initial=0.0)) for pitch in pitches)
    return audio, float(np.median(attacks)), hardest
