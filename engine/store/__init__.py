"""What outlives the engine's processes: jobs, their events, measured speeds and finished stages, in one SQLite file."""
