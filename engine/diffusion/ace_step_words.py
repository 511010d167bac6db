"""What ACE-Step is told of a stretch: caption, lyrics, tempo, key, metre; and what it cannot be told."""

from __future__ import annotations

from dataclasses import dataclass

from engine.rendering import Stretch, Task

TRACKS = {
    "drums": "drums", "bass": "bass", "keys": "keyboard", "guitar": "guitar", "pad": "synth", "strings": "strings",
    "brass": "brass", "lead": "synth", "arp": "synth", "vocals": "vocals",
}  # fmt: skip
"""The model's own names of tracks, by role."""
METRES = {(2, 4): "2", (2, 2): "2", (3, 4): "3", (4, 4): "4", (6, 8): "6"}
TEMPI = (30, 300)
MINOR = ("minor", "dorian", "phrygian", "locrian")
INSTRUMENTAL = "[Instrumental]"
LANGUAGES = {
    "ar", "az", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "fa", "fi", "fr", "he", "hi", "hr", "ht", "hu",
    "id", "is", "it", "ja", "ko", "la", "lt", "ms", "ne", "nl", "no", "pa", "pl", "pt", "ro", "ru", "sa", "sk", "sr",
    "sv", "sw", "ta", "te", "th", "tl", "tr", "uk", "ur", "vi", "yue", "zh",
}  # fmt: skip


@dataclass(frozen=True)
class Words:
    """The text side of a call. `bpm` None: the model is not told."""

    caption: str
    lyrics: str
    language: str
    track: str
    bpm: int | None
    key: str
    metre: str


def stretch2words(stretch: Stretch, task: Task) -> Words:
    """Caption and metadata in the model's own vocabulary."""
    sung = stretch.role == "vocals"
    low, high = TEMPI
    bpm = round(stretch.bpm)
    return Words(
        caption=_caption(stretch, task),
        lyrics=stretch.lyrics.strip() if sung and stretch.lyrics.strip() else INSTRUMENTAL,
        language=stretch.language if stretch.language in LANGUAGES else "unknown",
        track=TRACKS[stretch.role],
        bpm=bpm if low <= bpm <= high else None,
        key=f"{stretch.tonic} {'minor' if stretch.mode in MINOR else 'major'}" if stretch.tonic else "",
        metre=METRES.get((stretch.beats, stretch.unit), ""),
    )


def _caption(stretch: Stretch, task: Task) -> str:
    """What sounds, first: the model renders what is named. The user's words are last, where a long text is cut."""
    track = TRACKS[stretch.role].replace("keyboard", "keyboards")
    if task == "text2music" and stretch.role == "vocals":
        alone = "song with lead vocals"
    elif stretch.role == "vocals":
        alone = "lead vocals, a cappella stem"
    else:
        alone = f"solo {track}, isolated instrumental stem"
    return ", ".join(filter(None, (alone, "studio recording", stretch.words.strip())))


def shorten(caption: str, excess: int) -> str:
    """The caption with at least `excess` letters less, cut between phrases or words.

    The text encoder reads a fixed number of tokens and cuts what follows: tempo, key and metre, which come last.
    """
    kept = caption[: max(0, len(caption) - excess)]
    for gap in (", ", " "):
        if gap in kept:
            return kept.rsplit(gap, 1)[0]
    return kept


def words2remarks(stretch: Stretch) -> tuple[str, ...]:
    """What of the wishes the model has no word for."""
    remarks = []
    low, high = TEMPI
    if stretch.avoid:
        remarks.append("ACE-Step cannot be told what to avoid; only the words of what shall sound were used.")
    if not low <= round(stretch.bpm) <= high:
        remarks.append(f"ACE-Step knows tempi from {low} to {high}; it was not told {stretch.bpm:g}.")
    if (stretch.beats, stretch.unit) not in METRES:
        remarks.append(f"ACE-Step has no word for {stretch.beats}/{stretch.unit}; the guide alone holds the metre.")
    if stretch.role == "vocals" and stretch.language not in LANGUAGES:
        remarks.append(f"ACE-Step does not know the language {stretch.language!r}; it was left to guess.")
    return tuple(remarks)
