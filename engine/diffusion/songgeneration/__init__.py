"""SongGeneration's sound: LeLM's codes in, 48 kHz stems out, window after window; and a prompt clip into codes.

`codes [3, T] at 25 Hz -> quantizer (condition) -> flow over windows of 40 s (latents) -> Oobleck decoder (x1920)`

Written from an own specification of the published inference and held to what that gave on tiny weights. What is
different on purpose:
- Mixed song, vocal and accompaniment are rows of one batch, with the same noise, instead of three renders.
- The decoder runs once over the joined latents. The published loop decodes every window whole, and cross-fades the
  10 s that two windows share. Those latents are the same numbers in both, so only the sound within 16 frames (0.64 s)
  of a window's edge differs, where the published decoder saw silence instead of the neighbouring latents.
- Lengths are whole numbers of samples: T codes are T * 1920 of them. (The published cut goes through a float and is
  one short for some T.)
- A prompt's 10 s give 251 codes but 250 latents. The published code puts all 251 before the song's and drops 250
  latents, which delays the song by one code, 40 ms. Here 250 of each go in, and the song starts where it starts.
- The noise of a window follows from the seed and the window's number alone, and weights are read strictly: a tensor
  that is missing, misshapen or unknown is an error that names it, and those that rendering never reads stay on disk.
- Half precision is the estimator's matrices alone: residuals, norms, the solver and the autoencoder stay in float32.
"""
