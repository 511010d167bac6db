"""A take that can be gone on with: what an attempt that broke off has left is kept where it is whole, else removed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from bridge.handover.files import disk_error, sync_folder
from bridge.handover.manifest import StemFiles
from bridge.handover.notes import NoteLike
from bridge.handover.take import Frame, TakeFolder, empty_take


class Later(Exception):
    """Raised out of a take's writing when it will be gone on with: its files stay."""


@dataclass
class ResumableTake(TakeFolder):
    """A `TakeFolder` whose number is known. `left`: stems of an earlier attempt that are there and whole, by name."""

    left: dict[str, StemFiles] = field(default_factory=dict)

    @classmethod
    def resume(
        cls,
        job_folder: Path,
        number: int,
        frame: Frame,
        known: Sequence[StemFiles],
        poll: Callable[[], object] = lambda: None,
    ) -> Self:
        """Makes `take-<number>`, or goes on with it: of its files those of the stems `known` stay, where they are what
        is known of them. Raises `JobError` as `bridge.handover.files.atomic` does."""
        path = job_folder / f"take-{number}"
        try:
            path.mkdir(parents=True, exist_ok=True)
            whole = {stem.name: stem for stem in known if _is_whole(path, stem, poll)}
            names = {name for stem in whole.values() for name in _files(stem)}
            for entry in os.scandir(path):
                if entry.name not in names and not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.path)
            sync_folder(job_folder)
        except OSError as error:
            raise disk_error(error, path) from error
        return cls(path, number, frame, poll, left=whole)

    def adopt(self, name: str, notes: Sequence[NoteLike]) -> StemFiles | None:
        """The stem `name` as an earlier attempt has left it, in its place among this take's stems; None for none."""
        stem = self.left.get(name)
        if stem is not None:
            self._free_name(name)
            self._add_to_project(stem, notes)
        return stem

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.finished and not isinstance(error, Later):
            empty_take(self.path)


def _files(stem: StemFiles) -> dict[str, str]:
    """Name and SHA-256 of each of a stem's files."""
    files = {stem.wav: stem.sha256, stem.midi: stem.midi_sha256}
    return files if stem.tail is None else {**files, stem.tail.wav: stem.tail.sha256}


def _is_whole(folder: Path, stem: StemFiles, poll: Callable[[], object]) -> bool:
    for name, sha256 in _files(stem).items():
        poll()
        try:
            with (folder / name).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                    return False
        except OSError:
            return False
    return True
