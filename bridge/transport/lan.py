"""Clients on other machines: only when asked for, encrypted, known by a key (ZeroMQ CURVE, RFC 26; ZAP, RFC 27).

The engine keeps one set of keys in `lan-keys.json` and writes `lan-pass.json`, an endpoint file: the user carries it to
the other machine and names it there by `STEMBRIDGE_ENGINE`. Who does not hold the pass gets no further than the
handshake. To lock out a pass that was lost, delete `lan-keys.json` and start the engine again. OSC stays on loopback.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from bridge.errors import StembridgeError
from bridge.transport.endpoint import ClientKeys, Endpoint, new_token, read_endpoint_file, write_private

KEYS, PASS = "lan-keys.json", "lan-pass.json"
NAMED = "STEMBRIDGE_ENGINE"
DEFAULT_PORT = 47_521


class LanKeys(msgspec.Struct, frozen=True):
    """The engine's CURVE pair, the one pair that it admits, and the token of those messages. Z85."""

    public: str
    secret: str
    client: ClientKeys
    token: str


def open_keys(folder: Path) -> LanKeys:
    """The keys in `folder`, made on first use. Raises `StembridgeError` where they cannot be read or written."""
    import zmq

    path = folder / KEYS
    try:
        if path.exists():
            return msgspec.json.decode(path.read_bytes(), type=LanKeys)
        (public, secret), (own, own_secret) = zmq.curve_keypair(), zmq.curve_keypair()
        client = ClientKeys(public.decode(), own.decode(), own_secret.decode())
        keys = LanKeys(public.decode(), secret.decode(), client, new_token())
        write_private(path, msgspec.json.encode(keys))
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StembridgeError(
            "lan.keys", f"the keys cannot be read or written ({error}).", field=str(path), hint="Delete the file."
        ) from error
    return keys


def write_pass(folder: Path, endpoint: Endpoint) -> Path:
    """Writes the file for the other machine, mode 0600. Raises OSError."""
    path = folder / PASS
    write_private(path, msgspec.json.format(msgspec.json.encode(endpoint), indent=2))
    return path


def named_engine() -> Endpoint | None:
    """The engine on another machine that the environment names; None where it names none. Raises `StembridgeError`."""
    path = os.environ.get(NAMED)
    if not path:
        return None
    endpoint = read_endpoint_file(Path(path))
    if endpoint is None or endpoint.curve is None:
        raise StembridgeError(
            "lan.pass",
            f"{NAMED} names no pass to an engine.",
            field=path,
            hint=f"Copy {PASS} from the engine's machine.",
        )
    return endpoint


def text2address(text: str) -> tuple[str, int]:
    """ "192.168.1.5" or "192.168.1.5:5000" -> address and port. Raises `StembridgeError`."""
    import ipaddress

    host, _, port = text.rpartition(":") if text.count(":") == 1 else (text, "", "")
    try:
        number = int(port) if port else DEFAULT_PORT
        address = ipaddress.IPv4Address(host)
        if not 1024 <= number <= 65_535:
            raise ValueError
    except ValueError:
        raise StembridgeError(
            "lan.address",
            f"{text[:80]!r} is no address of this machine.",
            hint="Like 192.168.1.5 or 192.168.1.5:47521.",
        ) from None
    if address.is_unspecified:
        raise StembridgeError(
            "lan.address", "name the one address that others shall reach.", hint="`ip address` lists them."
        )
    return str(address), number
