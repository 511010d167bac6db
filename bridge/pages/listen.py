"""The page of `stembridge listen CLIP --html FILE`: what was heard in an audio clip, drawn.

Beats over the waveform with the chords, chroma along the clip, groove by registers, spectrum and width, and the figures
with their confidences. Its input is the engine's answer alone.
"""

from __future__ import annotations

from html import escape
from typing import Any

from bridge.pages.svg import box, dot, drawing, line, path, text

NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
WIDE, LEFT, RIGHT = 960.0, 46.0, 18.0
LEAST_APART = 4.0, 10.0
"""Beats drawn nearer than the first are left out; of bars nearer than the second every 2nd, 4th or so is drawn."""
MAX_CHORD_NAMES = 60
UNHEARD = 0.05
"""Below this confidence a figure is only the likeliest of what is not there."""
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1c2330;background:#f6f7f9;margin:0}
main{max-width:1040px;margin:0 auto;padding:24px}
h1{font-size:24px;margin:0 0 4px}h2{font-size:16px;margin:28px 0 6px}p{margin:4px 0;color:#5b6576}
svg{display:block;width:100%;height:auto;background:#fff;border:1px solid #dde1e8;border-radius:6px}
table{border-collapse:collapse;background:#fff;border:1px solid #dde1e8;border-radius:6px;width:100%}
td{padding:5px 12px;border-top:1px solid #edf0f4;vertical-align:top}tr:first-child td{border-top:0}
td:first-child{color:#5b6576;width:150px}td:last-child{color:#5b6576;text-align:right;white-space:nowrap}
.wave{fill:#9fb4d0}.beat{stroke:#c9ced8;stroke-width:.7}.bar{stroke:#d2452d;stroke-width:1.2}
.axis{stroke:#c9ced8;stroke-width:1}.grid{stroke:#eceff3;stroke-width:1}.level{fill:#3b6ea5}.heat{fill:#3b6ea5}
.low{fill:#7a4fa3}.mid{fill:#3b6ea5}.high{fill:#2a9d8f}.late{fill:#d2452d}.width{fill:none;stroke:#d2452d;stroke-width:1.6}
.small{font:11px system-ui,sans-serif;fill:#5b6576}.chord{font:600 11px system-ui,sans-serif;fill:#1c2330}
"""


def heard2page(name: str, heard: dict[str, Any]) -> str:
    """HTML of an audio clip's answer (`kind` "audio"); `name` is the file's, for the title."""
    parts = [
        f"<h1>{escape(name)}</h1>",
        f"<p>{_length(heard['seconds'])}, {heard['sample_rate']} Hz, {_channels(heard['channels'])}</p>",
        _table(heard2facts(heard)),
        "<h2>Beats, bars and chords</h2>",
        _waveform(heard),
        "<h2>Chroma</h2>",
        _chroma(heard),
        "<h2>Groove</h2>",
        _groove(heard),
        "<h2>Spectrum and width</h2>",
        _spectrum(heard),
        "<h2>Players</h2>",
        _roles(heard),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(name)}: what was heard</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def heard2facts(heard: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(what, value, confidence or "") of each figure of an audio clip's answer, for people."""
    tempo, key, bars, swing = heard["tempo"], heard["key"], heard["bars"], heard["swing"]
    chords, dynamics, room, onsets = heard["chords"], heard["dynamics"], heard["room"], heard["onsets"]
    others = ", ".join(f"{a['bpm']:g} ({a['strength']:.0%})" for a in tempo["alternatives"][:3])
    keys = ", ".join(f"{a['tonic']} {a['mode']}" for a in key["alternatives"] if a["confidence"] >= 0.05)
    steady = "{:.2f} bpm" if tempo["confidence"] >= UNHEARD else "nothing steady, nearest to {:.2f} bpm"
    barred = bars["downbeats"] and bars["confidence"] >= UNHEARD
    swung = heard["beats"] and swing["confidence"] >= UNHEARD
    return [
        ("Tempo", _value(tempo["bpm"], steady, f"or {others}" if others else ""), _sure(tempo["confidence"])),
        ("Bars", f"{bars['beats_per_bar']} beats, {len(bars['downbeats'])} bars" if barred else "not heard",
         _sure(bars["confidence"])),
        ("Swing", f"{swing['ratio']:.1%} of a pair of {swing['unit']}th notes" if swung else "not heard",
         _sure(swing["confidence"])),
        ("Key", f"{key['tonic']} {key['mode']}" + (f" (or {keys})" if keys else "") if key["tonic"] else "not heard",
         _sure(key["confidence"])),
        ("Chords", _value(chords["per_bar"], "{:.2f} changes a bar", _value(chords["per_minute"], "{:g} a minute")),
         _sure(chords["confidence"])),
        ("Loudness", _value(heard["lufs"], "{:.1f} LUFS", _value(dynamics["range_lu"], "range {:.1f} LU")), ""),
        ("Peak", _value(dynamics["true_peak_dbfs"], "{:.1f} dBTP", _value(dynamics["crest_db"], "crest {:.1f} dB")),
         ""),
        ("Room", _value(room["rt60"], "rings for {:.2f} s"), _sure(room["confidence"])),
        ("Onsets", f"{onsets['per_second']:.1f} a second (low {onsets['low']:.1f}, mid {onsets['mid']:.1f}, "
         f"high {onsets['high']:.1f})", ""),
        ("Players", ", ".join(f"{r['role']} {r['activity']:.2f}" for r in heard["roles"]) or "not heard", ""),
    ]  # fmt: skip


def _table(rows: list[tuple[str, str, str]]) -> str:
    cells = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{cells}</table>"


def _time_axis(seconds: float, y: float) -> list[str]:
    """Labels of seconds, or of minutes and seconds, along a drawing."""
    step = next(s for s in (1, 2, 5, 10, 30, 60, 120, 300) if seconds / s <= 16 or s == 300)
    marks = [
        (at, f"{at} s" if seconds < 120 else f"{at // 60}:{at % 60:02}") for at in range(0, int(seconds) + 1, step)
    ]
    return [text(_along(at, seconds), y, label, anchor="middle") for at, label in marks]


def _along(at: float, seconds: float) -> float:
    """Where a moment lies in a drawing of a clip."""
    return LEFT + (WIDE - LEFT - RIGHT) * min(at / seconds, 1.0)


def _waveform(heard: dict[str, Any]) -> str:
    seconds = max(float(heard["seconds"]), 1e-6)
    wave = heard["picture"]["waveform"]
    high = max([*wave, 1e-9])
    each = (WIDE - LEFT - RIGHT) / max(len(wave), 1)

    def x(at: float) -> float:
        return _along(at, seconds)

    shapes = [
        box(LEFT + k * each, 90 - 60 * v / high, each, max(120 * v / high, 0.4), "wave") for k, v in enumerate(wave)
    ]
    beats, bars = heard["beats"], heard["bars"]["downbeats"]
    if _apart(beats, seconds) >= LEAST_APART[0]:
        shapes += [line(x(b), 26, x(b), 154, "beat") for b in beats]
    every = 1
    while _apart(bars[::every], seconds) < LEAST_APART[1]:
        every *= 2
    shapes += [line(x(b), 22, x(b), 158, "bar") for b in bars[::every]]
    spans = heard["chords"]["spans"]
    if len(spans) <= MAX_CHORD_NAMES:
        last = -99.0
        for span in spans:
            if x(span["start"]) >= last:
                shapes.append(text(x(span["start"]) + 2, 15, span["symbol"], "chord"))
                last = x(span["start"]) + 8 + 7.5 * len(span["symbol"])
    shapes += _time_axis(seconds, 172)
    note = f"<p>One bar line in {every} is drawn.</p>" if every > 1 else ""
    return drawing(WIDE, 180, shapes, "waveform with beats, bars and chords") + note


def _apart(moments: list[float], seconds: float) -> float:
    """How far apart moments are drawn, in the mean."""
    if len(moments) < 2:
        return WIDE
    return (_along(moments[-1], seconds) - _along(moments[0], seconds)) / (len(moments) - 1)


def _chroma(heard: dict[str, Any]) -> str:
    rows = heard["picture"]["chroma"]
    shapes = []
    profile = heard["key"]["chroma"] or [0.0] * 12
    for k, name in enumerate(NAMES):
        y = 8 + 15 * (11 - k)
        shapes.append(text(LEFT - 8, y + 11, name, anchor="end"))
        shapes.append(box(WIDE - 110, y + 2, 100 * profile[k], 10, "level"))
        columns = rows[k] if rows else []
        each = (WIDE - LEFT - 130) / max(len(columns), 1)
        shapes += [
            box(LEFT + c * each, y, each + 0.3, 14, "heat", opacity=v / 99) for c, v in enumerate(columns) if v > 2
        ]
    return drawing(WIDE, 196, shapes, "pitch classes along the clip, and as a whole at the right")


def _groove(heard: dict[str, Any]) -> str:
    groove, bands = heard["groove"], heard["groove"]["bands"]
    if not bands:
        return "<p>No bars of four beats were heard.</p>"
    each = (WIDE - LEFT) / 16
    shapes = []
    for row, band in enumerate(reversed(bands)):
        floor = 88 + 92 * row
        shapes.append(text(LEFT - 8, floor - 30, band["band"], anchor="end"))
        shapes.append(line(LEFT, floor, WIDE, floor, "axis"))
        for k in range(16):
            x = LEFT + k * each
            shapes.append(line(x, floor - 72, x, floor, "bar" if k == 0 else "axis" if k % 4 == 0 else "grid"))
            high = 66 * band["strength"][k]
            shapes.append(
                box(x + 8, floor - high, each - 16, high, band["band"], opacity=0.35 + 0.65 * band["hits"][k])
            )
            if band["strength"][k] > 0:
                shapes.append(dot(x + each / 2 + each * band["timing"][k], floor + 5, 3, "late"))
    names = "1e+a2e+a3e+a4e+a"
    shapes += [text(LEFT + (k + 0.5) * each, 298, n, anchor="middle") for k, n in enumerate(names)]
    return drawing(WIDE, 306, shapes, "groove by sixteenths") + (
        f"<p>{groove['bars']} bars, confidence {groove['confidence']:.2f}. Height: strength; pale: played in few bars; "
        "red dot: early (left of the middle) or late, beside the swung grid.</p>"
    )


def _spectrum(heard: dict[str, Any]) -> str:
    spectrum = heard["spectrum"]
    if not spectrum["levels"]:
        return "<p>The clip is silent.</p>"
    count = len(spectrum["levels"])
    each = (WIDE - 2 * LEFT) / count
    shapes = []
    for db in (0, -12, -24, -36, -48, -60):
        y = 20 - db * 3
        shapes += [line(LEFT, y, WIDE - LEFT, y, "grid"), text(LEFT - 6, y + 4, str(db), anchor="end")]
        shapes.append(text(WIDE - LEFT + 6, y + 4, str(db + 12)))
    for k, (level, centre) in enumerate(zip(spectrum["levels"], spectrum["centres"], strict=True)):
        y = 20 - 3 * max(level, -60)
        shapes.append(box(LEFT + k * each + 2, y, each - 4, 200 - y, "level"))
        if k % 3 == 2:
            name = f"{centre / 1000:.0f}k" if centre >= 1000 else f"{centre:.0f}"
            shapes.append(text(LEFT + (k + 0.5) * each, 216, name, anchor="middle"))
    points = [
        (LEFT + (k + 0.5) * each, 20 - 3 * (min(max(s, -48.0), 12.0) - 12.0)) for k, s in enumerate(spectrum["side"])
    ]
    shapes.append(path(points, "width"))
    return drawing(WIDE, 226, shapes, "third octaves and width") + (
        "<p>Bars: power of each third octave beside the whole, dB (left). Red line: side beside mid, dB (right); "
        f"the whole {spectrum['width']:.1f} dB.</p>"
    )


def _roles(heard: dict[str, Any]) -> str:
    roles = heard["roles"]
    if not roles:
        return "<p>None were heard.</p>"
    shapes = []
    for k, role in enumerate(roles):
        y = 10 + 22 * k
        shapes.append(text(LEFT + 40, y + 12, role["role"], anchor="end"))
        shapes.append(box(LEFT + 50, y + 2, 600 * role["activity"], 12, "level", opacity=0.4 + 0.6 * role["activity"]))
        shapes.append(text(LEFT + 58 + 600 * role["activity"], y + 12, f"{role['activity']:.2f}"))
    return drawing(WIDE, 16 + 22 * len(roles), shapes, "how surely each role plays")


def _value(value: float | None, form: str, more: str = "") -> str:
    if value is None:
        return "not heard"
    return form.format(value) + (f", {more}" if more and more != "not heard" else "")


def _sure(confidence: float) -> str:
    return f"confidence {confidence:.2f}"


def _length(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)}:{seconds % 60:04.1f} min"


def _channels(count: int) -> str:
    return {1: "mono", 2: "stereo"}.get(count, f"{count} channels")
