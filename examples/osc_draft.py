"""The OSC road without JSON: what a Max patch, TouchOSC or a foot switch sends, here from python-osc.

    python examples/osc_draft.py          (the engine must run: stembridge engine start)

Every message begins with the engine's token, which `endpoint.json` in the runtime folder holds.
"""

from __future__ import annotations

import threading
import uuid

from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_message_builder import OscMessageBuilder
from pythonosc.osc_server import BlockingOSCUDPServer
from pythonosc.udp_client import UDPClient

from bridge.transport.endpoint import read_endpoint

ROOT = "/stembridge/v1"
job = f"osc-{uuid.uuid4().hex[:8]}"
endpoint = read_endpoint()
if endpoint is None:
    raise SystemExit("No engine is running: stembridge engine start")

finished = threading.Event()


def heard(address: str, *arguments: object) -> None:
    """Prints whatever the engine says."""
    print(address, *arguments)
    if address.rsplit("/", 1)[-1] in ("done", "failed", "cancelled"):
        finished.set()


dispatcher = Dispatcher()
dispatcher.set_default_handler(heard)
server = BlockingOSCUDPServer(("127.0.0.1", 0), dispatcher)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = UDPClient("127.0.0.1", endpoint.ports.osc_udp)


def send(address: str, *arguments: tuple[object, str]) -> None:
    """One message: the token, then (value, OSC type) pairs. Doubles ("d") because a float32 cannot count samples."""
    message = OscMessageBuilder(f"{ROOT}{address}")
    for value, kind in ((endpoint.token, "s"), *arguments):
        message.add_arg(value, kind)
    client.send(message.build())


send("/reply_port", (server.server_address[1], "i"))
send("/draft/new", (job, "s"))
send("/draft/tempo", (0.0, "d"), (96.0, "d"))
send("/draft/metre", (0.0, "d"), (4, "i"), (4, "i"))
send("/draft/key", (0.0, "d"), ("A", "s"), ("minor", "s"))
send("/draft/section", ("Verse", "s"), ("verse", "s"), (0.0, "d"), (16.0, "d"), (0.5, "d"))
for role in ("drums", "bass"):
    send("/draft/stem", (role, "s"))
send("/draft/style", ("reggae, deep", "s"))
send("/draft/seed", (3, "i"))
send("/render", (job, "s"))
finished.wait(120)
server.shutdown()
