"""The script's own JSON reader and writer under Lua 5.3 and 5.4, against Python's."""

from __future__ import annotations

import json
import math
import random
import struct
from typing import Any

import pytest

from tests.daw.lua import INTERPRETERS, run_lua

pytestmark = pytest.mark.parametrize("lua", INTERPRETERS)


def some_json(rng: random.Random, depth: int = 0) -> Any:
    """A random value with awkward numbers and texts."""
    kind = rng.randrange(7 if depth < 4 else 5)
    if kind == 0:
        return rng.choice([0.1, 1e-300, 5e-324, 1.7976931348623157e308, math.pi, -0.0, 79.057142857142853, 1 / 3])
    if kind == 1:
        return rng.choice([0, -1, 2**53 + 1, 2**62, -(2**63)])
    if kind == 2:
        return rng.choice(["", 'a"b\\c/', "tab\tnew\nline\r\x00\x1f\x7f", "Größe 𝄞 \u2028", "\ud7ff\ue000\U0010ffff"])
    if kind == 3:
        return rng.choice([True, False])
    if kind == 4:
        return struct.unpack("<d", struct.pack("<Q", rng.randrange(1, 0x7FEF << 48)))[0]
    if kind == 5:
        return [some_json(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {f"k{i}": some_json(rng, depth + 1) for i in range(rng.randrange(4))}


def test_json_keeps_every_value(lua: str) -> None:
    rng = random.Random(5)
    values = [some_json(rng) for _ in range(400)]
    assert run_lua(lua, "return input", values) == values


def test_json_reads_escapes_and_null(lua: str) -> None:
    texts = ['"\\u00e9\\ud834\\udd1e\\ud834x\\/"', "[null]", "\t{ } ", "-0.5e+3"]
    body = "local out = json.array() for i, t in ipairs(input) do out[i] = json.decode(t) end return out"
    assert run_lua(lua, body, texts) == ["é𝄞\ufffdx/", [None], {}, -500.0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1,]",
        '{"a" 1}',
        '{"a":1,}',
        "01",
        "1.",
        "nul",
        "[1] 2",
        '"\x01"',
        '"\\x"',
        '"\\u12"',
        "NaN",
        "[" * 100,
    ],
)
def test_json_refuses_what_is_none(lua: str, text: str) -> None:
    ok, why = run_lua(lua, "local ok, why = pcall(json.decode, input) return json.array({ ok, tostring(why) })", text)
    assert ok is False
    assert why.startswith("JSON: ")


@pytest.mark.parametrize("value", ["0/0", "math.huge", "-math.huge", "print", "{[2] = 1}"])
def test_json_refuses_to_write_what_it_cannot_say(lua: str, value: str) -> None:
    assert run_lua(lua, f"return (pcall(json.encode, {{ x = {value} }}))") is False


def test_json_numbers_ignore_a_locale_with_commas(lua: str) -> None:
    body = """
      local plain = string.format
      string.format = function(form, ...) return (plain(form, ...):gsub("%.", form:find("g") and "," or "%.")) end
      local text = json.encode({ 0.5, -1.25e-300 })
      string.format = plain
      return text
    """
    assert json.loads(run_lua(lua, body)) == [0.5, -1.25e-300]
