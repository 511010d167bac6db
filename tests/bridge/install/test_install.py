"""Installing and uninstalling: the tree is as it was, byte for byte, and what the user did stays."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from bridge import VERSION
from bridge.errors import StembridgeError
from bridge.install.lines import Edit, action_lines, drop_lines, is_action_line, put_lines
from bridge.install.places import Place
from bridge.install.scripts import install, problems, read_record, record_path, uninstall
from bridge.install.sources import Action, Source, Stamp, load_source
from bridge.messages import PROTOCOL

DAWS = ("reaper", "ableton", "ardour")


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every file's bytes and every folder."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


def place(base: Path, daw: str = "reaper") -> Place:
    base.mkdir(parents=True, exist_ok=True)
    return Place(daw, base, daw)


def source(version: str = "1", daw: str = "reaper", **files: str) -> Source:
    """A made-up script of REAPER."""
    home = {"reaper": "Scripts/stembridge", "ableton": "Remote Scripts/stembridge", "ardour": "scripts/stembridge"}[daw]
    told = {PurePosixPath(home, name.replace("__", ".")): text.encode() for name, text in files.items()}
    actions = tuple(
        Action(f"stembridge: {p.stem}", PurePosixPath("stembridge", p.name))
        for p in told
        if daw == "reaper" and p.stem.startswith("stembridge_") and p.stem != "stembridge_startup"
    )
    startup = PurePosixPath(home, "stembridge_startup.lua")
    return Source(daw, Stamp(version, 1), told, actions, startup if startup in told else None)


@pytest.mark.parametrize("daw", DAWS)
def test_the_real_scripts_come_and_go_without_a_trace(tmp_path: Path, daw: str) -> None:
    there = place(tmp_path / "daw", daw)
    before = tree(there.base)
    real = load_source(daw)
    assert install(there, real) == []
    record = read_record(there)
    assert record is not None
    assert (record.version, record.protocol) == (VERSION, PROTOCOL), "the script is stamped with the engine's version"
    assert all((there.base / path).read_bytes() == data for path, data in real.files.items())
    assert problems(there, record) == []
    again = tree(there.base)
    assert install(there, real) == []
    assert tree(there.base) == again, "a second time changes nothing"
    assert uninstall(there) == []
    assert tree(there.base) == before
    assert uninstall(there) is None


def test_reaper_s_actions_are_those_that_a_user_starts() -> None:
    real = load_source("reaper")
    titles = [action.title for action in real.actions]
    assert {"stembridge: Generate band", "stembridge: Cancel", "stembridge: Re-roll selection"} <= set(titles)
    assert not [a for a in real.actions if a.script.name in ("stembridge_startup.lua", "stembridge_background.lua")]
    assert real.startup == PurePosixPath("Scripts/stembridge/stembridge_startup.lua")
    assert all(PurePosixPath("Scripts", a.script) in real.files for a in real.actions)
    assert PurePosixPath("Scripts/stembridge/lua/mailbox.lua") in real.files
    assert PurePosixPath("scripts/stembridge/lua/mailbox.lua") in load_source("ardour").files
    assert not [p for daw in DAWS for p in load_source(daw).files if ".ruff_cache" in p.parts or p.suffix == ".md"]


KB_INI = (
    b'ACT 0 0 "abc" "Custom: mine" 40044\r\n'
    b'SCR 4 0 RS11 "Script: mine.lua" mine.lua\r\n'
    b'SCR 4 0 RS12 "Script: x" "other/stembridge/stembridge_generate.lua"\r\n'
    b"KEY 1 71 _RS11 0\t\t # Main : G\r\n"
)


@pytest.mark.parametrize("kb_ini", [None, b"", KB_INI, KB_INI.replace(b"\r\n", b"\n"), KB_INI.removesuffix(b"\r\n"),
                                    b'SCR 4 0 RS11 "Script: mine.lua" mine.lua'])  # fmt: skip
@pytest.mark.parametrize("startup", [None, b"-- mine\nreaper.Main_OnCommand(40044, 0)", b"-- mine\r\n"])
def test_the_user_s_files_are_as_before(tmp_path: Path, kb_ini: bytes | None, startup: bytes | None) -> None:
    there = place(tmp_path)
    if kb_ini is not None:
        (tmp_path / "reaper-kb.ini").write_bytes(kb_ini)
    if startup is not None:
        (tmp_path / "Scripts").mkdir()
        (tmp_path / "Scripts/__startup.lua").write_bytes(startup)
    before = tree(tmp_path)
    script = source(stembridge_generate__lua="1", stembridge_startup__lua="2")
    install(there, script)
    install(there, script)
    text = (tmp_path / "reaper-kb.ini").read_bytes()
    assert len(re.findall(rb'SCR 4 0 RS\w{40} "Script: [^"]+" "stembridge/stembridge_generate.lua"', text)) == 1
    assert text.replace(b"\r\n", b"").count(b"\n") == (0 if b"\r\n" in (kb_ini or b"") else text.count(b"\n"))
    begun = (tmp_path / "Scripts/__startup.lua").read_bytes()
    assert begun.startswith(startup or b"")
    assert begun.count(b"stembridge_startup.lua") == 1
    uninstall(there)
    assert tree(tmp_path) == before


def test_what_the_user_did_since_stays(tmp_path: Path) -> None:
    there = place(tmp_path)
    (tmp_path / "reaper-kb.ini").write_bytes(KB_INI)
    install(there, source(stembridge_generate__lua="1", stembridge_startup__lua="2"))
    keys = tmp_path / "reaper-kb.ini"
    ours = next(line for line in keys.read_bytes().splitlines() if is_action_line(line)).split()[3]
    added = b"KEY 9 72 _" + ours + b" 0\r\n"
    keys.write_bytes(keys.read_bytes() + added)
    with (tmp_path / "Scripts/__startup.lua").open("ab") as startup:
        startup.write(b"-- written later\n")
    assert uninstall(there) == [
        "keys that you gave to stembridge's actions stay in reaper-kb.ini (1); they start nothing now."
    ]
    assert keys.read_bytes() == KB_INI + added
    assert (tmp_path / "Scripts/__startup.lua").read_bytes() == b"-- written later\n"


@given(st.binary(max_size=300), st.sampled_from([b"", b"SCR "]))
@example(b"SCR 1\r\nKEY 2", b"SCR ")
@example(b"\rSCR 1\n\n\r", b"SCR ")
def test_any_file_comes_back_byte_for_byte(tmp_path_factory: pytest.TempPathFactory, data: bytes, after: bytes) -> None:
    assume(b"stembridge" not in data)  # lines of ours may be there only because of us
    base = tmp_path_factory.mktemp("any")
    (base / "file").write_bytes(data)
    lines = action_lines([Action("stembridge: X", PurePosixPath("stembridge/stembridge_x.lua"))])
    edit = put_lines(base, "file", lines, is_action_line, after=after, line_end=b"\n")
    assert edit is not None
    assert lines[0] in (base / "file").read_bytes()
    assert put_lines(base, "file", lines, is_action_line, after=after, line_end=b"\n") is None
    drop_lines(base, edit, is_action_line)
    assert (base / "file").read_bytes() == data


def test_a_damaged_record_is_said_and_written_anew(tmp_path: Path) -> None:
    there = place(tmp_path)
    before = tree(tmp_path)
    script = source(stembridge_generate__lua="1", stembridge_startup__lua="2")
    install(there, script)
    record_path(there).write_text("no JSON")
    with pytest.raises(StembridgeError) as refused:
        uninstall(there)
    assert (refused.value.code, refused.value.field) == ("install.record", str(record_path(there)))
    assert "stembridge install reaper" in refused.value.hint
    install(there, script)
    uninstall(there)
    left = tree(tmp_path)
    assert left == before | {"Scripts": None}, "the folder Scripts may be the user's"


def test_what_others_put_into_our_folder_stays(tmp_path: Path) -> None:
    there = place(tmp_path)
    install(there, source(stembridge_generate__lua="1"))
    (tmp_path / "Scripts/stembridge/notes.txt").write_text("mine")
    uninstall(there)
    assert [p for p in tree(tmp_path) if p.endswith(".txt")] == ["Scripts/stembridge/notes.txt"]


def test_an_update_takes_old_files_away_and_keeps_what_you_changed(tmp_path: Path) -> None:
    there = place(tmp_path)
    install(there, source("1", stembridge_generate__lua="one", stembridge_old__lua="old", mine__lua="plain"))
    (tmp_path / "Scripts/stembridge/mine.lua").write_text("my own way")
    said = install(there, source("2", stembridge_generate__lua="two", mine__lua="better"))
    assert said == ["Scripts/stembridge/mine.lua had been changed; your version is now mine.lua.changed-by-you."]
    files = {p.name: p.read_text() for p in (tmp_path / "Scripts/stembridge").iterdir()}
    assert files.pop("installed.json")
    assert files == {"stembridge_generate.lua": "two", "mine.lua": "better", "mine.lua.changed-by-you": "my own way"}
    keys = (tmp_path / "reaper-kb.ini").read_text()
    assert "stembridge_generate.lua" in keys
    assert "stembridge_old.lua" not in keys
    uninstall(there)
    assert tree(tmp_path) == {
        "Scripts": None, "Scripts/stembridge": None, "Scripts/stembridge/mine.lua.changed-by-you": b"my own way",
    }  # fmt: skip


def test_files_that_are_not_ours_are_set_aside_said_and_brought_back(tmp_path: Path) -> None:
    there = place(tmp_path, "ableton")
    foreign = tmp_path / "Remote Scripts/stembridge/__init__.py"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("somebody else's")
    before = tree(tmp_path)
    script = source(daw="ableton", __init____py="ours")
    script = Source("ableton", script.stamp, {PurePosixPath("Remote Scripts/stembridge/__init__.py"): b"ours"})
    (said,) = install(there, script)
    assert "is not ours" in said
    assert "__init__.py.before-stembridge" in said
    assert foreign.read_text() == "ours"
    install(there, script)
    (foreign.parent / "__pycache__").mkdir()
    (foreign.parent / "__pycache__/x.pyc").write_bytes(b"")
    assert uninstall(there) == ["Remote Scripts/stembridge/__init__.py is yours again, as it was before."]
    assert tree(tmp_path) == before


def test_a_change_after_installing_is_found_and_survives(tmp_path: Path) -> None:
    there = place(tmp_path)
    install(there, source(stembridge_a__lua="a", stembridge_b__lua="b"))
    folder = tmp_path / "Scripts/stembridge"
    (folder / "stembridge_a.lua").unlink()
    (folder / "stembridge_b.lua").write_text("mine")
    (tmp_path / "reaper-kb.ini").write_bytes(b"")
    record = read_record(there)
    assert record is not None
    assert problems(there, record) == [
        "Scripts/stembridge/stembridge_a.lua is missing", "Scripts/stembridge/stembridge_b.lua was changed",
        "our lines are gone from reaper-kb.ini",
    ]  # fmt: skip
    (said,) = uninstall(there) or [""]
    assert "your version stays" in said
    assert (folder / "stembridge_b.lua.changed-by-you").read_text() == "mine"


def test_links_are_respected(tmp_path: Path) -> None:
    there = place(tmp_path / "daw")
    (tmp_path / "dotfiles").mkdir()
    (tmp_path / "dotfiles/kb.ini").write_bytes(KB_INI)
    (there.base / "reaper-kb.ini").symlink_to(tmp_path / "dotfiles/kb.ini")
    install(there, source(stembridge_a__lua="a"))
    assert (there.base / "reaper-kb.ini").is_symlink()
    assert b"stembridge_a.lua" in (tmp_path / "dotfiles/kb.ini").read_bytes()
    uninstall(there)
    assert (tmp_path / "dotfiles/kb.ini").read_bytes() == KB_INI
    (tmp_path / "checkout").mkdir()
    (there.base / "Scripts").mkdir()
    (there.base / "Scripts/stembridge").symlink_to(tmp_path / "checkout")
    with pytest.raises(StembridgeError) as refused:
        install(there, source(stembridge_a__lua="a"))
    assert refused.value.code == "install.link"
    assert list((tmp_path / "checkout").iterdir()) == []


def test_a_folder_that_takes_nothing_is_said_and_leaves_no_half(tmp_path: Path, monkeypatch: Any) -> None:
    there = place(tmp_path)
    before = tree(tmp_path)
    real, count = os.replace, 0

    def full(a: Any, b: Any) -> None:
        nonlocal count
        count += 1
        if count == 2:
            raise OSError(28, "No space left on device", str(b))
        real(a, b)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StembridgeError) as failed:
        install(there, source(stembridge_a__lua="a", stembridge_b__lua="b", stembridge_c__lua="c"))
    monkeypatch.setattr(os, "replace", real)
    assert failed.value.code == "install.unwritable"
    assert "no space left" in failed.value.message
    assert record_path(there).exists(), "what was done is written down"
    uninstall(there)
    assert tree(tmp_path) == before


def test_a_lost_mark_loses_nothing_of_the_user_s(tmp_path: Path) -> None:
    there = place(tmp_path)
    install(there, source(stembridge_startup__lua="2"))
    startup = tmp_path / "Scripts/__startup.lua"
    first, run, _ = startup.read_bytes().splitlines(keepends=True)
    startup.write_bytes(first + run + b"-- mine\nprint(1)\n")
    uninstall(there)
    assert startup.read_bytes() == run + b"-- mine\nprint(1)\n"


def test_lines_of_other_scripts_are_not_ours() -> None:
    assert is_action_line(b'SCR 4 0 RSabc "Script: stembridge_generate.lua" stembridge/stembridge_generate.lua')
    assert is_action_line(b'SCR 4 0 RSabc "Custom: stembridge: X" "stembridge\\stembridge_background.lua"')
    assert not is_action_line(b'SCR 4 0 RSabc "Script: y" "stembridge/my_own.lua"')
    assert not is_action_line(b'SCR 4 0 RSabc "Script: y" "ReaTeam/stembridge/stembridge_generate.lua"')
    assert not is_action_line(b"KEY 1 71 _RSabc 0 # stembridge/stembridge_generate.lua")
    drop_lines(Path("/nonexistent"), Edit("x"), is_action_line)
