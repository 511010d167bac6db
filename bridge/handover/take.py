"""A take's folder: files appear in it one by one, each whole; the manifest comes last.

Stems are announced while later ones are still rendered, so the folder is never renamed as a whole. What makes it a
take is the manifest. A folder whose take failed or was cancelled is emptied but stays: its number is used up, because
DAWs remember files by name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import msgspec

from bridge.arrangement import KeyAt
from bridge.errors import JobError
from bridge.handover.dawproject import write_dawproject
from bridge.handover.files import atomic, disk_error, sync_folder, write_file
from bridge.handover.manifest import (
    MANIFEST_NAME,
    Limiter,
    Manifest,
    MixFiles,
    Painted,
    SectionUsed,
    StemFiles,
    Tail,
    write_manifest,
)
from bridge.handover.midi import write_midi
from bridge.handover.notes import NoteLike
from bridge.handover.project import ProjectMix, ProjectStem
from bridge.handover.rpp import write_rpp
from bridge.handover.wav import Bits, Label, Samples, write_wav
from bridge.messages import Checks
from bridge.timeline import Clock

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MIX_NAME = "mix"
RPP_NAME = "session.rpp"
DAWPROJECT_NAME = "session.dawproject"
_KEPT = {MIX_NAME, "session", "manifest", "score"}
_WINDOWS = {"con", "prn", "aux", "nul", *(f"{port}{i}" for port in ("com", "lpt") for i in range(1, 10))}
_FORBIDDEN = set('<>:"/\\|?*')


@dataclass(frozen=True)
class Frame:
    """What all files of a take share: the clock and the piece of it that the take covers.

    `start`, `end`: beats. `keys`: at least the one that reigns at `start`, for MIDI key signatures and the WAVs' root.
    """

    clock: Clock
    rate: int
    start: float
    end: float
    sections: Sequence[SectionUsed]
    keys: Sequence[KeyAt]
    bits: Bits = 32
    project: str = ""

    @property
    def start_sample(self) -> int:
        """First sample of every stem, counted from the project's start."""
        return self.clock.beat2sample(self.start, self.rate)

    @property
    def samples(self) -> int:
        """Length of every stem."""
        return self.clock.span2samples(self.start, self.end, self.rate)

    @classmethod
    def of(
        cls,
        clock: Clock,
        rate: int,
        sections: Iterable[tuple[str, str, float, float]],
        keys: Sequence[KeyAt],
        *,
        bits: Bits = 32,
        project: str = "",
    ) -> Frame:
        """A frame over all of `sections`, given as (name, label, start, end) in beats."""
        used = tuple(
            SectionUsed(name, label, start, end, clock.beat2sample(start, rate), clock.span2samples(start, end, rate))
            for name, label, start, end in sorted(sections, key=lambda s: s[2])
        )
        return cls(clock, rate, used[0].start, max(s.end for s in used), used, tuple(keys), bits, project)

    def label(self, title: str) -> Label:
        """What the WAV of `title` tells about itself."""
        metre = self.clock.metre_at(self.start)
        reigning = [k for k in self.keys if k.beat <= self.start][-1:] or list(self.keys[:1])
        return Label(
            title=title,
            project=self.project,
            tempo=self.clock.bpm_at(self.start),
            metre=(metre.beats, metre.unit),
            beats=self.end - self.start,
            root=reigning[0].pitch_class if reigning else None,
            markers=tuple((s.start_sample - self.start_sample, s.name) for s in self.sections),
        )


