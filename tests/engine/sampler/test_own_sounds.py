"""The user's own banks: SF2, SF3 and SFZ join by measuring, damaged files are refused one by one, names choose them."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile

from bridge.commands import sounds as command
from bridge.errors import RequestError
from bridge.timeline import Clock
from engine import soundbook
from engine.sampler import Bank, candidates, choose_instrument, render_part
from engine.sampler import packages as registry
from engine.sampler.fontmaker import Recording, Region, make_font
from engine.sampler.join import add_sounds
from engine.sampler.ownbanks import keep, own_banks
from engine.sampler.sfz import read_sfz, text2pitch
from engine.sampler.sfz2font import sfz2font
from engine.sampler.soundfont import open_soundfont
from engine.score import Note, Part

RATE = 44100


def quiet(_: str) -> None:
    """Says nothing."""


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    monkeypatch.setenv("STEMBRIDGE_DATA", str(folder))
    return folder


def tone(hertz: float, seconds: float = 1.0, brightness: int = 6) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    wave = sum(np.sin(2 * np.pi * hertz * h * time) / h for h in range(1, brightness + 1))
    return (0.3 * wave * np.exp(-2 * time))[:, None].astype(np.float32)


def font(path: Path, name: str = "Bright Keys", brightness: int = 6) -> Path:
    path.write_bytes(make_font(name, [Recording("a", tone(261.63, brightness=brightness), RATE, 60)], [Region(0)]))
    return path


def sfz(folder: Path, text: str, name: str = "My Piano.sfz") -> Path:
    folder.mkdir(exist_ok=True)
    for root, hertz in ((60, 261.63), (72, 523.25)):
        soundfile.write(folder / f"n{root}.wav", tone(hertz), RATE)
    (folder / name).write_text(text)
    return folder / name


PIANO = """// a comment
<control> default_path=./
#define $REL 0.3
<global> ampeg_release=$REL strange_cc7=3
<region> sample=n60.wav lokey=36 hikey=66 pitch_keycenter=c4
<region> sample=n72.wav lokey=67 hikey=96 pitch_keycenter=72 volume=-6 /* loud
 enough */
