"""The gate of the fake Live: what a script sees of its objects, no more than the given version of Live has.

Every object is a proxy, new at each access, that compares by what it stands for, as Live's do. A member that this
version lacks, a keyword, a wrong count or type of arguments, a thread other than the main one, an object that is gone:
all of them raise as Live does. The members stand in `members.json`.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

LISTED = json.loads((Path(__file__).parent / "members.json").read_text())
VERSIONS: tuple[str, ...] = tuple(LISTED["versions"])
MEMBERS: dict[str, dict[str, Any]] = LISTED["members"]


class ArgumentError(TypeError):
    """As Boost.Python raises it for a wrong count or type of arguments."""


class LimitationError(Exception):
    """As `Live.Base.LimitationError`."""


class LiveCrash(BaseException):
    """What a script must never do: here real Live is known to crash, or to be used from the wrong thread."""


def as_numbers(version: str) -> tuple[int, ...]:
    """12.0.5 as (12, 0, 5)."""
    return tuple(int(part) for part in version.split("."))


def has_member(version: str, name: str) -> bool:
    """Whether this version of Live has "Class.member"."""
    entry = MEMBERS.get(name)
    if entry is None:
        return False
    return as_numbers(version) >= as_numbers(entry["from"]) and version not in entry.get("absent", [])


def fits(value: Any, kind: str) -> bool:
    """Whether a value may be given where Live declares `kind`."""
    if kind == "float":
        return isinstance(value, int | float)
    if kind == "int":
        return isinstance(value, int)
    if kind in ("str", "bool"):
        return isinstance(value, str if kind == "str" else int)
    if kind == "Any":
        return True
    if kind == "Iterable[MidiNoteSpecification]":
        return not isinstance(value, str) and hasattr(value, "__iter__")
    return isinstance(value, Proxy) and object.__getattribute__(value, "_model").kind == kind


class Model:
    """Something in the set. `kind` is its class in Live; properties are `get_x`, `set_x`, or values in `values`."""

    kind = ""

    def __init__(self, live: Any, owner: str) -> None:
        self.live = live
        self.owner = owner
        self.dead = False
        self.values: dict[str, Any] = {}

    def changed(self, what: str) -> None:
        """Every change goes through here: it belongs to an undo step, and to somebody's object."""
        self.live.note_change(self, what)


class Vector(Sequence[Any]):
    """Live's container: length, index, iteration; no slices."""

    def __init__(self, items: Sequence[Any]) -> None:
        self._items = tuple(items)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, int):
            raise ArgumentError("a Vector takes whole numbers")
        return self._items[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)


def wrapped(value: Any) -> Any:
    """What the script gets for a model or a list of them."""
    if isinstance(value, Model):
        return Proxy(value)
    if isinstance(value, list):
        return Vector([wrapped(item) for item in value])
    return value


def unwrapped(value: Any) -> Any:
    """The model behind what the script gives."""
    return object.__getattribute__(value, "_model") if isinstance(value, Proxy) else value


class Proxy:
    """One of Live's objects in the hands of a script."""

    __slots__ = ("_model",)
    _model: Model

    def __init__(self, model: Model) -> None:
        object.__setattr__(self, "_model", model)

    def __eq__(self, other: object) -> bool:
        model = object.__getattribute__(self, "_model")
        return model.dead if other is None else isinstance(other, Proxy) and unwrapped(other) is model

    def __hash__(self) -> int:
        return id(object.__getattribute__(self, "_model"))

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("__"):
            return object.__getattribute__(self, name)
        model = object.__getattribute__(self, "_model")
        entry = _entry(model, name)
        if entry["kind"] == "method":
            return _bound(model, name, entry)
        getter = getattr(model, f"get_{name}", None)
        if getter is None and name not in model.values:
            raise NotImplementedError(f"the fake does not model {model.kind}.{name}")
        return wrapped(getter() if getter else model.values[name])

    def __setattr__(self, name: str, value: Any) -> None:
        model = object.__getattribute__(self, "_model")
        entry = _entry(model, name)
        since = entry.get("set")
        if since is None or as_numbers(model.live.version) < as_numbers(since):
            raise AttributeError(f"can't set attribute {name}")
        if not fits(value, entry["gives"]) and not (value is None and entry["gives"] in ("Clip", "Track")):
            raise ArgumentError(f"{model.kind}.{name} takes {entry['gives']}, not {type(value).__name__}")
        model.changed(name)
        setter = getattr(model, f"set_{name}", None)
        if setter:
            setter(unwrapped(value))
        else:
            model.values[name] = unwrapped(value)


def _entry(model: Model, name: str) -> dict[str, Any]:
    if threading.current_thread() is not model.live.main_thread:
        raise LiveCrash(f"{model.kind}.{name} was used outside Live's main thread")
    if model.dead:
        raise RuntimeError(f"this {model.kind} is gone")
    full = f"{model.kind}.{name}"
    if not has_member(model.live.version, full):
        raise AttributeError(f"'{model.kind}' object has no attribute '{name}'")
    model.live.used.add(full)
    return MEMBERS[full]


def _bound(model: Model, name: str, entry: dict[str, Any]) -> Callable[..., Any]:
    done = getattr(model, name, None)
    if done is None:
        raise NotImplementedError(f"the fake does not model {model.kind}.{name}()")

    def call(*given: Any, **named: Any) -> Any:
        kinds, least = entry["args"], len(entry["args"]) - entry["optional"]
        matches = least <= len(given) <= len(kinds) and all(fits(v, k) for v, k in zip(given, kinds, strict=False))
        if named or not matches:
            told = ", ".join([type(value).__name__ for value in given] + [f"{key}=" for key in named])
            raise ArgumentError(
                f"Python argument types in {model.kind}.{name}({told}) did not match C++ signature ({', '.join(kinds)})"
            )
        return wrapped(done(*[unwrapped(value) for value in given]))

    return call


def plain_kinds() -> set[str]:
    """Every kind of value that the list names, for its own test."""
    named = [kind for entry in MEMBERS.values() for kind in [*entry.get("args", []), entry["gives"]]]
    return {word for kind in named for word in re.findall(r"\w+", kind)}
