"""Which composers and renderers there are, what they need, and which one `auto` means. Light: no torch.

`auto` takes the best renderer that is installed, fits the memory, does not take minutes for each stem and may be used
for what the request says the result is for; where none is, `match` for stems with a reference and `guide` for others.
A renderer that the request names is taken where it can run at all.
The user's checkpoints (`bridge.checkpoints`) are looked up anew for every answer.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from bridge.arrangement import ACCOMPANIMENT
from bridge.checkpoints import Checkpoint, read_register
from bridge.errors import RequestError
from bridge.licences import SONGGENERATION
from bridge.messages import ModelRow, Render
from bridge.songgeneration import FAMILY as SONG
from engine.checkpoints import fit_checkpoint, why_unusable
from engine.fitting import Fit
from engine.hardware import Hardware, measure_hardware
from engine.song.request import check_song

NO_SONG = "no checkpoint: `stembridge models add songgeneration-v2-large FOLDER`, or `models get` of the same name"
CATALOGUE = (
    ModelRow("band", "composer", True, "Apache-2.0", "LeLM plans, masked diffusion writes; weights in the package"),
    ModelRow("as-written", "composer", True, "Apache-2.0", "the context MIDI as it stands"),
    ModelRow(SONG, "composer", False, SONGGENERATION.name, NO_SONG, commercial=False),
    ModelRow("guide", "renderer", True, "Apache-2.0, sounds: see NOTICE", "sampler with real instruments"),
    ModelRow(
        "match",
        "renderer",
        True,
        "Apache-2.0, sounds: see NOTICE",
        "the sampler in the sound of a reference clip: instruments chosen for it, one bus stage for the whole band",
    ),
    ModelRow(SONG, "renderer", False, SONGGENERATION.name, NO_SONG, commercial=False),
    ModelRow("ace-step", "renderer", False, "MIT", "no checkpoint: `stembridge models add ace-step FOLDER|HUB_ID`"),
    ModelRow(
        "stable-audio-3",
        "renderer",
        False,
        "Stability AI Community Licence",
        "no checkpoint: `stembridge models add stable-audio-3 FOLDER|HUB_ID`",
    ),
)
"""What there is before the user's checkpoints are counted in."""
AUTO = {"composer": "band", "renderer": "guide"}
"""What `auto` means where no checkpoint of the user's is better."""
MATCH = next(row for row in CATALOGUE if row.name == "match")
"""What it means then for stems that have a reference."""
RANK = ("ace-step", "stable-audio-3", SONG)
"""Families, best first: ACE-Step is told key, metre, lyrics and the other stems; Stable Audio 3 only words;
SongGeneration plays no parts but writes songs of its own."""
VARIANT_RANK = ("sft", "turbo", "distilled", "base", "v2", "v1")


@dataclass(frozen=True)
class Candidate:
    """A checkpoint of the user's with how it would run here."""

    checkpoint: Checkpoint
    fit: Fit

    @property
    def why_not(self) -> str:
        """Why it cannot run at all, or empty."""
        return why_unusable(self.checkpoint) or self.fit.why_not

    def why_not_auto(self, commercial: bool) -> str:
        """Why `auto` does not take it, or empty where it may."""
        licence = self.checkpoint.licence
        if self.why_not:
            return self.why_not
        if self.checkpoint.family == SONG:
            return "it writes a song of its own and plays no parts: name it to have one"
        if commercial and not licence.commercial:
            return f"{licence.name}: {licence.condition}"
        return self.fit.slow

    def row(self, remark: str, kind: Literal["composer", "renderer"] = "renderer") -> ModelRow:
        """As the list of models shows it."""
        checkpoint, fit = self.checkpoint, self.fit
        place = f"{checkpoint.variant}, {checkpoint.total / 1e9:.2g} billion weights"
        how = f"{fit.dtype} on {fit.device}{', component by component' if fit.offload else ''}"
        if checkpoint.song is not None:
            place += f", songs of {checkpoint.song.seconds:.0f} s at most"
            how += f"; {fit.slow}" if fit.slow else ""
        condition = checkpoint.licence.condition
        return ModelRow(
            checkpoint.name,
            kind,
            not self.why_not,
            checkpoint.licence.name,
            "; ".join(filter(None, (f"{checkpoint.family} {place}", how, condition, remark))),
            commercial=checkpoint.licence.commercial,
            memory_gib=round(fit.gib, 2),
            path=checkpoint.source,
        )


