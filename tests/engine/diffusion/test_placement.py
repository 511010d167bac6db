"""Where the components of a pipeline are: one by one on the device when it is short of memory; long sound in tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import accelerate.hooks
import pytest
import torch

from engine.diffusion.placement import Placement
from engine.diffusion.renderer import DiffusionRenderer
from engine.rendering import Stretch
from tests.engine.diffusion.stretches import open_renderer, silent_tick, stretch, tone

KINDS = ("ace-base", "ace-sft", "sa-base", "sa-distilled")
TASKS: dict[str, dict[str, Any]] = {
    "cover": {},
    "lego": {"others": tone(0.3, pitch=440.0)},
    "repaint": {"earlier": tone(0.3, pitch=110.0), "holes": ((0.1, 0.2),)},
    "text2music": {"role": "pad", "strength": 1.0},
    "extract": {"role": "vocals", "lyrics": "[verse]\nla la"},
}


class Device:
    """A strict double of a device that a CPU does not have: who is on it, by the hooks that move components there and
    back; a layer of a component that is not there must not run."""

    def __init__(self) -> None:
        self.there: set[int] = set()
        self.most = 0
        self.ran: set[str] = set()

    def pre_forward(self, hook: Any, module: torch.nn.Module, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """In place of `CpuOffload.pre_forward`: the component before gives way, this one comes."""
        if hook.prev_module_hook is not None:
            self.there.discard(id(hook.prev_module_hook.model))
        self.there.add(id(module))
        self.most = max(self.most, len(self.there))
        return args, kwargs

    def init_hook(self, _hook: Any, module: torch.nn.Module) -> torch.nn.Module:
        """In place of `CpuOffload.init_hook`: the component goes back."""
        self.there.discard(id(module))
        return module

    def watch(self, name: str, component: torch.nn.Module) -> None:
        """Every layer with weights of its own is looked at before it runs."""

        def before(layer: torch.nn.Module, _inputs: Any) -> None:
            assert id(component) in self.there, f"{name}.{type(layer).__name__} ran elsewhere"
            self.ran.add(name)

        for layer in component.modules():
            if layer is not component and next(layer.parameters(recurse=False), None) is not None:
                layer.register_forward_pre_hook(before)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    double = Device()
    hook = accelerate.hooks.CpuOffload
    monkeypatch.setattr(hook, "pre_forward", lambda self, *a, **k: double.pre_forward(self, *a, **k))
    monkeypatch.setattr(hook, "init_hook", lambda self, module: double.init_hook(self, module))
    return double


def offloaded(folder: Path, device: str = "cpu", dtype: torch.dtype = torch.float32) -> DiffusionRenderer:
    whole = open_renderer(folder)
    return type(whole)(whole.checkpoint, Placement(device, dtype, offload=True))


def components(renderer: DiffusionRenderer) -> dict[str, torch.nn.Module]:
    return {n: m for n, m in renderer.open().components.items() if isinstance(m, torch.nn.Module)}


def fitting(kind: str) -> list[Stretch]:
    """What a checkpoint can do, of a third of a second each."""
    names = [name for name in TASKS if kind == "ace-base" or name not in ("lego", "extract")]
    return [stretch(guide=tone(0.3), **TASKS[name]) for name in names]


@pytest.mark.usefixtures("few_steps")
@pytest.mark.parametrize("kind", KINDS)
def test_each_component_runs_on_the_device_and_goes_back(
    checkpoints: dict[str, Path], kind: str, device: Device
) -> None:
    renderer = offloaded(checkpoints[kind])
    parts = components(renderer)
    for name, component in parts.items():
        device.watch(name, component)
    for wish in fitting(kind):
        renderer.render([wish], silent_tick)
        assert not device.there, "after a rendering the device is empty"
    assert device.ran == set(parts), "every component took part"
    assert device.most < len(parts), "they are never all there at once"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_of_a_gpu_is_asked_for_component_by_component(
    checkpoints: dict[str, Path], kind: str, dtype: torch.dtype
) -> None:
    """As far as this goes without the GPU: it is what every hook will move its component to, when it is called."""
    renderer = offloaded(checkpoints[kind], "cuda", dtype)
    for name, component in components(renderer).items():
        assert component._hf_hook.execution_device == torch.device("cuda:0"), name  # type: ignore[union-attr]
        weights = next(component.parameters())
        assert weights.device.type == "cpu", name
        assert weights.dtype == (torch.float32 if name == "vae" and dtype == torch.float16 else dtype), name
    pipe = renderer.open()
    for pipeline in (pipe.vary, pipe.inpaint) if kind.startswith("sa") else (pipe,):
        assert pipeline._execution_device == torch.device("cuda:0")
    renderer.release()
    assert not renderer.loaded


def test_long_sound_goes_through_the_autoencoder_in_tiles(
    checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is longer than a tile is heard and written in pieces that sound as one. Real tiles last half a minute."""
    pipe = open_renderer(checkpoints["ace-turbo"]).open()
    assert pipe.vae.use_tiling
    assert pipe.vae.tile_sample_min_length == 30 * 48_000
    for name, frames in (("min_length", 64), ("overlap", 16)):
        monkeypatch.setattr(pipe.vae, f"tile_sample_{name}", frames * pipe.hop)
        monkeypatch.setattr(pipe.vae, f"tile_latent_{name}", frames)
    calls: list[str] = []
    for name in ("_tiled_encode", "_tiled_decode"):
        tiled = getattr(pipe.vae, name)
        monkeypatch.setattr(pipe.vae, name, lambda x, name=name, tiled=tiled: (calls.append(name), tiled(x))[1])
    heard = torch.from_numpy(tone(4.0, 48_000).audio)[None]

    def there_and_back() -> tuple[torch.Tensor, torch.Tensor]:
        with torch.no_grad():
            latents, _ = pipe.prepare_src_latents(torch.device("cpu"), torch.float32, src_audio=heard, task_type="lego")
            return latents, pipe.decode(latents)[0]

    tiles = there_and_back()
    assert set(calls) == {"_tiled_encode", "_tiled_decode"}
    calls.clear()
    pipe.vae.use_tiling = False
    whole = there_and_back()
    assert calls == []
    for tiled, once in zip(tiles, whole, strict=True):
        assert once.abs().max() > 1e-3
        assert (tiled - once).abs().max() <= 1e-4 * once.abs().max()
