"""The band's sounds: the shipped preset bank and kits, and the user's own SoundFont for the melodic roles.

Opening a bank reads tables only. A preset's samples are decoded when a part is played, and only those that its notes
need; a few players are kept. Nothing here is shared between threads.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.sampler import kit as kits
from engine.sampler.catalogue import Entry, Role, longest_match, style2entry, table, words2entry
from engine.sampler.measure import DRUM_BPM, DRUM_PHRASE, VELOCITY, Measured, attack_ms, loudness
from engine.sampler.player import Player
from engine.sampler.soundfont import Preset, SoundFont, damaged, open_soundfont, sample_lengths
from engine.sampler.zones import Zone, bake, check_addresses, preset_zones

Audio = NDArray[np.float32]

SHIPPED = Path(__file__).parent / "sounds" / "band.sf3"
SHIPPED_LICENCE = "MIT (MuseScore_General)"
USER_LICENCE = "the user's own"
MEASURE_RATE = 44100
HIT_HEADROOM_DB = 3.0
SILENT_LUFS = -70.0
MAX_GAIN_DB = 24.0
MELODIC_FAMILY = 8
DRUM_BANK = 128


PlayerKey = tuple[Preset, int, int, frozenset[tuple[int, int]]]
"""Preset, rate, cents, (pitch, velocity) pairs."""


@dataclass(frozen=True)
class Instrument:
    """What plays a part. `kind`: "soundfont" or "kit" (then `kit` names it). `gain_db` and `pan` (-1..1) place the
    stem, `room_db` is its reverb send (None: dry). `attack_ms`: measured time to half of the attack's peak. `remark`
    says what was chosen in place of something else, or is empty."""

    name: str
    kind: str
    bank: int
    preset: int
    licence: str
    gain_db: float
    pan: float
    room_db: float | None
    attack_ms: float
    kit: str = ""
    source: str = ""
    remark: str = ""
    cents: int = 0


@dataclass
class Bank:
    """Open with `Bank.open`. `user` tells whether `font` is the user's own."""

    font: SoundFont
    user: bool
    _zones: dict[Preset, list[tuple[Zone, list[Zone]]]] = field(default_factory=dict)
    _players: OrderedDict[PlayerKey, Player] = field(default_factory=OrderedDict)
    _measured: dict[tuple[str, str, Preset], Measured] = field(default_factory=dict)

    @classmethod
    def open(cls, soundfont: Path | None = None) -> Bank:
        """The shipped sounds, or the user's SF2/SF3 for the melodic roles. Raises `RequestError` that names a damaged
        file."""
        return cls(open_soundfont(soundfont or SHIPPED), soundfont is not None)

    def player(self, preset: Preset, rate: int, notes: Iterable[tuple[int, int]], cents: int = 0) -> Player:
        """A player of a preset for these (pitch, velocity) pairs. Raises `RequestError` where the font's samples are
        damaged."""
        key = (preset, rate, cents, frozenset(notes))
        if key in self._players:
            self._players.move_to_end(key)
            return self._players[key]
        if preset not in self._zones:
            zones = preset_zones(self.font, preset)
            if self.user:
                check_addresses(self.font, zones, sample_lengths(self.font, preset))
            self._zones[preset] = zones
        try:
            player = Player(bake(self.font, self._zones[preset], key[3], cents), rate)
        except RuntimeError as error:
            raise damaged(self.font.path, f"cannot be played ({error})") from error
        self._players[key] = player
        while len(self._players) > KEPT_PLAYERS:
            self._players.popitem(last=False)
        return player

    def measured(self, role: Role, preset: Preset, kit: str) -> Measured:
        """Loudness and attack of a preset or kit on the role's test phrase, at unity gain."""
        key = (role.name, kit, preset)
        if key not in self._measured:
            self._measured[key] = _measure_kit(kit) if kit else self._measure(role, preset)
        return self._measured[key]

    def _measure(self, role: Role, preset: Preset) -> Measured:
        rate, hold = MEASURE_RATE, int(role.seconds * MEASURE_RATE)
        player = self.player(preset, rate, [(pitch, VELOCITY) for pitch in role.phrase])
        notes = [player.note(pitch, VELOCITY, hold) for pitch in role.phrase]
        step = 0 if role.together else hold
        length = max(step * (len(notes) - 1) + max(n.shape[1] for n in notes), rate)
        audio = np.zeros((2, length), np.float32)
        for k, note in enumerate(notes):
            audio[:, k * step : k * step + note.shape[1]] += note
        return Measured(loudness(audio, rate), float(np.median([attack_ms(n, rate) for n in notes])))