def candidates(hardware: Hardware | None = None) -> list[Candidate]:
    """The user's checkpoints, best first."""
    hardware = hardware or measure_hardware()
    found = [Candidate(c, fit_checkpoint(c, hardware)) for c in read_register()]
    return sorted(found, key=lambda candidate: _rank(candidate.checkpoint))


def catalogue(commercial: bool = False, hardware: Hardware | None = None) -> tuple[ModelRow, ...]:
    """Every composer and renderer with the reason for and against it, for use as told. `auto` is marked."""
    found = candidates(hardware)
    best = _auto_candidate(found, commercial)
    auto = {"composer": AUTO["composer"], "renderer": best.checkpoint.name if best else AUTO["renderer"]}
    rows = []
    names = {candidate.checkpoint.name for candidate in found}
    for row in CATALOGUE:
        if row.kind == "renderer" and row.name in names:
            continue
        meant = next((c for c in found if c.checkpoint.family == row.name and not c.why_not), None)
        if meant is not None:
            row = meant.row(f"means {meant.checkpoint.name}", row.kind)
            row = msgspec.structs.replace(row, name=meant.checkpoint.family)
        elif row.name == auto[row.kind] == "guide":
            row = msgspec.structs.replace(row, note=f"{row.note}; 'auto' takes it: {_why_guide(found, commercial)}")
        elif row.name == "match" and auto[row.kind] == "guide":
            row = msgspec.structs.replace(row, note=f"{row.note}; 'auto' takes it for stems that have a reference")
        rows.append(msgspec.structs.replace(row, auto=row.name == auto[row.kind]))
    for candidate in found:
        chosen = candidate is best
        remark = _why_best(candidate, found) if chosen else _why_other(candidate, best, commercial)
        rows.append(msgspec.structs.replace(candidate.row(remark), auto=chosen))
    return tuple(rows)


def current_rows(rows: tuple[ModelRow, ...]) -> tuple[ModelRow, ...]:
    """A worker's rows as they are now: checkpoints may have come and gone since it started."""
    return catalogue() if any(row.name == AUTO["composer"] for row in rows) else rows


def choose_model(
    kind: str,
    name: str,
    *,
    commercial: bool = False,
    voice: bool = False,
    field: str = "",
    hardware: Hardware | None = None,
) -> ModelRow:
    """The composer or renderer that `name` ("auto" included) means; `voice`: it must be able to sing.

    Raises `RequestError` on `field` with the reason where it cannot be used.
    """
    field = field or kind
    if kind == "composer" and (song := _song_candidate(name, commercial, field, hardware)):
        return song.row("", "composer")
    if kind == "renderer" and (candidate := _choose_candidate(name, commercial, voice, field, hardware)):
        return candidate.row("")
    wanted = AUTO[kind] if name == "auto" else name
    known = [row for row in CATALOGUE if row.kind == kind]
    row = next((row for row in known if row.name == wanted), None)
    if row is None:
        names = [row.name for row in known]
        names += [
            c.checkpoint.name for c in candidates(hardware) if kind == "renderer" and c.checkpoint.name not in names
        ]
        hint = f"Use auto, {', '.join(names)}."
        raise RequestError(f"{kind}.unknown", f"there is no {kind} {wanted!r}.", field=field, hint=hint)
    if not row.available:
        message = f"{kind} {wanted!r} cannot be used: {row.note}."
        raise RequestError(f"{kind}.unavailable", message, field=field, hint="Use 'auto'.")
    if voice:
        raise _no_voice(f"{row.name!r} plays instruments and cannot sing", field)
    return row


