"""Cutting audio at exact samples: what rings past the end of a stem, and putting a re-rolled stretch into an old stem.

Arrays are float32 [channels, samples].
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.tape import Audio, Changing, Held, Sounding, Tape, windows

END_FADE_SECONDS = 0.003
JOIN_SECONDS = 0.010
SILENT = 10 ** (-100 / 20)


def finish_tail(audio: Audio, samples: int, mode: str, rate: int) -> tuple[Audio, Audio | None]:
    """Brings a rendering of `samples` and its ringing to exactly `samples`; the second value is the tail's own audio.

    `cut`: a 3 ms fade ends the sound inside the length. `file`: nothing is faded, the ringing comes back by itself up
    to its last audible sample (-100 dBFS). `wrap`: the ringing is added onto the start, so that a loop is seamless.
    """
    body, ringing = audio[:, :samples].copy(), audio[:, samples:]
    if mode == "file":
        audible = np.flatnonzero(np.abs(ringing).max(axis=0, initial=0.0) > SILENT)
        return body, ringing[:, : audible[-1] + 1].copy() if audible.size else None
    if mode == "wrap":
        for at in range(0, ringing.shape[1], samples):
            piece = ringing[:, at : at + samples]
            body[:, : piece.shape[1]] += piece
        return body, None
    if ringing.size and np.abs(ringing).max() > SILENT:
        fade = min(samples, round(END_FADE_SECONDS * rate))
        body[:, samples - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    return body, None


def finish_tape(tape: Tape, samples: int, mode: str, rate: int) -> tuple[Tape, Audio | None]:
    """The same for a sound on disk, which is changed where it lies."""
    ringing = tape[:, samples:]
    if mode == "file":
        audible = np.flatnonzero(np.abs(ringing).max(axis=0, initial=0.0) > SILENT)
        return tape.until(samples), ringing[:, : audible[-1] + 1].copy() if audible.size else None
    if mode == "wrap":
        for at in range(0, ringing.shape[1], samples):
            piece = ringing[:, at : at + samples]
            tape.write(0, tape[:, : piece.shape[1]] + piece)
    elif ringing.size and np.abs(ringing).max() > SILENT:
        fade = min(samples, round(END_FADE_SECONDS * rate))
        last = tape[:, samples - fade : samples]
        tape.write(samples - fade, last * np.linspace(1.0, 0.0, fade, dtype=np.float32))
    return tape.until(samples), None


def join_spans(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sorted spans [start, end), those that touch made one: between two new stretches there is nothing to fade to."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def splice(old: Audio, new: Audio, spans: Sequence[tuple[int, int]], rate: int) -> Audio:
    """`old` with the samples of each span [start, end) taken from `new`; outside the spans bit-identical to `old`.

    Both joins lie inside the span: new fades into old over its last 10 ms (the old notes' ringing goes on after it).
    At its start new takes over at once where both are equal before it, else within 1.5 ms.
    """
    out = Held(old)
    _put_in(out, old, new, spans, rate)
    return out.audio


def splice_tapes(old: Sounding, new: Sounding, spans: Sequence[tuple[int, int]], rate: int) -> Tape:
    """The same for sounds on disk, which stay as they are."""
    out = Tape.of(old)
    _put_in(out, old, new, spans, rate)
    return out


def _put_in(out: Changing, old: Sounding, new: Sounding, spans: Sequence[tuple[int, int]], rate: int) -> None:
    """Puts the spans into a copy of `old`."""
    if old.shape != new.shape:
        raise ValueError(f"shapes differ: {old.shape} and {new.shape}")
    for start, end in join_spans(spans):
        for a, b in windows(end - start):
            out.write(start + a, new[:, start + a : start + b])
        if end < old.shape[1]:
            fade = min((end - start) // 2, round(JOIN_SECONDS * rate))
            ramp = np.linspace(0.0, 1.0, fade, endpoint=False, dtype=np.float32)
            last = slice(end - fade, end)
            away = (old[:, last] - new[:, last]) * ramp
            out.write(end - fade, out[:, last] + away)
        before = slice(max(0, start - round(0.005 * rate)), start)
        if start > 0 and np.abs(old[:, before] - new[:, before]).max(initial=0.0) > SILENT:
            fade = min((end - start) // 2, round(0.0015 * rate))
            ramp = np.linspace(1.0, 0.0, fade, endpoint=False, dtype=np.float32)
            first = slice(start, start + fade)
            away = (old[:, first] - new[:, first]) * ramp
            out.write(start, out[:, first] + away)
