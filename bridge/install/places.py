"""Where REAPER, Ableton Live and Ardour keep scripts on Linux, macOS and Windows.

REAPER   the resource path: `~/.config/REAPER`, `~/Library/Application Support/REAPER`, `%APPDATA%\\REAPER`; a portable
         install is a folder that holds both the program and its `reaper.ini`
Live     the User Library: named by `Library.cfg` of each version's preferences (ProjectPath/ProjectName), else the
         usual `Ableton/User Library` under Music (macOS) or Documents (Windows: wherever the system says they are,
         OneDrive included). One library serves every version of Live
Ardour   the configuration folder of each version from 6 on: `~/.config/ardour7`, `~/Library/Preferences/Ardour7`,
         `%LOCALAPPDATA%\\Ardour7`, or inside the flatpak
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import unescape

from bridge.errors import StembridgeError

DAWS = ("reaper", "ableton", "ardour")
TITLES = {"reaper": "REAPER", "ableton": "Ableton Live", "ardour": "Ardour"}
OLDEST_LIVE = (11, 3, 25)
ARDOUR_VERSIONS = range(6, 20)
MAX_CONFIG = 16 << 20

_USER_LIBRARY = re.compile(r"<UserLibrary>(.*?)</UserLibrary>", re.DOTALL)
_VALUE = re.compile(r'<(ProjectPath|ProjectName)\s+Value="([^"]*)"')


@dataclass(frozen=True)
class Surroundings:
    """A computer and its user. `system` as `sys.platform` has it; `root` of the file system; `documents`: where the
    system says that documents are (Windows)."""

    system: str
    home: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    root: Path = Path("/")
    documents: tuple[Path, ...] = ()

    @classmethod
    def here(cls) -> Surroundings:
        """This computer."""
        documents = _windows_documents() if sys.platform == "win32" else ()
        return cls(sys.platform, Path.home(), dict(os.environ), documents=documents)

    def variable(self, name: str, default: Path) -> Path:
        """The folder in an environment variable, or `default` where it is not set."""
        value = self.environment.get(name, "")
        return Path(value) if value else default


@dataclass(frozen=True)
class Place:
    """A folder that takes scripts. `base`: what is installed is relative to it; `title` names it for people;
    `remarks`: what the user should know about it."""

    daw: str
    base: Path
    title: str
    remarks: tuple[str, ...] = ()


def find_places(daw: str, here: Surroundings, folder: Path | None = None) -> list[Place]:
    """Every place of `daw`, or the one that `folder` names. Raises `StembridgeError` `install.folder` for a folder that
    is none."""
    if folder is not None:
        return [_named(daw, folder)]
    found = {"reaper": _reaper, "ableton": _ableton, "ardour": _ardour}[daw](here)
    places: dict[Path, Place] = {}
    for place in found:
        places.setdefault(place.base.resolve(), place)
    return list(places.values())


def _named(daw: str, folder: Path) -> Place:
    """The folder that the user named, or the one that it clearly lies in."""
    if not folder.is_dir():
        raise StembridgeError("install.folder", "there is no such folder.", field=str(folder), hint=_FOLDER_HINTS[daw])
    inner = {"reaper": "Scripts", "ableton": "Remote Scripts", "ardour": "scripts"}[daw]
    base = folder.parent if folder.name == inner else folder
    return Place(daw, base, f"{TITLES[daw]} ({base})")


_FOLDER_HINTS = {
    "reaper": "Name the folder that REAPER shows with Options > Show REAPER resource path.",
    "ableton": "Name the folder that Live's settings show under Library > Location of User Library.",
    "ardour": "Name Ardour's configuration folder, for example ~/.config/ardour8.",
}


def _reaper(here: Surroundings) -> Iterator[Place]:
    for folder in _reaper_folders(here):
        if (folder / "reaper.ini").is_file() or (folder / "reaper-kb.ini").is_file():
            remarks = (_flatpak_remark("fm.reaper.Reaper"),) if ".var" in folder.parts else ()
            yield Place("reaper", folder, f"REAPER ({folder})", remarks)
    for folder in _portable_homes(here):
        program = any((folder / name).exists() for name in ("reaper.exe", "reaper", "REAPER.app", "REAPER64.app"))
        if program and (folder / "reaper.ini").is_file():
            yield Place("reaper", folder, f"REAPER, portable ({folder})")


def _reaper_folders(here: Surroundings) -> Iterator[Path]:
    if here.system == "win32":
        yield here.variable("APPDATA", here.home / "AppData" / "Roaming") / "REAPER"
    elif here.system == "darwin":
        yield here.home / "Library" / "Application Support" / "REAPER"
    else:
        yield here.variable("XDG_CONFIG_HOME", here.home / ".config") / "REAPER"
        yield here.home / ".var" / "app" / "fm.reaper.Reaper" / "config" / "REAPER"


def _portable_homes(here: Surroundings) -> Iterator[Path]:
    """Folders that people unpack a portable REAPER into: called REAPER-something, where programs and downloads lie."""
    parents = [here.home, *(here.home / n for n in ("Desktop", "Downloads", "Documents", "Applications", "opt", "bin"))]
    parents += here.documents
    if here.system == "win32":
        parents += [Path(here.environment[n]) for n in ("ProgramFiles", "ProgramW6432") if here.environment.get(n)]
        parents += [here.root]
    elif here.system == "darwin":
        parents += [here.root / "Applications"]
    else:
        parents += [here.root / "opt", here.root / "usr" / "local"]
    for parent in dict.fromkeys(parents):
        for folder in _inside(parent):
            if folder.name.lower().startswith("reaper") and not folder.name.endswith(".app"):
                yield folder


def _ableton(here: Surroundings) -> Iterator[Place]:
    versions = _live_versions(here)
    old = [v for v, _ in versions if _numbers(v) < OLDEST_LIVE]
    remarks = tuple(f"Live {v} cannot place audio in the Arrangement: 11.3.25 or newer can." for v in old)
    named = [library for _, preferences in reversed(versions) for library in _libraries(preferences)]
    for library in dict.fromkeys(named):
        if library.is_dir():
            yield Place("ableton", library, f"Live's User Library ({library})", remarks)
    for folder in _music_folders(here):
        library = folder / "Ableton" / "User Library"
        if library.is_dir() and library not in named:
            yield Place("ableton", library, f"Live's User Library ({library})", remarks)


def _live_versions(here: Surroundings) -> list[tuple[str, Path]]:
    """(version, folder of its preferences), oldest first."""
    if here.system == "win32":
        homes = [here.variable("APPDATA", here.home / "AppData" / "Roaming") / "Ableton"]
    elif here.system == "darwin":
        homes = [here.home / "Library" / "Preferences" / "Ableton"]
    else:
        homes = [user / "AppData" / "Roaming" / "Ableton" for user in _wine_users(here)]
    found = [
        (folder.name.removeprefix("Live "), folder)
        for home in homes
        for folder in _inside(home)
        if folder.name.startswith("Live ")
    ]
    return sorted(found, key=lambda version: _numbers(version[0]))


def _libraries(preferences: Path) -> Iterator[Path]:
    """The User Library that a version's `Library.cfg` names."""
    for config in (preferences / "Preferences" / "Library.cfg", preferences / "Library.cfg"):
        try:
            if not config.is_file() or config.stat().st_size > MAX_CONFIG:
                continue
            text = config.read_text("utf-8", "replace")
        except OSError:
            continue
        block = _USER_LIBRARY.search(text)
        values = dict(_VALUE.findall(block[1])) if block else {}
        if values.get("ProjectPath"):
            plain = {name: unescape(value, {"&quot;": '"', "&apos;": "'"}) for name, value in values.items()}
            yield Path(plain["ProjectPath"]) / plain.get("ProjectName", "User Library")


