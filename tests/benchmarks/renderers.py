"""Seconds for a minute of stem, peak memory, and the engine's own share: `python -m tests.benchmarks.renderers`.

On a CUDA GPU the networks have the full size of the published checkpoints; on a CPU a small one that still calculates
for seconds. Weights are random: time and memory do not depend on what they say. Nothing is decided by a figure here.

    python -m tests.benchmarks.renderers [--seconds N] [--batch 1] [--device cuda|cpu] [--variant turbo|sft|base]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AceStepAudioTokenDetokenizer,
    AceStepAudioTokenizer,
    AceStepConditionEncoder,
    AceStepTransformer1DModel,
    AutoencoderOobleck,
    AutoencoderSAME,
    FlowMatchEulerDiscreteScheduler,
    StableAudio3AudioToAudioPipeline,
    StableAudio3DiTModel,
    StableAudio3DurationEmbedder,
)
from transformers import Qwen3Config, Qwen3Model, T5GemmaConfig, T5GemmaEncoderModel, T5GemmaModuleConfig

from bridge.checkpoints import Checkpoint
from bridge.licences import MIT
from engine.diffusion.ace_step import AceStep
from engine.diffusion.ace_step_pipeline import StemAceStep
from engine.diffusion.placement import Placement
from engine.diffusion.renderer import DiffusionRenderer
from engine.diffusion.stable_audio import StableAudio
from engine.diffusion.stable_audio_pipeline import StableAudioPipes
from engine.rendering import Stretch
from tests.engine.diffusion.stretches import stretch, tone
from tests.engine.diffusion.tiny_models import WORDS, tiny_tokenizer

Size = dict[str, Any]
GIB = 1 << 30
FULL: Size = {
    "ace_width": 2048,
    "ace_layers": 24,
    "text": 1024,
    "text_layers": 28,
    "vae": 128,
    "dit": 1536,
    "depth": 24,
}
SMALL: Size = {"ace_width": 512, "ace_layers": 8, "text": 256, "text_layers": 4, "vae": 16, "dit": 512, "depth": 8}


def ace_step_pipe(size: Size, variant: str) -> StemAceStep:
    """ACE-Step 1.5 (2B at full size): the published configuration's proportions."""
    width, text = size["ace_width"], size["text"]
    shape = {
        "hidden_size": width,
        "intermediate_size": 3 * width,
        "num_attention_heads": width // 128,
        "num_key_value_heads": width // 256,
        "head_dim": 128,
    }
    qwen = Qwen3Config(
        vocab_size=WORDS,
        hidden_size=text,
        intermediate_size=3 * text,
        num_hidden_layers=size["text_layers"],
        num_attention_heads=text // 64,
        num_key_value_heads=text // 128,
        head_dim=128,
    )
    return StemAceStep(
        vae=AutoencoderOobleck(
            size["vae"], [2, 4, 4, 6, 10], [1, 2, 4, 8, 16], size["vae"], size["vae"] // 2, 2, 48_000
        ),
        text_encoder=Qwen3Model(qwen),
        tokenizer=tiny_tokenizer(),
        transformer=AceStepTransformer1DModel(
            num_hidden_layers=size["ace_layers"],
            in_channels=3 * size["vae"] // 2,
            audio_acoustic_hidden_dim=size["vae"] // 2,
            is_turbo=variant == "turbo",
            model_version=variant,
            **shape,
        ),
        condition_encoder=AceStepConditionEncoder(text_hidden_dim=text, timbre_hidden_dim=size["vae"] // 2, **shape),
        scheduler=FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, shift=1.0),
        audio_tokenizer=AceStepAudioTokenizer(audio_acoustic_hidden_dim=size["vae"] // 2, fsq_dim=width, **shape),
        audio_token_detokenizer=AceStepAudioTokenDetokenizer(audio_acoustic_hidden_dim=size["vae"] // 2, **shape),
    )


def stable_audio_pipe(size: Size) -> StableAudioPipes:
    """Stable Audio 3 (medium at full size), distilled."""
    text = 768 if size is FULL else 256
    module = T5GemmaModuleConfig(
        vocab_size=WORDS,
        hidden_size=text,
        intermediate_size=2 * text,
        num_hidden_layers=12 if size is FULL else 2,
        num_attention_heads=text // 64,
        num_key_value_heads=text // 64,
        head_dim=64,
    )
    scheduler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, shift=1.0, stochastic_sampling=True)
    vae = AutoencoderSAME(encoder_channels=256, encoder_transformer_depths=[12]) if size is FULL else AutoencoderSAME()
    pipe = StableAudio3AudioToAudioPipeline(
        vae=vae,
        text_encoder=T5GemmaEncoderModel(T5GemmaConfig(encoder=module, decoder=module, is_encoder_decoder=False)),
        tokenizer=tiny_tokenizer(),
        duration_embedder=StableAudio3DurationEmbedder(output_dim=text),
        transformer=StableAudio3DiTModel(
            embed_dim=size["dit"],
            depth=size["depth"],
            num_heads=size["dit"] // 64,
            cond_token_dim=text,
            global_cond_dim=text,
        ),
        scheduler=scheduler,
    )
    return StableAudioPipes(pipe)


class Timed:
    """A pipeline that counts the seconds spent inside it."""

    def __init__(self, pipe: Any, seconds: list[float], device: str) -> None:
        self.__dict__.update(pipe=pipe, seconds=seconds, device=device)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.pipe, name)
        return Timed(value, self.seconds, self.device) if name in ("vary", "inpaint", "decode") else value

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.pipe, name, value)

    def __call__(self, *args: Any, **named: Any) -> Any:
        started = time.perf_counter()
        answer = self.pipe(*args, **named)
        if self.device == "cuda":
            torch.cuda.synchronize()
        self.seconds[0] += time.perf_counter() - started
        return answer