KEPT_PLAYERS = 2


def choose_instrument(bank: Bank, role: str, words: str, style: str) -> Instrument:
    """The instrument for a role: the user's words win, then the style, then the role's default.

    Its gain is measured, so that the role's test phrase has the role's loudness. Where words name nothing, or the
    user's font lacks the preset, `remark` says what plays instead.
    """
    row = table().roles[role]
    named = words2entry(role, words) if words.strip() else None
    entry = named or style2entry(role, style)
    remark = f'no instrument is called "{words}"; {entry.name} plays.' if words.strip() and named is None else ""
    if entry.kit:
        return _kit_instrument(bank, row, entry, remark)
    preset: Preset = (entry.bank, entry.program)
    name, licence, source, cents = entry.name, SHIPPED_LICENCE, "stembridge band", entry.cents
    if bank.user:
        preset, own_remark = _user_preset(bank, entry, words)
        remark = "" if own_remark is None else own_remark or remark
        name, licence, source, cents = bank.font.presets[preset], USER_LICENCE, bank.font.path.name, 0
    heard = bank.measured(row, preset, "")
    return Instrument(
        name,
        "soundfont",
        *preset,
        licence,
        _gain(row, heard),
        row.pan,
        row.room_db,
        heard.attack_ms,
        source=source,
        remark=remark,
        cents=cents,
    )


def _kit_instrument(bank: Bank, row: Role, entry: Entry, remark: str) -> Instrument:
    heard = bank.measured(row, (DRUM_BANK, 0), entry.kit)
    return Instrument(
        entry.name,
        "kit",
        DRUM_BANK,
        0,
        kits.kit(entry.kit).licence,
        _gain(row, heard),
        row.pan,
        row.room_db,
        heard.attack_ms,
        kit=entry.kit,
        source="stembridge kits",
        remark=remark,
    )


def _user_preset(bank: Bank, entry: Entry, words: str) -> tuple[Preset, str | None]:
    """The preset of the user's font: by name where the words name one (remark None), by GM number, else the nearest of
    the GM family."""
    presets = bank.font.presets
    melodic = sorted(p for p in presets if p[0] != DRUM_BANK) or sorted(presets)
    by_name = longest_match(words, ((presets[p], p) for p in melodic if presets[p].strip()))
    if isinstance(by_name, tuple):
        return by_name, None
    for preset in ((entry.bank, entry.program), (0, entry.program)):
        if preset in presets:
            return preset, ""
    family = entry.program // MELODIC_FAMILY
    near = min(melodic, key=lambda p: (p[1] // MELODIC_FAMILY != family, p[0], abs(p[1] - entry.program)))
    return near, f"{bank.font.path.name} has no {entry.name} (program {entry.program}); {presets[near]} plays."


def _gain(row: Role, heard: Measured) -> float:
    """Gain in dB that brings the test phrase to the role's loudness; a silent instrument keeps 0 dB.

    A kit stays so quiet that its hardest hit keeps `HIT_HEADROOM_DB` below full scale: a long 808 kick is all peak.
    """
    if heard.lufs < SILENT_LUFS:
        return 0.0
    gain = min(row.lufs - heard.lufs, MAX_GAIN_DB)
    if heard.peak > 0.0:
        gain = min(gain, -HIT_HEADROOM_DB - 20.0 * float(np.log10(heard.peak)))
    return round(gain, 2)


def _measure_kit(name: str) -> Measured:
    rate = MEASURE_RATE
    drums = kits.kit(name)
    beat = 60.0 / DRUM_BPM * rate
    audio = np.zeros((2, int(8 * beat)), np.float32)
    attacks = []
    for bar in (0, 1):
        for at, pitch, velocity in DRUM_PHRASE:
            sound = kits.hit(drums.pieces[pitch], velocity, 0, rate)
            first = int((at + 4 * bar) * beat)
            stop = min(first + sound.shape[1], audio.shape[1])
            audio[:, first:stop] += sound[:, : stop - first]
            attacks.append(attack_ms(sound, rate))
    hardest = max(float(np.abs(kits.hit(piece, 127, 0, rate)).max()) for piece in drums.pieces.values())
    return Measured(loudness(audio, rate), float(np.median(attacks)), hardest)
