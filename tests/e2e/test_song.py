"""A song by SongGeneration through the whole public road: added on the command line, rendered, heard in pieces,
stopped, killed, handed over. The checkpoint is real in layout and tiny in size; its weights are random, so what it
sings is noise without a pulse, and the manifest has to say so.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import soundfile

from bridge.client import Client, start_engine, stop_engine
from bridge.handover.manifest import Manifest, read_manifest
from bridge.messages import Cancel, Cancelled, Done, Event, Failed, PieceReady, Progress, Render
from bridge.midifile import read_smf
from tests.e2e.checkpoints import stembridge
from tests.engine.kills import Killer, files, stop, trials
from tests.engine.rig import own_places
from tests.engine.songgeneration_checkpoint import MODEL, write_checkpoint

NAME = "songgeneration-tiny"
RATE = 44_100
SAMPLES = 12 * RATE
ATTEMPTS = 5
LICENCE = "SongGeneration licence (Tencent)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folders of our own in which the checkpoint was added by the command."""
    folder = tmp_path_factory.mktemp("song")
    model = write_checkpoint(folder / "official", seconds=14)
    with own_places(folder):
        refused = stembridge("models", "add", NAME, model)
        assert refused.returncode == 2
        assert "academic, research and education purposes only" in refused.stderr
        done = stembridge("models", "add", NAME, model, "--accept-licence")
        assert done.returncode == 0, done.stderr
        yield folder


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[Path]:
    start_engine(roots=[folder])
    yield folder
    stop_engine()


def asked(out: Path, job: str, **changes: Any) -> dict[str, Any]:
    """12 s at 120 bpm: an intro, a verse, an outro."""
    return {
        "type": "render",
        "job": job,
        "project": {"name": "Song", "out": str(out)},
        "arrangement": {
            "sample_rate": RATE,
            "clock": [[0.0, 0.0], [24.0, 12.0]],
            "sections": [
                {"name": "Intro", "label": "intro", "start": 0.0, "end": 8.0},
                {"name": "Verse", "label": "verse", "start": 8.0, "end": 20.0, "lyrics": "Last bus home"},
                {"name": "Outro", "label": "outro", "start": 20.0, "end": 24.0},
            ],
        },
        "stems": [{"role": "vocals"}, {"role": "accompaniment"}],
        "style": "pop, female",
        "renderer": NAME,
        "seed": 5,
    } | changes


def short(request: dict[str, Any]) -> dict[str, Any]:
    """Two bars of it."""
    request["arrangement"]["sections"] = [
        {"name": "Verse", "label": "verse", "start": 0.0, "end": 8.0, "lyrics": "Last bus home"}
    ]
    return request


def ask(request: dict[str, Any]) -> list[Event]:
    with Client.connect(start=False) as client:
        return list(client.request(msgspec.convert(request, Render)))


def take_of(events: list[Event]) -> tuple[Path, Manifest]:
    assert isinstance(events[-1], Done), events[-1]
    take = Path(events[-1].manifests[0]).parent
    return take, read_manifest(take)


@pytest.mark.usefixtures("running")
def test_the_list_says_what_is_there_what_it_needs_and_what_it_may_be_used_for() -> None:
    listed = stembridge("models", "--json")
    rows = {(row["name"], row["kind"]): row for row in json.loads(listed.stdout)["models"]}
    mine = rows[NAME, "renderer"]
    assert mine["available"]
    assert not mine["commercial"]
    assert mine["memory_gib"] > 0
    assert mine["licence"] == LICENCE
    assert "education purposes only" in mine["note"]
    assert rows["songgeneration", "composer"]["available"]


@pytest.fixture(scope="module")
def rendered(running: Path) -> tuple[Path, list[dict[str, Any]]]:
    """The song by the command line: (take, events)."""
    path = running / "song.json"
    path.write_text(json.dumps(asked(running / "out", "song")))
    done = stembridge("render", path, "--json")
    assert done.returncode == 0, done.stderr + done.stdout[-2000:]
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return Path(events[-1]["manifests"][0]).parent, events


