"""The verbs: how each becomes a request, and where what it gives belongs in the set."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Generator, NamedTuple, Sequence

from . import marks, reading, request
from .labels import name2role
from .memory import Memory, Running, Stem, Take, tag_of
from .placing import TOO_OLD, Landing, Placer, can_place, our_tracks
from .trouble import Trouble
from .wishes import Names, Wish

if TYPE_CHECKING:
    from Live.Song import Song


ADD_ORDER = ("drums", "bass", "keys", "pad", "lead", "guitar", "strings", "brass", "arp")
"""What "add a part" adds when nobody says which: the first that the take lacks."""
CHANGED = "The set's tempo has changed since the last take was made. Generate a new one."


class Asked(NamedTuple):
    """A request that is written to its file (`path`). `stems`: those that shall land, none for all."""

    verb: str
    request: dict[str, Any]
    path: str
    stems: list[str]
    told: list[str]
    summary: str


Steps = Generator[None, None, Asked]


def root_of(song: Song) -> str:
    """The set's folder; empty while it is unsaved."""
    return os.path.dirname(str(getattr(song, "file_path", "") or ""))


def names_of(song: Song, memory: Memory) -> Names:
    """What may be called by name in this set."""
    try:
        sections = [str(s["name"]) for s in reading.read_sections(song)[0]]
    except Trouble:
        sections = []
    return Names(sections, [stem.name for stem in memory.take.stems] if memory.take else [])


def ask(song: Song, wish: Wish, memory: Memory, settings: dict[str, Any]) -> Steps:
    """Works a wish out step by step: stops after each piece of work, returns what is asked. Raises `Trouble`."""
    if not can_place(song):
        raise Trouble(TOO_OLD)
    if wish.words:
        settings = dict(settings, style=wish.words)
    if wish.verb == "generate" or (wish.verb == "match" and memory.take is None):
        steps = _generate(song, wish, settings)
    elif memory.take is None:
        raise Trouble("There is no take in this set yet. Generate one first.")
    elif wish.verb == "continue":
        steps = _continue(song, wish, memory.last_take or memory.take, settings)
    else:
        steps = _edit(song, wish, memory.take_at(_span(song, wish)) or memory.take, settings)
    return (yield from steps)


def _span(song: Song, wish: Wish) -> marks.Span | None:
    """The beats that a wish is about: those of the sections it names, of the clip that asked, of the loop."""
    if wish.sections:
        named = marks.named(reading.read_sections(song)[0], wish.sections)
        return marks.Span(named[0]["start"], named[-1]["end"])
    return marks.Span(*wish.span) if wish.span else reading.loop_span(song)


def _generate(song: Song, wish: Wish, settings: dict[str, Any]) -> Steps:
    """A new take of the marked sections: of the loop where it is on, of the clip that asked, of those named. "match"
    makes the first one, in the sound of the selected clip."""
    references = [reading.read_reference(song)] if wish.verb == "match" else []
    sections, keys = reading.read_sections(song)
    sections = marks.named(sections, wish.sections)
    span = reading.loop_span(song) if wish.sections else _span(song, wish)
    if span is not None:
        sections = marks.within(sections, span)
    if not sections:
        raise Trouble(
            "Nothing is marked. Set a locator where each section begins (Intro, Verse 1, Chorus ...), or use the loop."
        )
    described = yield from reading.describe(song, sections, settings["sample_rate"])
    stems = request.roles2stems(wish.stems or settings["stems"])
    built = request.build(
        request.new_job(), described._replace(keys=_keys(keys, described)), stems, settings, settings["seed"]
    )
    request.control(built, wish.controls)
    built["arrangement"]["references"] = references
    like = " like {}".format(os.path.basename(references[0]["audio"])) if references else ""
    return _asked("generate", built, [], described.told, f"Asked for {_listed(stems)}{like}.")


