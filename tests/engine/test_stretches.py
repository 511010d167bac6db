"""The piece of a clip that a reference means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from bridge.arrangement import Reference
from bridge.errors import JobError
from engine.stretches import reference2clip

RATE = 44100
TONE = (0.2 * np.sin(2 * np.pi * 55 * np.arange(3 * RATE) / RATE)).astype(np.float32)


def written(path: Path, audio: np.ndarray) -> Path:
    soundfile.write(path, audio.T, RATE, subtype="FLOAT")
    return path


def test_a_clip_is_read_as_it_is(tmp_path: Path) -> None:
    path = written(tmp_path / "clip.wav", np.stack([TONE, -TONE]))
    clip = reference2clip(Reference(str(path), from_second=0.5, seconds=1.5))
    assert clip.rate == RATE
    assert np.array_equal(clip.audio, np.stack([TONE, -TONE])[:, RATE // 2 : 2 * RATE])
    assert reference2clip(Reference(str(path), from_second=5.0)).audio.shape == (2, 0)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_constant_offset_is_left_out_and_nothing_else(tmp_path: Path, channels: int) -> None:
    path = written(tmp_path / "clip.wav", np.repeat(TONE[None] + np.float32(0.05), channels, axis=0))
    heard = reference2clip(Reference(str(path))).audio[:, RATE:]
    assert np.abs(heard.mean(axis=1)).max() < 1e-4
    assert np.sqrt(np.square(heard).mean()) == pytest.approx(np.sqrt(np.square(TONE).mean()), rel=0.02)


def test_what_is_no_sound_is_told(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    path.write_text("no sound")
    with pytest.raises(JobError, match=r"clip\.wav"):
        reference2clip(Reference(str(path)))
