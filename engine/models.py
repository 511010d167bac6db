"""Which composers and renderers there are, what they need, and which one `auto` means. Light: no torch."""

from __future__ import annotations

from bridge.errors import RequestError
from bridge.messages import ModelRow, Render

ABSENT = "not part of this version"

CATALOGUE = (
    ModelRow("band", "composer", True, "Apache-2.0", "LeLM plans, masked diffusion writes; weights in the package"),
    ModelRow("as-written", "composer", True, "Apache-2.0", "the context MIDI as it stands"),
    ModelRow("songgeneration", "composer", False, "research only", ABSENT),
    ModelRow("guide", "renderer", True, "Apache-2.0, sounds: see NOTICE", "sampler with real instruments"),
    ModelRow("match", "renderer", False, "Apache-2.0", ABSENT),
    ModelRow("songgeneration", "renderer", False, "research only", ABSENT),
    ModelRow("ace-step", "renderer", False, "MIT", ABSENT),
    ModelRow("stable-audio-3", "renderer", False, "Stability Community Licence", ABSENT),
)

AUTO = {"composer": "band", "renderer": "guide"}


def choose_model(kind: str, name: str) -> ModelRow:
    """The composer or renderer that `name` ("auto" included) means. Raises `RequestError` with the reason."""
    wanted = AUTO[kind] if name == "auto" else name
    known = [row for row in CATALOGUE if row.kind == kind]
    for row in known:
        if row.name == wanted:
            if row.available:
                return row
            raise RequestError(
                f"{kind}.unavailable", f"{kind} {wanted!r} cannot be used: {row.note}.", field=kind, hint="Use 'auto'."
            )
    names = ", ".join(row.name for row in known)
    raise RequestError(f"{kind}.unknown", f"there is no {kind} {wanted!r}.", field=kind, hint=f"Use auto, {names}.")


def check_choice(request: Render) -> None:
    """Raises `RequestError` when the request names a machine that cannot answer it."""
    choose_model("composer", request.composer)
    choose_model("renderer", request.renderer)
    for i, stem in enumerate(request.stems):
        if stem.role == "vocals":
            raise RequestError(
                "stem.vocals",
                "singing needs a model with a voice, and none is installed.",
                field=f"stems[{i}].role",
                hint="Ask for a lead instead; it plays the melody.",
            )
