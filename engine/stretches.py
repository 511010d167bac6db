"""What a renderer is asked for: stems cut into stretches of whole bars, with all that the request says about them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import soundfile

from bridge.arrangement import Reference
from bridge.errors import JobError
from bridge.handover.take import Frame
from bridge.messages import Render, StemWanted
from bridge.timeline import Bar, Clock
from engine.conform import Window
from engine.rendering import Audio, Clip, Stretch
from engine.sampler.player import without_offset
from engine.score import PITCH_NAMES, Key, Part, Score

REFERENCE_SECONDS = 60.0
"""No renderer hears more of a reference than this."""


@dataclass(frozen=True)
class Scene:
    """What all stretches of a take share."""

    request: Render
    clock: Clock
    frame: Frame
    score: Score

    @cached_property
    def timed_bars(self) -> tuple[Bar, ...]:
        """The bars that the stems cover."""
        return tuple(self.clock.bars(self.frame.start, self.frame.end))

    @cached_property
    def bars(self) -> tuple[tuple[int, int], ...]:
        """The same, [start, end) in samples of a stem; what a bar has outside the stems is left out."""
        return tuple((self._sample(max(b.start, self.frame.start)), self._sample(b.end)) for b in self.timed_bars)

    def onsets(self, part: Part) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Starts of the part's notes in samples of the stem, ascending."""
        seconds = [self.clock.beat2second(n.start) + n.offset_ms / 1000.0 for n in part.notes]
        return np.sort(np.asarray(seconds, dtype=np.float64) * self.frame.rate - self.frame.start_sample)

    def wanted(self, part: Part) -> StemWanted:
        """What the request says of the part."""
        return next((s for s in self.request.stems if s.title == part.name), StemWanted(part.role, part.name))

    def stretch(
        self,
        part: Part,
        window: Window,
        guide: Audio,
        *,
        instrument: str,
        seed: int,
        others: Audio | None = None,
        earlier: Audio | None = None,
        spans: Sequence[tuple[int, int]] = (),
    ) -> Stretch:
        """The window of a part. `guide`, `others`, `earlier`: float32 [2, stem and what rings on]; `spans`:
        [start, end) in samples of the stem that an edit writes anew."""
        rate, wanted = self.frame.rate, self.wanted(part)
        first = self.timed_bars[window.first]
        key = self._key(first.start)
        seconds = (window.end - window.start) / rate
        last = self.timed_bars[window.last - 1]
        length = self.clock.beat2second(last.end) - self.clock.beat2second(first.start)
        holes = tuple(
            ((max(start, window.start) - window.start) / rate, min((end - window.start) / rate, seconds))
            for start, end in spans
            if start < window.end and end > window.start
        )
        words = (self.request.style, wanted.words, instrument)
        return Stretch(
            stem=part.name,
            role=part.role,
            guide=_clip(guide, window, rate),
            bpm=60.0 * (last.end - first.start) / length,
            beats=first.metre.beats,
            unit=first.metre.unit,
            tonic=PITCH_NAMES[key.tonic],
            mode=key.mode,
            seed=seed,
            words=", ".join(word for word in words if word.strip()),
            avoid=self.request.avoid,
            lyrics=self._lyrics(first.start, last.end) if part.role == "vocals" else "",
            language=self.request.language,
            strength=wanted.strength,
            others=None if others is None else _clip(others, window, rate),
            earlier=None if earlier is None else _clip(earlier, window, rate),
            holes=holes if earlier is not None else (),
            reference=self.reference(part),
        )

    def reference(self, part: Part) -> Clip | None:
        """The sound that the part shall match."""
        wanted = self.wanted_reference(part)
        return None if wanted is None else reference2clip(wanted)

    def wanted_reference(self, part: Part) -> Reference | None:
        """The heaviest reference that names the part, or names none."""
        fitting = [r for r in self.request.arrangement.references if not r.stems or part.name in r.stems]
        return max(fitting, key=lambda r: (bool(r.stems), r.weight)) if fitting else None

    def _sample(self, beat: float) -> int:
        return min(self.clock.beat2sample(beat, self.frame.rate) - self.frame.start_sample, self.frame.samples)

    def _key(self, beat: float) -> Key:
        reigning = [key for at, key in self.score.keys if at <= beat + 1e-6]
        return reigning[-1] if reigning else self.score.key

    def _lyrics(self, start: float, end: float) -> str:
        """Lyrics of the sections that begin in [start, end) beats, each under its label; of the one under way where
        none begins."""
        sung = [s for s in self.request.arrangement.sections if s.lyrics.strip()]
        here = [s for s in sung if start - 1e-6 <= s.start < end] or [
            s for s in sung if s.start < end and s.end > start
        ]
        return "\n\n".join(f"[{s.label}]\n{s.lyrics.strip()}" for s in here)


def try2seed(seed: int, stem: str, number: int) -> int:
    """The seed of a stem's try: the same for all its windows, so that its sound stays; 0 to 2^31 - 1."""
    digest = hashlib.sha256(f"{seed}/{stem}/{number}".encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1


def reference2clip(reference: Reference) -> Clip:
    """The piece of the reference that is meant, a minute at most, without a constant offset: nobody hears one, and it
    would be matched like a deep bass. Raises `JobError` for a file that cannot be heard."""
    path = Path(reference.audio)
    try:
        with soundfile.SoundFile(path) as file:
            rate = int(file.samplerate)
            file.seek(min(round(reference.from_second * rate), file.frames))
            seconds = min(reference.seconds or REFERENCE_SECONDS, REFERENCE_SECONDS)
            samples = file.read(round(seconds * rate), dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise JobError(
            "reference.unreadable",
            f'the reference "{path.name}" cannot be read: {error}.',
            hint="Give it as WAV or FLAC.",
        ) from error
    audio = np.ascontiguousarray(samples.T[:2])
    return Clip(without_offset(audio, rate) if audio.size else audio, rate)


def _clip(audio: Audio, window: Window, rate: int) -> Clip:
    """The window of it, with silence where it is shorter."""
    piece = audio[:, window.start : window.end]
    missing = window.end - window.start - piece.shape[1]
    return Clip(np.ascontiguousarray(np.pad(piece, ((0, 0), (0, missing)))), rate)