def test_both_stems_land_on_the_sample_and_the_manifest_says_what_they_are(
    rendered: tuple[Path, list[dict[str, Any]]],
) -> None:
    take, _ = rendered
    manifest = read_manifest(take)
    assert (manifest.composer.name, manifest.renderer.name) == (NAME, NAME)
    assert manifest.composer.weights == manifest.renderer.weights
    assert (manifest.composer.weights or "").startswith("songgeneration_v2_large (v2) sha256:")
    assert manifest.composer.licence == manifest.renderer.licence == LICENCE
    assert manifest.licences == (LICENCE,)
    assert [(s.name, s.role, s.samples, s.channels, s.licence) for s in manifest.stems] == [
        ("vocals", "vocals", SAMPLES, 2, LICENCE),
        ("accompaniment", "accompaniment", SAMPLES, 2, LICENCE),
    ]
    sounds = [soundfile.read(take / stem.wav, dtype="float32")[0] for stem in manifest.stems]
    assert all(sound.shape == (SAMPLES, 2) and np.isfinite(sound).all() for sound in sounds)
    assert all(np.abs(sound).max() > 0.01 for sound in sounds)
    assert not np.array_equal(*sounds)
    mix = soundfile.read(take / "mix.wav", dtype="float32")[0]
    assert manifest.mix is not None
    if manifest.mix.limiter is not None and manifest.mix.limiter.max_reduction_db == 0:
        assert np.abs(mix - sounds[0] - sounds[1]).max() < 1e-5
    assert any("without notes" in text for text in manifest.warnings)
    assert any("no pulse" in text for text in manifest.warnings)
    for stem in manifest.stems:
        assert stem.painted is not None
        assert (stem.painted.used, stem.painted.tasks, stem.painted.seeds) == (True, ("song",), (5,))
        assert not any(track.notes for track in read_smf(take / stem.midi).tracks)
    assert {"write", "render", "conform"} <= set(manifest.seconds)
    assert (take / "session.rpp").is_file()
    assert (take / "session.dawproject").is_file()


def test_the_first_sections_can_be_heard_before_any_stem_is_there(
    rendered: tuple[Path, list[dict[str, Any]]],
) -> None:
    take, events = rendered
    kinds = [event["type"] for event in events]
    pieces = [event for event in events if event["type"] == "piece"]
    assert kinds.index("piece") < kinds.index("stem")
    assert {piece["stem"] for piece in pieces} == {"vocals", "accompaniment"}
    first = pieces[0]
    assert (first["sections"], first["number"], first["start_sample"]) == (["Intro"], 1, 0)
    ends: dict[str, int] = {}
    for piece in pieces:
        assert piece["start_sample"] == ends.get(piece["stem"], 0)
        ends[piece["stem"]] = piece["start_sample"] + piece["samples"]
    fractions = [event["fraction"] for event in events if event["type"] == "progress"]
    assert fractions == sorted(fractions)
    assert sorted(p.name for p in take.parent.iterdir()) == ["take-1"]


@pytest.mark.usefixtures("running")
def test_a_piece_is_a_file_on_the_clock_while_it_is_told(
    tmp_path_factory: pytest.TempPathFactory, running: Path
) -> None:
    """It may be gone only where the take has become whole meanwhile."""
    request = msgspec.convert(asked(running / "pieces", "piece", seed=6), Render)
    with Client.connect(start=False) as client:
        for event in client.request(request):
            if isinstance(event, PieceReady):
                found = Path(event.wav)
                if found.is_file():
                    sound, rate = soundfile.read(found)
                    assert (len(sound), rate) == (event.samples, event.sample_rate)
                    break
                assert not found.parent.exists()
        client.send(Cancel("piece"))


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("stage", ["write", "render", "conform"])
def test_it_can_be_cancelled_at_any_stage(running: Path, stage: str) -> None:
    """Where the tiny song was over before it could be stopped there, another one is asked for."""
    for attempt in range(ATTEMPTS):
        out = running / f"cancel-{stage}-{attempt}"
        request = msgspec.convert(asked(out, out.name, seed=20 + len(stage) + 10 * attempt), Render)
        sent, last = 0.0, None
        with Client.connect(start=False) as client:
            for last in client.request(request):
                if isinstance(last, Progress) and last.stage == stage and not sent:
                    client.send(Cancel(request.job))
                    sent = time.monotonic()
        if sent and isinstance(last, Cancelled):
            break
    print(f"\ncancelled while {stage}: {(time.monotonic() - sent) * 1000:.0f} ms")
    assert sent, f"no progress of {stage} was told"
    assert isinstance(last, Cancelled), last
    assert not [path for path in out.rglob("*") if path.is_file()]


