"""Which role a track plays: from its name, its channel, its General MIDI program, and what it plays.

A name decides first (whole words, English, German, French, Spanish, Italian), then the drum channel, then a program
other than 0 (0 is what files say when nobody chose an instrument), then register, polyphony and rhythm.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Protocol

import numpy as np

DRUM_CHANNEL = 9

WORDS: dict[str, tuple[str, ...]] = {
    "drums": (
        "drum", "drums", "drumkit", "drumset", "kit", "beat", "beats", "perc", "percussion", "percusion",
        "percussione", "kick", "kik", "snare", "hat", "hats", "hihat", "hihats", "hi hat", "cymbal", "cymbals",
        "ride", "crash", "tom", "toms", "clap", "claps", "shaker", "conga", "congas", "bongo", "bongos", "cajon",
        "tambourine", "loop drums", "schlagzeug", "trommel", "trommeln", "becken", "batterie", "bateria",
        "batteria", "tambour", "tambor", "808 kit",
    ),
    "bass": (
        "bass", "basses", "bassline", "bass guitar", "bass gitarre", "bassgitarre", "e bass", "kontrabass",
        "contrabass", "contrabasse", "basse", "bajo", "contrabajo", "basso", "contrabbasso", "double bass",
        "upright bass", "sub", "subbass", "808", "synth bass", "synthbass", "moog bass", "fretless",
    ),
    "keys": (
        "keys", "keyboard", "keyboards", "key", "piano", "pianos", "pno", "klavier", "flugel", "rhodes", "wurli",
        "wurlitzer", "ep", "e piano", "epiano", "electric piano", "organ", "orgel", "orgue", "organo", "hammond",
        "clav", "clavinet", "clavier", "teclado", "teclados", "tastiera", "tasten", "harpsichord", "cembalo",
        "celesta", "accordion", "akkordeon", "accordeon", "vibraphone", "vibes", "marimba", "xylophone",
        "glockenspiel", "chords", "comp", "comping", "akkorde", "accords", "acordes", "steel drums", "steel drum",
    ),
    "guitar": (
        "guitar", "guitars", "gtr", "gtrs", "git", "gitarre", "gitarren", "guitare", "guitares", "guitarra",
        "guitarras", "chitarra", "e gitarre", "ukulele", "uke", "banjo", "mandolin", "mandoline", "strum",
        "acoustic", "rhythm guitar", "nylon", "strat", "power chords",
    ),
    "pad": (
        "pad", "pads", "flache", "flachen", "nappe", "nappes", "atmo", "atmos", "atmosphere", "ambient", "ambience",
        "drone", "texture", "wash", "choir pad", "synth pad", "synthpad", "string pad", "choir", "chor", "choeur",
        "coro", "warm pad",
    ),
    "strings": (
        "strings", "string", "str", "streicher", "cordes", "cuerdas", "archi", "violin", "violins", "violine",
        "violinen", "geige", "geigen", "violon", "violons", "violino", "viola", "violas", "bratsche", "alto cordes",
        "cello", "celli", "cellos", "violoncello", "violoncelle", "orchestra", "orchester", "orchestre", "orquesta",
        "ensemble", "pizzicato", "harp", "harfe", "harpe", "arpa",
    ),
    "brass": (
        "brass", "horns", "horn", "trumpet", "trumpets", "trompete", "trompeten", "trompette", "trompeta", "tromba",
        "trombone", "posaune", "posaunen", "trombon", "tuba", "blaser", "blech", "blechblaser", "cuivres", "cuivre",
        "metales", "ottoni", "flugelhorn", "saxes", "sax section", "saxophones",
    ),
    "lead": (
        "lead", "leads", "melody", "melodie", "melodia", "mel", "solo", "theme", "thema", "hook", "synth lead",
        "lead guitar", "leadgitarre", "lead gitarre", "guitar solo", "sax", "saxophone", "saxophon", "flute",
        "flote", "querflote", "flauta", "flauto", "clarinet", "klarinette", "clarinette", "clarinete", "oboe",
        "hautbois", "harmonica", "mundharmonika", "whistle", "top line", "topline", "riff",
    ),
    "arp": (
        "arp", "arps", "arpeggio", "arpeggios", "arpeggi", "arpeggiator", "arpege", "arpeges", "arpegio",
        "arpegios", "sequence", "seq", "sequencer", "sequenz", "pluck", "plucks", "ostinato",
    ),
    "vocals": (
        "vocal", "vocals", "vox", "voc", "vocs", "voice", "voices", "lead vocal", "lead vocals", "lead vox",
        "leadvox", "singer", "sing", "gesang", "stimme", "voix", "chant", "voz", "voces", "voce", "canto", "rap",
        "backing vocals", "backings", "bvs", "bgv", "adlibs",
    ),
}  # fmt: skip
"""Role -> words in track names. The longest match wins ("bass guitar" is a bass), then the order here."""

PROGRAMS: tuple[tuple[int, str], ...] = (
    (24, "keys"), (32, "guitar"), (40, "bass"), (52, "strings"), (55, "pad"), (64, "brass"), (88, "lead"), (104, "pad"),
    (109, "guitar"), (112, "lead"), (113, "keys"), (114, "drums"), (115, "keys"), (120, "drums"), (128, "pad"),
)  # fmt: skip
"""(first program beyond, role): General MIDI's families, programs 0-127."""

