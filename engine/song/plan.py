"""A request as what SongGeneration is asked for: lyric, tags, which sounds, how long, which prompt. Light: no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bridge.arrangement import ACCOMPANIMENT, Reference
from bridge.checkpoints import Checkpoint
from bridge.errors import RequestError
from bridge.messages import Render
from bridge.songgeneration import AUTO_PROMPT, ENCODER, optional_file
from bridge.timeline import Clock
from engine.song.lyrics import Lyric, sections2lyric, text2script
from engine.song.tags import words2description, words2prompt_type
from engine.song.wanted import Wanted, pulse_bpm, sections2wanted

Voice = Literal["vocal", "bgm"]
"""What the renderer calls vocals and accompaniment."""
FRAMES = 25
"""Codes of each kind in a second."""
SPARE, SPARE_SECONDS = 1.3, 10.0
"""A song may become longer than wanted by this factor and so many seconds; what is too much is left out later."""


@dataclass(frozen=True)
class Clips:
    """A reference in two stems, to go on from; None for one that is silent in it."""

    vocal: Reference | None
    bgm: Reference | None


@dataclass(frozen=True)
class StoredCodes:
    """Prompt codes of the official file: `kind` such as "Pop", `language` zh or en."""

    file: Path
    kind: str
    language: str


@dataclass(frozen=True)
class SongPlan:
    """`kind` as the language model is told; `kinds` of sound to render, by stem name. `remarks` are for the user."""

    lyric: Lyric
    description: str | None
    kind: Literal["separate", "bgm"]
    kinds: dict[str, Voice]
    frames: int
    wanted: tuple[Wanted, ...]
    prompt: Clips | StoredCodes | None
    remarks: tuple[str, ...]


def request2plan(request: Render, clock: Clock, checkpoint: Checkpoint) -> SongPlan:
    """The plan of one take. Raises `RequestError` for lyrics that cannot be told to the model."""
    arrangement = request.arrangement
    roles = {stem.title: stem.role for stem in request.stems}
    kinds: dict[str, Voice] = {title: "bgm" if role == ACCOMPANIMENT else "vocal" for title, role in roles.items()}
    sung = any(section.lyrics.strip() for section in arrangement.sections)
    voice = "vocal" in kinds.values() or sung
    lyric = sections2lyric(arrangement.sections, clock, sings=voice)
    wanted = tuple(sections2wanted(arrangement.sections, clock))
    prompt, remarks = references2prompt(request, checkpoint, kinds, lyric.text)
    words = words2description(
        request.style, pulse_bpm(wanted), stem_words=[stem.words for stem in request.stems], voice=voice
    )
    if prompt is not None and request.style.strip():
        remarks.append("the style words were not told to the model: it takes them or a reference, not both.")
    if request.avoid.strip():
        remarks.append("what shall be avoided cannot be told to the model.")
    if arrangement.tracks:
        remarks.append("the tracks of the project were not heard: the model writes a song of its own.")
    seconds = float(wanted[-1].pulses[-1] - wanted[0].pulses[0])
    assert checkpoint.song is not None
    frames = round(FRAMES * min(checkpoint.song.seconds, SPARE * seconds + SPARE_SECONDS))
    return SongPlan(
        lyric=lyric,
        description=None if prompt is not None or not words else words,
        kind="separate" if voice else "bgm",
        kinds=kinds,
        frames=frames,
        wanted=wanted,
        prompt=prompt,
        remarks=(*lyric.remarks, *remarks),
    )


def references2prompt(
    request: Render, checkpoint: Checkpoint, kinds: dict[str, Voice], lyric: str
) -> tuple[Clips | StoredCodes | None, list[str]]:
    """What the model shall go on from, and what could not be had.

    Its tokenizers hear the voice and the rest of a clip apart. A reference that names one stem is such a part; one of a
    whole band would have to be separated first, in its place stored codes of the style's genre are taken.
    """
    parts: dict[Voice, Reference] = {}
    whole = []
    for reference in request.arrangement.references:
        named = {kinds[name] for name in reference.stems if name in kinds}
        if len(named) == 1:
            parts.setdefault(named.pop(), reference)
        else:
            whole.append(Path(reference.audio).name)
    remarks: list[str] = []
    if parts and optional_file(checkpoint, ENCODER) is None:
        whole += [Path(reference.audio).name for reference in parts.values()]
        remarks.append(f"the references were not heard: {ENCODER} was not there when the model was added.")
        parts = {}
    if parts:
        if whole:
            remarks.append(f"{', '.join(whole)} was not heard: the references of single stems were.")
        return Clips(parts.get("vocal"), parts.get("bgm")), remarks
    if not whole:
        return None, remarks
    if not remarks:
        remarks.append(
            f"{', '.join(whole)} was not heard: the model needs its voice and its accompaniment as two references, "
            "one for each stem."
        )
    stored = optional_file(checkpoint, AUTO_PROMPT)
    if stored is None:
        return None, remarks
    kind = words2prompt_type(request.style)
    remarks.append(f"in its place the model went on from stored codes of the kind {kind}.")
    return StoredCodes(stored, kind, "zh" if text2script(lyric) == "unspaced" else "en"), remarks


def check_tokens(plan: SongPlan, count: Callable[[str], tuple[int, int]]) -> None:
    """Raises `RequestError` on the section in which the lyrics outgrow the model. `count`: (tokens, most) of a text."""
    tokens, most = count(plan.lyric.text)
    if tokens <= most:
        return
    for number, block in enumerate(plan.lyric.blocks, 1):
        if count(plan.lyric.until(number))[0] > most:
            raise RequestError(
                "song.lyric_long",
                f'the lyrics have {tokens} tokens and the model reads {most}: they are full in "{block.name}".',
                field=f"arrangement.sections[{block.section}].lyrics" if block.section >= 0 else "arrangement.sections",
                hint="Shorten the lyrics there or before, or ask for the song in two parts.",
            )
