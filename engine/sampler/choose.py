"""Who plays a part: the user's words first, then the style, then the role; and all who could, for a reference.

Levels and attacks come from the catalogue where an instrument is described in the role, and are measured where not.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bridge.errors import RequestError
from engine.sampler.bank import Bank
from engine.sampler.catalogue import (
    BAND,
    DRUM_BANK,
    Entry,
    Role,
    longest_match,
    style2entry,
    table,
    words2entry,
)
from engine.sampler.described import Described, InRole, shipped
from engine.sampler.instrument import Instrument
from engine.sampler.measure import Measured
from engine.sampler.ownbanks import OWN, OwnBank, own_banks
from engine.sampler.soundfont import Preset

SHIPPED_LICENCE = "MIT (MuseScore_General)"
USER_LICENCE = "the user's own"
HIT_HEADROOM_DB = 3.0
SILENT_LUFS = -70.0
MAX_GAIN_DB = 24.0
MELODIC_FAMILY = 8


def choose_instrument(bank: Bank, role: str, words: str, style: str) -> Instrument:
    """The instrument for a role: the user's words win, then the style, then the role's default.

    Its gain is measured, so that the role's test phrase has the role's loudness. Where words name nothing, or the
    user's font lacks the preset, `remark` says what plays instead.
    """
    row = table().roles[role]
    own = _own_named(role, words)
    if own is not None and not (bank.user and role != "drums"):
        return described2instrument(bank, own, role)
    named = words2entry(role, words) if words.strip() else None
    entry = named or style2entry(role, style)
    remark = f'no instrument is called "{words}"; {entry.name} plays.' if words.strip() and named is None else ""
    if entry.drums or not bank.user:
        return replace(described2instrument(bank, shipped()[entry.name], role), remark=remark)
    preset, own_remark = _user_preset(bank, entry, words)
    remark = "" if own_remark is None else own_remark or remark
    name, source = bank.font.presets[preset], bank.font.path.name
    plain = Instrument(name, "soundfont", *preset, USER_LICENCE, 0.0, row.pan, row.room_db, 0.0, source=source)
    return _levelled(row, replace(plain, remark=remark), bank.measured(row, plain))


def candidates(bank: Bank, role: str) -> tuple[Instrument, ...]:
    """Every instrument of the catalogue that may play a role, the user's among them, no twins; nothing is rendered.

    Where the request brings its own font, that font plays all melodic roles: there is nothing to choose then.
    """
    if bank.user and role != "drums":
        return ()
    own = [entry for b in own_banks() if not b.missing for entry in b.entries]
    fit = [entry for entry in (*shipped().values(), *own) if role in entry.roles and not entry.twin]
    return tuple(described2instrument(bank, entry, role) for entry in fit)


def describe(instrument: Instrument) -> NDArray[np.float32] | None:
    """float32 [52] (`engine.sampler.vector`): the stored vector of an instrument of the catalogue, as in its own role;
    None for one that is not in it."""
    entry = find_described(instrument.name)
    return None if entry is None else entry.vector(entry.role).astype(np.float32)


def find_described(name: str) -> Described | None:
    """The catalogue's entry of that exact name, the user's included."""
    if name in shipped():
        return shipped()[name]
    return next((entry for b in own_banks() for entry in b.entries if entry.name == name), None)


def described2instrument(bank: Bank, entry: Described, role: str) -> Instrument:
    """The instrument in a role's seat and at its level."""
    row = table().roles[role]
    plain = Instrument(
        entry.name,
        entry.kind,
        entry.bank,
        entry.program,
        entry.licence,
        0.0,
        row.pan,
        row.room_db,
        0.0,
        kit=entry.kit,
        source=source_of(entry),
        cents=entry.cents,
        # The bank's own font is the shipped band, unless the user's stands in for it.
        font="" if entry.font == BAND and not bank.user else entry.font,
        synth=entry.synth,
        skip_ms=entry.skip_ms,
    )
    known = entry.roles.get(role)
    return _levelled(row, plain, _as_measured(known) if known else bank.measured(row, plain))


def source_of(entry: Described) -> str:
    """Where an instrument comes from, for the manifest."""
    if entry.kind == "kit":
        return "stembridge kits"
    if entry.kind == "synth":
        return "stembridge synthesiser"
    return "stembridge band" if entry.font == BAND else entry.font.removeprefix(OWN)


def _as_measured(row: InRole) -> Measured:
    return Measured(row.lufs, row.attack_ms, row.peak)


def _levelled(row: Role, instrument: Instrument, heard: Measured) -> Instrument:
    return replace(instrument, gain_db=_gain(row, heard), attack_ms=heard.attack_ms)


def _own_named(role: str, words: str) -> Described | None:
    """The instrument of the user's banks that the words name by its name or its bank's."""
    if not words.strip():
        return None
    phrases: list[tuple[str, object]] = []
    for own in own_banks():
        if own.missing and longest_match(words, [(own.name, 0), *((e.name, 0) for e in own.entries)]) is not None:
            raise _gone(own)
        for entry in own.entries:
            if (entry.kind == "fontkit") == (role == "drums"):
                phrases += [(entry.name, entry), *((w, entry) for w in entry.words)]
    found = longest_match(words, phrases)
    return found if isinstance(found, Described) else None


def _gone(own: OwnBank) -> RequestError:
    return RequestError(
        "sounds.gone",
        f"the sounds of {own.name!r} are no longer where they were ({own.font}).",
        field="instrument",
        hint="Add them again with `stembridge sounds add FILE`, or name another instrument.",
    )


def _user_preset(bank: Bank, entry: Entry, words: str) -> tuple[Preset, str | None]:
    """The preset of the user's font: by name where the words name one (remark None), by GM number, else the nearest of
    the GM family."""
    presets = bank.font.presets
    melodic = sorted(p for p in presets if p[0] != DRUM_BANK) or sorted(presets)
    by_name = longest_match(words, ((presets[p], p) for p in melodic if presets[p].strip()))
    if isinstance(by_name, tuple):
        return by_name, None
    program = entry.program if entry.program >= 0 else table().entries[table().roles[entry.roles[0]].default].program
    for preset in ((entry.bank, program), (0, program)):
        if preset in presets:
            return preset, ""
    family = program // MELODIC_FAMILY
    near = min(melodic, key=lambda p: (p[1] // MELODIC_FAMILY != family, p[0], abs(p[1] - program)))
    return near, f"{bank.font.path.name} has no {entry.name} (program {program}); {presets[near]} plays."


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