@dataclass
class TakeFolder:
    """A take being written. Use as a context manager; without `finish` everything written is removed at the end.

    `poll` is called while audio is written, several times a second; what it raises ends the writing.
    """

    path: Path
    take: int
    frame: Frame
    poll: Callable[[], object] = lambda: None
    finished: bool = False
    _names: set[str] = field(default_factory=set)
    _stems: list[ProjectStem] = field(default_factory=list)
    _mix: ProjectMix | None = None

    @classmethod
    def open(cls, job_folder: Path, frame: Frame, poll: Callable[[], object] = lambda: None) -> TakeFolder:
        """Makes the next free `take-N` in `job_folder`. Raises `JobError` as `atomic` does."""
        try:
            job_folder.mkdir(parents=True, exist_ok=True)
            number = 1
            while True:
                path = job_folder / f"take-{number}"
                try:
                    path.mkdir()
                except FileExistsError:
                    number += 1
                    continue
                sync_folder(job_folder)
                return cls(path, number, frame, poll)
        except OSError as error:
            raise disk_error(error, job_folder) from error

    def write_stem(
        self,
        name: str,
        role: str,
        audio: Samples,
        notes: Sequence[NoteLike],
        *,
        renderer: str,
        checks: Checks,
        tail: NDArray[np.float32] | None = None,
        program: int | None = None,
        instrument: str = "",
        licence: str = "",
        seed: int | None = None,
        warnings: Sequence[str] = (),
        kept_from: str = "",
        painted: Painted | None = None,
    ) -> StemFiles:
        """Writes `<name>.wav` and `<name>.mid` (and `<name> tail.wav`); they are whole when this returns.

        `audio` [channels, samples] must be exactly as long as the frame; `tail` [channels, any] follows it.
        """
        frame = self.frame
        self._check_length(name, audio)
        file = self._free_name(name)
        wav = self._write_wav(f"{file}.wav", audio, name, frame.start_sample)
        rest = None
        if tail is not None and tail.shape[1] > 0:
            end = frame.start_sample + frame.samples
            digest = self._write_wav(f"{file} tail.wav", tail, f"{name} tail", end, whole=False)
            rest = Tail(f"{file} tail.wav", end, tail.shape[1], digest)
        midi = write_midi(
            self.path / f"{file}.mid",
            name,
            notes,
            frame.clock,
            start=frame.start,
            end=frame.end,
            keys=frame.keys,
            sections=frame.sections,
            drums=role == "drums",
            program=program,
        )
        stem = StemFiles(
            name=name,
            role=role,
            wav=f"{file}.wav",
            midi=f"{file}.mid",
            start_sample=frame.start_sample,
            samples=frame.samples,
            channels=audio.shape[0],
            sha256=wav,
            renderer=renderer,
            checks=checks,
            midi_sha256=midi,
            instrument=instrument,
            licence=licence,
            seed=seed,
            tail=rest,
            warnings=tuple(warnings),
            kept_from=kept_from,
            painted=painted,
        )
        self._add_to_project(stem, notes)
        return stem

    def keep_stem(self, source: Path, take: str, stem: StemFiles, notes: Sequence[NoteLike]) -> StemFiles:
        """Copies `stem` of the earlier take `take` ("<job>/take-N", in folder `source`) byte for byte.

        Raises `JobError` `take.changed` when its files are gone, or are not what that take's manifest says.
        """
        frame = self.frame
        if (stem.start_sample, stem.samples) != (frame.start_sample, frame.samples):
            raise JobError(
                "take.moved",
                f'"{stem.name}" of {take} lies at other samples than this take would.',
                hint="The timeline has changed since; render a whole new take.",
            )
        file = self._free_name(stem.name)
        wav, midi = f"{file}.wav", f"{file}.mid"
        self._copy(source / stem.wav, wav, stem.sha256)
        tail = stem.tail
        if tail is not None:
            self._copy(source / tail.wav, f"{file} tail.wav", tail.sha256)
            tail = msgspec.structs.replace(tail, wav=f"{file} tail.wav")
        self._copy(source / stem.midi, midi, stem.midi_sha256)
        kept = msgspec.structs.replace(stem, wav=wav, midi=midi, tail=tail, kept_from=take)
        self._add_to_project(kept, notes)
        return kept

    def write_mix(
        self,
        audio: Samples,
        *,
        lufs: float | None,
        true_peak_dbfs: float | None,
        limiter: Limiter | None,
    ) -> MixFiles:
        """Writes `mix.wav`, as long as the stems."""
        frame = self.frame
        self._check_length(MIX_NAME, audio)
        digest = self._write_wav(f"{MIX_NAME}.wav", audio, MIX_NAME, frame.start_sample)
        self._mix = ProjectMix(f"{MIX_NAME}.wav", frame.start_sample, frame.samples, audio.shape[0])
        return MixFiles(
            wav=f"{MIX_NAME}.wav",
            lufs=lufs,
            true_peak_dbfs=true_peak_dbfs,
            start_sample=frame.start_sample,
            samples=frame.samples,
            channels=audio.shape[0],
            sha256=digest,
            limiter=limiter,
        )

    def write_projects(self) -> dict[str, str]:
        """Writes `session.rpp` and `session.dawproject` with all stems and the mix written so far; names by kind."""
        frame, names = self.frame, {"rpp": RPP_NAME, "dawproject": DAWPROJECT_NAME}
        for kind, write in (("rpp", write_rpp), ("dawproject", write_dawproject)):
            write(
                self.path / names[kind],
                self._title,
                frame.clock,
                frame.rate,
                stems=self._stems,
                mix=self._mix,
                sections=frame.sections,
                start=frame.start,
                end=frame.end,
            )
        return names

    def write_data(self, name: str, data: bytes) -> str:
        """Writes a further file (the engine's `score.json`); returns its SHA-256."""
        return write_file(self.path / name, data)

    def finish(self, manifest: Manifest) -> Path:
        """Writes the manifest: from here on the take is whole and stays. Returns the manifest's path."""
        path = self.path / MANIFEST_NAME
        write_manifest(path, manifest)
        self.finished = True
        return path

    def __enter__(self) -> TakeFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.finished:
            empty_take(self.path)

    @property
    def _title(self) -> str:
        return f"{self.frame.project or 'stembridge'}, take {self.take}"

    def _add_to_project(self, stem: StemFiles, notes: Sequence[NoteLike]) -> None:
        tail, length = (stem.tail.wav, stem.tail.samples) if stem.tail else ("", 0)
        self._stems.append(
            ProjectStem(
                stem.name,
                stem.role,
                stem.wav,
                stem.start_sample,
                stem.samples,
                tuple(notes),
                tail,
                length,
                stem.channels,
            )
        )

    def _write_wav(self, file: str, audio: Samples, title: str, start_sample: int, *, whole: bool = True) -> str:
        label = self.frame.label(title)
        if not whole:
            label = Label(title, label.project, label.tempo, label.metre)
        return write_wav(
            self.path / file,
            audio,
            self.frame.rate,
            bits=self.frame.bits,
            start_sample=start_sample,
            label=label,
            poll=self.poll,
        )

    def _copy(self, source: Path, file: str, sha256: str) -> None:
        changed = JobError(
            "take.changed",
            f'"{source}" is no longer what its manifest says.',
            hint="Render a whole new take instead of an edit of this one.",
        )
        try:
            original = source.open("rb")
        except OSError as error:
            raise changed from error
        with original, atomic(self.path / file) as sink:
            while block := original.read(1 << 20):
                self.poll()
                sink.write(block)
            if sink.sha256 != sha256:
                raise changed

    def _check_length(self, name: str, audio: Samples) -> None:
        if len(audio.shape) != 2 or audio.shape[1] != self.frame.samples:
            raise JobError(
                "audio.length",
                f'"{name}" has the shape {audio.shape}; [channels, {self.frame.samples}] was to be handed over.',
            )

    def _free_name(self, name: str) -> str:
        """A file name for the stem `name` that no other file of this take has, on disks that ignore case too."""
        base = file_name(name)
        result, number = base, 2
        while {result.lower(), f"{result} tail".lower()} & (self._names | _KEPT):
            result, number = f"{base} {number}", number + 1
        self._names |= {result.lower(), f"{result} tail".lower()}
        return result


def file_name(name: str) -> str:
    """`name` as a file name that Linux, macOS and Windows all take: not hidden, not reserved, at most 80 letters."""
    kept = "".join("_" if c in _FORBIDDEN or not c.isprintable() else c for c in name)
    kept = kept.strip(" .")[:80].rstrip(" .") or "stem"
    return f"{kept}_" if kept.split(".")[0].lower() in _WINDOWS else kept


def empty_take(folder: Path) -> None:
    """Removes the files of an unfinished take and keeps its folder, so that the number is never used again.

    A folder with a manifest is a finished take and is left alone.
    """
    if (folder / MANIFEST_NAME).exists() or not folder.is_dir():
        return
    for entry in os.scandir(folder):
        if entry.is_file(follow_symlinks=False) or entry.is_symlink():
            os.unlink(entry.path)
