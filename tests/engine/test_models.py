"""Which renderer `auto` takes, why, and what a request may name."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.arrangement import Arrangement, Section
from bridge.checkpoints import Checkpoint, add_checkpoint, remove_checkpoint
from bridge.errors import RequestError
from bridge.licences import MIT, RESEARCH, STABILITY, Licence
from bridge.messages import ModelRow, Render, StemWanted
from engine import models
from engine.checkpoints import fit_checkpoint
from engine.hardware import Hardware, measure_hardware, ram_gib
from engine.models import catalogue, check_choice, choose_model, current_rows, stem_rows

BIG = Hardware("cuda", "Big GPU", 24.0, 64.0)
SMALL = Hardware("cuda", "Small GPU", 6.0, 32.0)
TINY = Hardware("cuda", "Tiny GPU", 2.0, 8.0)
LAPTOP = Hardware("cpu", "CPU", 16.0, 16.0)
BILLION = 1_000_000_000


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STEMBRIDGE_DATA", str(tmp_path / "data"))
    use(monkeypatch, BIG)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "model_index.json").write_text("{}")
    return tmp_path / "weights"


def use(monkeypatch: pytest.MonkeyPatch, hardware: Hardware) -> None:
    monkeypatch.setattr(models, "measure_hardware", lambda: hardware)


def checkpoint(
    folder: Path,
    name: str = "ace-step",
    variant: str = "turbo",
    weights: float = 2.0,
    licence: Licence = MIT,
    family: str = "ace-step",
    accepted: bool = True,
) -> Checkpoint:
    parameters = {"transformer": int(weights * BILLION), "text_encoder": int(0.6 * BILLION), "vae": int(0.2 * BILLION)}
    return Checkpoint(name, family, variant, str(folder), str(folder), parameters, "0" * 64, licence, accepted)


def small_stable_audio(folder: Path) -> Checkpoint:
    found = checkpoint(folder, "sa-small", "distilled", 0.4, STABILITY, "stable-audio-3")
    return msgspec.structs.replace(found, parameters={"transformer": int(0.4 * BILLION), "vae": int(0.1 * BILLION)})


def auto(commercial: bool = False) -> ModelRow:
    rows = [row for row in catalogue(commercial) if row.auto and row.kind == "renderer"]
    assert len(rows) == 1
    assert choose_model("renderer", "auto", commercial=commercial).name == rows[0].name
    return rows[0]


def note(name: str, commercial: bool = False) -> str:
    return next(row.note for row in catalogue(commercial) if row.name == name and row.kind == "renderer")


def render(*stems: StemWanted, renderer: str = "auto", commercial: bool = False, lyrics: str = "") -> Render:
    section = Section("A", "verse", 0.0, 16.0, lyrics=lyrics)
    arrangement = Arrangement(sample_rate=48_000, clock=((0.0, 0.0), (16.0, 8.0)), sections=(section,))
    return Render("job", arrangement, stems=stems or (StemWanted("bass"),), renderer=renderer, commercial=commercial)


def test_without_checkpoints_auto_is_the_guide_and_says_how_to_get_more() -> None:
    row = auto()
    assert row.name == "guide"
    assert "no checkpoint was added" in row.note
    assert "stembridge models add" in note("ace-step")
    with pytest.raises(RequestError, match="no checkpoint"):
        choose_model("renderer", "ace-step")


def test_the_best_that_fits_is_auto_and_each_says_why(data: Path) -> None:
    add_checkpoint(checkpoint(data, "ace-turbo", "turbo"))
    add_checkpoint(checkpoint(data, "ace-xl", "sft", 4.0))
    add_checkpoint(small_stable_audio(data))
    assert auto().name == "ace-xl"
    assert "'auto' takes it" in note("ace-xl")
    assert "ace-xl is better" in note("ace-turbo")
    assert "1 million US dollars" in note("sa-small")
    assert "means ace-xl" in note("ace-step")
    assert choose_model("renderer", "ace-step").name == "ace-xl"
    assert choose_model("renderer", "ace-turbo").name == "ace-turbo"


def test_what_does_not_fit_is_left_out_with_the_figures(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_checkpoint(checkpoint(data, "ace-turbo", "turbo"))
    add_checkpoint(small_stable_audio(data))
    use(monkeypatch, TINY)
    assert auto().name == "guide"
    assert "needs 7.7 GiB; Tiny GPU with 2 GiB" in note("ace-turbo")
    with pytest.raises(RequestError, match=r"needs 7\.7 GiB"):
        choose_model("renderer", "ace-turbo")
    use(monkeypatch, SMALL)
    assert auto().name == "sa-small"


def test_where_not_all_fits_components_go_one_by_one(data: Path) -> None:
    big = checkpoint(data, weights=4.0)
    fit = fit_checkpoint(big, Hardware("cuda", "GPU", 10.5, 32.0))
    assert (fit.offload, fit.dtype, fit.why_not) == (True, "bfloat16", "")
    assert fit.gib < fit_checkpoint(big, BIG).gib
    assert fit_checkpoint(big, Hardware("cuda", "GPU", 10.5, 8.0)).why_not, "all of it must fit the RAM"
    assert fit_checkpoint(big, Hardware("cuda", "Old GPU", 24.0, 32.0, bfloat16=False)).dtype == "float16"
    assert fit_checkpoint(big, Hardware("cpu", "CPU", 64.0, 64.0)).dtype == "float32"


@given(st.floats(0.1, 8.0), st.floats(1.0, 80.0), st.floats(1.0, 80.0))
def test_more_memory_never_makes_it_fit_less(weights: float, a: float, b: float) -> None:
    less, more = sorted((a, b))
    small = fit_checkpoint(checkpoint(Path("/"), weights=weights), Hardware("cuda", "GPU", less, 64.0))
    large = fit_checkpoint(checkpoint(Path("/"), weights=weights), Hardware("cuda", "GPU", more, 64.0))
    assert not large.why_not or small.why_not
    assert small.offload or not large.offload or small.why_not


def test_without_a_gpu_auto_leaves_what_takes_minutes_but_obeys_a_name(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, LAPTOP)
    add_checkpoint(checkpoint(data, "ace-step", "turbo", 1.5))
    assert auto().name == "guide"
    assert "minutes for each stem without a GPU" in auto().note
    assert "minutes for each stem without a GPU" in note("ace-step")
    assert choose_model("renderer", "ace-step").available
    add_checkpoint(small_stable_audio(data))
    assert auto().name == "sa-small", "half a billion weights in 8 steps keep up with the sound"


def test_what_may_not_be_sold_is_out_of_commercial_work(data: Path) -> None:
    research = Licence("CC-BY-NC-4.0", False, False, RESEARCH)
    add_checkpoint(checkpoint(data, "nc-tune", "turbo", 4.0, research))
    add_checkpoint(checkpoint(data, "ace-turbo", "turbo"))
    assert auto().name == "nc-tune"
    assert auto(commercial=True).name == "ace-turbo"
    assert "CC-BY-NC-4.0" in note("nc-tune", commercial=True)
    with pytest.raises(RequestError, match="shall be sold") as refused:
        check_choice(render(renderer="nc-tune", commercial=True))
    assert refused.value.code == "renderer.licence"
    with pytest.raises(RequestError) as refused:
        check_choice(render(StemWanted("bass"), StemWanted("keys", renderer="nc-tune"), commercial=True))
    assert refused.value.field == "stems[1].renderer"
    check_choice(render(renderer="nc-tune"))


def test_a_licence_that_was_not_accepted_and_a_folder_that_is_gone(data: Path) -> None:
    add_checkpoint(checkpoint(data, "sa", "distilled", 0.5, STABILITY, "stable-audio-3", accepted=False))
    add_checkpoint(checkpoint(data / "gone", "ace-step"))
    assert auto().name == "guide"
    with pytest.raises(RequestError, match="was not accepted"):
        choose_model("renderer", "sa")
    with pytest.raises(RequestError, match="is gone"):
        choose_model("renderer", "ace-step")


def test_each_stem_has_its_own_renderer(data: Path) -> None:
    add_checkpoint(checkpoint(data, "ace-turbo"))
    request = render(StemWanted("drums", renderer="guide"), StemWanted("bass"), StemWanted("keys", renderer="ace-step"))
    rows = stem_rows(request)
    assert {title: row.name for title, row in rows.items()} == {
        "drums": "guide", "bass": "ace-turbo", "keys": "ace-turbo",
    }  # fmt: skip
    with pytest.raises(RequestError, match="no renderer 'nothing'") as refused:
        check_choice(render(StemWanted("bass"), StemWanted("keys", renderer="nothing")))
    assert (refused.value.code, refused.value.field) == ("renderer.unknown", "stems[1].renderer")
    assert "ace-turbo" in refused.value.hint


def test_voices_need_a_model_that_sings_and_words_to_sing(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    band = (StemWanted("bass"), StemWanted("vocals"))
    with pytest.raises(RequestError, match="needs a model with a voice") as refused:
        check_choice(render(*band, lyrics="la"))
    assert (refused.value.code, refused.value.field) == ("stem.vocals", "stems[1].role")
    add_checkpoint(checkpoint(data, "ace-turbo", "turbo", 4.0))
    add_checkpoint(checkpoint(data, "ace-base", "base"))
    rows = stem_rows(render(*band, lyrics="la"))
    assert [rows[s.title].name for s in band] == ["ace-turbo", "ace-base"]
    check_choice(render(*band, lyrics="la"))
    with pytest.raises(RequestError, match="nothing to sing"):
        check_choice(render(*band))
    with pytest.raises(RequestError, match="cannot add a voice"):
        check_choice(render(*band, lyrics="la", renderer="ace-turbo"))
    with pytest.raises(RequestError, match="cannot sing") as refused:
        check_choice(render(StemWanted("vocals", renderer="guide"), lyrics="la"))
    assert refused.value.field == "stems[0].renderer"
    use(monkeypatch, Hardware("cpu", "CPU", 64.0, 64.0))
    with pytest.raises(RequestError, match="'auto' leaves it"):
        check_choice(render(*band, lyrics="la"))
    check_choice(render(StemWanted("vocals", renderer="ace-base"), lyrics="la"))


def test_a_list_is_renewed_without_a_restart(data: Path) -> None:
    before = catalogue()
    add_checkpoint(checkpoint(data, "ace-turbo"))
    assert "ace-turbo" in {row.name for row in current_rows(before)}
    remove_checkpoint("ace-turbo")
    assert current_rows(before) == before
    echo = (ModelRow("echo", "composer", True, "MIT"),)
    assert current_rows(echo) == echo


def test_this_computer_can_be_measured() -> None:
    hardware = measure_hardware()
    assert hardware.kind in ("cuda", "mps", "cpu")
    assert 0.5 < hardware.memory_gib < 10_000
    assert 0.5 < ram_gib() < 10_000
    assert hardware.words
