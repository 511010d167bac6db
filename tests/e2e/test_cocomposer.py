"""Writing with the band from the command line and the examples: a part to a given one, varied, filled, gone on with."""

from __future__ import annotations

import json
from pathlib import Path

import mido
import pretty_midi
import pytest

from bridge.handover.manifest import Manifest, read_manifest
from tests.e2e.songs import eight_bars
from tests.e2e.test_cli import stembridge, write
from tests.e2e.test_examples import run

pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(request, take) of bass and keys."""
    folder = tmp_path_factory.mktemp("cocomposer")
    path = write(folder / "request.json", eight_bars(folder, stems=[{"role": "bass"}, {"role": "keys"}]))
    return path, rendered(path)


def rendered(path: Path, *options: str) -> Path:
    """The take that the command makes."""
    done = stembridge("render", path, "--json", *options)
    assert done.returncode == 0, done.stderr + done.stdout[-500:]
    return Path(json.loads(done.stdout.splitlines()[-1])["manifests"][0]).parent


def name_of(take: Path) -> str:
    return f"{take.parent.name}/{take.name}"


def lines(take: Path) -> str:
    manifest: Manifest = read_manifest(take)
    return "\n".join(manifest.remarks)


def test_a_bass_for_given_drums_from_an_example(tmp_path: Path) -> None:
    take = Path(run("examples/cocomposer/drums_and_bass.py", str(tmp_path), "bass").strip()).parent
    notes = pretty_midi.PrettyMIDI(str(take / "bass.mid")).instruments[0].notes
    beat = 60 / 104
    kicks = [(4 * bar + at) * beat for bar in range(3) for at in (0.0, 0.75, 2.5, 3.25)]
    met = [any(abs(n.start - k) < 0.06 for n in notes) for k in kicks]
    assert sum(met) >= 0.75 * len(met)


def test_strength_nought_is_the_same_sound_and_one_is_another(first: tuple[Path, Path]) -> None:
    path, take = first
    same = rendered(path, "--edit", name_of(take), "--only", "bass", "--strength", "0", "--seed", "9")
    other = rendered(path, "--edit", name_of(take), "--only", "bass", "--strength", "1", "--seed", "9")
    for stem in ("bass", "keys"):
        assert (same / f"{stem}.wav").read_bytes() == (take / f"{stem}.wav").read_bytes()
    assert (other / "bass.wav").read_bytes() != (take / "bass.wav").read_bytes()
    assert (other / "keys.wav").read_bytes() == (take / "keys.wav").read_bytes()


def test_it_goes_on_for_bars(first: tuple[Path, Path]) -> None:
    path, take = first
    more = rendered(path, "--continue", name_of(take), "--bars", "3")
    manifest = read_manifest(more)
    assert (manifest.start_beat, manifest.end_beat) == (32.0, 44.0)
    assert manifest.based_on == name_of(take)
    sounding = mido.MidiFile(str(more / "bass.mid"))
    assert any(message.type == "note_on" for track in sounding.tracks for message in track)


def test_controls_and_chords_of_the_command_line_reach_the_take(first: tuple[Path, Path]) -> None:
    path, _ = first
    take = rendered(
        path, "--chords", "Am9 | F/A G9", "--density", "bass=-0.8", "--register", "keys=0.5", "--space", "keys=bass"
    )
    manifest = read_manifest(take)
    assert [c.symbol for c in manifest.chords[:3]] == ["Am9", "F/A", "G9"]
    said = lines(take)
    assert "bass: density -0.8" in said
    assert "keys: register +0.5" in said
    assert "leaves space for bass" in said


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--density", "bass=2"), "stems[0].density"),
        (("--space", "bass=keys,keys=bass"), "make room for itself"),
        (("--space", "bass=kazoo"), "kazoo"),
        (("--strength", "0.5"), "--edit"),
        (("--chords", "Am9 H"), "arrangement.chords[1].symbol"),
        (("--density", "flute=0.5"), "flute"),
    ],
)
def test_impossible_wishes_are_refused_by_name(first: tuple[Path, Path], options: tuple[str, ...], told: str) -> None:
    done = stembridge("render", first[0], *options)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
