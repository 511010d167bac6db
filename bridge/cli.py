"""The `stembridge` command: parses arguments, runs one command module, turns errors into one line and an exit code.

Exit codes: 0 done, 1 something is wrong with the engine, 2 refused (the request or the command line), 3 the job
failed, 130 interrupted (the job is cancelled).
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from bridge import VERSION
from bridge.commands.options import add_options
from bridge.errors import JobError, RequestError, StembridgeError

SCHEMA_FILE = Path(__file__).with_name("protocol.schema.json")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit code."""
    arguments = build_parser().parse_args(argv)
    try:
        return int(importlib.import_module(f"bridge.commands.{arguments.module}").run(arguments))
    except StembridgeError as problem:
        print(f"stembridge: {problem}", file=sys.stderr)
        return 2 if isinstance(problem, RequestError) else 3 if isinstance(problem, JobError) else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0


def build_parser() -> argparse.ArgumentParser:
    """The whole command line in one place."""
    parser = argparse.ArgumentParser(prog="stembridge", description="An AI band inside the DAW.")
    parser.add_argument("--version", action="version", version=f"stembridge {VERSION}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, module: str, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(module=module)
        return made

    engine = command("engine", "engine", "Start, stop or look at the background engine; its figures for Prometheus.")
    engine.add_argument("action", choices=("start", "stop", "status", "metrics"))
    engine.add_argument("--root", type=Path, action="append", default=[], help="a folder that requests may use")
    engine.add_argument(
        "--lan", metavar="ADDRESS[:PORT]", default="", help="let other machines in there, encrypted, by a pass file"
    )
    engine.add_argument("--foreground", action="store_true", help="stay in this terminal (start)")
    engine.add_argument(
        "--ray", metavar="auto|ADDRESS", default="", help="workers as actors of a Ray cluster, or a new one"
    )
    engine.add_argument("--actors", metavar="N", type=int, help="with --ray: workers of this machine (as many as fit)")
    engine.add_argument("--idle-release", metavar="SECONDS", type=float, help="give idle models' memory back (300)")
    engine.add_argument("--time-limit", metavar="SECONDS", type=float, help="longest time that a job may run (14400)")
    engine.add_argument("--stages-gib", metavar="GIB", type=float, help="size of the store of finished stages (4)")
    engine.add_argument("--log-level", choices=("debug", "info", "warning", "error"), help="what its log holds (info)")
    engine.add_argument("--trace", action="store_true", help="write a timeline of every job, for Perfetto")
    _json(engine)

    render = command("render", "render", "Write and render the parts that a request or a song asks for.")
    render.add_argument("file", type=Path, help="REQUEST.json, SONG.mid, SONG.dawproject or PROJECT.rpp")
    render.add_argument("--out", type=Path, help="folder for the results (default: the project's stembridge folder)")
    render.add_argument("--stems", help="comma-separated roles, e.g. drums,bass,keys")
    render.add_argument("--style", help="style words")
    render.add_argument("--seed", type=int)
    render.add_argument("--takes", type=int)
    render.add_argument("--composer")
    render.add_argument("--renderer")
    render.add_argument("--soundfont", type=Path, help="your own SF2 or SF3 for the melodic stems")
    render.add_argument("--time-limit", metavar="SECONDS", type=float, help="fail if it has run for so long")
    render.add_argument("--batch", action="store_true", help="wait behind what somebody is waiting for")
    render.add_argument("--trace", action="store_true", help="write what the time goes to, for ui.perfetto.dev")
    render.add_argument("--edit", metavar="JOB/take-N", help="write only --sections x --only anew, keep the rest")
    render.add_argument("--sections", help="comma-separated section names of the edit")
    render.add_argument("--only", help="comma-separated stems of the edit")
    add_options(render)
    _json(render)

    demo = command("demo", "demo", "Render the demo song: six stems, checks, a REAPER project and a mix.")
    demo.add_argument("--out", type=Path, default=Path("stembridge-demo"))
    demo.add_argument("--seed", type=int)
    _json(demo)

    listen = command("listen", "listen", "Say what a MIDI file or an audio clip holds: key, chords, tempo, style.")
    listen.add_argument("file", type=Path)
    listen.add_argument("--html", metavar="FILE", type=Path, help="draw an audio clip's profile as a page of its own")
    _json(listen)

    jobs = command("jobs", "jobs", "List the engine's jobs; change their order, let them wait or go on.")
    change = jobs.add_mutually_exclusive_group()
    change.add_argument("--pause", metavar="JOB", nargs="?", const="", help="let a job wait, or the whole queue")
    change.add_argument("--resume", metavar="JOB", nargs="?", const="", help="go on with it; also with a parked job")
    change.add_argument("--move", metavar="JOB", help="put a waiting job first among its client's, or --to a place")
    jobs.add_argument("--to", metavar="PLACE", type=int, default=0, help="0 is first (with --move)")
    _json(jobs)
    cancel = command("cancel", "cancel", "Stop a queued or running job.")
    cancel.add_argument("job")
    models = command(
        "models", "models", "List the composers and renderers and what they need; add your own checkpoints."
    )
    _json(models)
    verbs = models.add_subparsers(dest="verb", metavar="add|get|remove")
    add = verbs.add_parser("add", help="use a checkpoint of yours (SongGeneration, ACE-Step 1.5, Stable Audio 3)")
    add.add_argument("name", help="how renderers call it, e.g. ace-step or songgeneration-v2-large")
    add.add_argument("source", help="folder of SongGeneration or in the diffusers layout, or hub id OWNER/NAME")
    add.add_argument("--runtime", type=Path, metavar="FOLDER", help="SongGeneration: the folder that holds ckpt/")
    add.add_argument("--variant", choices=("turbo", "sft", "base", "distilled"), help="where its files do not tell")
    get = verbs.add_parser("get", help="fetch one of SongGeneration's models from the hub and add it")
    get.add_argument("name", help="songgeneration-v2-large, songgeneration-large, songgeneration-base-full, ...")
    get.add_argument("--into", type=Path, metavar="FOLDER", help="where the files shall lie (about 25 GB)")
    for verb in (add, get):
        verb.add_argument(
            "--int8", action="store_true", help="SongGeneration: half the memory, its songs come out other"
        )
        verb.add_argument(
            "--accept", "--accept-licence", dest="accept", action="store_true", help="accept its licence unasked"
        )
    remove = verbs.add_parser("remove", help="forget a checkpoint; its files stay")
    remove.add_argument("name")
    for verb in (add, get, remove):
        verb.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="the checkpoint as JSON")
    _sounds(command("sounds", "sounds", "List the instruments and kits; hear them, add your own banks, get more."))
    _grooves(command("grooves", "grooves", "List the styles of the groove book; hear them, draw them, add your own."))
    _json(command("doctor", "doctor", "Check this installation and say what is missing."))

    install = command("install", "install", "Put the script into REAPER, Ableton Live or Ardour, or take it away.")
    install.add_argument("daw", choices=("reaper", "ableton", "ardour"))
    install.add_argument("--folder", type=Path, help="the DAW's folder, where it is not found by itself")
    install.add_argument("--uninstall", action="store_true", help="leave nothing of stembridge there")
    _json(install)

    pack = command("pack", "pack", "Put a take's sounds into its DAWproject: one file to send, or for hosts that ask.")
    pack.add_argument("take", type=Path, help="the folder of a take, or its session.dawproject")
    pack.add_argument("--out", type=Path, help="the new file (default: session packed.dawproject in the take)")

    schema = command("schema", "schema", "Print the protocol's JSON Schema.")
    schema.add_argument("--write", action="store_true", help="write it to its place in the package")
    command("osc", "osc", "Print every OSC address, its arguments and what it does.")
    return parser