def find_song(request: Render) -> Candidate | None:
    """The SongGeneration checkpoint that a request names, as composer, renderer or renderer of a stem; None for none.

    Raises `RequestError` where it cannot be used, or the request names something else beside it.
    """
    named = [("renderer", request.renderer), ("composer", request.composer)]
    named += [(f"stems[{i}].renderer", stem.renderer) for i, stem in enumerate(request.stems) if stem.renderer]
    found = [(field, song) for field, name in named if (song := _song_candidate(name, request.commercial, field))]
    if not found:
        return None
    song = found[0][1]
    for field, name in named:
        other = _song_candidate(name, request.commercial, field)
        if name != "auto" and (other is None or other.checkpoint.name != song.checkpoint.name):
            raise RequestError(
                "song.mixed",
                f"{song.checkpoint.name!r} writes and plays the whole song: {name!r} cannot take part in it.",
                field=field,
                hint=f"Leave it 'auto', or do without {song.checkpoint.name!r}.",
            )
    return song


def _song_candidate(name: str, commercial: bool, field: str, hardware: Hardware | None = None) -> Candidate | None:
    """The SongGeneration checkpoint of that name, or any for the family's; None where the name means something else."""
    if name != SONG and not any(c.name == name and c.family == SONG for c in read_register()):
        return None
    found = _choose_candidate(name, commercial, False, field, hardware)
    if found is None:
        message = f"{name!r} cannot be used: {NO_SONG}."
        raise RequestError("renderer.unavailable", message, field=field, hint="Use 'auto'.")
    return found


def find_candidate(name: str) -> Candidate | None:
    """The user's checkpoint of exactly that name."""
    return next((c for c in candidates() if c.checkpoint.name == name), None)


def stem_rows(request: Render) -> dict[str, ModelRow]:
    """The renderer of each wanted stem, by the stem's title. Raises `RequestError` on the stem's own field."""
    song = find_song(request)
    if song is not None:
        return {stem.title: song.row("") for stem in request.stems}
    rows = {}
    for i, stem in enumerate(request.stems):
        named = stem.renderer or request.renderer
        field = f"stems[{i}].renderer" if stem.renderer else "renderer"
        voice = stem.role == "vocals"
        if voice and named in (request.renderer, "auto"):
            field = f"stems[{i}].role"
        row = choose_model("renderer", named, commercial=request.commercial, voice=voice, field=field)
        has_reference = any(not r.stems or stem.title in r.stems for r in request.arrangement.references)
        if named == "auto" and row.name == AUTO["renderer"] and has_reference:
            row = MATCH
        if row.name == MATCH.name and not has_reference and request.scope is None:
            raise RequestError(
                "renderer.reference",
                f"'match' has nothing to bring {stem.title!r} to: no reference is given for it.",
                field=field,
                hint="Give a reference clip, or use 'guide'.",
            )
        rows[stem.title] = row
    return rows


def main_row(row: ModelRow, rows: Mapping[str, ModelRow]) -> ModelRow:
    """The renderer of a request as a whole: what it names (`row`), or what `auto` became for its stems."""
    return MATCH if row.name == AUTO["renderer"] and any(r.name == MATCH.name for r in rows.values()) else row


def still_matched(request: Render, rows: Mapping[str, ModelRow], matched: Container[str]) -> dict[str, ModelRow]:
    """The rows of an edit: stems that are `matched` in the take it edits stay so where no renderer is named."""
    auto = {s.title for s in request.stems if (s.renderer or request.renderer) == "auto"}
    return {
        name: MATCH if row.name == AUTO["renderer"] and name in auto and name in matched else row
        for name, row in rows.items()
    }


def check_choice(request: Render) -> None:
    """Raises `RequestError` when the request names a machine that cannot answer it."""
    song = find_song(request)
    if song is not None:
        check_song(request, song.checkpoint)
    else:
        choose_model("composer", request.composer)
        choose_model("renderer", request.renderer, commercial=request.commercial)
        stem_rows(request)
        _check_roles(request)
    if any(s.role == "vocals" for s in request.stems) and not any(s.lyrics for s in request.arrangement.sections):
        raise RequestError(
            "stem.lyrics",
            "there is nothing to sing: no section has lyrics.",
            field="arrangement.sections",
            hint="Write lyrics into the sections that shall be sung, or leave the vocals out.",
        )


