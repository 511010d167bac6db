"""Stems on disk as the events that tell of them."""

from __future__ import annotations

from pathlib import Path

from bridge.handover.manifest import MANIFEST_NAME, Manifest, StemFiles, read_manifest
from bridge.messages import StemReady


def stem2event(job: str, take: int, folder: Path, files: StemFiles, start_beat: float, rate: int) -> StemReady:
    """One stem of the take in `folder`; `rate` in Hz, `start_beat` of the take."""
    return StemReady(
        job=job,
        take=take,
        stem=files.name,
        role=files.role,
        wav=str(folder / files.wav),
        midi=str(folder / files.midi),
        start_sample=files.start_sample,
        start_beat=start_beat,
        samples=files.samples,
        channels=files.channels,
        sample_rate=rate,
        checks=files.checks,
    )


def find_take(folder: Path) -> Manifest | None:
    """What the finished take in `folder` says of itself; None where none is finished. Raises `JobError`."""
    return read_manifest(folder) if (folder / MANIFEST_NAME).is_file() else None


def take2events(job: str, folder: Path, manifest: Manifest) -> list[StemReady]:
    """All stems of a finished take."""
    beat, rate = manifest.start_beat, manifest.sample_rate
    return [stem2event(job, manifest.take, folder, stem, beat, rate) for stem in manifest.stems]
