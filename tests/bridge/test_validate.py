"""Bad input: one clear error that names the field, and nothing else happens."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
import soundfile

from bridge.errors import RequestError
from bridge.messages import Listen, Ping, Render, encode
from bridge.validate import check_request

EXAMPLE = Path(__file__).parents[1] / "data" / "request.example.json"
Json = dict[str, Any]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project folder that holds every file of the example request."""
    root = tmp_path / "Night Bus"
    for folder in ("midi", "audio", "refs"):
        (root / folder).mkdir(parents=True)
    song = mido.MidiFile()
    track = mido.MidiTrack()
    song.tracks.append(track)
    for pitch in (57, 60, 64):
        track.append(mido.Message("note_on", note=pitch, velocity=80, time=0))
    track.append(mido.Message("note_off", note=57, time=960))
    song.save(root / "midi" / "rhodes.mid")
    noise = np.random.default_rng(1).standard_normal((48000, 2)) * 0.1
    soundfile.write(root / "audio" / "demo.wav", noise, 48000)
    soundfile.write(root / "refs" / "late_night.wav", np.tile(noise, (60, 1)), 48000)
    return root


@pytest.fixture
def request_json(project: Path) -> Json:
    """The example request, pointed at the project."""
    data: Json = json.loads(EXAMPLE.read_text())
    data["project"]["root"] = str(project)
    return data