@pytest.mark.usefixtures("running")
def test_pure_music_on_stored_prompts_and_references_of_stems_go_the_same_road(running: Path) -> None:
    voice, band = running / "voice.wav", running / "band.wav"
    rng = np.random.default_rng(0)
    for path in (voice, band):
        soundfile.write(path, 0.1 * rng.standard_normal((3 * RATE, 2)), RATE)
    music = short(asked(running / "out", "music", stems=[{"role": "accompaniment", "name": "band"}]))
    del music["arrangement"]["sections"][0]["lyrics"]
    music["arrangement"]["references"] = [{"audio": str(band)}]
    take, manifest = take_of(ask(music))
    assert [stem.name for stem in manifest.stems] == ["band"]
    assert not (take / "vocals.wav").exists()
    assert any("stored codes of the kind Pop" in text for text in manifest.warnings)
    # The same model in 8 bits, as the user wants it.
    added = stembridge(
        "models", "add", "songgeneration-eight", running / "official" / MODEL, "--int8", "--accept-licence"
    )
    assert added.returncode == 0, added.stderr
    apart = short(asked(running / "out", "apart", takes=2, renderer="songgeneration-eight"))
    apart["arrangement"]["references"] = [
        {"audio": str(voice), "stems": ["vocals"]},
        {"audio": str(band), "stems": ["accompaniment"]},
    ]
    take, manifest = take_of(ask(apart))
    assert not any("not heard" in text for text in manifest.warnings)
    assert ", int8)" in (manifest.renderer.weights or "")
    # Both takes are written in one batch and sound different.
    other = read_manifest(take.parent / "take-2")
    assert other.stems[0].painted is not None
    assert other.stems[0].painted.seeds == (6,)
    assert (take / "vocals.wav").read_bytes() != (take.parent / "take-2" / "vocals.wav").read_bytes()


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"commercial": True}, "renderer.licence", "renderer"),
        ({"stems": [{"role": "vocals"}, {"role": "drums"}]}, "stem.song", "stems[1].role"),
        ({"composer": "band"}, "song.mixed", "composer"),
    ],
)
def test_what_it_may_or_can_not_do_is_refused_at_once(
    running: Path, changes: dict[str, Any], code: str, field: str
) -> None:
    (refused,) = ask(asked(running / "out", f"refused-{code}", **changes))
    assert isinstance(refused, Failed)
    assert (refused.code, refused.field, refused.refused) == (code, field, True)


@pytest.mark.usefixtures("running")
def test_lyrics_that_are_too_long_are_refused_by_their_section(running: Path) -> None:
    request = asked(running / "out", "too-long")
    request["arrangement"]["sections"][1]["lyrics"] = "and on and on it goes " * 12
    failed = ask(request)[-1]
    assert isinstance(failed, Failed)
    assert (failed.code, failed.field) == ("song.lyric_long", "arrangement.sections[1].lyrics")
    assert '"Verse"' in failed.message
    assert not list((running / "out" / "too-long").rglob("*.wav"))


@pytest.mark.usefixtures("running")
def test_a_file_that_changed_since_it_was_added_is_refused(running: Path) -> None:
    path = running / "official" / "tools" / "new_auto_prompt.pt"
    raw = path.read_bytes()
    path.write_bytes(raw + b"x")
    try:
        failed = ask(asked(running / "out", "changed", seed=77))[-1]
    finally:
        path.write_bytes(raw)
    assert isinstance(failed, Failed)
    assert failed.code == "checkpoint.changed"
    assert "new_auto_prompt.pt" in failed.message


class SongKiller(Killer):
    """Pieces are for hearing and no part of the take: they may lie there after a kill, not after the end."""

    def _check_names(self, name: str) -> None:
        ours, theirs = self._folder(name), self._folder("undisturbed")
        for path in files(ours):
            if not path.name.startswith(".") and path.name != "manifest.json" and "pieces-" not in path.parts[0]:
                assert (ours / path).read_bytes() == (theirs / path).read_bytes(), path


@pytest.fixture(scope="module")
def killer(folder: Path) -> Iterator[SongKiller]:
    """An engine of its own after the others; it renders the same song twice from nothing: `warm` and `undisturbed`."""
    stop()
    made = SongKiller(folder, msgspec.convert(asked(folder / "kills", "kills"), Render))
    made.undisturbed()
    yield made
    stop()


def test_the_same_seed_gives_the_same_bytes(killer: SongKiller) -> None:
    killer.compare("warm")


@pytest.mark.parametrize("trial", trials(1, 8, ("both",)), ids=lambda trial: f"{trial.victim}-at-{trial.at:.2f}")
def test_a_killed_song_ends_as_if_nothing_had_been(killer: SongKiller, trial: Any) -> None:
    print(f"\nwhole {killer.run(trial):.1f} s after the kill")
