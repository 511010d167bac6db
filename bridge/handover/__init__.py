"""What a take looks like on disk: WAV, MIDI, REAPER project, manifest; every file whole or absent."""
