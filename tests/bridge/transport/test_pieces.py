"""Pieces of stems on every way out: as a numbered file in the mailbox, as an OSC message, as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from bridge.messages import Checks, PieceReady, StemReady, decode_event, encode
from bridge.transport.mailbox import MailboxOutlet
from bridge.transport.osc_outlet import answer2packet, event2message

PIECE = PieceReady("job", 1, "vocals", "vocals", 1, ("Intro", "Verse"), "/out/vocals 1.wav", 0, 0.0, 48_000, 2, 48_000)
STEM = StemReady("job", 1, "vocals", "vocals", "/v.wav", "/v.mid", 0, 0.0, 96_000, 2, 48_000, Checks())


def test_a_piece_survives_json() -> None:
    assert decode_event(encode(PIECE)) == PIECE


def test_the_mailbox_numbers_pieces_apart_from_stems(tmp_path: Path) -> None:
    outlet = MailboxOutlet(tmp_path)
    for event in (PIECE, PIECE, STEM):
        assert outlet.send(event)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["piece-001.json", "piece-002.json", "stem-001.json"]
    assert json.loads((tmp_path / "piece-001.json").read_text())["sections"] == ["Intro", "Verse"]
    assert not outlet.finished


def test_osc_tells_a_piece_under_its_own_address() -> None:
    (answer,) = event2message(PIECE)
    assert answer[0] == "/piece"
    assert b"/stembridge/v1/piece" in answer2packet(answer)
