"""The protocol: the design's examples parse and round-trip, and the published schema is what the code says."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from bridge import messages as m
from bridge.cli import SCHEMA_FILE

EXAMPLE = Path(__file__).parents[1] / "data" / "request.example.json"

EVENTS = [
    m.Accepted("a", 2, 3.5),
    m.Progress("a", "compose", 0.25, None, "three seeds"),
    m.StemReady("a", 1, "drums", "drums", "/d.wav", "/d.mid", 48000, 2.0, 96000, 2, 48000, m.Checks(0.5, 2.0)),
    m.Done("a", ("/take-1/manifest.json",), 12.5, ("the bass rests in the intro",)),
    m.Failed("a", "clock.tempo", "too fast", "arrangement.clock[1]", "slow down", True),
    m.Cancelled("a"),
    m.Pong("0.1.0", 12, True, 0),
    m.JobList((m.JobRow("a", "running", "compose", 0.5, "Night Bus"),)),
    m.ModelList((m.ModelRow("band", "composer", True, "Apache-2.0"),)),
    m.StatList((m.Stat("jobs_total", "counter", 3.0, {"state": "done"}, "Jobs."),)),
    m.Heard("a", "/x.mid", {"key": "A minor"}),
]


def test_the_example_request_round_trips() -> None:
    request = m.decode_shape(EXAMPLE.read_bytes())
    assert isinstance(request, m.Render)
    assert [stem.title for stem in request.stems] == ["drums", "bass", "pad", "Lead guitar"]
    assert m.decode_shape(m.encode(request)) == request
    sent, kept = json.loads(EXAMPLE.read_bytes()), json.loads(m.encode(request))
    assert {key: kept[key] for key in sent if key not in ("arrangement", "project", "stems")} == {
        key: sent[key] for key in sent if key not in ("arrangement", "project", "stems")
    }


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: type(e).__name__)
def test_events_round_trip(event: m.Event) -> None:
    assert m.decode_event(m.encode(event)) == event


def test_the_exported_schema_is_in_step() -> None:
    assert json.loads(SCHEMA_FILE.read_text()) == json.loads(json.dumps(m.json_schema())), (
        "run `stembridge schema --write`"
    )


def test_the_schema_accepts_what_the_code_accepts_and_refuses_what_it_refuses() -> None:
    validator = jsonschema.Draft202012Validator(m.json_schema())
    validator.validate(json.loads(EXAMPLE.read_text()))
    for event in EVENTS:
        validator.validate(json.loads(m.encode(event)))
    wrong = json.loads(EXAMPLE.read_text())
    wrong["arrangement"]["clock"][1] = ["64", 40.0]
    assert not validator.is_valid(wrong)
    with pytest.raises(msgspec.ValidationError):
        m.decode_shape(json.dumps(wrong))
