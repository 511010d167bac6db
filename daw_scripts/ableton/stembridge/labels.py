"""From the name of a locator to the label of a section, and from a word to a role.

The labels' words are those of the engine's own table (`bridge/labels.py`), which the tests hold in step. The words for
roles are those that one would type; the roles of the user's own tracks are guessed by the engine.
"""

from __future__ import annotations

import re
import unicodedata

DEFAULT = "verse"
WORDS: dict[str, tuple[str, ...]] = {
    "pre-chorus": (
        "prechorus", "pre chorus", "prehook", "pre hook", "prerefrain", "pre refrain", "vorrefrain", "vor refrain",
        "pre estribillo", "preestribillo", "pre coro", "precoro", "pre refrao", "build", "buildup", "build up",
        "riser", "lift", "aufbau", "rise",
    ),
    "post-chorus": (
        "postchorus", "post chorus", "post refrain", "postrefrain", "post hook", "posthook", "after chorus",
        "nachrefrain",
    ),
    "intro": (
        "intro", "introduction", "introduccion", "introduzione", "introducao", "introduktion", "einleitung",
        "vorspiel", "opening", "prelude", "entrada", "count in",
    ),
    "outro": (
        "outro", "ending", "end", "ende", "schluss", "coda", "fin", "final", "finale", "fine", "fade", "fade out",
        "fadeout", "nachspiel", "tag", "slut", "salida", "abspann",
    ),
    "chorus": (
        "chorus", "choruses", "refrain", "refrains", "refrein", "hook", "estribillo", "coro", "ritornello",
        "refrao", "refrang", "refraeng", "omkvaed", "omkved", "kehrvers", "chor", "cho", "chr",
    ),
    "verse": (
        "verse", "verses", "vers", "strophe", "strophen", "couplet", "couplets", "estrofa", "verso", "strofa",
        "estrofe", "stanza", "vrs",
    ),
    "bridge": (
        "bridge", "brucke", "bruecke", "pont", "puente", "ponte", "brug", "middle eight", "middle 8", "c teil",
        "c part", "stick",
    ),
    "solo": (
        "solo", "solos", "soli", "lead break",
    ),
    "drop": (
        "drop", "drops",
    ),
    "break": (
        "break", "breakdown", "break down", "stop", "pause", "pausa",
    ),
    "interlude": (
        "interlude", "instrumental", "zwischenspiel", "interludio", "intermezzo", "interludium", "turnaround",
        "turn around", "vamp", "riff", "link", "transition", "mellanspel", "mellemspil",
    ),
}  # fmt: skip
ROLES = ("drums", "bass", "keys", "guitar", "pad", "strings", "brass", "lead", "arp", "vocals")
ROLE_WORDS: dict[str, tuple[str, ...]] = {
    "drums": ("drums", "drum", "beat", "beats", "perc", "percussion", "kit", "schlagzeug", "batterie", "bateria"),
    "bass": ("bass", "bassline", "sub", "basse", "bajo", "basso"),
    "keys": ("keys", "piano", "keyboard", "rhodes", "organ", "epiano", "klavier", "clavier", "teclas"),
    "guitar": ("guitar", "guitars", "gtr", "gitarre", "guitare", "guitarra", "chitarra"),
    "pad": ("pad", "pads"),
    "strings": ("strings", "string", "violin", "violins", "cello", "streicher", "cordes", "cuerdas", "archi"),
    "brass": ("brass", "horns", "horn", "trumpet", "trombone", "sax"),
    "lead": ("lead", "melody", "melodie", "melodia"),
    "arp": ("arp", "arpeggio", "arpeggiator"),
    "vocals": ("vocals", "vocal", "voice", "vox", "choir"),
}


def words(text: str) -> list[str]:
    """Lower-case words without accents; numbers stand apart from letters ("Refrain2" is two words)."""
    folded = unicodedata.normalize("NFKD", text.replace("ß", "ss").replace("ø", "o").replace("æ", "ae")).casefold()
    return re.findall(r"[a-z]+|[0-9]+", "".join(c for c in folded if not unicodedata.combining(c)))


def name2label(name: str) -> str | None:
    """The label that a name suggests, or None. Whole words decide; a longer word beats a shorter one."""
    plain = " {} ".format(" ".join(words(name)))
    best: tuple[int, str] | None = None
    for label, known in WORDS.items():
        for word in known:
            if f" {word} " in plain and (best is None or len(word) > best[0]):
                best = (len(word), label)
    return best[1] if best else None


def name2role(name: str) -> str | None:
    """The role that the first known word of a name means, or None."""
    for word in words(name):
        for role in ROLES:
            if word in ROLE_WORDS[role]:
                return role
    return None
