"""Re-roll one part of one section of a take; every other sample stays as it was.

    python examples/reroll.py REQUEST.json JOB/take-1 SECTION STEM OUT_FOLDER [SEED]

REQUEST.json is the request that made the take, OUT_FOLDER the folder that holds JOB/.
"""

from __future__ import annotations

import sys
import uuid
from pathlib import Path

import msgspec

from bridge.client import Client
from bridge.commands.render import file2request
from bridge.messages import Done, Scope

source, take, section, stem, out = sys.argv[1:6]
seed = int(sys.argv[6]) if len(sys.argv) > 6 else 1

request = file2request(Path(source))
edit = msgspec.structs.replace(
    request,
    job=f"reroll-{uuid.uuid4().hex[:8]}",
    project=msgspec.structs.replace(request.project, out=str(Path(out).resolve())),
    seed=seed,
    scope=Scope(take, (section,), (stem,)),
)

with Client.connect(start=True, roots=[Path(source).resolve().parent, Path(out).resolve()]) as client:
    *_, last = client.request(edit)
if not isinstance(last, Done):
    sys.exit(str(last))
print(last.manifests[0])
