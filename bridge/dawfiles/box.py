"""ZIP and XML of files that others wrote: bounded, and without what XML can do beyond elements.

Refused: document types and with them entities (which can grow without end or name files), more than `MAX_ELEMENTS`
elements or `MAX_DEPTH` of nesting, members of a ZIP that unfold to more than `MAX_XML` bytes.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, TreeBuilder

from bridge.errors import RequestError

if TYPE_CHECKING:
    from xml.parsers.expat import XMLParserType

MAX_XML = 128 << 20
MAX_ELEMENTS = 3_000_000
MAX_DEPTH = 64
MAX_MEMBERS = 50_000


def damaged(path: Path, reason: str) -> RequestError:
    """What is said of a file that cannot be read."""
    return RequestError(
        "file.damaged",
        f"this DAWproject cannot be read: {reason}.",
        field=str(path),
        hint="Export it again from the program it comes from.",
    )


def open_box(path: Path) -> zipfile.ZipFile:
    """The ZIP at `path`. Raises `RequestError` `file.missing`, `file.damaged`."""
    if not path.is_file():
        raise RequestError("file.missing", "there is no such file.", field=str(path))
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, RuntimeError, ValueError) as error:
        raise damaged(path, f"it is no ZIP file ({error})") from error
    if len(archive.infolist()) > MAX_MEMBERS:
        archive.close()
        raise damaged(path, f"it holds more than {MAX_MEMBERS} files")
    return archive


def read_member(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    """A member's bytes, at most `MAX_XML`, whatever the ZIP says of its size. Raises `RequestError` `file.damaged`."""
    found = next((n for n in archive.namelist() if n == name), None) or next(
        (n for n in archive.namelist() if n.replace("\\", "/").lower() == name), None
    )
    if found is None:
        raise damaged(path, f"it holds no {name}")
    try:
        with archive.open(found) as member:
            raw = member.read(MAX_XML + 1)
    except (OSError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise damaged(path, f"{name} is broken ({error})") from error
    if len(raw) > MAX_XML:
        raise damaged(path, f"{name} is larger than {MAX_XML >> 20} MB")
    return raw


def read_xml(raw: bytes, path: Path) -> Element:
    """The root element. Raises `RequestError` `file.damaged`."""
    from xml.parsers import expat

    parser: XMLParserType = expat.ParserCreate()
    builder = TreeBuilder()
    elements, depth = 0, 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal elements, depth
        elements, depth = elements + 1, depth + 1
        if elements > MAX_ELEMENTS or depth > MAX_DEPTH:
            raise damaged(path, "it has too many elements, or too many inside each other")
        builder.start(name.rpartition("}")[2], attributes)

    def stop(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name)

    def refuse(*_: object) -> None:
        raise damaged(path, "it declares a document type, which no project needs")

    parser.StartElementHandler = start
    parser.EndElementHandler = stop
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(raw, True)
    except (expat.ExpatError, LookupError, ValueError) as error:  # an encoding that there is not, or that lies
        raise damaged(path, f"its XML is broken ({error})") from error
    return builder.close()
