"""A whole song by SongGeneration: sections and lyrics become its text, its sound is held to the DAW's clock.

Knows the stages that it needs (`engine.lelm`, `engine.diffusion.songgeneration`, `engine.listen`), as the pipeline
does; what is heavy is imported when a song is made.
"""
