"""Command that writes the catalogue: `python -m engine.sampler.cataloguing` measures every instrument of the table.

Each is played on the test phrase of each of its roles and note by note: loudness, spectrum, width, attack, latency,
tuning, range, answer to velocity. An instrument that measures like an earlier one in its own role is a twin: it stays
playable by name, but a reference does not choose between the two. Everything is at 44.1 kHz; some three minutes.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.sampler import kit as kits
from engine.sampler.bank import MEASURE_RATE, SOUNDS, Bank
from engine.sampler.catalogue import TABLE, Entry, table
from engine.sampler.described import CATALOGUE, CatalogueFile, Described, InRole
from engine.sampler.instrument import Instrument
from engine.sampler.measure import loudness
from engine.sampler.note_measures import Tuning, latency_ms, peak_db, sound2rise, tuning
from engine.sampler.sources import credit, licence
from engine.sampler.twins import TwinSearch
from engine.sampler.vector import listen

Audio = NDArray[np.float32]

HERE = Path(__file__).parent
FAMILIES = (
    "piano", "mallets", "organ", "guitar", "bass", "solo strings", "ensemble", "brass", "reed", "pipe", "synth lead",
    "synth pad", "synth effects", "world", "percussive", "effects",
)  # fmt: skip
VELOCITIES = (45, 90, 120)
SOFT, LOUD = 40, 110
HOLD_SECONDS = 0.5
PITCHES = range(21, 109)
BASS_PITCHES, TUNED_PITCHES = range(28, 56, 3), range(48, 85, 3)
"""On which the tuning is measured, by notes of `TUNED_SECONDS`."""
TUNED_SECONDS = 1.2
SILENT_DB = -50.0
"""A pitch below this, against the loudest, is out of an instrument's range."""
LATE_MS, ALLOWED_MS, MOST_MS = 1.2, 0.6, 10.0
"""From this latency on something is left out, down to so much, and no more than so much."""
MOST_CENTS = 60.0
"""What is further off is out of tune on purpose, or no pitch."""


def entry2described(bank: Bank, entry: Entry, roles: Iterable[str], **facts: str) -> Described | None:
    """Measures an instrument; None where it is silent: nothing sounds of the phrase of its role, or it is a kit that
    lacks kick, snare or hat. `facts`: licence and credit."""
    instrument = entry2instrument(entry)
    row = table().roles[entry.roles[0]]
    pitches = row.phrase or (36, 38, 42)
    skip, late, cents, tuned = 0.0, 0.0, entry.cents, Tuning(0.0, 0.0)
    notes = _notes(bank, instrument, pitches)
    heard = {pitch for pitch, note in notes if note.any()}
    if not heard or (entry.drums and heard != set(pitches)):
        return None
    low, high = _range(bank, instrument)
    if instrument.kind in ("soundfont", "synth"):
        if instrument.kind == "soundfont":
            spoken = float(np.median([latency_ms(note, MEASURE_RATE) for _, note in notes if note.any()]))
            skip = round(min(spoken - ALLOWED_MS, MOST_MS), 2) if spoken > LATE_MS else 0.0
        else:
            # A patch has no noise ahead of its tone: what it rises late by is left out to the sample.
            skip = round(min(_rise_ms(bank, instrument, pitches), MOST_MS), 3)
        late = _rise_ms(bank, replace(instrument, skip_ms=skip), pitches)
        tuned = tuning(_held(bank, instrument, low, high, bass=entry.roles[0] == "bass"), MEASURE_RATE)
        if instrument.kind == "soundfont" and abs(tuned.cents) < MOST_CENTS:
            cents = entry.cents - round(tuned.cents)
        instrument = replace(instrument, skip_ms=skip, cents=cents)
    else:
        late = _rise_ms(bank, instrument, pitches)
    measured = {name: _in_role(bank, name, instrument) for name in roles}
    return Described(
        entry.name, instrument.kind, family(entry), entry.font if instrument.kind in ("soundfont", "fontkit") else "",
        entry.bank, entry.program, entry.kit, entry.synth, entry.words, facts["licence"], facts["credit"], low, high,
        _velocity(bank, instrument, pitches), cents, skip, measured,
        off_cents=round(tuned.cents + cents - entry.cents, 1), waver_cents=round(tuned.waver, 1),
        late_ms=round(late, 3),
    )  # fmt: skip


def entry2instrument(entry: Entry) -> Instrument:
    """The instrument of a row of the table, at unity gain, in the middle, dry."""
    kind = "kit" if entry.kit else "synth" if entry.synth else "fontkit" if entry.drums else "soundfont"
    return Instrument(
        entry.name, kind, entry.bank, entry.program, "", 0.0, 0.0, None, 0.0,
        kit=entry.kit, cents=entry.cents, font=entry.font, synth=entry.synth,
    )  # fmt: skip


