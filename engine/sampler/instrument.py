"""What plays a part: an instrument in its seat, and what a listener would measure of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Instrument:
    """What plays a part. `kind`: "soundfont", "kit" (then `kit` names it), "fontkit" (a font's drum preset) or "synth"
    (then `synth` names the patch). `font`: the font's name, "" for the bank's own. `gain_db` and `pan` (-1..1) place
    the stem, `room_db` is its reverb send (None: dry). `attack_ms`: measured time to half of the attack's peak.
    `skip_ms`: so much of every note's beginning is left out, so that it speaks when it should. `remark` says what was
    chosen in place of something else, or is empty."""

    name: str
    kind: str
    bank: int
    preset: int
    licence: str
    gain_db: float
    pan: float
    room_db: float | None
    attack_ms: float
    kit: str = ""
    source: str = ""
    remark: str = ""
    cents: int = 0
    font: str = ""
    synth: str = ""
    skip_ms: float = 0.0
