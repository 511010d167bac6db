"""The weight files of the package: a file that is not what was shipped is refused before it is read."""

from __future__ import annotations

import hashlib
from pathlib import Path

from bridge.errors import JobError

FOLDER = Path(__file__).parent / "weights"
SUMS = "SHA256SUMS"
"""One line for each file, as `sha256sum` writes and checks them."""


def check_weights(path: Path, folder: Path = FOLDER) -> str:
    """SHA-256 of a weight file, hex. Raises `JobError` where it lies among the shipped ones and is none of them, or is
    not there; a file of the user's own is taken as it is."""
    hint = "Install stembridge again."
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise JobError(
            "weights.missing", f"the weights {path.name} cannot be read ({error.strerror}).", hint=hint
        ) from error
    if path.parent == folder and read_sums(folder).get(path.name) != digest:
        raise JobError("weights.damaged", f"the weights {path.name} are not those that were shipped.", hint=hint)
    return digest


def read_sums(folder: Path = FOLDER) -> dict[str, str]:
    """File name -> SHA-256."""
    lines = (folder / SUMS).read_text("ascii").split("\n")
    return {name: digest for digest, name in (line.split("  ", 1) for line in lines if line)}
