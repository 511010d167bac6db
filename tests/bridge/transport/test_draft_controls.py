"""What is wished of single stems, line by line: controls and space, by a stem's name or role."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RequestError
from bridge.messages import DEFAULT_STEMS, Render, StemWanted, decode_shape
from bridge.transport.draft import Draft
from bridge.transport.osc_table import ROOT, ROWS
from bridge.wishes import CONTROLS

Line = tuple[str, Sequence[object]]


def drafted(*lines: Line) -> tuple[StemWanted, ...]:
    """The stems of a draft with these lines behind a tempo; every line is held to the table of addresses first."""
    draft = Draft("job", "me", 0, 0.0)
    tempo: Line = ("tempo", [0.0, 120.0])
    for name, values in (tempo, *lines):
        tags = "".join({str: "s", int: "i", float: "f"}[type(value)] for value in values)
        draft.line(name, ROWS[f"{ROOT}/draft/{name}"].check("s" + tags, ["token", *values])[1:])
    request = decode_shape(draft.request())
    assert isinstance(request, Render)
    return request.stems


@given(
    values=st.dictionaries(st.sampled_from(CONTROLS), st.floats(-1, 1, width=32), min_size=1),
    role=st.sampled_from(DEFAULT_STEMS),
)
def test_controls_come_to_the_stem_that_is_named(values: dict[str, float], role: str) -> None:
    stems = drafted(*(("control", [role, name, value]) for name, value in values.items()))
    assert [stem.role for stem in stems] == list(DEFAULT_STEMS), "the usual five, where none is drafted"
    for stem in stems:
        assert [getattr(stem, name) for name in CONTROLS] == [
            values.get(name) if stem.role == role else None for name in CONTROLS
        ]


def test_a_name_stands_before_a_role_and_lines_come_in_any_order() -> None:
    stems = drafted(
        ("control", ["guitar 2", "density", -1]),
        ("space", ["guitar", "lead"]),
        ("stem", ["guitar"]),
        ("stem", ["guitar", "guitar 2", "nylon"]),
        ("stem", ["lead"]),
        ("control", ["lead", "register", 0.5]),
        ("control", ["lead", "register", 0.25]),
    )
    assert [(s.density, s.register, s.leave_space_for) for s in stems] == [
        (None, None, "lead"), (-1.0, None, ""), (None, 0.25, ""),
    ]  # fmt: skip
    both = drafted(("stem", ["keys", "Rhodes"]), ("stem", ["keys", "Organ"]), ("control", ["keys", "density", 1]))
    assert [s.density for s in both] == [1.0, 1.0], "a role means all its stems where none is called so"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (("control", ["bass", "loudness", 0.5]), "draft.control"),
        (("control", ["kazoo", "density", 0.5]), "draft.stem"),
        (("space", ["kazoo", "lead"]), "draft.stem"),
        (("control", ["bass", "density"]), "osc.arguments"),
        (("control", ["bass", "density", "much"]), "osc.arguments"),
    ],
)
def test_wishes_that_are_not_understood_are_refused(line: Line, code: str) -> None:
    with pytest.raises(RequestError) as refused:
        drafted(line)
    assert refused.value.code == code
