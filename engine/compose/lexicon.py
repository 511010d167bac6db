"""The words of density and register, the stems that words name, and what is said of none of them.

Values are wishes from -1 to 1 (`engine.compose.wishes`): what a player told so would change, not how loud it is. Words
of character ("dark", "huge", "gentle") are no wishes of density: style, energy and instruments follow them.
"""

from __future__ import annotations

DENSITY = {
    "sparse": -0.6, "sparsely": -0.6, "minimal": -0.5, "minimalist": -0.5, "minimalistic": -0.5, "simple": -0.5,
    "simpler": -0.5, "basic": -0.4, "thin": -0.4, "empty": -0.6, "few notes": -0.6, "few hits": -0.6, "stripped": -0.5,
    "stripped down": -0.5, "stripped back": -0.5, "bare": -0.5, "bare bones": -0.6, "skeletal": -0.6, "spare": -0.5,
    "spacious": -0.4, "lots of space": -0.5, "plenty of space": -0.5, "room to breathe": -0.5, "breathing space": -0.5,
    "restrained": -0.4, "understated": -0.4, "subtle": -0.3, "barely there": -0.7, "hardly any": -0.6,
    "occasional": -0.6,
    "fewer": -0.5, "less": -0.5, "uncluttered": -0.4, "economical": -0.4, "tasteful": -0.3, "held back": -0.4,
    "long notes": -0.5, "sustained": -0.3, "whole notes": -0.6, "floaty": -0.3, "lazy": -0.2, "reduced": -0.4,
    "busy": 0.6, "busier": 0.6, "dense": 0.6, "denser": 0.6, "crowded": 0.6, "hectic": 0.7, "frantic": 0.8,
    "frenetic": 0.8, "relentless": 0.5, "nonstop": 0.6, "non stop": 0.6, "lots of": 0.5, "lot of": 0.5,
    "plenty of": 0.4,
    "many notes": 0.5, "more notes": 0.5, "more": 0.4, "intricate": 0.5, "virtuosic": 0.6, "virtuoso": 0.6,
    "rapid": 0.5,
    "fast notes": 0.6, "flurries": 0.6, "flurry": 0.6, "sixteenths": 0.4, "sixteenth notes": 0.4, "16ths": 0.4,
    "active": 0.5, "full on": 0.5, "packed": 0.6, "shredding": 0.7, "noodling": 0.4,
    "bustling": 0.5, "thick": 0.4, "layered": 0.3, "constant": 0.4, "endless": 0.3,
}  # fmt: skip
REGISTER = {
    "high": 0.6, "higher": 0.5, "highest": 0.8, "up high": 0.7, "high up": 0.7, "high register": 0.6,
    "upper register": 0.6, "upper": 0.5, "octave up": 0.6, "octave higher": 0.6, "shimmering": 0.4, "shimmery": 0.4,
    "sparkling": 0.4, "sparkly": 0.4, "glittering": 0.3, "twinkling": 0.4, "twinkly": 0.4, "tinkling": 0.5,
    "piercing": 0.5, "soaring": 0.5, "falsetto": 0.6, "up the neck": 0.5, "glassy": 0.3, "top end": 0.4, "above": 0.3,
    "low": -0.6, "lower": -0.5, "lowest": -0.8, "low register": -0.6, "lower register": -0.6, "down low": -0.6,
    "octave down": -0.6, "octave lower": -0.6, "deep": -0.5, "deeper": -0.5, "growling": -0.4, "growly": -0.4,
    "rumbling": -0.5, "rumble": -0.5, "thundering": -0.4, "boomy": -0.3, "booming": -0.4, "bottom": -0.5,
    "chesty": -0.3,
}  # fmt: skip
STEMS = {
    "drums": ("drums",), "drum": ("drums",), "drumming": ("drums",), "beat": ("drums",), "beats": ("drums",),
    "kit": ("drums",), "hat": ("drums",), "hats": ("drums",), "hihat": ("drums",), "hihats": ("drums",),
    "kick": ("drums",),
    "kicks": ("drums",), "snare": ("drums",), "snares": ("drums",), "cymbals": ("drums",), "toms": ("drums",),
    "percussion": ("drums",), "shaker": ("drums",), "shakers": ("drums",), "tambourine": ("drums",),
    "groove": ("drums", "bass"), "rhythm section": ("drums", "bass"), "bass": ("bass",), "bassline": ("bass",),
    "keys": ("keys",), "keyboard": ("keys",), "keyboards": ("keys",), "piano": ("keys",), "pianos": ("keys",),
    "organ": ("keys", "pad"), "chords": ("keys", "guitar"), "guitar": ("guitar",), "guitars": ("guitar",),
    "pad": ("pad",), "pads": ("pad",), "drone": ("pad",), "drones": ("pad",), "strings": ("strings", "pad"),
    "violins": ("strings",), "brass": ("brass",), "horns": ("brass",), "horn": ("brass",), "lead": ("lead",),
    "melody": ("lead",), "melodies": ("lead",), "solo": ("lead",), "tune": ("lead",), "hook": ("lead",),
    "arp": ("arp",),
    "arps": ("arp",), "arpeggio": ("arp",), "arpeggios": ("arp",), "arpeggiator": ("arp",), "sequence": ("arp",),
    "sequencer": ("arp",), "synths": ("lead", "pad", "arp"),
}  # fmt: skip
"""Words for stems, the roles that they mean in order: "strings" are the strings where they are wanted, else the pad."""
WHOLE = ("band", "everything", "arrangement", "texture", "ensemble", "mix", "all")
"""Words for all stems together."""
NEGATIONS = ("not", "no", "never", "without", "isn", "nothing", "don", "avoid")
SOFTENERS = {"slightly": 0.5, "bit": 0.5, "little": 0.5, "somewhat": 0.6, "fairly": 0.8, "rather": 0.8, "quite": 0.9}
STRENGTHENERS = {"very": 1.3, "really": 1.3, "extremely": 1.5, "super": 1.4, "ultra": 1.5, "insanely": 1.5, "so": 1.2}
IDIOMS = (
    "high energy", "high school", "high hat", "high hats", "low key", "low fi", "deep house", "deep soul", "deep funk",
    "drum and bass", "drum n bass", "big band", "brass band", "string band", "bass music", "double bass",
    "double kick", "minimal techno", "big beat", "guitar pop", "piano house", "piano ballad", "piano bar", "beat down",
    "behind the beat", "on the beat", "off the beat", "ahead of the beat", "one more", "once more", "more or less",
    "more like", "less is more", "full on", "afro beat", "drum corps",
)  # fmt: skip
"""Phrases in which these words do not mean what they mean alone."""
GENERIC = (
    "guitar", "strings", "brass", "horns", "horn", "pad", "bass guitar", "electric bass", "drum kit", "drum set",
    "synth",
    "voice", "vocals", "vocal", "soundtrack", "square", "jump", "big band", "violins", "lead", "whistle", "orchestra",
    "atmosphere", "brightness", "crystal", "sweep", "halo", "solo violin", "air pad", "pop piano", "sub", "chip", "saw",
    "sine", "percussion kit", "oohs", "c7", "logan", "goblin", "tine", "suitcase", "full organ", "garage kit",
    "classical guitar",
)  # fmt: skip
"""Names of instruments that say no more than the role does, or mean something else in a style: the style chooses."""
FILLERS = frozenset((
    "a", "an", "the", "and", "or", "of", "in", "on", "at", "to", "for", "with", "from", "by", "like", "as", "is", "it",
    "its", "this", "that", "some", "something", "thing", "type", "style", "kind", "sort", "feel", "feeling", "vibe",
    "vibes", "sound", "sounds", "music", "song", "track", "tune", "please", "want", "would", "should", "make", "my",
    "me", "i", "we", "you", "very", "really", "bit", "little", "quite", "rather", "fairly", "slightly", "somewhat",
    "super", "extremely", "ultra", "so", "too", "only", "just", "but", "over", "plus", "under", "up", "down", "out",
    "two", "three", "four", "one", "notes",
))  # fmt: skip