def snapshot(folder: Path) -> list[tuple[str, int, int]]:
    """Every file with size and time of change."""
    return sorted((str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in folder.rglob("*"))


def put(*path: str | int, value: Any) -> Callable[[Json, Path], None]:
    """A mistake: one value of the request set to something else."""

    def change(data: Json, _: Path) -> None:
        at: Any = data
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value

    return change


def damage(name: str, content: bytes) -> Callable[[Json, Path], None]:
    """A mistake: a file of the project holds something else."""

    def change(_: Json, root: Path) -> None:
        (root / name).write_bytes(content)

    return change


def cut(name: str, size: int) -> Callable[[Json, Path], None]:
    """A mistake: a file of the project is cut off."""

    def change(_: Json, root: Path) -> None:
        (root / name).write_bytes((root / name).read_bytes()[:size])

    return change


def link_out(data: Json, root: Path) -> None:
    """A mistake: a link inside the project leads out of it."""
    os.symlink("/etc/hostname", root / "midi" / "out.mid")
    data["arrangement"]["tracks"][0]["midi"] = "midi/out.mid"


def nested(data: Json, root: Path) -> None:
    """A mistake: a folder where a file should be."""
    (root / "midi" / "folder.mid").mkdir()
    data["arrangement"]["tracks"][0]["midi"] = "midi/folder.mid"


def pipe(data: Json, root: Path) -> None:
    """A mistake: a named pipe, whose reading would never end."""
    os.mkfifo(root / "midi" / "pipe.mid")
    data["arrangement"]["tracks"][0]["midi"] = "midi/pipe.mid"


def device(data: Json, root: Path) -> None:
    """A mistake: a link to a device."""
    os.symlink("/dev/zero", root / "midi" / "endless.mid")
    data["arrangement"]["tracks"][0]["midi"] = "midi/endless.mid"


A = "arrangement"
BAD: list[tuple[str, Callable[[Json, Path], None], str, str]] = [
    ("clock goes back", put(A, "clock", 2, value=[60.0, 42.4]), "clock.not_increasing", "arrangement.clock[2]"),
    ("clock stands", put(A, "clock", 2, value=[68.0, 40.0]), "clock.not_increasing", "arrangement.clock[2]"),
    ("clock of one pair", put(A, "clock", value=[[0, 0]]), "clock.too_short", "arrangement.clock"),
    ("clock missing", put(A, value={"sample_rate": 48000}), "message.shape", "arrangement"),
    ("clock is text", put(A, "clock", 1, value=["64", 40.0]), "message.shape", "arrangement.clock[1][0]"),
    ("a billion bars", put(A, "clock", value=[[0, 0], [4e9, 2e9]]), "clock.out_of_range", "arrangement.clock[1]"),
    ("too many short bars", put(A, "metres", 0, value={"beat": 0, "beats": 1, "unit": 64}), "metre.impossible",
     "arrangement.metres[0]"),
    ("sample rate 0", put(A, "sample_rate", value=0), "sample_rate", "arrangement.sample_rate"),
    ("sample rate text", put(A, "sample_rate", value="48k"), "message.shape", "arrangement.sample_rate"),
    ("section outside", put(A, "sections", 2, "end", value=200.0), "section.outside", "arrangement.sections[2]"),
    ("section backwards", put(A, "sections", 0, "end", value=-4.0), "section.order", "arrangement.sections[0].end"),
    ("sections overlap", put(A, "sections", 1, "start", value=8.0), "section.overlap",
     "arrangement.sections[1].start"),
    ("before the project", put(A, "clock", 0, value=[0.0, -1.0]), "section.before_zero",
     "arrangement.sections[0].start"),
    ("an hour of music", put(A, value={"sample_rate": 48000, "clock": [[0, 0], [7200, 3600]], "sections": [
        {"name": "Opera", "label": "verse", "start": 0, "end": 7200}]}), "section.too_long", "arrangement.sections"),
    ("label unknown", put(A, "sections", 0, "label", value="hook"), "section.label", "arrangement.sections[0].label"),
    ("energy 7", put(A, "sections", 0, "energy", value=7), "section.energy", "arrangement.sections[0].energy"),
    ("no section", put(A, "sections", value=[]), "section.none", "arrangement.sections"),
    ("key H", put(A, "keys", 0, "tonic", value="H"), "key.tonic", "arrangement.keys[0].tonic"),
    ("mode weird", put(A, "keys", 0, "mode", value="blue"), "key.mode", "arrangement.keys[0].mode"),
    ("unknown role", put("stems", 0, "role", value="kazoo"), "stem.role", "stems[0].role"),
    ("same stem twice", put("stems", 1, "role", value="drums"), "stem.twice", "stems[1].name"),
    ("stem leaves its folder", put("stems", 0, "name", value="../x"), "stem.name", "stems[0].name"),
    ("stem called mix", put("stems", 0, "name", value="Mix"), "stem.name", "stems[0].name"),
    ("no stem", put("stems", value=[]), "stem.none", "stems"),
    ("track role unknown", put(A, "tracks", 0, "role", value="kazoo"), "track.role", "arrangement.tracks[0].role"),
    ("track of both kinds", put(A, "tracks", 0, "audio", value="audio/demo.wav"), "track.content",
     "arrangement.tracks[0]"),
    ("missing MIDI", put(A, "tracks", 0, "midi", value="midi/gone.mid"), "path.missing", "arrangement.tracks[0].midi"),
    ("a folder as MIDI", nested, "path.missing", "arrangement.tracks[0].midi"),
    ("wrong ending", put(A, "tracks", 0, "midi", value="audio/demo.wav"), "path.kind", "arrangement.tracks[0].midi"),
    ("a named pipe", pipe, "path.missing", "arrangement.tracks[0].midi"),
    ("a device", device, "path.outside", "arrangement.tracks[0].midi"),
    ("a network share", put(A, "tracks", 0, "midi", value="//server/share/x.mid"), "path.outside",
     "arrangement.tracks[0].midi"),
    ("a share as Windows writes it", put(A, "tracks", 0, "midi", value="\\\\server\\share\\x.mid"), "path.missing",
     "arrangement.tracks[0].midi"),
    ("another drive", put(A, "tracks", 0, "midi", value="Z:\\x.mid"), "path.missing", "arrangement.tracks[0].midi"),
    ("path climbs out", put(A, "tracks", 0, "midi", value="../../../../../../etc/x.mid"), "path.outside",
     "arrangement.tracks[0].midi"),
    ("absolute path outside", put(A, "tracks", 0, "midi", value="/etc/passwd.mid"), "path.outside",
     "arrangement.tracks[0].midi"),
    ("link leads out", link_out, "path.outside", "arrangement.tracks[0].midi"),
    ("zero byte in path", put(A, "tracks", 0, "midi", value="a\0.mid"), "path.malformed",
     "arrangement.tracks[0].midi"),
    ("root outside", put("project", "root", value="/etc"), "path.outside", "project.root"),
    ("out outside", put("project", "out", value="/etc/stems"), "path.outside", "project.out"),
    ("a WAV that is none", damage("audio/demo.wav", b"RIFF but no"), "audio.damaged", "arrangement.tracks[1].audio"),
    ("an empty WAV", damage("audio/demo.wav", b""), "audio.damaged", "arrangement.tracks[1].audio"),
    ("a reference that is none", damage("refs/late_night.wav", b"\0" * 900), "audio.damaged",
     "arrangement.references[0].audio"),
    ("MIDI cut off", cut("midi/rhodes.mid", 31), "midi.damaged", "arrangement.tracks[0].midi"),
    ("MIDI header only", cut("midi/rhodes.mid", 14), "midi.damaged", "arrangement.tracks[0].midi"),
    ("MIDI that is none", damage("midi/rhodes.mid", b"hello"), "midi.damaged", "arrangement.tracks[0].midi"),
    ("reference starts late", put(A, "references", 0, "from_second", value=600.0), "reference.start",
     "arrangement.references[0].from_second"),
    ("reference for no stem", put(A, "references", 0, "stems", value=["kazoo"]), "reference.stem",
     "arrangement.references[0].stems"),
    ("weight 0", put(A, "references", 0, "weight", value=0), "reference.weight", "arrangement.references[0].weight"),
    ("job id is a path", put("job", value="../../x"), "job", "job"),
    ("seed below 0", put("seed", value=-1), "seed", "seed"),
    ("no takes", put("takes", value=0), "takes", "takes"),
    ("a field nobody knows", put("stiles", value="x"), "message.shape", ""),
    ("version 9", put("version", value=9), "message.version", "version"),
    ("type unknown", put("type", value="dance"), "message.shape", "type"),
    ("scope without take", put("scope", value={"take": "x"}), "scope.take", "scope.take"),
    ("scope of no section", put("scope", value={"take": "x/take-1", "sections": ["Coda"]}), "scope.section",
     "scope.sections"),
    ("scope from no beat", put("scope", value={"take": "x/take-1", "start": 8, "end": 8}), "scope.end", "scope.end"),
    ("going on after nothing", put("continues", value="take-1"), "continues", "continues"),
    ("going on after itself", put("continues", value="0b6f6c7e-5b2e-4a43-9c7d-2f3f7a5f3c11/take-1"), "scope.job",
     "job"),
    ("strength above 1", put("stems", 0, value={"role": "bass", "strength": 1.5}), "stem.strength",
     "stems[0].strength"),
    ("a language that is none", put("language", value="english"), "language", "language"),
    ("words without end", put("avoid", value="x" * 2001), "avoid.too_long", "avoid"),
    ("scope of no stem", put("scope", value={"take": "x/take-1", "stems": ["kazoo"]}), "scope.stem", "scope.stems"),
    ("sound font missing", put("soundfont", value="x.sf2"), "path.missing", "soundfont"),
]  # fmt: skip


def test_the_example_is_accepted_with_absolute_paths(request_json: Json, project: Path, tmp_path: Path) -> None:
    request = check_request(json.dumps(request_json).encode(), [tmp_path])
    assert isinstance(request, Render)
    assert request.arrangement.tracks[0].midi == str((project / "midi" / "rhodes.mid").resolve())
    assert request.arrangement.references[0].audio == str((project / "refs" / "late_night.wav").resolve())


@pytest.mark.parametrize(("mistake", "code", "field"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_a_wrong_value_is_named(
    mistake: Callable[[Json, Path], None],
    code: str,
    field: str,
    request_json: Json,
    project: Path,
    tmp_path: Path,
) -> None:
    data = copy.deepcopy(request_json)
    mistake(data, project)
    before = snapshot(tmp_path)
    with pytest.raises(RequestError) as caught:
        check_request(json.dumps(data).encode(), [tmp_path])
    assert (caught.value.code, caught.value.field) == (code, field)
    assert len(caught.value.message) > 8
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    "raw",
    [b"", b"  ", b"{}", b"[]", b"null", b"{", b"\xff\xfe\x00", b'{"type":"render"}', b"[" * 100_000,
     b'{"type":"render","job":"a","arrangement":{"sample_rate":48000,"clock":[[0,0],[NaN,1]]}}',
     b'{"type":"render","job":"a","arrangement":{"sample_rate":48000,"clock":[[0,0],[1e999,1]]}}'],
)  # fmt: skip
def test_no_message_at_all(raw: bytes, tmp_path: Path) -> None:
    with pytest.raises(RequestError) as caught:
        check_request(raw, [tmp_path])
    assert caught.value.message


def test_a_huge_message_is_refused_unread(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="MB"):
        check_request(b" " * (9 << 20), [tmp_path])


def test_relative_paths_need_a_project(request_json: Json, tmp_path: Path) -> None:
    request_json["project"]["root"] = ""
    with pytest.raises(RequestError) as caught:
        check_request(json.dumps(request_json).encode(), [tmp_path])
    assert caught.value.code == "path.no_root"


def test_other_requests_pass(tmp_path: Path, project: Path) -> None:
    assert check_request(encode(Ping()), [tmp_path]) == Ping()
    heard = check_request(encode(Listen("a", str(project / "audio" / "demo.wav"))), [tmp_path])
    assert isinstance(heard, Listen)
    with pytest.raises(RequestError):
        check_request(encode(Listen("a", "/etc/hostname")), [tmp_path])