def _grooves(grooves: argparse.ArgumentParser) -> None:
    _json(grooves)
    verbs = grooves.add_subparsers(dest="verb", metavar="list|play|draw|add")
    verbs.add_parser("list", help="name, metre, tempo and tags of every groove")
    play = verbs.add_parser("play", help="a few bars of every level as WAV or MIDI")
    play.add_argument("--out", type=Path, required=True, help="FILE.wav or FILE.mid")
    play.add_argument("--bpm", type=float, help="quarter notes a minute (default: the middle of its range)")
    draw = verbs.add_parser("draw", help="every level as piano rolls, in the terminal or as a picture")
    draw.add_argument("--out", type=Path, help="FILE.svg or FILE.png")
    draw.add_argument("--level", help="intro, verse, chorus, bridge, ending, fill 1, ... (in the terminal)")
    for verb in (play, draw):
        verb.add_argument("name", help="as the list says it; NAME/2 is its second version")
    add = verbs.add_parser("add", help="make a groove of your own from a MIDI file")
    add.add_argument("file", type=Path, help="SONG.mid with drums, markers (Verse, Chorus, Fill, ...) are best")
    add.add_argument("--name", required=True, help="small letters, digits and hyphens")
    add.add_argument("--title", help="for people (default: from the name)")
    add.add_argument("--tags", help="comma-separated words that shall choose it (default: its name)")
    add.add_argument("--like", metavar="NAME", help="groove that lends what the file does not play")
    add.add_argument("--replace", action="store_true", help="write over a groove of yours of this name")
    for verb in verbs.choices.values():
        verb.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="one JSON value")


def _sounds(sounds: argparse.ArgumentParser) -> None:
    _json(sounds)
    sounds.add_argument("--role", help="only what may play this role, e.g. bass")
    verbs = sounds.add_subparsers(dest="verb", metavar="play|add|remove|get")
    play = verbs.add_parser("play", help="a short phrase of one sound")
    play.add_argument("name", help="as the list says it")
    play.add_argument("--out", type=Path, required=True, help="FILE.wav")
    add = verbs.add_parser("add", help="let your SF2, SF3 or SFZ files join the catalogue")
    add.add_argument("file", type=Path, help="a file, or a folder of them")
    add.add_argument("--licence", help="what to write beside stems that they play (default: the user's own)")
    for verb in (play, add):
        verb.add_argument("--role", default=argparse.SUPPRESS, help="the role to play (default: its own)")
    remove = verbs.add_parser("remove", help="take a bank of yours out again; its file stays")
    remove.add_argument("name")
    get = verbs.add_parser("get", help="fetch a larger bank by your apt or npm")
    get.add_argument("name", help="as the list says it at its end")
    get.add_argument("--from", dest="archive", type=Path, help="the package, where you have fetched it already")
    for verb in verbs.choices.values():
        verb.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="one JSON value")


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON value per line, for machines")


if __name__ == "__main__":
    sys.exit(main())
