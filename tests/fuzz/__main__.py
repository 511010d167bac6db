"""A long run guided by coverage: `python -m tests.fuzz TARGET --seconds 120`. Needs the extra `fuzz` (atheris).

Inputs that reach new code are kept in `--folder`. One that crashes, or takes longer than 5 s, ends the run and is kept
in `corpus/TARGET` beside the tests, where every test run tries it again, with a small choice of the others.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["bridge", "mido", "pythonosc"]):
    from tests.fuzz.seeds import seeds
    from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"


def main() -> None:
    """Runs one target; libFuzzer ends the process."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--folder", type=Path, help="of inputs that reach new code (default: a new one)")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="stembridge-fuzz-"))
    folder.mkdir(parents=True, exist_ok=True)
    for data in seeds(options.target, folder):
        (folder / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)
    (CORPUS / options.target).mkdir(parents=True, exist_ok=True)
    arguments = [
        sys.argv[0],
        f"-max_total_time={options.seconds}",
        "-timeout=5",
        "-rss_limit_mb=2048",
        "-max_len=65536",
        f"-artifact_prefix={CORPUS / options.target}/",
        str(folder),
        str(CORPUS / options.target),
    ]
    atheris.Setup(arguments, TARGETS[options.target])
    atheris.Fuzz()


main()
