"""The DAW scripts: where they belong on each system, copying them there, taking them away without a trace."""
