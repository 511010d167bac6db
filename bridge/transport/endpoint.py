"""Where the engine of this user can be reached: the endpoint file, and the lock that keeps it to one engine.

`endpoint.json` (mode 0600, in the runtime folder, mode 0700) is written when every socket listens and removed at
the end. What decides whether an engine lives is the lock on `engine.lock`, which the system gives back when its
holder dies: a file without a living holder is stale, and the next engine replaces it.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bridge.errors import StembridgeError

ENDPOINT = "endpoint.json"
HOST = "127.0.0.1"
LOCK = "engine.lock"
MAX_ENDPOINT_BYTES = 64 << 10


class Ports(msgspec.Struct, frozen=True):
    """TCP and UDP ports. `zmq` takes requests, `zmq_pub` serves observers; 0: not served there."""

    zmq: int
    zmq_pub: int
    osc_udp: int
    osc_tcp: int


class ClientKeys(msgspec.Struct, frozen=True):
    """CURVE keys of a client on another machine, Z85: the engine's public one, and the client's own pair."""

    server: str
    public: str
    secret: str


class Endpoint(msgspec.Struct, frozen=True):
    """What a client needs to talk to the engine. `token` goes into every message; `log` is the engine's log file.

    `curve` is there for a client on another machine (`bridge.transport.lan`): without it nothing leaves loopback.
    """

    pid: int
    version: str
    protocol: int
    token: str
    ports: Ports
    mailbox: str
    log: str
    address: str = HOST
    curve: ClientKeys | None = None


def runtime_folder() -> Path:
    """Folder of the endpoint file: `STEMBRIDGE_RUNTIME`, or the user's runtime folder."""
    named = os.environ.get("STEMBRIDGE_RUNTIME")
    if named:
        return Path(named).absolute()
    import warnings

    import platformdirs

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Path(platformdirs.user_runtime_dir("stembridge", appauthor=False))


def make_private(folder: Path) -> Path:
    """Makes `folder` with mode 0700. Raises `StembridgeError` where it belongs to another user or cannot be made."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name == "posix":
            if folder.stat().st_uid != os.getuid():
                raise StembridgeError("folder.foreign", "this folder belongs to another user.", field=str(folder))
            folder.chmod(0o700)
    except OSError as error:
        raise StembridgeError(
            "folder.unusable", f"cannot make the folder: {error.strerror}.", field=str(folder)
        ) from error
    return folder


def write_private(path: Path, data: bytes) -> None:
    """Writes a file of mode 0600 that appears whole or not at all. Raises OSError."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with contextlib.suppress(FileNotFoundError):
        part.unlink()
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def new_token() -> str:
    """A fresh secret of 256 bits, safe in URLs and OSC strings."""
    return secrets.token_urlsafe(32)


def same_token(given: str | bytes, token: str) -> bool:
    """Compares in constant time; any text or bytes may be given."""
    raw = given.encode("utf-8", "surrogatepass") if isinstance(given, str) else given
    return hmac.compare_digest(raw, token.encode())


def write_endpoint(endpoint: Endpoint, folder: Path | None = None) -> Path:
    """Writes the endpoint file, replacing a stale one. The caller holds the lock. Raises `StembridgeError`."""
    home = make_private(folder or runtime_folder())
    path = home / ENDPOINT
    try:
        write_private(path, msgspec.json.encode(endpoint))
    except OSError as error:
        raise StembridgeError(
            "endpoint.unwritable", f"cannot write the endpoint file: {error.strerror}.", field=str(path)
        ) from error
    return path


def read_endpoint(folder: Path | None = None) -> Endpoint | None:
    """The endpoint file's content, or None where there is none or it is damaged. It may be stale: see `is_alive`."""
    return read_endpoint_file((folder or runtime_folder()) / ENDPOINT)


def read_endpoint_file(path: Path) -> Endpoint | None:
    """The endpoint in `path`, or None where there is none or it is damaged. Raises `StembridgeError` where the file
    belongs to another user."""
    try:
        with path.open("rb") as file:
            if os.name == "posix" and os.fstat(file.fileno()).st_uid != os.getuid():
                raise StembridgeError(
                    "endpoint.foreign", "this endpoint file belongs to another user.", field=str(path)
                )
            return msgspec.json.decode(file.read(MAX_ENDPOINT_BYTES), type=Endpoint)
    except (FileNotFoundError, NotADirectoryError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def remove_endpoint(pid: int, folder: Path | None = None) -> None:
    """Removes the endpoint file if it is the one of process `pid`."""
    home = folder or runtime_folder()
    endpoint = read_endpoint(home)
    if endpoint is not None and endpoint.pid == pid:
        (home / ENDPOINT).unlink(missing_ok=True)


def is_alive(pid: int) -> bool:
    """Whether a process of that id exists."""
    if sys.platform == "win32":
        import ctypes

        still_active, query = 259, 0x1000
        kernel = ctypes.windll.kernel32
        handle = kernel.OpenProcess(query, False, pid)
        if not handle:
            return False
        code = ctypes.c_ulong()
        kernel.GetExitCodeProcess(handle, ctypes.byref(code))
        kernel.CloseHandle(handle)
        return code.value == still_active
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextlib.contextmanager
def engine_lock(folder: Path | None = None) -> Iterator[None]:
    """Held for the life of an engine. Raises `StembridgeError` where another engine holds it."""
    home = make_private(folder or runtime_folder())
    handle = os.open(home / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _lock_within(handle, 0.3):
            other = read_endpoint(home)
            who = f"an engine runs already (process {other.pid})" if other else "an engine is starting already"
            raise StembridgeError(
                "engine.running", f"{who}.", field=str(home), hint="Use it, or end it with `stembridge engine stop`."
            )
        yield
    finally:
        os.close(handle)


def is_locked(folder: Path | None = None) -> bool:
    """Whether an engine lives. Takes the lock for an instant to see; a starting engine tries for longer than that."""
    path = (folder or runtime_folder()) / LOCK
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _try_lock(handle)
    finally:
        os.close(handle)


def _lock_within(handle: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not _try_lock(handle):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def _try_lock(handle: int) -> bool:
    """Takes the lock on an open file, without waiting. Closing the file gives it back."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
