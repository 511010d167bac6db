"""Style words as the tags that SongGeneration was trained on: gender, genre, mood and timbre, instruments, tempo.

The vocabulary is open, so nothing is thrown away: known ways to say a thing become the usual tag, the rest stays in the
user's words, in lower case. The order is the usual one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

GENDERS = {
    "female": ("female", "woman", "women", "girl", "soprano", "alto", "mezzo", "she sings"),
    "male": ("male", "man", "men", "boy", "tenor", "baritone", "he sings"),
}
GENRES = {
    "pop": ("pop", "synth-pop", "synthpop", "k-pop", "j-pop", "dream pop", "indie pop"),
    "rock": ("rock", "indie rock", "punk", "grunge", "alternative"),
    "electronic": ("electronic", "edm", "house", "techno", "trance", "drum and bass", "dubstep", "electro"),
    "metal": ("metal",),
    "country": ("country", "bluegrass", "americana"),
    "r&b": ("r&b", "rnb", "neo-soul", "neo soul", "soul", "r and b"),
    "hip-hop": ("hip-hop", "hip hop", "hiphop", "rap", "trap", "boom bap"),
    "jazz": ("jazz", "swing", "bebop", "bossa nova", "bossa"),
    "latin": ("latin", "reggaeton", "salsa", "samba", "cumbia"),
    "funk": ("funk", "disco"),
    "folk": ("folk", "singer-songwriter"),
    "blues": ("blues",),
    "reggae": ("reggae", "dub", "ska"),
    "ballad": ("ballad",),
    "soundtrack": ("soundtrack", "cinematic", "film score", "orchestral"),
    "world": ("world music", "celtic", "afrobeat"),
}
"""Tag -> words that belong to it; a narrower word of the user's stays beside its tag."""
INSTRUMENTS = (
    "piano", "electric piano", "rhodes", "acoustic guitar", "electric guitar", "guitar", "bass", "synth bass", "drums",
    "drum machine", "synthesizer", "synth", "strings", "violin", "cello", "saxophone", "trumpet", "brass", "flute",
    "organ", "harmonica", "banjo", "ukulele", "harp", "choir", "808", "beats",
)  # fmt: skip
SPLIT = re.compile(r"[,;\n。，；/]+")
PROMPT_TYPES = {
    "pop": "Pop", "latin": "Latin", "rock": "Rock", "electronic": "Electronic", "metal": "Metal", "country": "Country",
    "r&b": "R&B/Soul", "ballad": "Ballad", "jazz": "Jazz", "world": "World", "hip-hop": "Hip-Hop", "funk": "Funk",
    "soundtrack": "Soundtrack",
}  # fmt: skip
"""Genre tag -> the kind of prompt codes in the official file; others are "Auto"."""


def words2description(style: str, bpm: float | None, *, stem_words: Sequence[str] = (), voice: bool = True) -> str:
    """Comma-separated tags that end with the tempo: "female, pop, warm, piano, the bpm is 96."; empty for no words.

    `stem_words` tell of single stems. Without a `voice` genders are left out.
    """
    phrases = [_tidy(part) for text in (style, *stem_words) for part in SPLIT.split(text)]
    ranked: list[tuple[int, str]] = []
    for phrase in filter(None, phrases):
        gender, rest = _take_gender(phrase)
        if gender and voice:
            ranked.append((0, gender))
        genre = phrase2genre(rest)
        if genre and genre != rest:
            ranked.append((1, genre))
        if rest:
            ranked.append((3 if _holds(rest, INSTRUMENTS) else 1 if genre else 2, rest))
    if not ranked:
        return ""
    tags = list(dict.fromkeys(tag for _, tag in sorted(ranked, key=lambda row: row[0])))
    tempo = [] if bpm is None or _holds(style.lower(), ("bpm",)) else [f"the bpm is {round(bpm)}"]
    return ", ".join([*tags, *tempo]) + "."


def phrase2genre(phrase: str) -> str:
    """The genre tag that a phrase belongs to, or ""; the longest word decides."""
    found = [(len(word), tag) for tag, words in GENRES.items() for word in words if _holds(phrase, (word,))]
    return max(found)[1] if found else ""


def words2prompt_type(style: str) -> str:
    """Which prompt codes of the official file fit the style words; "Auto" where none do."""
    genres = (phrase2genre(_tidy(part)) for part in SPLIT.split(style))
    return next((PROMPT_TYPES[genre] for genre in genres if genre in PROMPT_TYPES), "Auto")


def _tidy(part: str) -> str:
    return " ".join(part.lower().split()).strip(" .")


def _take_gender(phrase: str) -> tuple[str, str]:
    """(gender or "", what else the phrase says): "female vocals" is all gender, "warm female voice" is warm, too."""
    for gender, words in GENDERS.items():
        for word in words:
            if _holds(phrase, (word,)):
                rest = re.sub(rf"\b{re.escape(word)}('s)?\b|\b(lead )?(vocals?|voice|singer|singing)\b", " ", phrase)
                return gender, _tidy(re.sub(r"\b(a|an|the|by|with|sung)\b", " ", rest))
    return "", phrase


def _holds(text: str, words: Sequence[str]) -> bool:
    return any(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) for word in words)
