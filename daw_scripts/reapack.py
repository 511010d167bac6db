"""The ReaPack index of REAPER's script: what ReaPack downloads where, read off the header of the package's main file.

    python daw_scripts/reapack.py https://somewhere/stembridge/v0.1.0/daw_scripts index.xml

The address is where this folder's files can be fetched, one by one, in just this version. The format is ReaPack's
"Index Format", the header's that of its "Packaging Documentation": tags like `@version`, and under `@provides` a line
per file or pattern, `[main]` for an action of its own, `> target` for another place. One version is listed, the present
one. Standard library only, so that a release needs nothing else.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

FOLDER = Path(__file__).parent / "reaper"
MAIN = "stembridge_window.lua"
NAME = "stembridge"
CATEGORY = "stembridge"


class PackageError(Exception):
    """The package's header says something that cannot be."""


@dataclass(frozen=True)
class Provided:
    """A file of the package: `path` in the tree, `target` relative to the package's folder in REAPER."""

    path: Path
    target: str
    main: bool


def read_header(text: str) -> dict[str, list[str]]:
    """Tags of the comment at a script's start: name -> its value, one entry a line. Raises `PackageError`."""
    tags: dict[str, list[str]] = {}
    lines: list[str] | None = None
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        tag = re.match(r"-- @(\w+)\s*(.*)$", line)
        more = re.match(r"--\s{2,}(\S.*)$", line)
        if tag:
            if tag[1] in tags:
                raise PackageError(f"@{tag[1]} stands twice in the header")
            lines = tags[tag[1]] = [tag[2]] if tag[2] else []
        elif more and lines is not None:
            lines.append(more[1].rstrip())
    for wanted in ("description", "author", "version", "provides"):
        if not tags.get(wanted):
            raise PackageError(f"the header of {MAIN} has no @{wanted}")
    return tags


def expand(line: str, folder: Path) -> list[Provided]:
    """The files that one line of `@provides` means. Raises `PackageError` where there is none."""
    found = re.match(r"(?:\[(main|nomain)\]\s+)?(.+?)(?:\s+>\s+(.+))?$", line)
    if found is None:
        raise PackageError(f"@provides {line!r} is not understood")
    kind, pattern, target = found.groups()
    paths = sorted(path for path in folder.glob(pattern) if path.is_file())
    if not paths:
        raise PackageError(f"@provides {pattern}: there is no such file")
    files = []
    for path in paths:
        if target is None:
            place = path.relative_to(folder).as_posix()
        else:
            place = target + path.name if target.endswith("/") else target
        if place.startswith(("/", "../")):
            raise PackageError(f"@provides {pattern}: {place} lies outside of the package")
        files.append(Provided(path, place, kind == "main"))
    return files


def read_package(folder: Path = FOLDER) -> tuple[dict[str, list[str]], list[Provided]]:
    """The main file's tags and all files of the package, the main file first. Raises `PackageError`."""
    tags = read_header((folder / MAIN).read_text(encoding="utf-8"))
    files = [Provided(folder / MAIN, MAIN, True)]
    for line in tags["provides"]:
        files += expand(line, folder)
    targets = [file.target for file in files]
    if len(set(targets)) != len(targets):
        raise PackageError("two files of the package go to one place")
    return tags, files


def build_index(address: str, folder: Path = FOLDER) -> bytes:
    """The index as XML. `address`: where the folder above `folder` can be fetched. Raises `PackageError`."""
    if urlsplit(address).scheme != "https":
        raise PackageError(f"{address}: ReaPack fetches files over https")
    tags, files = read_package(folder)
    index = ElementTree.Element("index", version="1", name=NAME)
    category = ElementTree.SubElement(index, "category", name=CATEGORY)
    described = " ".join(tags["description"])
    package = ElementTree.SubElement(category, "reapack", name=MAIN, type="script", desc=described)
    version = ElementTree.SubElement(package, "version", name=tags["version"][0], author=" ".join(tags["author"]))
    for file in files:
        fields = {"main": "main"} if file.main else {}
        if file.target != MAIN:
            fields["file"] = file.target
        source = ElementTree.SubElement(version, "source", fields)
        path = file.path.resolve().relative_to(folder.resolve().parent).as_posix()
        source.text = f"{address.rstrip('/')}/{quote(path)}"
    changes = ElementTree.SubElement(version, "changelog")
    changes.text = "\n".join(tags.get("changelog", []))
    ElementTree.indent(index)
    return bytes(ElementTree.tostring(index, encoding="utf-8", xml_declaration=True)) + b"\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes the ReaPack index of REAPER's script.")
    parser.add_argument("address", help="where the files of daw_scripts in this version can be fetched (https)")
    parser.add_argument("out", type=Path, help="the index to write")
    arguments = parser.parse_args()
    try:
        arguments.out.write_bytes(build_index(arguments.address))
    except PackageError as error:
        parser.exit(1, f"{parser.prog}: {error}\n")


if __name__ == "__main__":
    main()
