"""The song model as the engine uses it: strict loading, limits told, seeds, cancelling, streaming, smaller weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from bridge.errors import JobError, RequestError
from engine.lelm.caches import Whole
from engine.lelm.checkpoint import UNUSED, check_tensors
from engine.lelm.choosing import PENALTY, SongSampling, choose, penalise
from engine.lelm.fused import FusedStack
from engine.lelm.memory import plan_memory
from engine.lelm.products import make_product, round_rows
from engine.lelm.replay import Replay
from engine.lelm.songconfig import SongConfig, calculate, read_config
from engine.lelm.songwriter import SongJob, SongWords, SongWriter
from engine.lelm.text import Version, words2texts
from engine.llama import Llama, LlamaShape
from engine.report import JobCancelled
from tests.engine.lelm.official import tiny_weights

WORDS = SongWords("[verse] Hello world. Again. ; [chorus] Stay with me. ; [outro-short]", "Pop, Piano.")


@pytest.fixture(scope="module")
def writer(tiny: Path, qwen: Path) -> SongWriter:
    return SongWriter.open(tiny, qwen)


def folder_with(tmp_path: Path, tiny: Path, tensors: dict[str, torch.Tensor]) -> Path:
    (tmp_path / "config.yaml").write_text((tiny / "config.yaml").read_text())
    save_file({f"audiolm.{k}": v.contiguous() for k, v in tensors.items()}, tmp_path / "model.safetensors")
    return tmp_path


def test_seeds_and_streaming(writer: SongWriter) -> None:
    codes = writer.write(WORDS, frames=90, seed=3)
    heard: list[torch.Tensor] = []
    again = writer.write(WORDS, frames=90, seed=3, on_frames=heard.append)
    assert torch.equal(codes, again)
    assert codes.shape[0] == 3
    assert codes.dtype == torch.int64
    assert int(codes.max()) < writer.facts.code_size
    lengths = [part.shape[1] for part in heard]
    assert lengths == sorted(lengths)
    assert 0 < lengths[0] < lengths[-1] == codes.shape[1]
    assert all(torch.equal(part, codes[:, : part.shape[1]]) for part in heard)
    assert not torch.equal(codes, writer.write(WORDS, frames=90, seed=4))


def test_a_prompts_mixed_codes_are_never_written_again(writer: SongWriter) -> None:
    greedy = SongSampling(temperature=0.0)
    free = writer.write(WORDS, frames=40, seed=1, sampling=greedy)
    prompt = free[:, :25].clone()
    codes = writer.write(WORDS, prompt, frames=40, seed=1, sampling=greedy)
    assert not set(codes[0].tolist()) & set(prompt[0].tolist())


def test_cancel_at_any_step(writer: SongWriter) -> None:
    counted: list[float] = []
    writer.write(WORDS, frames=20, seed=1, tick=counted.append)
    assert counted == sorted(counted)
    for stop in range(1, len(counted), 7):
        seen: list[float] = []

        def tick(fraction: float, seen: list[float] = seen, stop: int = stop) -> None:
            seen.append(fraction)
            if len(seen) == stop:
                raise JobCancelled

        with pytest.raises(JobCancelled):
            writer.write(WORDS, frames=20, seed=1, tick=tick)
        assert len(seen) == stop


def test_loading_can_be_stopped_at_every_layer(tiny: Path, qwen: Path) -> None:
    seen: list[float] = []

    def check(fraction: float) -> None:
        seen.append(fraction)
        if len(seen) == 2:
            raise JobCancelled

    with pytest.raises(JobCancelled):
        SongWriter.open(tiny, qwen, check=check)
    assert 0 <= seen[0] < seen[1] < 1


def test_words_over_the_limits_are_refused_not_cut(writer: SongWriter) -> None:
    long = SongWords("[verse] " + "la " * 60, "pop")
    counts = writer.count_tokens(long)
    assert counts.lyric > counts.lyric_limit == 48
    with pytest.raises(RequestError, match="tokens") as lyric:
        writer.write(long, frames=10, seed=1)
    assert lyric.value.code == "song.lyric_long"
    with pytest.raises(RequestError) as style:
        writer.write(SongWords("[verse] la.", "pop, " * 20), frames=10, seed=1)
    assert style.value.code == "song.style_long"
    with pytest.raises(RequestError) as length:
        writer.write(WORDS, frames=8 * 25 + 1, seed=1)
    assert length.value.code == "song.length"
    with pytest.raises(RequestError) as prompt:
        writer.write(WORDS, torch.full((3, 4), 16_386), frames=10, seed=1)
    assert prompt.value.code == "song.prompt"


def test_pure_music_keeps_its_tags() -> None:
    assert words2texts(SongWords("x", None, "bgm"), "v2") == (".", "[Musicality-very-high], [Pure-Music], .")
    assert words2texts(SongWords("a  b", "Pop", "mixed"), "v2") == ("a b", "[Musicality-very-high], pop")
    assert words2texts(SongWords("a", None, "mixed"), "v2") == ("a", "[Musicality-very-high], .")
    assert words2texts(SongWords("a", None, "mixed"), "v1") == ("a", None)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.pop("transformer.model.layers.1.mlp.up_proj.weight"), "layers.1.mlp.up_proj.weight is missing"),
        (lambda t: t.update({"transformer.model.layers.2.mlp.up_proj.weight": torch.zeros(2)}), "has no place"),
        (lambda t: t.update({"mlp.0.bias": torch.zeros(31)}), "mlp.0.bias has the shape"),
        (lambda t: t.update({"mlp.0.bias": torch.zeros(32, dtype=torch.int32)}), "mlp.0.bias holds"),
        (lambda t: t.pop("condition_provider.conditioners.prompt_audio.EOT_emb"), "EOT_emb is missing"),
    ],
)
def test_a_wrong_tensor_is_named(change, told: str, tiny: Path, qwen: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    tensors = tiny_weights()
    change(tensors)
    with pytest.raises(JobError, match=told) as caught:
        SongWriter.open(folder_with(tmp_path, tiny, tensors), qwen)
    assert caught.value.code == "songwriter.tensors"


def test_safetensors_without_unused_ones_serve(tiny: Path, qwen: Path, writer: SongWriter, tmp_path: Path) -> None:
    used = {k: v for k, v in tiny_weights().items() if "embed_tokens" not in k and not k.startswith("out_norm")}
    other = SongWriter.open(folder_with(tmp_path, tiny, used), qwen)
    assert torch.equal(other.write(WORDS, frames=12, seed=1), writer.write(WORDS, frames=12, seed=1))


def test_damaged_folders(tiny: Path, qwen: Path, tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"config\.yaml"):
        SongWriter.open(tmp_path, qwen)
    (tmp_path / "lm_checkpoint").mkdir()
    with pytest.raises(JobError) as fast:
        SongWriter.open(tmp_path, qwen)
    assert fast.value.code == "songwriter.v2-fast"
    (tmp_path / "config.yaml").write_text((tiny / "config.yaml").read_text())
    (tmp_path / "model.pt").write_bytes((tiny / "model.pt").read_bytes()[:5000])
    with pytest.raises(JobError, match="cannot be read"):
        SongWriter.open(tmp_path, qwen)
    with pytest.raises(JobError) as foreign:
        SongWriter.open(tiny, tmp_path)
    assert foreign.value.code == "songwriter.tokenizer"


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (self.path,))  # type: ignore[return-value]


def test_a_pickle_runs_no_code(tiny: Path, qwen: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text((tiny / "config.yaml").read_text())
    torch.save({"audiolm.x": Evil(tmp_path / "touched")}, tmp_path / "model.pt")
    with pytest.raises(JobError, match="cannot be read"):
        SongWriter.open(tmp_path, qwen)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("max_dur: 8", "max_dur: ${eval:__import__('os').getpid()}", "no sum of numbers"),
        ("max_dur: 8", "max_dur: ${max_dur}", "circle"),
        ("max_dur: 8", "max_dur: -1", "max_dur"),
        ("delays: [0, 6, 6]", "delays: [0, 6]", "delays"),
        ("prepend: [description", "prepend: [type_info", "prepend|before the song"),
        ("  dim: 32", "  dim: ${eval:9**9**9}", "no sum of numbers"),
    ],
)
def test_a_strange_config_is_refused(old: str, new: str, told: str, tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text((tiny / "config.yaml").read_text().replace(old, new))
    with pytest.raises(JobError, match=told):
        read_config(path)


def test_arithmetic_of_the_config(tiny: Path) -> None:
    assert calculate("10*25+2", "x", tiny) == 252
    assert read_config(tiny / "config.yaml").prompt_frames == 25


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 11), min_size=1, max_size=8), st.integers(0, 99))
def test_penalty_divides_every_seen_code_once(seen: list[int], seed: int) -> None:
    logits = torch.randn(1, 11, generator=torch.Generator().manual_seed(seed))
    wanted = logits.clone()
    for code in {c for c in seen if c < 10}:
        wanted[0, code] /= PENALTY
    assert torch.equal(penalise(logits, torch.tensor([seen]), 10), wanted)


def test_draws_follow_the_probabilities() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]])).repeat(4000, 1)
    chance = torch.empty(4000, 4).exponential_(generator=torch.Generator().manual_seed(0))
    assert set(choose(logits, SongSampling(1.0), chance, 2).tolist()) == {0, 1}
    assert set(choose(logits, SongSampling(1.0, top_p=0.7), chance, 0).tolist()) == {0, 1}
    plain = choose(logits, SongSampling(1.0), chance, 0)
    assert abs(float((plain == 0).float().mean()) - 0.5) < 0.04
    assert choose(logits[:1], SongSampling(0.0), None, 0).tolist() == [0]


@torch.inference_mode()
def test_the_fused_stack_is_the_llama_stack() -> None:
    torch.manual_seed(0)
    shape = LlamaShape(64, 160, 4, 3, 5e5)
    whole = Llama(shape).eval()
    stack = FusedStack(shape, {f"m.{k}": v for k, v in whole.state_dict().items()}, "m", 32)
    x = torch.randn(2, 20, 64)
    cache = stack.new_cache(2, 24)
    parts = [stack.run(x[:, :7], cache, 0), stack.run(x[:, 7:12], cache, 7)]
    parts += [stack.run(x[:, i : i + 1], cache, i) for i in range(12, 16)]
    parts += [stack.step(x[:, i], cache, torch.tensor([i, i]), 24)[:, None] for i in range(16, 20)]
    assert torch.allclose(torch.cat(parts, 1), whole(x), atol=1e-5)
    shifted = stack.new_cache(2, 24)
    for i in range(3):
        stack.run(x[:1, i : i + 1], shifted.part(slice(0, 1)), i)
    apart = stack.step(torch.stack((x[0, 3], x[1, 0])), shifted, torch.tensor([3, 0]), 24)
    assert torch.allclose(apart, torch.stack((whole(x)[0, 3], whole(x)[1, 0])), atol=1e-5)
    replay, again = Replay(stack, stack.new_cache(2, 24), 2), stack.new_cache(2, 24)
    for i in range(3):
        at = torch.tensor([i, i])
        assert torch.equal(replay(x[:, i], at, 8), stack.step(x[:, i], again, at, 8))
        # Recording runs a step more than once: that must change nothing.
        assert torch.equal(replay(x[:, i], at, 8), stack.step(x[:, i], again, at, 8))


@torch.inference_mode()
@pytest.mark.parametrize("kind", ["whole", "apart"])
def test_both_ways_of_keeping_positions_go_on_from_prefixes_that_rows_share(kind: str) -> None:
    """`Whole` is what a GPU uses. Rows 0 and 2 begin alike; all stand at places of their own."""
    torch.manual_seed(1)
    shape = LlamaShape(64, 160, 4, 3, 5e5)
    llama = Llama(shape).eval()
    stack = FusedStack(shape, {f"m.{k}": v for k, v in llama.state_dict().items()}, "m", 32)
    x = torch.randn(3, 20, 64)
    x[2, :7] = x[0, :7]
    read = []
    for row in (0, 1):
        kept = stack.new_cache(1, 7)
        stack.run(x[row : row + 1, :7], kept, 0)
        read.append(kept.kept)
    size = (2, 3, 4, 24, 16)
    cache = Whole([torch.zeros(size) for _ in range(3)]) if kind == "whole" else stack.new_cache(3, 24, 7)
    cache.fill([read[0], read[1], read[0]])
    wanted = llama(x)
    ahead = stack.run(x[1:2, 7:11], cache.part(slice(1, 2)), 7)
    assert torch.allclose(ahead, wanted[1:2, 7:11], atol=1e-5)
    for k in range(5):
        at = torch.tensor([7 + k, 11 + k, 7 + k])
        found = stack.step(x[torch.arange(3), at], cache, at, 16)
        assert torch.allclose(found, wanted[torch.arange(3), at], atol=1e-5)
    tail = stack.run(x[::2, 12:16], cache.part(slice(0, None, 2)), 12)
    assert torch.allclose(tail, wanted[::2, 12:16], atol=1e-5)


def test_int8_weights_are_a_quarter_and_near(tiny: Path, qwen: Path, writer: SongWriter) -> None:
    small = SongWriter.open(tiny, qwen, weights="int8")
    assert sum(small.net.step_bytes) < 0.3 * sum(writer.net.step_bytes)
    weight = torch.randn(40, 64)
    rounded, scale = round_rows(weight)
    assert (rounded * scale[:, None] - weight).abs().max() <= 0.51 * float(scale.max())
    x = torch.randn(2, 64)
    assert torch.allclose(make_product([weight], "int8", "cpu")(x), x @ weight.T, atol=0.5)
    greedy = SongSampling(temperature=0.0)
    near = small.write(WORDS, frames=10, seed=1, sampling=greedy)
    assert torch.equal(near[0, :1], writer.write(WORDS, frames=10, seed=1, sampling=greedy)[0, :1])
    assert torch.equal(near, small.write(WORDS, frames=10, seed=1, sampling=greedy))


def test_an_unknown_kind_of_weights(tiny: Path, qwen: Path) -> None:
    with pytest.raises(ValueError, match="none of"):
        SongWriter.open(tiny, qwen, weights="int3")


LARGE = SongConfig(2048, 11_008, 16, 36, 12, 5e5, 5e5, 16_384, (0, 250, 250), 270, 25, 250, 600, 100, 10_000, 10_000)
BASE = SongConfig(1536, 8960, 12, 28, 12, 1e5, 5e5, 16_384, (0, 250, 250), 150, 25, 250, 300, 50, 8196, 10_000)


@pytest.mark.parametrize(("name", "version", "config"), [("v2_large", "v2", LARGE), ("v1_base", "v1", BASE)])
def test_the_published_lists_of_tensors_fit(parity: Path, name: str, version: Version, config: SongConfig) -> None:
    listed = json.loads((parity / f"lm_state_dict_full_{name}.json").read_text())
    with torch.device("meta"):
        tensors = {k.removeprefix("audiolm."): torch.empty(shape) for k, shape in listed.items()}
    checked = check_tensors(tensors, config, Path("songgeneration"))
    assert checked.version == version
    unused = set(tensors) - set(checked.network) - set(checked.conditions)
    assert all(UNUSED.fullmatch(name) for name in unused)


def test_memory_planned_for_v2_large() -> None:
    frames = 270 * 25
    assert plan_memory(LARGE, "v2", "float16", frames).total <= 16e9
    assert plan_memory(LARGE, "v2", "int8", frames).total <= 10e9
    early, late = (plan_memory(LARGE, "v2", "float16", frames, early=e) for e in (True, False))
    assert early.total - late.total == 12 * (952 + frames + 250) * 2 * 2 * 2048 * 2


def test_the_plan_counts_the_bytes_that_are_there(tiny: Path, writer: SongWriter) -> None:
    plan = plan_memory(read_config(tiny / "config.yaml"), "v2", "float32", 100)
    assert (plan.main_step, plan.sub_step) == writer.net.step_bytes


@pytest.mark.parametrize("sampling", [SongSampling(), SongSampling(guidance=1.0), SongSampling(top_p=0.7)])
def test_songs_in_slots_are_the_songs_alone(writer: SongWriter, sampling: SongSampling) -> None:
    prompt = torch.randint(0, 16_384, (3, 25), generator=torch.Generator().manual_seed(2))
    jobs = [
        SongJob(WORDS, None, 22, 1),
        SongJob(SongWords("[inst-short]", None, "bgm"), None, 9, 2),
        SongJob(WORDS, prompt, 30, 3),
        SongJob(WORDS, None, 1, 4),
        SongJob(WORDS, None, 15, 5),
    ]
    ticks: list[float] = []
    together = writer.write_several(jobs, slots=2, sampling=sampling, tick=ticks.append)
    assert ticks == sorted(ticks)
    for job, codes in zip(jobs, together, strict=True):
        alone = writer.write(job.words, job.prompt, frames=job.frames, seed=job.seed, sampling=sampling)
        assert torch.equal(codes, alone)
