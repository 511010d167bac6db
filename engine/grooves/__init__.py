"""The groove book: our own library of styles, from text notation (NOTATION.md) to the notes of a bar."""

from engine.grooves.book import Library, book, groove, library, user_folder
from engine.grooves.choose import Choice, choose
from engine.grooves.draw import draw
from engine.grooves.groove import LANES, LEVELS, STREAMS, Event, Groove, Level, Pattern, Progression
from engine.grooves.harmony import groove2chords
from engine.grooves.realise import ending, fill, realise, realise_bars, tidy
from engine.grooves.rebar import fits
from engine.grooves.voicing import Voicing, last_voicing

__all__ = [
    "LANES", "LEVELS", "STREAMS", "Choice", "Event", "Groove", "Level", "Library", "Pattern", "Progression", "Voicing",
    "book", "choose", "draw", "ending", "fill", "fits", "groove", "groove2chords", "last_voicing", "library", "realise",
    "realise_bars", "tidy", "user_folder",
]  # fmt: skip
