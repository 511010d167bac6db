"""What the musician asks for, from wherever it comes: a clip's name, a MIDI note or controller, OSC from outside."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Sequence

from .labels import ROLES, name2label, name2role
from .trouble import Trouble

VERBS = ("generate", "reroll", "add", "continue", "match", "take", "cancel")
SPOKEN = {
    "gen": "generate", "generate": "generate", "band": "generate", "reroll": "reroll", "re-roll": "reroll",
    "add": "add", "continue": "continue", "cont": "continue", "match": "match", "take": "take", "next": "take",
    "cancel": "cancel", "stop": "cancel",
}  # fmt: skip


CONTROLS = ("density", "register", "complexity")
SPACE = "space"
"""What may be said of the stems that a wish writes: "density=-0.5", "space=lead"."""


class Wish(NamedTuple):
    """`stems`: roles, or names of stems in lower case, empty for the usual ones. `sections`: lower-case names or
    labels, empty for all. `words`: style. `span`: beats (start, end) of the clip that asked, None where the loop brace
    decides. `controls`: of the stems that are written, by the names that the protocol gives them."""

    verb: str
    stems: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    words: str = ""
    span: tuple[float, float] | None = None
    controls: tuple[tuple[str, float | str], ...] = ()


class Names(NamedTuple):
    """What may be called by name: the set's sections, and the stems of the take at hand."""

    sections: Sequence[str] = ()
    stems: Sequence[str] = ()


def text2wish(text: str, names: Names, span: tuple[float, float] | None = None) -> Wish | None:
    """A wish out of "/gen drums chorus: dusty"; None where the text is none.

    Each word is a stem (its name or its role), else a section (a locator's name or a label); names of several words
    count whole. Raises `Trouble` for a command or a word that is neither.
    """
    head, _, style = text.strip().partition(":")
    said = head[1:].split()
    if not head.startswith("/") or not said:
        return None
    verb = SPOKEN.get(said[0].lower())
    if verb is None:
        raise Trouble(f"'/{said[0]}' is no command. There are: /gen /reroll /add /continue /match /take /cancel.")
    return words2wish(verb, " ".join(said[1:]), names, style.strip(), span)


def words2wish(verb: str, text: str, names: Names, style: str = "", span: tuple[float, float] | None = None) -> Wish:
    """A wish out of a verb and words that name stems and sections, or that ask something of the stems
    ("density=-0.5"). Raises `Trouble` for a word that is neither."""
    called = {name.lower(): "section" for name in names.sections}
    called.update({name.lower(): "stem" for name in names.stems})
    stems: list[str] = []
    sections: list[str] = []
    said = text.replace(",", " ").split()
    controls = dict(_control(word) for word in said if "=" in word)
    left = [word.lower() for word in said if "=" not in word]
    if controls and verb in ("match", "cancel"):
        raise Trouble(f"/{verb} writes no notes, so {' and '.join(controls)} can change nothing.")
    while left:
        size = next((n for n in range(len(left), 0, -1) if " ".join(left[:n]) in called), 1)
        words, left = " ".join(left[:size]), left[size:]
        role, label = name2role(words), name2label(words)
        if called.get(words) == "stem":
            stems.append(words)
        elif called.get(words) == "section":
            sections.append(words)
        elif role:
            stems.append(role)
        elif label:
            sections.append(label)
        else:
            raise Trouble(
                "'{}' is neither a stem ({}) nor a section (a label like chorus, or a locator's name).".format(
                    words, " ".join(ROLES)
                )
            )
    return Wish(
        verb, tuple(dict.fromkeys(stems)), tuple(dict.fromkeys(sections)), style[:2000], span, tuple(controls.items())
    )


def _control(word: str) -> tuple[str, float | str]:
    """A field of a stem and its value, out of "density=-0.5" or "space=guitar_2". Raises `Trouble`."""
    name, _, value = word.partition("=")
    if name.lower() == SPACE and value:
        return "leave_space_for", value.replace("_", " ")
    if name.lower() not in CONTROLS:
        raise Trouble("'{}' is no control. There are: {}, {}=STEM.".format(word, "=, ".join(CONTROLS) + "=", SPACE))
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not -1.0 <= number <= 1.0:
        raise Trouble(f"'{word}': {name.lower()} is a number from -1 to 1; 0 is as the music wants.")
    return name.lower(), number


class Trigger(NamedTuple):
    """A note or a controller, on one MIDI channel (0-15), that asks for a verb."""

    kind: str
    channel: int
    number: int
    verb: str


def triggers(settings: dict[str, Any]) -> list[Trigger]:
    """The MIDI triggers that the settings name."""
    channel = settings["midi_channel"] - 1
    found = [Trigger("cc", channel, settings["midi_cc"][verb], verb) for verb in VERBS if verb in settings["midi_cc"]]
    notes = settings["midi_note"]
    return found + [Trigger("note", channel, notes[verb], verb) for verb in VERBS if verb in notes]


def midi2verb(data: Sequence[int], known: Sequence[Trigger]) -> str | None:
    """The verb that a MIDI message asks for: note-on with a velocity, or a controller at 64 or above."""
    if len(data) < 3:
        return None
    kind = {0x90: "note", 0xB0: "cc"}.get(data[0] & 0xF0)
    if data[2] < (64 if kind == "cc" else 1):
        return None
    for trigger in known:
        if (trigger.kind, trigger.channel, trigger.number) == (kind, data[0] & 0x0F, data[1]):
            return trigger.verb
    return None