def family(entry: Entry) -> str:
    """What kind of instrument it is."""
    if entry.drums:
        return "drums"
    if entry.synth:
        return f"synth {entry.roles[0]}"
    return FAMILIES[entry.program // 8]


def inputs() -> dict[str, str]:
    """SHA-256 of all that the catalogue depends on, by path under this folder: table, kits, fonts, patches."""
    paths = [TABLE, *kits.KITS.glob("*.toml"), *SOUNDS.glob("*.sf3"), *(HERE / "synth").glob("*")]
    files = sorted(p for p in [*paths, *kits.ONESHOTS.glob("*.flac")] if p.is_file())
    return {str(p.relative_to(HERE)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def write_catalogue(say: Callable[[str], object]) -> CatalogueFile:
    """Measures everything and writes the file."""
    bank = Bank.open()
    search, entries = TwinSearch(), []
    for entry in table().entries.values():
        found = entry2described(bank, entry, entry.roles, licence=licence(entry), credit=credit(entry))
        if found is None:
            raise ValueError(f"{entry.name} is silent")
        entries.append(search.without_twin_roles(bank, found))
        say(entry.name)
    result = CatalogueFile(inputs(), tuple(entries))
    CATALOGUE.write_bytes(_lines(result))
    return result


def _lines(result: CatalogueFile) -> bytes:
    """JSON with one instrument a line."""
    head = msgspec.json.format(msgspec.json.encode({"inputs": result.inputs}), indent=0).decode()
    rows = ",\n".join(msgspec.json.encode(entry).decode() for entry in result.entries)
    return f'{head.rstrip().removesuffix("}").rstrip()},\n"entries": [\n{rows}\n]\n}}\n'.encode()


def _in_role(bank: Bank, role: str, instrument: Instrument) -> InRole:
    audio, attack, peak = bank.phrase(table().roles[role], instrument)
    heard = listen(audio, MEASURE_RATE)
    lufs = loudness(audio, MEASURE_RATE)
    rest = (heard.brightness_hz, heard.fall, heard.width_db, heard.bands)
    return InRole(round(max(lufs, -99.0), 3), round(peak, 5), round(attack, 2), *rest)


def _notes(bank: Bank, instrument: Instrument, pitches: Iterable[int]) -> list[tuple[int, Audio]]:
    play = _play(bank, instrument, pitches)
    return [(pitch, play(pitch, velocity)) for pitch in pitches for velocity in VELOCITIES]


def _rise_ms(bank: Bank, instrument: Instrument, pitches: Iterable[int]) -> float:
    """Milliseconds after a note's sample at which its energy rises most, median over pitches and velocities."""
    sounding = [note for _, note in _notes(bank, instrument, pitches) if note.any()]
    return float(np.median([sound2rise(note, MEASURE_RATE)[0] for note in sounding])) / MEASURE_RATE * 1000


def _held(bank: Bank, instrument: Instrument, low: int, high: int, *, bass: bool) -> list[tuple[int, Audio]]:
    wanted = BASS_PITCHES if bass else TUNED_PITCHES
    pitches = [p for p in wanted if low <= p <= high]
    play = bank.notes_of(instrument, MEASURE_RATE, [(pitch, 90) for pitch in pitches])
    return [(pitch, play(pitch, 90, int(TUNED_SECONDS * MEASURE_RATE))) for pitch in pitches]


def _velocity(bank: Bank, instrument: Instrument, pitches: Iterable[int]) -> float:
    """dB between the velocities 110 and 40, median over pitches."""
    play = _play(bank, instrument, pitches)
    return round(float(np.median([peak_db(play(p, LOUD)) - peak_db(play(p, SOFT)) for p in pitches])), 1)


def _range(bank: Bank, instrument: Instrument) -> tuple[int, int]:
    """The lowest and the highest pitch that sound, without a gap between."""
    if instrument.kind in ("kit", "fontkit"):
        return kits.GM_DRUMS[0], kits.GM_DRUMS[-1]
    play = bank.notes_of(instrument, MEASURE_RATE, [(pitch, 90) for pitch in PITCHES])
    levels = np.array([peak_db(play(pitch, 90, int(0.15 * MEASURE_RATE))) for pitch in PITCHES])
    heard = levels > levels.max() + SILENT_DB
    low = high = int(levels.argmax())
    while low > 0 and heard[low - 1]:
        low -= 1
    while high + 1 < len(heard) and heard[high + 1]:
        high += 1
    return PITCHES[low], PITCHES[high]


def _play(bank: Bank, instrument: Instrument, pitches: Iterable[int]) -> Callable[[int, int], Audio]:
    """Plays a held note, or a hit, of any of the pitches at any of the velocities that are measured."""
    wanted = [(pitch, velocity) for pitch in pitches for velocity in (*VELOCITIES, SOFT, LOUD)]
    if instrument.kind == "kit":
        pieces = kits.kit(instrument.kit).pieces
        return lambda pitch, velocity: kits.hit(pieces[pitch], velocity, 0, MEASURE_RATE)
    if instrument.kind == "fontkit":
        return bank.drums(instrument, MEASURE_RATE, wanted).hit
    play = bank.notes_of(instrument, MEASURE_RATE, wanted)
    return lambda pitch, velocity: play(pitch, velocity, int(HOLD_SECONDS * MEASURE_RATE))


def main() -> None:
    """Writes the catalogue and says what it left out."""
    result = write_catalogue(lambda name: print(name, file=sys.stderr))
    for entry in result.entries:
        if entry.twin:
            print(f"{entry.name} is a twin of {entry.twin}")
    print(f"{len(result.entries)} instruments -> {CATALOGUE}")


if __name__ == "__main__":
    main()
