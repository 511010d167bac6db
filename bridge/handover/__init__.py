"""What a take looks like on disk: WAV, MIDI, REAPER project, DAWproject, manifest; every file whole or absent."""