def _continue(song: Song, wish: Wish, take: Take, settings: dict[str, Any]) -> Steps:
    """The take goes on: with the sections after it, or with the loop, or with one more as long as its last."""
    earlier = request.load(take.request, root_of(song))
    sections, keys = reading.read_sections(song)
    loop = reading.loop_span(song)
    if loop is not None and loop.end > take.end + marks.NEAR:
        rest = marks.within(sections, marks.Span(take.end, loop.end))
    else:
        rest = marks.after(sections, take.end)
    rest = marks.named(rest, wish.sections) if rest else rest
    if not rest:
        last = earlier["arrangement"]["sections"][-1]
        rest = [marks.section(last["name"] + " again", take.end, 2 * take.end - float(last["start"]), 1)]
    if rest[0]["start"] > take.end + marks.NEAR:
        rest[0] = dict(rest[0], start=take.end)
    described = yield from reading.describe(song, rest, settings["sample_rate"])
    stems = [Stem(stem.name, stem.role) for stem in take.stems]
    seed = request.next_seed(take.seed, 1)
    built = request.build(request.new_job(), described._replace(keys=_keys(keys, described)), stems, settings, seed)
    request.control(built, wish.controls, _named(wish, take) if wish.controls else ())
    built["continues"] = take.name
    built["style"] = wish.words or earlier.get("style", "")
    built["takes"] = 1
    return _asked(
        "continue", built, [], described.told, "Asked to go on with {}.".format(", ".join(s["name"] for s in rest))
    )


def _edit(song: Song, wish: Wish, take: Take, settings: dict[str, Any]) -> Steps:
    """A take on the arrangement of the one at hand: bars written anew, a stem more, the same notes in the sound of the
    selected clip, or what was asked last with another seed."""
    reference = reading.read_reference(song) if wish.verb == "match" else {}
    earlier = request.load(take.request, root_of(song))
    built = request.edit(earlier, request.new_job())
    yield
    sections = built["arrangement"]["sections"]
    described = yield from reading.describe(song, sections, 0)
    if _moved(built["arrangement"], described):
        raise Trouble(CHANGED)
    built["seed"] = request.next_seed(take.seed, 1)
    if wish.words:
        built["style"] = wish.words
    if wish.verb == "take":
        # Of what was asked last: a re-roll once more, a part once more, else the whole take.
        built.update({name: earlier[name] for name in ("scope", "continues") if name in earlier})
        landing = list(built.get("scope", {}).get("stems", []))
        request.control(built, wish.controls, landing)
        return _asked("take", built, landing, [], "Asked for the next take (seed {}).".format(built["seed"]))
    scope: dict[str, Any] = {"take": take.name}
    if wish.verb == "add":
        added = _added(song, wish, take)
        built["stems"] += [{"role": stem.role, "name": stem.name} for stem in added]
        scope["stems"] = landing = [stem.name for stem in added]
        summary = f"Asked to add {_listed(added)}."
    elif wish.verb == "match":
        built["seed"], built["arrangement"]["references"] = take.seed, [reference]
        landing = _named(wish, take)
        scope.update(_stretch(song, wish, sections) if wish.sections else {}, stems=landing, notes="keep")
        name = os.path.basename(reference["audio"])
        summary = "Asked for the sound of {}: {}, the notes stay.".format(name, ", ".join(landing) or "the whole band")
    else:
        landing = _chosen(song, wish, take)
        scope.update(_stretch(song, wish, sections), stems=landing)
        summary = "Asked to write {} anew.".format(", ".join(landing))
    request.control(built, wish.controls, landing)
    built["scope"] = scope
    return _asked(wish.verb, built, landing, [], summary)


def _asked(verb: str, built: dict[str, Any], stems: list[str], told: list[str], summary: str) -> Asked:
    return Asked(verb, built, request.save(built), stems, told, summary)


def _keys(located: list[dict[str, Any]], described: reading.Described) -> list[dict[str, Any]]:
    """Keys of locators go before the set's scale, which holds before the first of them."""
    return [key for key in described.keys if not located or located[0]["beat"] > key["beat"]] + located


def _moved(arrangement: dict[str, Any], now: reading.Described) -> bool:
    """Whether the clock of the sections is another than the one that the arrangement was made on."""
    end = max(float(s["end"]) for s in arrangement["sections"])
    before = [tuple(pair) for pair in arrangement["clock"] if pair[0] <= end]
    after = [pair for pair in now.pairs if pair[0] <= end]
    return len(before) != len(after) or any(
        abs(a[0] - b[0]) > 1e-9 or abs(a[1] - b[1]) > 1e-9 for a, b in zip(before, after)
    )


