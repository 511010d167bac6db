"""A pipeline that is small but real: it reports, obeys cancels and writes playable files, as the tests ask.

What it does is said in the request's style words: "steps=40 pause=0.02" (per stem; seconds), "crash=once",
"crash=always" or "crash=until cure=FILE" (the process kills itself in the middle), "deaf" (it reports nothing, so it
cannot be stopped), "error=job", "error=bug", "error=memory" (it fails), "noise" (it prints, as libraries do),
"hold=FILE" (it goes on when FILE is there; "from=2" holds the second take and not the first), "company=FILE" (it
writes down who is coming while it is held), "fat" (it keeps 300 MB when the job is over), "error=gpu" or
"error=gpu-once" (torch's own error for a lost GPU, always or at the first attempt).
"""

from __future__ import annotations

import os
import signal
import time
import wave
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bridge.errors import JobError
from bridge.messages import Checks, Done, Heard, Listen, ModelList, ModelRow, Render, StemReady
from bridge.paths import data_folder
from engine.coming import Coming
from engine.report import Reporter
from engine.stages import StageCache


def wish(request: Render, name: str, default: str = "") -> str:
    """The value of `name` in the style words; "yes" for a word without a value."""
    for word in request.style.split():
        key, _, value = word.partition("=")
        if key == name:
            return value or "yes"
    return default


class EchoPipeline:
    """Writes silence of the right length for each stem."""

    def render(
        self,
        request: Render,
        out: Path,
        reporter: Reporter,
        *,
        stages: StageCache,
        first_take: int,
        coming: Sequence[Coming],
    ) -> Done:
        began, self.coming = time.monotonic(), coming
        steps, pause = int(wish(request, "steps", "4")), float(wish(request, "pause", "0.005"))
        clock, arrangement = request.arrangement.timeline(), request.arrangement
        samples = clock.span2samples(arrangement.start, arrangement.end, arrangement.sample_rate)
        manifests = []
        for take in range(first_take, first_take + request.takes):
            folder = out / f"take-{take}"
            folder.mkdir(parents=True, exist_ok=True)
            for i, stem in enumerate(request.stems):
                for step in range(steps):
                    time.sleep(pause)
                    if not wish(request, "deaf"):
                        reporter.progress("render", (i * steps + step) / (len(request.stems) * steps))
                self.misbehave(request, out, i, take)
                path = folder / f"{stem.title}.wav"
                with wave.open(str(path), "wb") as file:
                    file.setnchannels(1)
                    file.setsampwidth(2)
                    file.setframerate(arrangement.sample_rate)
                    file.writeframes(bytes(2 * samples))
                start = clock.beat2sample(arrangement.start, arrangement.sample_rate)
                made = StemReady(
                    request.job, take, stem.title, stem.role, str(path), "", start, arrangement.start, samples, 1,
                    arrangement.sample_rate, Checks(),
                )  # fmt: skip
                reporter.stem(made)
            manifest = folder / "manifest.json"
            manifest.write_bytes(msgspec.json.encode({"job": request.job, "pid": os.getpid()}))
            manifests.append(str(manifest))
        return Done(request.job, tuple(manifests), time.monotonic() - began)

    def misbehave(self, request: Render, out: Path, stem: int, take: int) -> None:
        """Does the harm that was asked for, before the second stem."""
        if wish(request, "noise"):
            print("libraries print to standard output", flush=True)
        if stem != 1:
            return
        held = wish(request, "hold")
        while held and take >= int(wish(request, "from", "1")) and not Path(held).exists():
            if wish(request, "company"):
                Path(wish(request, "company")).write_text(" ".join(one.job for one in self.coming if not one.gone()))
            time.sleep(0.01)
        mark = out.parent / f"{request.job}.crashed"
        uncured = wish(request, "crash") == "until" and not Path(wish(request, "cure")).exists()
        if uncured or wish(request, "crash") == "always" or (wish(request, "crash") == "once" and not mark.exists()):
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if wish(request, "error") == "memory":
            self.hog = bytearray(1 << 38)
        if wish(request, "fat"):
            self.hog = bytearray(os.urandom(1 << 20) * 300)
        if wish(request, "error") == "gpu" or (wish(request, "error") == "gpu-once" and not mark.exists()):
            mark.touch()
            raise lost_gpu()
        if wish(request, "error") == "job":
            raise JobError("stem.silent", "the stem is silent.", field="stems[1]", hint="Try another seed.")
        if wish(request, "error") == "bug":
            raise ZeroDivisionError("a fault")

    def listen(self, request: Listen, reporter: Reporter) -> Heard:
        reporter.progress("listen", 0.5)
        return Heard(request.job, request.path, {"bytes": Path(request.path).stat().st_size})

    def loaded(self) -> tuple[str, ...]:
        return ("echo",)

    def models(self) -> ModelList:
        return ModelList((ModelRow("echo", "renderer", True, "Apache-2.0"),))


def lost_gpu() -> RuntimeError:
    """What torch raises when the device falls off the bus: its class where this torch has it, and its words."""
    import torch

    text = (
        "CUDA error: unspecified launch failure\n"
        "CUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below might be "
        "incorrect.\nFor debugging consider passing CUDA_LAUNCH_BLOCKING=1\n"
        "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.\n"
    )
    return getattr(torch, "AcceleratorError", RuntimeError)(text)


class UnloadablePipeline:
    """One whose models are missing."""

    def __init__(self) -> None:
        raise JobError("weights.missing", "the weights are not there.", hint="Install them.")


class FaintingPipeline(EchoPipeline):
    """One whose process dies twice while it loads."""

    def __init__(self) -> None:
        faints = len(list(data_folder().glob("fainted-*")))
        if faints < 2:
            (data_folder() / f"fainted-{faints}").touch()
            os.kill(os.getpid(), signal.SIGKILL)


class SlowPipeline(EchoPipeline):
    """One that never has its models."""

    def __init__(self) -> None:
        time.sleep(600)