def _music_folders(here: Surroundings) -> Iterator[Path]:
    """Where Live puts its library when it is installed."""
    if here.system == "darwin":
        yield here.home / "Music"
        yield here.home / "Documents"
    elif here.system == "win32":
        yield from here.documents
        clouds = [Path(v) for n, v in here.environment.items() if n.upper().startswith("ONEDRIVE") and v]
        clouds += [folder for folder in _inside(here.home) if folder.name.startswith("OneDrive")]
        for home in (here.home, *dict.fromkeys(clouds)):
            # The folder is called in the system's language where OneDrive or an old Windows made it.
            for name in ("Documents", "Dokumente", "Documentos", "Documenti", "Documenten", "Dokumenter", "Dokument"):
                yield home / name
            yield home / "My Documents"
    else:
        for user in _wine_users(here):
            yield user / "Documents"
            yield user / "My Documents"


def _wine_users(here: Surroundings) -> Iterator[Path]:
    prefix = here.variable("WINEPREFIX", here.home / ".wine")
    yield from _inside(prefix / "drive_c" / "users")


def _ardour(here: Surroundings) -> Iterator[Place]:
    flatpak = here.home / ".var" / "app" / "org.ardour.Ardour" / "config"
    if here.system == "win32":
        homes = [here.variable("LOCALAPPDATA", here.home / "AppData" / "Local")]
    elif here.system == "darwin":
        homes = [here.home / "Library" / "Preferences"]
    else:
        homes = [here.variable("XDG_CONFIG_HOME", here.home / ".config"), flatpak]
    for home in homes:
        for folder in _inside(home):
            match = re.fullmatch(r"ardour(\d+)", folder.name.lower())
            if match and int(match[1]) in ARDOUR_VERSIONS:
                remarks = (_flatpak_remark("org.ardour.Ardour"),) if home == flatpak else ()
                yield Place("ardour", folder, f"Ardour {match[1]} ({folder})", remarks)


def _flatpak_remark(app: str) -> str:
    return (
        "a flatpak sees neither the engine's folder nor its place; once: flatpak override --user "
        f"--filesystem=xdg-data/stembridge:create --env=STEMBRIDGE_DATA=$HOME/.local/share/stembridge {app}"
    )


def _inside(folder: Path) -> Iterable[Path]:
    """Folders in `folder`, by name; none where it cannot be read."""
    try:
        return sorted((p for p in folder.iterdir() if p.is_dir()), key=lambda p: p.name)
    except OSError:
        return ()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"\d+", version)[:3])


def _windows_documents() -> tuple[Path, ...]:
    """Where Windows says that documents are: moved, on another disk, or in OneDrive."""
    if sys.platform != "win32":
        return ()
    import winreg

    key = r"Software\Microsoft\Windows\CurrentVersion\Explorer\User Shell Folders"
    try:
        with winreg.OpenKey(winreg.HKEY_CURRENT_USER, key) as opened:
            value, _ = winreg.QueryValueEx(opened, "Personal")
    except OSError:
        return ()
    return (Path(os.path.expandvars(str(value))),)
