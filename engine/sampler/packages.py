"""Heavier banks from packages: fetched by the user's own apt or npm, with whatever registry those are set up for.

Nothing is installed: the package is downloaded into a temporary folder, the one file is taken out, its SHA-256 must be
the known one, and it is kept in the user's data folder. A package that was fetched by hand can be given instead.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tarfile
import tempfile
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bridge.errors import RequestError
from engine.sampler.ownbanks import folder

TABLE = Path(__file__).parent / "packages.toml"
AR_MAGIC, AR_HEADER = b"!<arch>\n", 60
SECONDS = 1800


@dataclass(frozen=True)
class Package:
    """A bank that can be fetched. `file` lies inside the package; `sha256` is the file's."""

    name: str
    title: str
    client: str
    package: str
    version: str
    file: str
    sha256: str
    megabytes: int
    licence: str


@lru_cache(maxsize=1)
def packages() -> dict[str, Package]:
    """All of `packages.toml`, by name."""
    raw = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return {name: Package(name, **row) for name, row in raw.items()}


def find_package(name: str) -> Package:
    """Raises `RequestError` that lists what there is."""
    if name not in packages():
        raise RequestError(
            "sounds.package", f"no bank is called {name!r}.", field="name", hint=f"There are {', '.join(packages())}."
        )
    return packages()[name]


def get_file(wanted: Package, archive: Path | None = None) -> Path:
    """The bank's file in the user's data folder; fetched unless it is there, or taken from a package already fetched.

    Raises `RequestError` where the client is missing, fails, or brings something else.
    """
    target = folder() / f"{wanted.name}{Path(wanted.file).suffix.replace('.wasm', '.sf3')}"
    if target.is_file() and _sha256(target.read_bytes()) == wanted.sha256:
        return target
    with tempfile.TemporaryDirectory() as room:
        source = archive or _fetch(wanted, Path(room))
        try:
            data = take_out(source, wanted.file)
        except (OSError, tarfile.TarError, ValueError, EOFError) as problem:
            raise _broken(source, str(problem)) from problem
    if _sha256(data) != wanted.sha256:
        raise _broken(source, f"{Path(wanted.file).name} is another than the one that is known")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    part.write_bytes(data)
    part.replace(target)
    return target


def take_out(archive: Path, name: str) -> bytes:
    """One file of a .deb or .tgz. Raises ValueError where it is not there, OSError or TarError where it is damaged."""
    raw = archive.read_bytes()
    tar = _deb_data(raw) if raw.startswith(AR_MAGIC) else raw
    with tarfile.open(fileobj=io.BytesIO(tar)) as files:
        for member in files:
            if member.isfile() and member.name.removeprefix("./") == name:
                found = files.extractfile(member)
                assert found is not None
                return found.read()
    raise ValueError(f"it holds no {name}")


def _deb_data(raw: bytes) -> bytes:
    """The data archive of a Debian package: an `ar` file with 60-byte headers."""
    at = len(AR_MAGIC)
    while at + AR_HEADER <= len(raw):
        name, size = raw[at : at + 16].decode("ascii").strip(), int(raw[at + 48 : at + 58])
        if name.startswith("data.tar"):
            return raw[at + AR_HEADER : at + AR_HEADER + size]
        at += AR_HEADER + size + size % 2
    raise ValueError("it is no Debian package with data")


def _fetch(wanted: Package, room: Path) -> Path:
    """The package's file, by the user's client and its settings."""
    command = {
        "apt": ["apt-get", "download", f"{wanted.package}={wanted.version}"],
        "npm": ["npm", "pack", f"{wanted.package}@{wanted.version}"],
    }[wanted.client]
    by_hand = f"Or fetch it elsewhere and give it: `stembridge sounds get {wanted.name} --from FILE`."
    if shutil.which(command[0]) is None:
        raise RequestError("sounds.client", f"{command[0]} is not on this machine.", field="name", hint=by_hand)
    try:
        done = subprocess.run(command, cwd=room, capture_output=True, text=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise RequestError(
            "sounds.fetch", f"{command[0]} did not come to an end.", field="name", hint=by_hand
        ) from None
    found = sorted(p for p in room.iterdir() if p.suffix in (".deb", ".tgz"))
    if done.returncode or not found:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"]
        said = next((line for line in lines if "code" in line or line.startswith("E:")), lines[-1])
        raise RequestError(
            "sounds.fetch",
            f"{wanted.package} {wanted.version} could not be fetched by {command[0]} ({said.strip()}).",
            field="name",
            hint=f"Is there a network, and does {command[0]} know its registry? {by_hand}",
        )
    return found[0]


def _broken(source: Path, what: str) -> RequestError:
    return RequestError("sounds.package_broken", f"{source.name} cannot be used: {what}.", field="name")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
