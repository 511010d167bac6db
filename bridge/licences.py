"""Under which licence a checkpoint's weights stand: what may be done with what they make."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec


class Licence(msgspec.Struct, frozen=True):
    """`name` as shown. `permissive`: nothing to accept. `commercial`: the result may be sold, under `condition`
    (empty: none)."""

    name: str
    permissive: bool
    commercial: bool
    condition: str = ""


MIT = Licence("MIT", True, True)
STABILITY = Licence(
    "Stability AI Community Licence",
    False,
    True,
    "free below 1 million US dollars of yearly revenue, above that a licence from Stability AI is needed; "
    "the text encoder stands under the Gemma terms",
)
RESEARCH = "research and private use only: the result may not be sold"
SONGGENERATION = Licence(
    "SongGeneration licence (Tencent)",
    False,
    False,
    "academic, research and education purposes only: no commercial or production use",
)
FAMILY_LICENCES = {"ace-step": MIT, "stable-audio-3": STABILITY}
PERMISSIVE = {"mit": "MIT", "apache-2.0": "Apache-2.0", "bsd-3-clause": "BSD-3-Clause", "cc-by-4.0": "CC-BY-4.0"}
FIELD = re.compile(r"^(license|license_name):\s*[\"']?([^\"'\n]+?)[\"']?\s*$", re.MULTILINE)


def folder2licence(folder: Path, usual: Licence) -> Licence:
    """What the model card in the folder says (the `license` of its README's head), else the family's usual licence.

    A licence that is not known here needs the user's acceptance and does not count as commercial.
    """
    try:
        text = (folder / "README.md").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return usual
    parts = text.split("---", 2)
    if len(parts) < 3 or parts[0].strip():
        return usual
    fields = dict(FIELD.findall(parts[1]))
    told = fields.get("license", "").strip().lower()
    if told == "other":
        told = fields.get("license_name", "other").strip().lower()
    if not told:
        return usual
    if told in PERMISSIVE:
        return Licence(PERMISSIVE[told], True, True)
    if "stab" in told and "community" in told:
        return STABILITY
    if "-nc" in told or "noncommercial" in told or "non-commercial" in told or "research" in told:
        return Licence(told.upper() if told.startswith("cc-") else told, False, False, RESEARCH)
    return Licence(told, False, False, "its terms are not known here: read them before you sell anything")
