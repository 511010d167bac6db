"""One preset as a player of single notes, by tinysoundfont.

Every note is rendered alone, from its own note-on, and is therefore a pure function of (font, pitch, velocity,
length, rate): a part does not depend on block sizes, on the range asked for or on its other notes, and no voice
is ever stolen. tinysoundfont's compiled module is used directly; its Python layer would bring nothing but playback.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from engine.sampler.note_measures import sound2rise

Audio = NDArray[np.float32]

ATTACK_SAMPLES = 5760
"""The part of a note in which its lead-in is looked for; a multiple of the synthesiser's 64-sample steps."""
RELEASE_BLOCK = 8192
MAX_RELEASE_SECONDS = 6.0
RELEASE_FADE_SECONDS = 0.5
MAX_SILENT_SECONDS, SILENT = 0.012, 10 ** (-30 / 20)
BEFORE_SWELL = 48
STEP_SECONDS, PEAK_SECONDS, SEARCH_SECONDS = 0.0005, 0.080, 0.050
CLIMB_SECONDS, BEFORE_SECONDS = 0.012, 0.002
MOST_AHEAD_SECONDS, NOISE_AHEAD_SECONDS, NOISE_DB = 0.002, 0.005, 18.0
"""So much ahead of a note's rise is left out; more where it is so much softer."""
FADE_IN = 16
"""A sound that is cut begins as softly as that, in samples; more would take the edge off its attack."""
OFFSET, OFFSET_HZ = 0.02, 8.0
"""A note whose mean is more than this beside its power is brought back to zero."""
VOICES = 64


class Player:
    """Plays a font made by `zones.bake`, an empty one (b"") as silence. `rate` in Hz. Not shared between threads."""

    def __init__(self, font: bytes, rate: int) -> None:
        # The package's __init__ reaches for nothing beyond its own modules: pyaudio is imported by its `start` only.
        from tinysoundfont import _tinysoundfont as tsf

        self._rate = rate
        self._font: Any = None
        if font:
            self._font = tsf.SoundFont(font)
            self._font.set_output(tsf.OutputMode.StereoUnweaved, rate, 0.0)
            self._font.set_max_voices(VOICES)

    def note(self, pitch: int, velocity: int, hold: int, skip: int = 0) -> Audio:
        """float32 [2, n]: the note held for `hold` samples, then its release until it is silent (6 s at most).

        What lies in front of the attack (see `lead_in`) is left out, `skip` samples more of an instrument that is known
        to speak late, and what this note then still holds `ahead` of its rise: it begins at index 0, to the sample.
        """
        program = self._font.get_preset_index(0, velocity) if self._font else -1
        if program < 0:
            return np.zeros((2, 0), np.float32)
        self._font.note_on(program, pitch, 1.0)
        attack = self._render(min(hold, ATTACK_SAMPLES))
        lead = lead_in(attack, self._rate)
        if attack.any():
            lead = min(lead + skip, attack.shape[1])
            lead += ahead(attack[:, lead:], self._rate)
        blocks = [attack]
        if hold - attack.shape[1] + lead > 0:
            blocks.append(self._render(hold - attack.shape[1] + lead))
        self._font.note_off(program, pitch)
        blocks.extend(self._release())
        return without_beginning(without_offset(np.concatenate(blocks, axis=1), self._rate), lead)

    def _release(self) -> list[Audio]:
        """What sounds after the key is let go; after `MAX_RELEASE_SECONDS` it is faded and the voices are stopped."""
        blocks: list[Audio] = []
        left = int(MAX_RELEASE_SECONDS * self._rate)
        while left > 0:
            block = self._render(RELEASE_BLOCK)
            if not block.any():
                return blocks
            blocks.append(block)
            left -= RELEASE_BLOCK
        self._font.reset()
        while self._render(RELEASE_BLOCK).any():
            pass
        whole = np.concatenate(blocks, axis=1)
        fade = int(RELEASE_FADE_SECONDS * self._rate)
        whole[:, -fade:] *= np.linspace(1, 0, fade, dtype=np.float32) ** 2
        return [whole]

    def _render(self, samples: int) -> Audio:
        block = np.zeros((2, samples), np.float32)
        if samples:
            self._font.render(block.data.cast("B"), False)
        return block


def lead_in(attack: Audio, rate: int) -> int:
    """Samples before the sound of a note begins that are left out. attack: [2, n] from the note-on.

    The envelope is that of the signal's differences (+6 dB per octave), as onsets are heard in the upper spectrum. A
    struck, plucked or tongued sound, whose envelope climbs from an eighth to a third of its peak within 12 ms, begins
    at most 2 ms before that third (50 ms are searched): pick, key and breath noise ahead of it is left out. A sound
    that swells begins where it leaves silence (-30 dB, 12 ms at most).
    """
    step = int(STEP_SECONDS * rate)
    level = np.abs(np.diff(attack, axis=1, prepend=np.float32(0))).max(axis=0, initial=0.0)
    count = min(len(level) // step, int(PEAK_SECONDS / STEP_SECONDS))
    if count == 0 or not level.any():
        return 0
    envelope = level[: count * step].reshape(count, step).max(axis=1)
    peak = float(envelope.max())
    third = int(np.argmax(envelope >= peak / 3))
    low = np.flatnonzero(envelope[:third] < peak / 8)
    climb = (third - int(low[-1])) * STEP_SECONDS if len(low) else 1.0
    if climb <= CLIMB_SECONDS and third * STEP_SECONDS <= SEARCH_SECONDS:
        return max(int(low[-1]), third - round(BEFORE_SECONDS / STEP_SECONDS)) * step
    first = int(np.argmax(level >= float(level.max()) * SILENT))
    return min(max(first - BEFORE_SWELL, 0), int(MAX_SILENT_SECONDS * rate))


def ahead(sound: Audio, rate: int) -> int:
    """Samples of a sound before its energy rises (`sound2rise`), where they are few, or noise; else 0: what rises later
    is a second attack, a flam or a rattle, or a swell, which has no such moment."""
    first, rise_db = sound2rise(sound, rate)
    most = NOISE_AHEAD_SECONDS if rise_db >= NOISE_DB else MOST_AHEAD_SECONDS
    return first if first <= most * rate else 0


def without_offset(audio: Audio, rate: int) -> Audio:
    """[2, n] without its direct current, where it has one: some fonts' samples do not swing around zero. A blocker of
    one pole at `OFFSET_HZ`."""
    if float(np.abs(audio.mean(axis=1)).max(initial=0.0)) <= OFFSET * float(np.sqrt(np.square(audio).mean())):
        return audio
    pole = 1.0 - 2.0 * np.pi * OFFSET_HZ / rate
    gain = (1.0 + pole) / 2.0
    return np.asarray(scipy.signal.lfilter([gain, -gain], [1.0, -pole], audio, axis=1), dtype=np.float32)


def without_beginning(audio: Audio, skip: int) -> Audio:
    """[2, n - skip]: a sound from sample `skip` on, without a step where it is cut."""
    if not skip:
        return audio
    cut = audio[:, skip:].copy()
    ramp = min(FADE_IN, cut.shape[1])
    cut[:, :ramp] *= np.arange(1, ramp + 1, dtype=np.float32) / max(ramp, 1)
    return cut
