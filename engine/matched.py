"""What a take's bus stage was, for later edits of it: `match.json` beside the manifest."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bridge.arrangement import Reference
from engine.cutkit import CutKit
from engine.match import Curves, Distances, bytes2curves
from engine.previous import PreviousTake
from engine.stages import file2hash

MATCH_NAME = "match.json"


class Clipped(msgspec.Struct, frozen=True):
    """The piece of a clip that was matched: file name, SHA-256 of the file, seconds (None: to its end)."""

    audio: str
    sha256: str
    from_second: float
    seconds: float | None


class Group(msgspec.Struct, frozen=True):
    """Stems that one bus stage brought to one reference.

    `stems`: instrument by name of stem; `repaired`: those that failed a check; `alone`: they were the whole band;
    `sound_before`, `sound_after`: the texture's distance to the reference (1: one sound in two pieces of music) with
    the usual instruments and with the chosen ones; `before`, `after`: the bus stage's; `room_db`: the change of every
    stem's share of the room; `curves` as `engine.match.curves2bytes` writes them; `kit`: the one that was cut from the
    reference, if one plays.
    """

    reference: Clipped
    stems: dict[str, str]
    alone: bool
    sound_before: float
    sound_after: float
    before: Distances
    after: Distances
    curves: bytes
    repaired: tuple[str, ...] = ()
    room_db: float = 0.0
    kit: CutKit | None = None


class MatchFile(msgspec.Struct, frozen=True):
    """All groups of a take; `unmatched`: why stems with a reference were not matched."""

    groups: tuple[Group, ...]
    unmatched: tuple[str, ...] = ()


_decoder = msgspec.json.Decoder(MatchFile)


def reference2clipped(reference: Reference) -> Clipped:
    """How a group names its reference. Raises OSError where the file has gone."""
    name = reference.audio.replace("\\", "/").rsplit("/", 1)[-1]
    return Clipped(name, file2hash(Path(reference.audio)), reference.from_second, reference.seconds)


def read_groups(take: PreviousTake | None) -> tuple[Group, ...]:
    """The groups of an earlier take; none where it was not matched, or its file is damaged."""
    if take is None or "match" not in take.manifest.files:
        return ()
    try:
        groups = _decoder.decode((take.folder / take.manifest.files["match"]).read_bytes()).groups
        for group in groups:
            group2curves(group)
    except (OSError, ValueError, msgspec.MsgspecError, RecursionError):
        return ()
    return groups


def group2curves(group: Group) -> Curves:
    """Its curves. Raises ValueError where they are damaged."""
    return bytes2curves(group.curves)


def carried_over(earlier: tuple[Group, ...], fresh: tuple[Group, ...], kept: set[str]) -> MatchFile:
    """The file of an edit: what it made, and of the earlier groups those stems that are `kept` as they were."""
    new = {name for group in fresh for name in group.stems}
    groups = list(fresh)
    for group in earlier:
        stems = {name: played for name, played in group.stems.items() if name in kept and name not in new}
        if not stems:
            continue
        same = next((k for k, row in enumerate(groups) if row.curves == group.curves), None)
        if same is None:
            groups.append(msgspec.structs.replace(group, stems=stems))
        else:
            groups[same] = msgspec.structs.replace(groups[same], stems={**stems, **groups[same].stems})
    return MatchFile(tuple(groups))


def groups2style(groups: tuple[Group, ...]) -> dict[str, object] | None:
    """What the manifest says of the match; None where nothing was matched."""
    rows = [
        {
            "reference": group.reference.audio,
            "stems": group.stems,
            "distance_before": group.sound_before,
            "distance_after": group.sound_after,
            "before": msgspec.to_builtins(group.before),
            "after": msgspec.to_builtins(group.after),
            "room_db": group.room_db,
            "repaired": list(group.repaired),
            "cut_from_reference": [] if group.kit is None else sorted(group.stems),
        }
        for group in groups
    ]
    return {"matched": rows} if rows else None
