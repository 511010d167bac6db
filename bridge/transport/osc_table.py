"""Every OSC address that the engine takes and sends: the one table behind dispatch, answers, help and docs.

Argument types: s string, i int32, h int64, f float32, d float64. A position in beats may be a float32; a position in
seconds may not, for it could not tell samples apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.errors import RequestError

ROOT = "/stembridge/v1"
KINDS = {
    "text": ("s", "a string"),
    "whole": ("ih", "an integer (i, h)"),
    "number": ("ihfd", "a number (i, h, f, d)"),
    "exact": ("ihd", "a float64 or integer (d, i, h)"),
}


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: `kind` is a key of `KINDS`. Optional ones come last."""

    name: str
    kind: str
    optional: bool = False

    def __str__(self) -> str:
        types = "|".join(KINDS[self.kind][0])
        return f"[{self.name}:{types}]" if self.optional else f"{self.name}:{types}"


@dataclass(frozen=True, slots=True)
class Row:
    """One address. `does` names what `bridge.transport.osc` calls; draft lines go to `bridge.transport.draft.Draft`."""

    address: str
    takes: tuple[Argument, ...]
    meaning: str
    does: str
    draft_line: bool = False

    @property
    def arguments(self) -> str:
        """For people: "token:s beat:i|h|f|d"."""
        return " ".join(str(argument) for argument in self.takes)

    def check(self, tags: str, values: Sequence[object]) -> list[object]:
        """The values, token included, of a message with these type tags. Raises `RequestError` naming the address."""
        least = sum(not argument.optional for argument in self.takes)
        fits = least <= len(tags) <= len(self.takes) and len(values) == len(tags)
        if not fits:
            raise self._mismatch(f"{len(tags)} arguments came")
        for i, (argument, tag) in enumerate(zip(self.takes, tags, strict=False)):
            types, words = KINDS[argument.kind]
            if tag not in types:
                raise self._mismatch(f"argument {i + 1} ({argument.name}) must be {words}, not {tag!r}")
        return list(values)

    def _mismatch(self, what: str) -> RequestError:
        return RequestError("osc.arguments", f"{what}.", field=self.address, hint=f"It takes: {self.arguments}.")


def _row(address: str, takes: str, meaning: str, does: str, draft_line: bool = False) -> Row:
    """`takes`: "name:kind" words, a trailing ? for optional; the token comes first in each."""
    arguments = [Argument("token", "text")]
    for word in takes.split():
        name, kind = word.rstrip("?").split(":")
        arguments.append(Argument(name, kind, word.endswith("?")))
    return Row(f"{ROOT}{address}", tuple(arguments), meaning, does, draft_line)


def _line(name: str, takes: str, meaning: str) -> Row:
    return _row(f"/draft/{name}", takes, meaning, name, draft_line=True)


