"""`stembridge schema`: the protocol's JSON Schema, printed or written to `bridge/protocol.schema.json`."""

from __future__ import annotations

import argparse
import json

from bridge.cli import SCHEMA_FILE
from bridge.messages import json_schema


def run(arguments: argparse.Namespace) -> int:
    """Prints or writes the schema."""
    text = json.dumps(json_schema(), indent=2) + "\n"
    if arguments.write:
        SCHEMA_FILE.write_text(text)
        print(SCHEMA_FILE)
    else:
        print(text, end="")
    return 0