def _check_roles(request: Render) -> None:
    for i, stem in enumerate(request.stems):
        if stem.role == ACCOMPANIMENT:
            raise RequestError(
                "stem.accompaniment",
                "only SongGeneration makes an accompaniment in one piece.",
                field=f"stems[{i}].role",
                hint="Name it as the renderer, or ask for drums, bass, keys ...",
            )


def _choose_candidate(
    name: str, commercial: bool, voice: bool, field: str, hardware: Hardware | None
) -> Candidate | None:
    """The checkpoint that a renderer's name means; None where it means one that needs no checkpoint."""
    found = candidates(hardware)
    if name == "auto":
        best = _auto_candidate(found, commercial, voice)
        if best is None and voice:
            raise _no_voice(_why_silent(found, commercial), field)
        return best
    mine = [c for c in found if c.checkpoint.name == name] or [c for c in found if c.checkpoint.family == name]
    if not mine:
        return None
    able = [c for c in mine if not c.why_not]
    if not able:
        message = f"renderer {name!r} cannot be used: {mine[0].why_not}."
        raise RequestError("renderer.unavailable", message, field=field, hint="Use 'auto', or add it again.")
    if voice:
        able = [c for c in able if c.checkpoint.sings]
        if not able:
            raise _no_voice(
                f"{name!r} ({mine[0].checkpoint.variant}) cannot add a voice: that was not trained into it", field
            )
    if commercial:
        able = [c for c in able if c.checkpoint.licence.commercial]
        if not able:
            licence = mine[0].checkpoint.licence
            raise RequestError(
                "renderer.licence",
                f"the result shall be sold, and {name!r} does not allow it ({licence.name}: {licence.condition}).",
                field=field,
                hint="Use another renderer, or say that the result is not commercial.",
            )
    return able[0]


def _auto_candidate(found: list[Candidate], commercial: bool, voice: bool = False) -> Candidate | None:
    able = (c for c in found if not c.why_not_auto(commercial) and (c.checkpoint.sings or not voice))
    return next(able, None)


def _rank(checkpoint: Checkpoint) -> tuple[int, int, int, str]:
    size = -checkpoint.parameters.get("transformer", 0)
    return RANK.index(checkpoint.family), size, VARIANT_RANK.index(checkpoint.variant), checkpoint.name


def _why_best(best: Candidate, found: list[Candidate]) -> str:
    rivals = [c for c in found if c is not best and not c.why_not_auto(False)]
    return f"'auto' takes it: {'the best of those that fit' if rivals else 'it fits'}"


def _why_other(candidate: Candidate, best: Candidate | None, commercial: bool) -> str:
    why = candidate.why_not_auto(commercial)
    if why:
        return f"not taken by 'auto': {why}"
    assert best is not None
    return f"not taken by 'auto': {best.checkpoint.name} is better"


def _why_guide(found: list[Candidate], commercial: bool) -> str:
    if not found:
        return "no checkpoint was added"
    return "; ".join(f"{c.checkpoint.name}: {c.why_not_auto(commercial)}" for c in found)


def _why_silent(found: list[Candidate], commercial: bool) -> str:
    singers = [c for c in found if c.checkpoint.sings]
    if not singers:
        return "singing needs a model with a voice (an ACE-Step base checkpoint), and none was added"
    return "; ".join(
        f"{c.checkpoint.name} can sing, but 'auto' leaves it: {c.why_not_auto(commercial)}" for c in singers
    )


def _no_voice(why: str, field: str) -> RequestError:
    hint = "Name a renderer that can sing (`stembridge models`), or ask for a lead instead; it plays the melody."
    return RequestError("stem.vocals", f"{why}.", field=field, hint=hint)