TABLE: tuple[Row, ...] = (
    _row("/ping", "port:whole?", "Answered by /pong: engine version, ready (0 or 1), unfinished jobs.", "ping"),
    _row("/help", "port:whole?", "Answered by one /help per address: address, arguments, meaning.", "help"),
    _row("/reply_port", "port:whole", "UDP port on this machine for all later answers to this sender.", "reply_port"),
    _row("/request", "json:text port:whole?", "Any request of the protocol as JSON, up to 8 KB over UDP.", "request"),
    _row(
        "/request_file", "path:text port:whole?", "The same from a .json file under the engine's roots.", "request_file"
    ),
    _row(
        "/render",
        "id:text port:whole?",
        "Render the draft of that id; sent again, it tells how the job stands.",
        "render",
    ),
    _row(
        "/listen",
        "id:text path:text port:whole?",
        "Analyse a MIDI or audio file; answered by /heard id json.",
        "listen",
    ),
    _row("/cancel", "id:text port:whole?", "Stop a queued or running job.", "cancel"),
    _row("/status", "id:text port:whole?", "How a job stands, and its further events.", "status"),
    _row("/jobs", "port:whole?", "Answered by /job_list json.", "jobs"),
    _row("/pause", "id:text? port:whole?", 'Let a job wait, keeping what it has finished; id "": the queue.', "pause"),
    _row("/resume", "id:text? port:whole?", 'Go on with a paused or parked job; id "": with the queue.', "resume"),
    _row("/move", "id:text position:whole port:whole?", "Put a waiting job at that place (0: first) of yours.", "move"),
    _row("/models", "port:whole?", "Answered by /model_list json.", "models"),
    _row("/stats", "port:whole?", "Answered by /stat_list json.", "stats"),
    _row(
        "/draft/new",
        "id:text port:whole?",
        "Begin a draft, the job's id. It belongs to its sender; with a port, answers go there and lines may come from "
        "any port of this machine (oscsend uses a new one for each message).",
        "draft_new",
    ),
    _row("/draft/drop", "id:text", "Forget a draft.", "draft_drop"),
    _line("project", "name:text root:text", "The project's name and folder."),
    _line("rate", "hz:whole", "The project's sample rate; 48000 unless given."),
    _line("tempo", "beat:number bpm:number", "Tempo from that beat on. Use either tempo or clock lines."),
    _line("clock", "beat:exact second:exact", "One (beat, second) pair of the DAW's own timeline."),
    _line("metre", "beat:number beats:whole unit:whole", "Metre from that beat on; 4/4 unless given."),
    _line("key", "beat:number tonic:text mode:text", 'Key from that beat on, as "A" "minor".'),
    _line(
        "section",
        "name:text label:text start:number end:number energy:number?",
        "A section to write: beats, and energy 0-1 (the label's usual one unless given).",
    ),
    _line(
        "track",
        "name:text role:text path:text use:text start:number?",
        'A MIDI or audio file of the project; role "" is guessed; use is follow, vary or replace.',
    ),
    _line("reference", "path:text from:number seconds:number", "A clip whose sound to match; 0 seconds: to its end."),
    _line("stem", "role:text name:text? instrument:text?", "A stem to write; the usual five unless any is named."),
    _line(
        "control",
        "stem:text name:text value:number",
        "density, register or complexity of a stem, by its name or role: -1 to 1, 0 as the music wants.",
    ),
    _line("space", "stem:text for:text", "The stem leaves space for that stem or track, by its name or role."),
    _line("style", "words:text", "Style words."),
    _line("seed", "n:whole", "Seed; 0 unless given."),
    _line("takes", "n:whole", "How many takes; 1 unless given."),
    _line("composer", "name:text", "Composer; auto unless given."),
    _line("renderer", "name:text", "Renderer; auto unless given."),
    _line("soundfont", "path:text", "Your own SF2 or SF3 for the melodic stems."),
)

ROWS = {row.address: row for row in TABLE}


@dataclass(frozen=True, slots=True)
class Answer:
    """One address that the engine sends. `arguments`: "job:s position:i"."""

    address: str
    arguments: str
    meaning: str

    @property
    def tags(self) -> str:
        """OSC type tags of the arguments."""
        return "".join(word.rpartition(":")[2] for word in self.arguments.split())


def _answer(name: str, arguments: str, meaning: str) -> Answer:
    return Answer(f"{ROOT}{name}", arguments, meaning)


ANSWERS: tuple[Answer, ...] = (
    _answer("/accepted", "job:s position:i eta:f", "Queued; eta in seconds, -1 while unknown."),
    _answer("/progress", "job:s stage:s fraction:f eta:f", "How far the whole job is, 0-1; at most two a second."),
    _answer("/note", "job:s text:s", "Something about the running job that the user should know."),
    _answer("/stem", "job:s json:s", "A stem is complete: paths, start sample, length, checks."),
    _answer("/piece", "job:s json:s", "Sections of a stem that is still being made, to be heard meanwhile."),
    _answer("/done", "job:s json:s", "The job is finished: its manifests."),
    _answer("/heard", "job:s json:s", "What a file holds."),
    _answer("/failed", "job:s code:s message:s hint:s", "Refused, or broken off."),
    _answer("/cancelled", "job:s", "The job was stopped."),
    _answer("/pong", "version:s ready:i jobs:i", "The engine lives; ready once its models are loaded."),
    _answer("/job_list", "json:s", "The jobs."),
    _answer("/model_list", "json:s", "Composers and renderers."),
    _answer("/stat_list", "json:s", "The engine's counters and gauges."),
    _answer("/help", "address:s arguments:s meaning:s", "One line of this table."),
    _answer("/error", "address:s code:s message:s hint:s", "A message that was not understood."),
)
TAGS = {answer.address.removeprefix(ROOT): answer.tags for answer in ANSWERS}


def osc_table() -> tuple[Row, ...]:
    """Every address that the engine takes, with `.address`, `.arguments` and `.meaning` for people."""
    return TABLE


def osc_answers() -> tuple[Answer, ...]:
    """Every address that the engine sends, with `.address`, `.arguments` and `.meaning` for people."""
    return ANSWERS
