"""LeLM: one language-model class for SongGeneration's token streams and for our plan of chords on the musical grid."""
