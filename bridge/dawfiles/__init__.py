"""Projects of other programs as input: DAWproject, REAPER project and MIDI files become a request."""
