"""The DAWs' folders on made-up trees of each system."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.errors import StembridgeError
from bridge.install.places import Surroundings, find_places
from bridge.install.running import programs2daws


def made(*paths: Path) -> None:
    """Files, and folders for what has no ending."""
    for path in paths:
        if path.suffix or path.name == "reaper":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        else:
            path.mkdir(parents=True, exist_ok=True)


def folders(daw: str, here: Surroundings) -> list[Path]:
    return [place.base for place in find_places(daw, here)]


def library_cfg(path: Path, folder: Path, name: str = "User Library") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n<Ableton MajorVersion="5"><ContentLibrary>'
        '<LibraryProject Id="9"><ProjectPath Value="/nowhere" /></LibraryProject><UserLibrary>\n'
        f'<LibraryProject Id="0"><ProjectName Value="{name}" />\n<ProjectPath Value="{folder}" /></LibraryProject>'
        "</UserLibrary></ContentLibrary></Ableton>"
    )


def test_reaper_on_linux_installed_portable_and_in_a_flatpak(tmp_path: Path) -> None:
    home, root = tmp_path / "home", tmp_path / "root"
    flatpak = home / ".var/app/fm.reaper.Reaper/config/REAPER"
    made(home / ".config/REAPER/reaper.ini", home / "REAPER/reaper.ini", home / "REAPER/reaper", flatpak / "reaper.ini")
    made(root / "opt/REAPER/reaper", home / "Downloads/reaper_linux_x86_64/REAPER")
    here = Surroundings("linux", home, root=root)
    assert folders("reaper", here) == [home / ".config/REAPER", flatpak, home / "REAPER"]
    assert "flatpak override" in find_places("reaper", here)[1].remarks[0]
    made(root / "opt/REAPER/reaper.ini")
    assert folders("reaper", here)[-1] == root / "opt/REAPER", "portable once it has settings of its own"
    made(tmp_path / "xdg/REAPER/reaper-kb.ini")
    moved = Surroundings("linux", home, {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}, root)
    assert folders("reaper", moved)[0] == tmp_path / "xdg/REAPER"


def test_reaper_on_macos(tmp_path: Path) -> None:
    home, root = tmp_path / "Users/me", tmp_path / "root"
    support = home / "Library/Application Support/REAPER"
    made(support / "reaper.ini", root / "Applications/REAPER.app", root / "Applications/REAPER portable/REAPER.app")
    made(root / "Applications/REAPER portable/reaper.ini")
    here = Surroundings("darwin", home, root=root)
    assert folders("reaper", here) == [support, root / "Applications/REAPER portable"]


def test_reaper_on_windows(tmp_path: Path) -> None:
    home, root = tmp_path / "Users/me", tmp_path / "C"
    roaming, programs = home / "AppData/Roaming", root / "Program Files"
    made(roaming / "REAPER/reaper.ini", programs / "REAPER (x64)/reaper.exe")
    made(home / "Desktop/REAPER7/reaper.exe", home / "Desktop/REAPER7/reaper.ini")
    here = Surroundings("win32", home, {"APPDATA": str(roaming), "ProgramFiles": str(programs)}, root)
    assert folders("reaper", here) == [roaming / "REAPER", home / "Desktop/REAPER7"]


def test_live_on_macos_asks_its_settings_first(tmp_path: Path) -> None:
    home, disk = tmp_path / "Users/me", tmp_path / "Volumes/Songs & more"
    preferences = home / "Library/Preferences/Ableton"
    made(home / "Music/Ableton/User Library", disk / "Meine Bibliothek", preferences / "Live 10.1.43/Undo.cfg")
    here = Surroundings("darwin", home)
    usual = home / "Music/Ableton/User Library"
    assert folders("ableton", here) == [usual]
    assert find_places("ableton", here)[0].remarks == (
        "Live 10.1.43 cannot place audio in the Arrangement: 11.3.25 or newer can.",
    )
    library_cfg(preferences / "Live 12.1.5/Library.cfg", home / "Music/Ableton")
    library_cfg(preferences / "Live 12.4/Library.cfg", Path(str(disk).replace("&", "&amp;")), "Meine Bibliothek")
    assert folders("ableton", here) == [disk / "Meine Bibliothek", usual], "the newest version's library first"
    library_cfg(preferences / "Live 12.4/Library.cfg", tmp_path / "gone")
    assert folders("ableton", here) == [usual]


@pytest.mark.parametrize(
    "where", ["Documents", "OneDrive/Dokumente", "OneDrive - School/Documents", "D/Eigene Dateien"]
)
def test_live_on_windows_wherever_documents_are(tmp_path: Path, where: str) -> None:
    home = tmp_path / "Users/me"
    library = home / where / "Ableton/User Library"
    made(library, home / "AppData/Roaming/Ableton/Live 11.3.25/Preferences")
    documents = (home / where,) if where.startswith("D/") else ()
    here = Surroundings("win32", home, {"OneDrive": str(home / "OneDrive")}, documents=documents)
    assert folders("ableton", here) == [library]
    assert find_places("ableton", here)[0].remarks == ()


def test_live_on_windows_with_a_moved_library(tmp_path: Path) -> None:
    home = tmp_path / "Users/me"
    made(tmp_path / "D/Live/User Library")
    library_cfg(home / "AppData/Roaming/Ableton/Live 12.0.5/Preferences/Library.cfg", tmp_path / "D/Live")
    assert folders("ableton", Surroundings("win32", home)) == [tmp_path / "D/Live/User Library"]


def test_live_under_wine(tmp_path: Path) -> None:
    library = tmp_path / ".wine/drive_c/users/me/Documents/Ableton/User Library"
    made(library)
    assert folders("ableton", Surroundings("linux", tmp_path)) == [library]


def test_ardour_in_every_version(tmp_path: Path) -> None:
    flatpak = tmp_path / ".var/app/org.ardour.Ardour/config"
    made(
        *(tmp_path / ".config" / f"ardour{n}" for n in (3, 5, 6, 7, 8, 9)),
        flatpak / "ardour8",
        tmp_path / ".config/ardour",
    )
    here = Surroundings("linux", tmp_path)
    assert folders("ardour", here) == [
        *(tmp_path / ".config" / f"ardour{n}" for n in (6, 7, 8, 9)),
        flatpak / "ardour8",
    ]
    assert [p.title.split(" (")[0] for p in find_places("ardour", here)][:2] == ["Ardour 6", "Ardour 7"]
    made(tmp_path / "Library/Preferences/Ardour7", tmp_path / "AppData/Local/Ardour8")
    assert folders("ardour", Surroundings("darwin", tmp_path)) == [tmp_path / "Library/Preferences/Ardour7"]
    assert folders("ardour", Surroundings("win32", tmp_path)) == [tmp_path / "AppData/Local/Ardour8"]


@pytest.mark.parametrize("daw", ["reaper", "ableton", "ardour"])
@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_an_empty_home_has_none(tmp_path: Path, daw: str, system: str) -> None:
    assert folders(daw, Surroundings(system, tmp_path, root=tmp_path)) == []


def test_a_folder_may_be_named_itself_or_by_its_scripts(tmp_path: Path) -> None:
    made(tmp_path / "My Library/Remote Scripts")
    here = Surroundings("linux", tmp_path / "home")
    for folder in (tmp_path / "My Library", tmp_path / "My Library/Remote Scripts"):
        assert [p.base for p in find_places("ableton", here, folder)] == [tmp_path / "My Library"]
    with pytest.raises(StembridgeError) as refused:
        find_places("reaper", here, tmp_path / "gone")
    assert refused.value.code == "install.folder"
    assert "resource path" in refused.value.hint


MAC = "/Applications/Ableton Live 12 Suite.app/Contents/MacOS/Live\n/Applications/REAPER.app/Contents/MacOS/REAPER"
WINDOWS = '"Ableton Live 12 Suite.exe","4711","Console","1","812.000 K"\n"reaper.exe","99","Console","1","1 K"'


@pytest.mark.parametrize(
    ("told", "daws"),
    [
        ("bash\n/usr/bin/ardour-7.3.0\nreaper\n", {"ardour", "reaper"}),
        (MAC, {"ableton", "reaper"}),
        (WINDOWS, {"ableton", "reaper"}),
        ("reaper-notes\nlivestream\nardourous\nalive\n", set()),
    ],
)
def test_programs_that_run_are_known_by_their_names(told: str, daws: set[str]) -> None:
    assert programs2daws(told) == daws