def measure(renderer: DiffusionRenderer, stretches: Sequence[Stretch], device: str) -> tuple[float, float]:
    """Wall seconds of one rendering (after one to warm up), and those spent in the pipeline."""
    inside = [0.0]
    pipe = renderer.open()
    renderer._pipe = Timed(pipe, inside, device)
    renderer.render([stretch(guide=tone(2.0))], lambda fraction: None)
    inside[0] = 0.0
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    renderer.render(stretches, lambda fraction: None)
    return time.perf_counter() - started, inside[0]


def peak_gib(device: str) -> float:
    """Most memory that was held: the GPU's, or this process's."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / GIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB


def main() -> None:
    """Prints one line for each renderer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    gpu = torch.cuda.is_available()
    parser.add_argument("--seconds", type=float, default=60.0 if gpu else 3.0, help="length of a stem")
    parser.add_argument("--batch", type=int, default=1, help="stems at once")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda" if gpu else "cpu")
    parser.add_argument("--variant", default="turbo", choices=("turbo", "sft", "base"))
    options = parser.parse_args()
    if options.device == "cuda" and not gpu:
        parser.error("torch sees no CUDA GPU here; --device cpu measures small networks")
    if not gpu:
        print("full size left out: torch sees no CUDA GPU here")
    device, size = options.device, FULL if options.device == "cuda" else SMALL
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    torch.manual_seed(0)
    wishes = [stretch(guide=tone(options.seconds, seed=n), seed=n) for n in range(options.batch)]
    print(f"{device}, {'full' if size is FULL else 'small'} size, {len(wishes)} x {options.seconds:g} s at 44.1 kHz")
    print(f"{'renderer':<24}{'weights':>9}{'s/minute':>10}{'in pipeline':>13}{'own share':>11}{'peak GiB':>10}")
    makers = ((AceStep, options.variant, lambda: ace_step_pipe(size, options.variant)),
              (StableAudio, "distilled", lambda: stable_audio_pipe(size)))  # fmt: skip
    for kind, variant, make in makers:
        family = "ace-step" if kind is AceStep else "stable-audio-3"
        with torch.device(device):
            pipe = make()
        parts = pipe.vary if isinstance(pipe, StableAudioPipes) else pipe
        for module in parts.components.values():
            if isinstance(module, torch.nn.Module):
                torch.nn.Module.to(module, device, dtype)
        parts.set_progress_bar_config(disable=True)
        if hasattr(pipe.vae, "enable_tiling"):
            pipe.vae.enable_tiling()
        counts = {
            n: sum(p.numel() for p in m.parameters()) for n, m in parts.components.items() if hasattr(m, "parameters")
        }
        folder = Path(tempfile.gettempdir())
        checkpoint = Checkpoint(family, family, variant, "random", str(folder), counts, "0" * 64, MIT, True, True)
        renderer = kind(checkpoint, Placement(device, dtype))
        renderer._pipe = pipe
        wall, inside = measure(renderer, wishes, device)
        minutes = len(wishes) * options.seconds / 60
        print(
            f"{f'{family} {variant}':<24}{f'{checkpoint.total / 1e9:.2f}e9':>9}{wall / minutes:>10.2f}"
            f"{inside / minutes:>13.2f}{(wall - inside) / wall:>10.1%}{peak_gib(device):>11.2f}"
        )
        del pipe, parts, renderer
        if device == "cuda":
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
