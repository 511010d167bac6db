"""`stembridge pack TAKE`: a DAWproject that holds its sounds, for hosts that look only inside the file."""

from __future__ import annotations

import argparse

from bridge.errors import RequestError
from bridge.handover.dawproject import pack_dawproject
from bridge.handover.take import DAWPROJECT_NAME


def run(arguments: argparse.Namespace) -> int:
    """Packs, and prints the new file's name."""
    source = arguments.take / DAWPROJECT_NAME if arguments.take.is_dir() else arguments.take
    if not source.is_file():
        raise RequestError(
            "path.missing", f"there is no {DAWPROJECT_NAME}.", field=str(arguments.take), hint="Name a take's folder."
        )
    target = arguments.out or source.with_name("session packed.dawproject")
    names = pack_dawproject(source, target)
    print(f"{target}: {len(names)} sounds inside")
    return 0
