"""`python -m engine.soundbook`: lists the catalogue of sounds, plays one, adds and fetches banks (`stembridge sounds`
asks).

The request is one JSON object in the first argument, the answer one JSON object on standard output, progress on
standard error; an error has the keys `error` (code), `message`, `field` and `hint`, and the exit code 2.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bridge.errors import RequestError
from engine.answering import answer
from engine.sampler.bank import MEASURE_RATE, Bank
from engine.sampler.catalogue import plain, table
from engine.sampler.choose import described2instrument, find_described
from engine.sampler.described import Described, shipped
from engine.sampler.join import add_file, add_sounds
from engine.sampler.ownbanks import OwnBank, forget, own_banks
from engine.sampler.packages import find_package, get_file, packages

Answer = dict[str, Any]
PEAK = 10 ** (-1 / 20)


def list_sounds(request: Answer) -> Answer:
    """Every instrument, the user's among them, of one `role` or of all; the user's banks, and what can be fetched."""
    role = request.get("role") or ""
    if role and role not in table().roles:
        raise RequestError("sounds.role", f"there is no role {role!r}.", field="role", hint=", ".join(table().roles))
    own = own_banks()
    rows = [_row(entry, role, "") for entry in shipped().values() if not role or role in entry.roles]
    rows += [_row(e, role, b.name) for b in own for e in b.entries if not role or role in e.roles]
    order = list(table().roles)
    rows.sort(key=lambda row: (order.index(row["role"]), row["brightness_hz"]))
    have = {b.name for b in own}
    more = [
        {"name": p.name, "title": p.title, "megabytes": p.megabytes, "licence": p.licence, "here": p.name in have}
        for p in packages().values()
    ]
    return {"sounds": rows, "banks": [_bank(b) for b in own], "packages": more}


def _row(entry: Described, role: str, bank: str) -> Answer:
    role = role or entry.role
    heard = entry.roles[role]
    return {
        "role": role,
        "name": entry.name,
        "roles": list(entry.roles),
        "family": entry.family,
        "kind": entry.kind,
        "brightness_hz": heard.brightness_hz,
        "lufs": heard.lufs,
        "attack_ms": heard.attack_ms,
        "skip_ms": entry.skip_ms,
        "late_ms": entry.late_ms,
        "off_cents": entry.off_cents,
        "waver_cents": entry.waver_cents,
        "width_db": heard.width_db,
        "velocity_db": entry.velocity_db,
        "low": entry.low,
        "high": entry.high,
        "licence": entry.licence,
        "credit": entry.credit,
        "twin": entry.twin,
        "bank": bank,
        "words": list(entry.words),
    }


def _bank(bank: OwnBank) -> Answer:
    return {
        "name": bank.name,
        "source": bank.source,
        "sounds": len(bank.entries),
        "missing": bank.missing,
        "remarks": list(bank.remarks),
    }


def play_sound(request: Answer) -> Answer:
    """Writes the test phrase of a sound in a role to `out`, at the role's level."""
    import soundfile

    out = Path(request["out"])
    if out.suffix.lower() != ".wav":
        raise RequestError("sounds.out", f"{out.name} is no .wav.", field="out")
    entry = find_described(plain(request["name"])) or find_described(request["name"])
    if entry is None:
        raise RequestError(
            "sounds.unknown", f"no sound is called {request['name']!r}.", field="name", hint="See `stembridge sounds`."
        )
    role = request.get("role") or entry.role
    if role not in table().roles or (role == "drums") != (entry.family == "drums"):
        raise RequestError("sounds.role", f"{entry.name} does not play {role}.", field="role")
    bank = Bank.open()
    instrument = described2instrument(bank, entry, role)
    audio, _, _ = bank.phrase(table().roles[role], instrument)
    audio = audio * np.float32(10 ** (instrument.gain_db / 20))
    audio *= np.float32(min(1.0, PEAK / max(float(np.abs(audio).max()), 1e-9)))
    soundfile.write(out, audio.T, MEASURE_RATE, subtype="PCM_24")
    return {"out": str(out), "seconds": audio.shape[1] / MEASURE_RATE, "name": entry.name, "role": role}


def add(request: Answer) -> Answer:
    """Measures `file`, a bank or a folder of banks, and keeps it in the catalogue."""
    joined = add_sounds(
        Path(request["file"]), role=request.get("role") or "", licence=request.get("licence") or "", say=_say
    )
    problems = [{"error": p.code, "message": p.message, "hint": p.hint} for p in joined.problems]
    return {"banks": [_bank(b) for b in joined.banks], "problems": problems}


def remove(request: Answer) -> Answer:
    """Takes the user's bank `name` out of the catalogue. `stays`: the file that it came from is still there, as it is
    unless it was fetched."""
    gone = forget(request["name"])
    return {"name": gone.name, "source": gone.source, "stays": Path(gone.source).is_file()}


def get(request: Answer) -> Answer:
    """Fetches the bank `name` by the user's package client, or takes it out of the package `archive`, and adds it."""
    wanted = find_package(request["name"])
    _say(f"fetching {wanted.package} {wanted.version} ({wanted.megabytes} MB) ...")
    path = get_file(wanted, Path(request["archive"]) if request.get("archive") else None)
    bank = add_file(path, licence=wanted.licence, say=_say, name=wanted.name)
    return {"banks": [_bank(bank)], "problems": []}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


VERBS: dict[str, Callable[[Answer], Answer]] = {
    "list": list_sounds,
    "play": play_sound,
    "add": add,
    "remove": remove,
    "get": get,
}


if __name__ == "__main__":
    sys.exit(answer(VERBS, "sounds.file"))
