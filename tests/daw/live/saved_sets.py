"""Makes `.als` files as Live saves them, as far as their tempo goes: gzip, XML, tracks before the main one."""

from __future__ import annotations

import gzip
import math
from collections.abc import Sequence
from pathlib import Path

BEFORE_SONG = -63_072_000.0


def metre2code(beats: int, unit: int) -> int:
    """Live's number for a time signature."""
    return beats - 1 + 99 * int(math.log2(unit))


def set_xml(
    tempi: Sequence[tuple[float, float]] = ((BEFORE_SONG, 120.0),),
    metres: Sequence[tuple[float, int, int]] = ((BEFORE_SONG, 4, 4),),
    *,
    main: str = "MainTrack",
    curved: Sequence[int] = (),
    tracks: int = 3,
    filler: str = "",
) -> str:
    """The XML of a set with these (beat, bpm) and (beat, numerator, denominator) events. `curved`: indices of tempo
    events with curve controls. `filler` stands for a plug-in's data inside the main track."""
    floats = "".join(
        f'<FloatEvent Id="{i}" Time="{beat!r}" Value="{bpm!r}"'
        + (' CurveControl1X="0.5" CurveControl1Y="0" CurveControl2X="1" CurveControl2Y="0.5"' if i in curved else "")
        + " />"
        for i, (beat, bpm) in enumerate(tempi)
    )
    enums = "".join(
        f'<EnumEvent Id="{i}" Time="{beat!r}" Value="{metre2code(beats, unit)}" />'
        for i, (beat, beats, unit) in enumerate(metres)
    )
    others = "".join(
        f'<AudioTrack Id="{i}"><Name><EffectiveName Value="a &lt;b&gt; &quot;MainTrack&quot; > {i}" /></Name>'
        f'<DeviceChain><Mixer><Volume><Manual Value="1" /><AutomationTarget Id="{100 + i}" /></Volume></Mixer>'
        "</DeviceChain></AudioTrack>"
        for i in range(tracks)
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Ableton MajorVersion="5" MinorVersion="12.0_12049" Creator="Ableton Live 12.0.5">
<LiveSet><NextPointeeId Value="9000" /><Tracks>{others}</Tracks>
<{main} Id="1">
  <AutomationEnvelopes><Envelopes>
    <AutomationEnvelope Id="0"><EnvelopeTarget><PointeeId Value="10" /></EnvelopeTarget>
      <Automation><Events>{enums}</Events></Automation></AutomationEnvelope>
    <AutomationEnvelope Id="1"><EnvelopeTarget><PointeeId Value="77" /></EnvelopeTarget>
      <Automation><Events><FloatEvent Id="0" Time="0" Value="0.5" /></Events></Automation></AutomationEnvelope>
    <AutomationEnvelope Id="2"><EnvelopeTarget><PointeeId Value="8" /></EnvelopeTarget>
      <Automation><Events>{floats}</Events></Automation></AutomationEnvelope>
  </Envelopes></AutomationEnvelopes>
  <DeviceChain><Mixer>
    <Volume><Manual Value="1" /><AutomationTarget Id="77" /></Volume>
    <Tempo><LomId Value="0" /><Manual Value="{tempi[-1][1]!r}" /><AutomationTarget Id="8"><LockEnvelope Value="0" />
      </AutomationTarget><ModulationTarget Id="9" /></Tempo>
    <TimeSignature><LomId Value="0" /><Manual Value="201" /><AutomationTarget Id="10" /></TimeSignature>
  </Mixer><Devices><Plugin><Buffer>{filler}</Buffer></Plugin></Devices></DeviceChain>
</{main}>
<PreHearTrack><DeviceChain><Mixer><Tempo><Manual Value="1" /></Tempo></Mixer></DeviceChain></PreHearTrack>
</LiveSet></Ableton>"""


def write_als(
    path: Path,
    tempi: Sequence[tuple[float, float]] = ((BEFORE_SONG, 120.0),),
    metres: Sequence[tuple[float, int, int]] = ((BEFORE_SONG, 4, 4),),
    *,
    main: str = "MainTrack",
    curved: Sequence[int] = (),
    tracks: int = 3,
    filler: str = "",
) -> Path:
    """Saves such a set."""
    xml = set_xml(tempi, metres, main=main, curved=curved, tracks=tracks, filler=filler)
    path.write_bytes(gzip.compress(xml.encode()))
    return path
