"""`stembridge demo`: the song in `examples/demo` through the public road, from request to stems."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from bridge.commands.render import file2request, new_job, send
from bridge.errors import RequestError

DEMO = Path(__file__).parents[2] / "examples" / "demo" / "request.json"


def run(arguments: argparse.Namespace) -> int:
    """Renders the demo song into `--out`."""
    if not DEMO.is_file():
        raise RequestError("demo.missing", f"the demo song is not at {DEMO}.", hint="Use a checkout of the project.")
    request = file2request(DEMO)
    out = arguments.out.resolve()
    request = msgspec.structs.replace(
        request,
        job=new_job(request.job),
        project=msgspec.structs.replace(request.project, out=str(out)),
        seed=request.seed if arguments.seed is None else arguments.seed,
    )
    if not arguments.json:
        arrangement = request.arrangement
        length = arrangement.clock[-1][1] - arrangement.clock[0][1]
        print(f"{request.project.name}: {int(length // 60)}:{length % 60:02.0f}, {len(arrangement.sections)} sections")
    return send(request, [DEMO.parent, out], as_json=arguments.json)