<region> sample=n72.wav trigger=release
"""


def test_a_font_joins_is_chosen_by_name_and_goes_again(tmp_path: Path) -> None:
    path = font(tmp_path / "My Font.sf2")
    joined = add_sounds(path, say=quiet, licence="CC0-1.0")
    (entry,) = joined.banks[0].entries
    assert (entry.name, entry.role, entry.licence, entry.font) == ("bright keys", "keys", "CC0-1.0", "own:my-font")
    assert entry.cents == pytest.approx(0, abs=3)
    bank = Bank.open()
    instrument = choose_instrument(bank, "keys", "bright keys", "")
    assert (instrument.name, instrument.remark, instrument.source) == ("bright keys", "", "my-font")
    assert instrument in candidates(bank, "keys")
    part = Part("keys", "keys", (Note(0.0, 1.0, 60, 90),))
    audio = render_part(bank, part, instrument, Clock.steady(120, 8), RATE, 0, RATE, 0, lambda _: None)
    assert np.abs(audio).max() > 0.02
    assert soundbook.remove({"name": "my-font"})["stays"]
    assert not own_banks()
    assert path.exists()
    assert choose_instrument(Bank.open(), "keys", "bright keys", "").remark


def test_a_bank_that_has_gone_is_told_and_is_no_candidate(tmp_path: Path) -> None:
    path = font(tmp_path / "gone.sf2")
    add_sounds(path, say=quiet)
    path.unlink()
    bank = Bank.open()
    assert all(c.source != "gone" for c in candidates(bank, "keys"))
    with pytest.raises(RequestError, match=r"no longer where they were .*gone\.sf2"):
        choose_instrument(bank, "keys", "bright keys", "")
    assert choose_instrument(bank, "keys", "rhodes", "").name == "tine e-piano"


@pytest.mark.parametrize("kind", ["sf2", "sfz"])
def test_what_is_added_again_sounds_anew_in_an_open_bank(tmp_path: Path, kind: str) -> None:
    """And what still plays from the file before plays on: its font is replaced, not written into."""

    def add(brightness: int) -> None:
        if kind == "sf2":
            part = font(tmp_path / "part", brightness=brightness)
            path = part.replace(tmp_path / "Mine.sf2")
        else:
            path = sfz(tmp_path / "mine", "<region> sample=n60.wav key=60", "Mine.sfz")
            soundfile.write(path.parent / "n60.wav", tone(261.63, brightness=brightness), RATE)
        add_sounds(path, say=quiet)

    def play() -> np.ndarray:
        instrument = next(i for i in candidates(bank, "keys") if i.source == "mine")
        return bank.notes_of(instrument, RATE, [(60, 90)])(60, 90, RATE // 2)

    add(2)
    bank = Bank.open()
    before, old = play(), bank.named_font("own:mine")
    samples = np.array(old.smpl)
    assert np.array_equal(play(), before)
    assert bank.named_font("own:mine") is old
    add(9)
    after = play()
    assert not np.array_equal(after, before)
    assert np.array_equal(old.smpl, samples)
    bank = Bank.open()
    assert np.array_equal(play(), after)


def test_a_folder_joins_and_damaged_files_are_told_one_by_one(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    sfz(folder, PIANO)
    font(folder / "good.sf2")
    (folder / "cut.sf2").write_bytes((folder / "good.sf2").read_bytes()[:-2000])
    (folder / "text.sf3").write_text("hello")
    (folder / "empty.sf2").touch()
    (folder / "lost.sfz").write_text("<region> sample=nothing.wav key=60")
    (folder / "notes.txt").write_text("no sound")
    joined = add_sounds(folder, say=quiet)
    assert sorted(b.name for b in joined.banks) == ["good", "my-piano"]
    said = [p.message for p in joined.problems]
    assert len(said) == 4
    assert any("empty.sf2" in message and "is empty" in message for message in said)
    for name in ("cut.sf2", "text.sf3", "lost.sfz"):
        assert sum(name in message for message in said) == 1
    assert not list((tmp_path / "data/sounds").glob("lost*"))


def test_a_kit_that_lacks_kick_snare_or_hat_is_left_out(tmp_path: Path) -> None:
    """No part can be played on it, and of hundreds of presets one such must not cost the others."""
    recording = [Recording("a", tone(261.63), RATE, 60)]
    for name, keys in (("march", (60, 61)), ("half", (36, 40)), ("kit", (36, 61))):
        (tmp_path / f"{name}.sf2").write_bytes(make_font(name, recording, [Region(0, keys=keys)], bank=128))
    for name in ("march", "half"):
        with pytest.raises(RequestError, match=rf"{name}\.sf2 sounds where its role plays"):
            add_sounds(tmp_path / f"{name}.sf2", say=quiet)
    (kit,) = add_sounds(tmp_path / "kit.sf2", say=quiet).banks
    assert [entry.role for entry in kit.entries] == ["drums"]
    assert own_banks() == [kit]


def test_a_bank_that_could_not_be_read_again_is_not_kept(tmp_path: Path) -> None:
    (bank,) = add_sounds(font(tmp_path / "one.sf2"), say=quiet).banks
    entry = msgspec.structs.replace(bank.entries[0], late_ms=float("nan"))
    with pytest.raises(ValueError, match="late_ms"):
        keep(msgspec.structs.replace(bank, entries=(entry,)))
    assert own_banks() == [bank]


def test_two_banks_of_one_name_keep_apart_and_the_same_file_is_replaced(tmp_path: Path) -> None:
    add_sounds(font(tmp_path / "one.sf2"), say=quiet)
    add_sounds(font(tmp_path / "two.sf2", brightness=2), say=quiet)
    add_sounds(tmp_path / "one.sf2", say=quiet)
    names = [e.name for b in own_banks() for e in b.entries]
    assert sorted(names) == ["bright keys", "bright keys two"]


def test_what_an_sfz_says_is_what_plays(tmp_path: Path) -> None:
    path = sfz(tmp_path / "sfz", PIANO)
    data, read = sfz2font(path, "My Piano")
    assert read.unknown == {"strange_ccN": 1}
    assert read.left_out == {"played when a key is let go": 1}
    made = tmp_path / "made.sf2"
    made.write_bytes(data)
    player = Bank(open_soundfont(made), True).player((0, 0), RATE, [(60, 127), (72, 127), (100, 127)])
    low, high = player.note(60, 127, 20000)[0], player.note(72, 127, 20000)[0]
    for note, hertz in ((low, 261.63), (high, 523.25)):
        spectrum = np.abs(np.fft.rfft(note[2000:18000] * np.hanning(16000), 1 << 18))
        assert np.argmax(spectrum) * RATE / (1 << 18) == pytest.approx(hertz, rel=2e-3)
    assert 20 * np.log10(np.abs(high).max() / np.abs(low).max()) == pytest.approx(-6, abs=0.5)
    assert not player.note(100, 127, 2000).any()
    release = player.note(60, 127, 4000)
    assert release.shape[1] > 4000 + 0.1 * RATE


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no region"),
        ("garbage", "line 1"),
        ("<region> key=60", "no sample"),
        ("<region> sample=*sine key=60", "wave of the player"),
        ("<region> sample=n60.wav lokey=q", "lokey=q is no pitch"),
        ("<region> sample=n60.wav volume=loud", "volume=loud is no number"),
        ("<region> sample=n60.wav lokey=80 hikey=40", "end before they begin"),
        ("<region> sample=n60.wav offset=99999999", "shorter than its offset"),
        ("<region> sample=nowhere.wav", "missing"),
        ("<region> sample=My Piano.sfz", "no audio file"),
        ('#include "My Piano.sfz"', "include each other"),
        ("#define REL", "#define"),
        ("<region> sample=n60.wav seq_position=2", "later round robins"),
    ],
)
def test_a_damaged_sfz_is_refused_by_name_and_reason(tmp_path: Path, text: str, said: str) -> None:
    path = sfz(tmp_path / "sfz", text)
    with pytest.raises(RequestError, match=r"My Piano\.sfz") as problem:
        sfz2font(path, "x")
    assert said in problem.value.message


def test_groups_inherit_and_regions_win(tmp_path: Path) -> None:
    text = "<global> volume=-3 <group> lovel=1 hivel=63 volume=-9\n<region> sample=n60.wav key=c4\n"
    text += "<region> sample=n60.wav key=60 volume=0\n<group> lovel=64\n<region> sample=n72.wav key=60 tune=-7"
    one, two, three = read_sfz(sfz(tmp_path / "sfz", text)).regions
    assert (one.values["volume"], one.values["hivel"], one.pitch("key", 0)) == ("-9", "63", 60)
    assert two.values["volume"] == "0"
    assert "hivel" not in three.values
    assert three.values["volume"] == "-3"
    assert [text2pitch(t, "key") for t in ("c4", "F#3", "Bb-1", "0")] == [60, 54, 10, 0]


def deb(files: dict[str, bytes]) -> bytes:
    """A Debian package's outer archive around a tar of `files`."""
    out = b"!<arch>\n"
    for name, body in (("debian-binary", b"2.0\n"), ("data.tar.gz", tgz(files, "./"))):
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(body):<10}`\n".encode() + body + b"\n" * (len(body) % 2)
    return out


def tgz(files: dict[str, bytes], prefix: str = "") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, body in files.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    return buffer.getvalue()


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> registry.Package:
    """A bank in the list of what can be fetched, small enough for a test."""
    body = font(tmp_path / "tiny.sf2", "Tiny Keys").read_bytes()
    digest = hashlib.sha256(body).hexdigest()
    package = registry.Package("tiny", "Tiny", "npm", "tiny-keys", "1.0", "package/tiny.sf2", digest, 1, "CC0-1.0")
    monkeypatch.setattr(registry, "packages", lambda: {"tiny": package})
    return package


@pytest.mark.parametrize("pack", [deb, tgz])
def test_a_package_fetched_by_hand_joins(tiny: registry.Package, tmp_path: Path, pack: object) -> None:
    archive = tmp_path / "tiny.pkg"
    archive.write_bytes(pack({tiny.file: (tmp_path / "tiny.sf2").read_bytes()}))  # type: ignore[operator]
    answer = soundbook.get({"name": "tiny", "archive": str(archive)})
    assert answer["banks"][0]["name"] == "tiny"
    assert choose_instrument(Bank.open(), "keys", "tiny keys", "").licence == "CC0-1.0"
    gone = soundbook.remove({"name": "tiny"})
    assert not gone["stays"]
    assert not Path(gone["source"]).exists()


def test_another_file_than_the_known_one_is_refused(tiny: registry.Package, tmp_path: Path) -> None:
    archive = tmp_path / "tiny.tgz"
    for body, said in (
        (tgz({tiny.file: b"something else"}), "another than the one that is known"),
        (tgz({"package/other": b"x"}), "holds no package/tiny.sf2"),
        (b"no archive", "cannot be used"),
        (deb({tiny.file: b"x"})[:90], "cannot be used"),
    ):
        archive.write_bytes(body)
        with pytest.raises(RequestError, match=said):
            soundbook.get({"name": "tiny", "archive": str(archive)})
    assert not own_banks()


def test_no_client_and_no_network_are_said(
    tiny: registry.Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(RequestError, match="npm is not on this machine"):
        soundbook.get({"name": "tiny"})
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "npm").write_text("#!/bin/sh\necho 'npm error code ENOTFOUND' >&2\nexit 1\n")
    (folder / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
    with pytest.raises(RequestError, match="ENOTFOUND") as problem:
        soundbook.get({"name": "tiny"})
    assert "--from" in problem.value.hint


def test_the_list_of_packages_is_complete() -> None:
    for package in registry.packages().values():
        assert package.client in ("apt", "npm")
        assert len(package.sha256) == 64
        assert package.licence.startswith("MIT")


def test_the_list_holds_all_by_role_and_says_licences(tmp_path: Path) -> None:
    add_sounds(font(tmp_path / "mine.sf2"), say=quiet)
    answer = soundbook.list_sounds({})
    assert len(answer["sounds"]) > 200
    assert all(row["licence"] and row["brightness_hz"] > 0 for row in answer["sounds"])
    assert all(row["lufs"] < 0 and 0 <= row["late_ms"] < 12 and abs(row["off_cents"]) < 60 for row in answer["sounds"])
    assert [row["name"] for row in answer["sounds"] if row["bank"] == "mine"] == ["bright keys"]
    bass = soundbook.list_sounds({"role": "bass"})["sounds"]
    assert {row["role"] for row in bass} == {"bass"}
    with pytest.raises(RequestError, match="no role 'kazoo'"):
        soundbook.list_sounds({"role": "kazoo"})


def test_a_sound_can_be_heard(tmp_path: Path) -> None:
    out = tmp_path / "slap.wav"
    soundbook.play_sound({"name": "Slap Bass", "out": str(out)})
    audio, rate = soundfile.read(out)
    assert rate == RATE
    assert 0.02 < np.abs(audio).max() <= 0.9
    with pytest.raises(RequestError, match="no sound is called"):
        soundbook.play_sound({"name": "kazoo", "out": str(out)})
    with pytest.raises(RequestError, match="does not play drums"):
        soundbook.play_sound({"name": "slap bass", "out": str(out), "role": "drums"})


def test_the_command_asks_the_engine(capsys: pytest.CaptureFixture[str]) -> None:
    answer = command.ask("list", role="drums")
    assert {row["role"] for row in answer["sounds"]} == {"drums"}
    command._print_list(answer)
    assert "acoustic kit" in capsys.readouterr().out
    with pytest.raises(RequestError, match="no sounds of yours"):
        command.ask("remove", name="nothing")
    assert json.dumps(answer)