def _added(song: Song, wish: Wish, take: Take) -> list[Stem]:
    """The stems to add: those named, else what the selected track is called, else the first usual one missing."""
    taken = [stem.name for stem in take.stems]
    if wish.stems:
        return request.roles2stems([name2role(name) or name for name in wish.stems], taken)
    track = song.view.selected_track
    role = name2role(str(track.name)) if track is not None and tag_of(track) is None else None
    missing = [role for role in ADD_ORDER if role not in [stem.role for stem in take.stems]]
    return request.roles2stems([role or (missing or ["guitar"])[0]], taken)


def _chosen(song: Song, wish: Wish, take: Take) -> list[str]:
    """Names of the stems to write anew: those named, else those on selected tracks of ours, else all in the loop."""
    if wish.stems:
        return _named(wish, take)
    selected = [tag.stem for track, tag in our_tracks(song) if track.is_part_of_selection]
    found = [stem.name for stem in take.stems if stem.name in selected]
    if found:
        return found
    if wish.span is None and not wish.sections and reading.loop_span(song) is None:
        raise Trouble("Select a track of the band, or turn the loop on around the bars to write anew.")
    return [stem.name for stem in take.stems]


def _named(wish: Wish, take: Take) -> list[str]:
    """Names of the take's stems that a wish names or whose roles it names; none where it names none. Raises `Trouble`
    where the take has none of them."""
    found = [s.name for s in take.stems if s.name.lower() in wish.stems or s.role in wish.stems]
    if wish.stems and not found:
        raise Trouble("The take has no {}. It has {}.".format(" or ".join(wish.stems), _listed(take.stems)))
    return found


def _stretch(song: Song, wish: Wish, sections: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Sections or beats of the scope; empty for the whole take. Raises `Trouble` for a loop beside the take."""
    if wish.sections:
        return {"sections": [s["name"] for s in marks.named(sections, wish.sections)]}
    span = _span(song, wish)
    if span is None:
        return {}
    start, end = sections[0]["start"], sections[-1]["end"]
    if span.end <= start + marks.NEAR or span.start >= end - marks.NEAR:
        raise Trouble(f"The loop lies outside the take (beats {start:g} to {end:g}).")
    return {"start": max(span.start, start), "end": min(span.end, end)}


def _listed(stems: Sequence[Stem]) -> str:
    return ", ".join(stem.name for stem in stems)


# Where it lands


def land(placer: Placer, song: Song, running: Running, landings: Sequence[Landing], settings: dict[str, Any]) -> None:
    """Places a job's stems by its verb: new music on fresh tracks or behind the take that it continues, another
    version of something as `versions` says: take lanes where Live has them, else a scene (a next take) or fresh tracks
    with the earlier clips deactivated (other notes or another sound in the place of what there was)."""
    scenes: dict[int, int] = {}
    for landing in landings:
        another = running.verb in ("take", "reroll", "match") or landing.take > 1
        way = _way(song, running.verb, settings["versions"]) if another else ""
        if running.verb == "continue" and landing.take == 1:
            placer.behind(landing)
        elif not another:
            placer.on_fresh_tracks(landing)
        elif way == "lanes":
            placer.in_lanes(landing, running.verb)
        elif way == "scenes":
            if landing.take not in scenes:
                scenes[landing.take] = _new_scene(song)
                placer.places.append(f"scene '{list(song.scenes)[scenes[landing.take]].name}'")
            placer.in_scene(landing, scenes[landing.take])
        else:
            placer.on_fresh_tracks(landing)
            placer.mute_earlier(landing)


def _way(song: Song, verb: str, versions: str) -> str:
    lanes = any(hasattr(track, "create_take_lane") for track in song.tracks)
    if versions == "auto":
        return "lanes" if lanes else "tracks" if verb in ("reroll", "match") else "scenes"
    return "tracks" if versions == "lanes" and not lanes else versions


def _new_scene(song: Song) -> int:
    """Index of a new scene at the end."""
    scene = song.create_scene(-1)
    index = len(song.scenes) - 1
    scene.name = "stembridge %s" % (index + 1)
    return index


def taken(running: Running, built: dict[str, Any], takes: int) -> Take:
    """The take at hand after a job: its first, with the last seed that the job has used."""
    stems, seed = request.request2stems(built), int(built["seed"]) + max(takes, 1) - 1
    start = min(float(section["start"]) for section in built["arrangement"]["sections"])
    return Take(running.job, 1, running.request, seed, stems, start, request.request2end(built))
