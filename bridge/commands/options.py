"""The options of `stembridge render` about the music; what they do is in `bridge.commands.controls`."""

from __future__ import annotations

import argparse

OPTIONS = (
    ("density", "VALUE|STEM=VALUE,...", "fewer (-1) or more (1) notes, e.g. 0.5 or bass=-0.3,keys=0.6"),
    ("register", "VALUE|STEM=VALUE,...", "an octave lower (-1) or higher (1)"),
    ("complexity", "VALUE|STEM=VALUE,...", "plainer (-1), or more syncopated and richer (1)"),
    ("space", "STEM=OTHER,...", "stems that keep clear of another stem or track"),
    ("chords", '"Am7 F | C/E G9"', "chords of every bar, round again to the end; bars between |"),
)


def add_options(render: argparse.ArgumentParser) -> None:
    """The options of this file."""
    for name, value, text in OPTIONS:
        render.add_argument(f"--{name}", metavar=value, help=text)
    render.add_argument("--strength", metavar="0-1", type=float, help="with --edit: 0 leaves the notes, 1 is new")
    render.add_argument("--harmony", choices=("safe", "free"), help="free: nothing holds notes to chords and hands")
    render.add_argument("--continue", dest="continues", metavar="JOB/take-N", help="go on after this take")
    render.add_argument("--bars", metavar="N", type=int, default=8, help="with --continue: how many bars (8)")
