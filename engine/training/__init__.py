"""How the shipped weights were made: songs from the groove book and a grammar of harmony, training, evaluation."""
