"""From the name of a marker or region to the label of a section: the one place where that is guessed.

English, German, French, Spanish, Italian, Portuguese, Dutch and Scandinavian words that musicians write on markers.
Accents, case, numbers and punctuation do not matter: "VERSE 2", "Pré-refrain", "Strophe_1", "[Chorus]" are all known.
"""

from __future__ import annotations

import re
import unicodedata

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
"""Label -> its words. Of several words in one name the longest match wins, then the order of this table."""


def name2label(name: str, default: str | None = None) -> str | None:
    """Label (one of `bridge.arrangement.LABELS`) that a section's name suggests, or `default` where no word is known.

    Whole words decide ("Versatile" is no verse); a longer word beats a shorter one ("Pre-Chorus" is no chorus,
    "Guitar solo" is a solo). Numbers after a word are ignored ("Refrain2").
    """
    plain = _plain(name)
    best: tuple[int, str] | None = None
    for label, words in WORDS.items():
        for word in words:
            if f" {word} " in plain and (best is None or len(word) > best[0]):
                best = (len(word), label)
    return best[1] if best else default


def _plain(name: str) -> str:
    """Lower-case words without accents between single spaces; numbers stand apart from letters ("Refrain2")."""
    folded = unicodedata.normalize("NFKD", name.replace("ß", "ss").replace("ø", "o").replace("æ", "ae")).casefold()
    bare = "".join(c for c in folded if not unicodedata.combining(c))
    words = re.findall(r"[a-z]+|[0-9]+", bare)
    return f" {' '.join(words)} "
