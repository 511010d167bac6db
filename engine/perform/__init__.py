"""Performing: velocities and micro-timing that make a score breathe, inside the bounds of the checks.

Where the numbers come from:

* *Accents* are written: every stroke of the groove book says soft, plain or accented, and the place in the bar adds its
  weight (`engine.grooves.realise`). Tunes and second parts carry accents of their own rules.
* *Scatter is measured*, not learnt: the drum tracks of Freedoom's music (BSD licence) whose velocities were played
  in. Around the mean of a drum at a place of the bar they spread by 4.9 velocities (median of 21 tracks); seven that
  were not quantised lie 4.9 ms around the grid, 4.4 ms without the 7 ms ticks of their file format. `SPREAD_VELOCITY`
  and the usual `Feel.loose_ms` are these. `python -m tests.benchmarks.feel` measures them again, ours beside them.
* *Pushes* of roles, strums and the louder sections are rules (`engine.compose.feel`, `engine.perform.dynamics`).
* *A reference* replaces what it shows: its swing, the accents and the lean of its sixteenths, as far as its weight says
  (`engine.perform.template`, from `engine.listen.groove`).
* *The user's own playing* stays as it is, velocity and timing.

No human part exceeds 25 ms; what is checked in the sound are the onsets as performed.
"""

from engine.perform.performer import perform

__all__ = ["perform"]