KICKS, SNARES, HATS = {35, 36}, {37, 38, 39, 40}, {42, 44, 46, 51, 53}
KIT = {*range(35, 60)}
"""General MIDI's drum keys."""


class PlayedNote(Protocol):
    """What a guess needs to know of a note: beats and MIDI pitch."""

    @property
    def start(self) -> float: ...
    @property
    def length(self) -> float: ...
    @property
    def pitch(self) -> int: ...


def name2role(name: str) -> str | None:
    """Role that a track's name tells, or None. "Bass 2", "E-Gitarre", "PIANO_left" and "Lead Vox" are all known."""
    folded = unicodedata.normalize("NFKD", name.replace("ß", "ss").replace("œ", "oe")).casefold()
    words = re.findall(r"[a-z]+|[0-9]+", "".join(c for c in folded if not unicodedata.combining(c)))
    plain = f" {' '.join(words)} "
    best: tuple[int, str] | None = None
    for role, known in WORDS.items():
        for word in known:
            if f" {word} " in plain and (best is None or len(word) > best[0]):
                best = (len(word), role)
    return best[1] if best else None


def program2role(program: int) -> str:
    """Role of a General MIDI program 0-127."""
    return next(role for beyond, role in PROGRAMS if program < beyond)


def notes2role(notes: Sequence[PlayedNote]) -> str:
    """Role by ear: kick, snare and hat keys struck together are drums, low lines basses, chords keys or pads, fast even
    broken chords arpeggios, other single lines leads. No notes: keys."""
    if not notes:
        return "keys"
    starts = np.array([n.start for n in notes])
    lengths = np.array([n.length for n in notes])
    pitches = np.array([n.pitch for n in notes])
    if _is_kit(starts, pitches):
        return "drums"
    if polyphony(notes) >= 1.6:
        return "pad" if np.median(lengths) >= 3.0 else "keys"
    if np.median(pitches) < 48:
        return "bass"
    order = np.argsort(starts, kind="stable")
    steps, leaps = np.diff(starts[order]), np.abs(np.diff(pitches[order]))
    if len(notes) >= 12 and np.median(steps) <= 0.5:
        even = np.mean(np.abs(steps - np.median(steps)) < 0.05)
        if even >= 0.85 and np.mean(leaps >= 3) >= 0.6:
            return "arp"
    return "lead"


def _is_kit(starts: np.ndarray, pitches: np.ndarray) -> bool:
    """Drum keys only, with kick, snare and hat among them, and often two at once (a bass line is never so)."""
    used = {int(p) for p in pitches}
    if not used <= KIT or not (used & KICKS and used & SNARES and used & HATS):
        return False
    _, counts = np.unique(np.round(starts * 16), return_counts=True)
    return bool(np.mean(counts > 1) >= 0.15)


def polyphony(notes: Sequence[PlayedNote]) -> float:
    """Mean number of notes that sound at once while any sounds (short overlaps of legato playing do not count)."""
    if not notes:
        return 0.0
    edges = sorted(
        [(n.start, 1) for n in notes] + [(n.start + max(n.length - min(0.1, n.length / 2), 1e-3), -1) for n in notes]
    )
    total = busy = 0.0
    count, last = 0, edges[0][0]
    for at, change in edges:
        total += count * (at - last)
        busy += (at - last) if count else 0.0
        count, last = count + change, at
    return total / busy if busy else 0.0


def guess_role(name: str, channel: int | None, program: int | None, notes: Sequence[PlayedNote]) -> str:
    """The role of a track. `channel` 0-15 (9: drums), `program` 0-127; None where unknown."""
    if channel == DRUM_CHANNEL:
        return "drums"
    named = name2role(name)
    if named:
        return named
    if program:
        return program2role(program)
    return notes2role(notes)
