"""When SongGeneration is meant, what it refuses, what it needs, and what it is told of a request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import soundfile
import torch

from bridge.arrangement import Arrangement, ContextTrack, KeyAt, Reference, Section
from bridge.checkpoints import Checkpoint, SongShape, WeightFile, add_checkpoint, remove_checkpoint
from bridge.errors import JobError, RequestError
from bridge.licences import SONGGENERATION
from bridge.messages import Render, Scope, StemWanted
from bridge.songgeneration import AUTO_PROMPT, ENCODER
from engine import models
from engine.hardware import Hardware
from engine.models import catalogue, check_choice, choose_model, find_song, stem_rows
from engine.song.fit import fit_song, song_gib, songs_at_a_time
from engine.song.machine import clips2sound, stored2codes
from engine.song.plan import Clips, StoredCodes, check_tokens, request2plan
from tests.engine.songgeneration_checkpoint import PROMPT_FRAMES, write_prompts

NAME = "songgeneration-v2-large"
BOTH = (StemWanted("vocals"), StemWanted("accompaniment"))
CARDS = {
    size: Hardware("cuda", f"{size} GB card", float(size), 64.0) for size in (8, 12, 16, 24, 80)
}  # fmt: skip
LARGE = {"transformer": 4_170_000_000, "tables": 860_000_000, "renderer": 773_000_000, "vae": 168_000_000}
"""v2-large, from its published shapes."""


def checkpoint(folder: Path, *files: str, seconds: float = 270.0) -> Checkpoint:
    runtime = folder / "runtime"
    (runtime / "ckpt").mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text("max_dur: 270")
    stamped = tuple(WeightFile(str(runtime / name), 1, 1, "0" * 64) for name in files)
    return Checkpoint(
        NAME, "songgeneration", "v2", str(folder), str(folder), LARGE, "0" * 64, SONGGENERATION, accepted=True,
        runtime=str(runtime), song=SongShape(2048, 36, 12, seconds), files=stamped,
    )  # fmt: skip


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Checkpoint]:
    monkeypatch.setenv("STEMBRIDGE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(models, "measure_hardware", lambda: CARDS[24])
    found = checkpoint(tmp_path / "model")
    add_checkpoint(found)
    yield found
    remove_checkpoint(NAME)


def render(*stems: StemWanted, lyrics: str = "words to sing", **changes: Any) -> Render:
    sections = (
        Section("Intro", "intro", 0.0, 16.0),
        Section("Verse", "verse", 16.0, 48.0, lyrics=lyrics),
        Section("Outro", "outro", 48.0, 64.0),
    )
    given = {"renderer": NAME} | changes
    arrangement = Arrangement(
        sample_rate=48_000, clock=((0.0, 0.0), (64.0, 32.0)), sections=given.pop("sections", sections),
        references=given.pop("references", ()), tracks=given.pop("tracks", ()), keys=given.pop("keys", ()),
    )  # fmt: skip
    return Render("job", arrangement, stems=stems or BOTH, **given)


@pytest.mark.parametrize(
    "names",
    [
        {"renderer": NAME},
        {"renderer": "songgeneration"},
        {"renderer": "auto", "composer": "songgeneration"},
        {"renderer": NAME, "composer": NAME},
        {"renderer": "songgeneration", "composer": NAME},
    ],
)
@pytest.mark.usefixtures("added")
def test_it_is_meant_as_renderer_or_as_composer(names: dict[str, str]) -> None:
    request = render(**names)
    check_choice(request)
    song = find_song(request)
    assert song is not None
    assert song.checkpoint.name == NAME
    assert {row.name for row in stem_rows(request).values()} == {NAME}


@pytest.mark.usefixtures("added")
def test_auto_never_means_it_and_the_list_says_why() -> None:
    rows = {(row.name, row.kind): row for row in catalogue()}
    assert rows[NAME, "renderer"].available
    assert not rows[NAME, "renderer"].auto
    assert "name it to have one" in rows[NAME, "renderer"].note
    assert "songs of 270 s at most" in rows[NAME, "renderer"].note
    assert "education purposes only" in rows[NAME, "renderer"].note
    assert rows["songgeneration", "composer"].available
    assert not rows["songgeneration", "composer"].commercial
    assert rows[NAME, "renderer"].memory_gib > 10
    assert choose_model("renderer", "auto").name == "guide"
    assert find_song(render(StemWanted("bass"), renderer="auto")) is None


def test_without_a_checkpoint_it_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMBRIDGE_DATA", str(tmp_path / "data"))
    rows = [row for row in catalogue() if row.name == "songgeneration"]
    assert [row.kind for row in rows] == ["composer", "renderer"]
    assert all(not row.available and "models add songgeneration-v2-large" in row.note for row in rows)
    for field in ("renderer", "composer"):
        with pytest.raises(RequestError) as refused:
            check_choice(render(**{"renderer": "auto", field: "songgeneration"}))
        assert (refused.value.field, refused.value.code) == (field, "renderer.unavailable")


@pytest.mark.parametrize(
    ("request_", "code", "field"),
    [
        (render(*BOTH, StemWanted("drums")), "stem.song", "stems[2].role"),
        (render(StemWanted("vocals"), StemWanted("vocals", "vocals 2")), "stem.song", "stems[1].role"),
        (render(commercial=True), "renderer.licence", "renderer"),
        (render(composer="as-written"), "song.mixed", "composer"),
        (render(StemWanted("vocals"), StemWanted("bass", renderer="guide")), "song.mixed", "stems[1].renderer"),
        (
            render(StemWanted("vocals", renderer=NAME), StemWanted("accompaniment"), renderer="guide"),
            "song.mixed",
            "renderer",
        ),
        (render(scope=Scope("other/take-1")), "song.whole", "scope"),
        (render(continues="other/take-1"), "song.whole", "continues"),
        (render(lyrics=""), "stem.lyrics", "arrangement.sections"),
        (render(lyrics="[Chorus] la"), "lyrics.heading", "arrangement.sections[1].lyrics"),
        (render(StemWanted("accompaniment"), renderer="guide"), "stem.accompaniment", "stems[0].role"),
    ],
)
@pytest.mark.usefixtures("added")
def test_what_it_cannot_do_is_refused_by_its_field(request_: Render, code: str, field: str) -> None:
    with pytest.raises(RequestError) as refused:
        check_choice(request_)
    assert (refused.value.code, refused.value.field) == (code, field)
    assert refused.value.hint


def test_a_song_that_is_too_long_names_the_section(added: Checkpoint) -> None:
    remove_checkpoint(NAME)
    add_checkpoint(msgspec.structs.replace(added, song=SongShape(2048, 36, 12, 20.0)))
    with pytest.raises(RequestError, match="20 s at most") as refused:
        check_choice(render())
    assert "'Verse'" in refused.value.hint


def test_memory_decides_precision_and_order(tmp_path: Path) -> None:
    model = checkpoint(tmp_path)
    fits = {size: fit_song(model, card) for size, card in CARDS.items()}
    assert (fits[80].dtype, fits[80].offload, fits[80].why_not) == ("bfloat16", False, "")
    assert (fits[24].dtype, fits[24].offload) == ("bfloat16", False)
    assert (fits[16].dtype, fits[16].offload) == ("bfloat16", True)
    assert (fits[12].dtype, fits[12].offload) == ("int8", True)
    assert "even at 8 bits" in fits[8].why_not
    assert all(fit.gib <= size for size, fit in fits.items() if not fit.why_not)
    writing, rendering = song_gib(model, "bfloat16", on_cpu=False)
    weights, cache = 4.17e9 * 2, 2 * 7952 * 48 * 2 * 2048 * 2
    assert writing == pytest.approx((weights + cache) / 2**30, rel=0.01)
    assert 2.0 < rendering < 4.0
    assert "hours" in fit_song(model, Hardware("cpu", "CPU", 64.0, 64.0)).slow


def test_eight_bits_are_taken_where_the_user_wants_them(tmp_path: Path) -> None:
    model = checkpoint(tmp_path)
    small = msgspec.structs.replace(model, int8=True)
    for card in (CARDS[24], CARDS[80], Hardware("cpu", "CPU", 64.0, 64.0)):
        assert fit_song(model, card).dtype != "int8"
        assert fit_song(small, card).dtype == "int8"
        assert fit_song(small, card).gib < fit_song(model, card).gib
    assert small.weights != model.weights


def test_as_many_takes_are_written_together_as_there_is_room_for(tmp_path: Path) -> None:
    model = checkpoint(tmp_path)
    frames = 270 * 25
    songs = {size: songs_at_a_time(model, fit_song(model, card), frames, card) for size, card in CARDS.items()}
    assert songs[8] == songs[12] == 1
    assert songs[24] <= 3
    assert songs[80] == 8
    assert songs_at_a_time(model, fit_song(model, CARDS[24]), 60 * 25, CARDS[24]) > songs[24]


def test_a_plan_tells_lyrics_tags_tempo_and_length(tmp_path: Path) -> None:
    request = render(style="pop, female", keys=(KeyAt(0.0, "A", "minor"),))
    plan = request2plan(request, request.arrangement.timeline(), checkpoint(tmp_path))
    assert plan.lyric.text == "[intro-short] ; [verse] words to sing. ; [outro-short]"
    assert plan.description == "female, pop, the bpm is 120."
    assert (plan.kind, plan.kinds) == ("separate", {"vocals": "vocal", "accompaniment": "bgm"})
    assert plan.frames == round(25 * (1.3 * 32 + 10))
    assert [w.count for w in plan.wanted] == [16, 32, 16]
    short = request2plan(request, request.arrangement.timeline(), checkpoint(tmp_path, seconds=40.0))
    assert short.frames == 1000


@pytest.mark.parametrize(
    ("stems", "lyrics", "kind", "text"),
    [
        ((StemWanted("accompaniment"),), "", "bgm", "[intro-short] ; [inst-medium] ; [outro-short]"),
        ((StemWanted("accompaniment"),), "a line", "separate", "[intro-short] ; [verse] a line. ; [outro-short]"),
        (
            (StemWanted("vocals", "lead voice"),),
            "a line",
            "separate",
            "[intro-short] ; [verse] a line. ; [outro-short]",
        ),
    ],
)
def test_pure_music_pure_voice_and_both(
    tmp_path: Path, stems: tuple[StemWanted, ...], lyrics: str, kind: str, text: str
) -> None:
    request = render(*stems, lyrics=lyrics, style="female, jazz")
    plan = request2plan(request, request.arrangement.timeline(), checkpoint(tmp_path))
    assert (plan.kind, plan.lyric.text) == (kind, text)
    assert len(plan.kinds) == 1
    assert plan.description is not None
    assert ("female" in plan.description) == (kind == "separate")


def test_lyrics_that_do_not_fit_are_refused_by_their_section(tmp_path: Path) -> None:
    sections = tuple(
        Section(f"Verse {n}", "verse", 16.0 * n, 16.0 * (n + 1), lyrics="one two three four five") for n in range(3)
    )
    request = render(sections=sections)
    plan = request2plan(request, request.arrangement.timeline(), checkpoint(tmp_path))
    check_tokens(plan, lambda text: (len(text.split()), 20))
    with pytest.raises(RequestError) as refused:
        check_tokens(plan, lambda text: (len(text.split()), 15))
    assert refused.value.field == "arrangement.sections[2].lyrics"
    assert '"Verse 2"' in refused.value.message
    assert "20 tokens" in refused.value.message


def _sound(path: Path, seconds: float, rate: int = 44_100, level: float = 0.1) -> Path:
    soundfile.write(path, np.full((round(seconds * rate), 1), level, np.float32), rate, subtype="FLOAT")
    return path


def test_references_of_single_stems_become_the_prompt(tmp_path: Path) -> None:
    voice, band = _sound(tmp_path / "voice.wav", 14.0), _sound(tmp_path / "band.wav", 9.0, 22_050, 0.3)
    given = (Reference(str(voice), 2.0, stems=("vocals",)), Reference(str(band), stems=("accompaniment",)))
    request = render(references=given, style="pop")
    plan = request2plan(request, request.arrangement.timeline(), checkpoint(tmp_path, ENCODER))
    assert plan.prompt == Clips(given[0], given[1])
    assert plan.description is None
    assert any("style words were not told" in remark for remark in plan.remarks)
    vocal, bgm = clips2sound(plan.prompt)
    assert vocal.rate == bgm.rate == 44_100
    assert vocal.audio.shape == bgm.audio.shape == (2, 9 * 44_100)
    assert np.median(bgm.audio) == pytest.approx(0.3, abs=1e-3)
    alone, silence = clips2sound(Clips(given[0], None))
    assert alone.seconds == 10.0
    assert np.abs(silence.audio).max() == 0.0
    deaf = request2plan(request, request.arrangement.timeline(), checkpoint(tmp_path))
    assert deaf.prompt is None
    assert any(ENCODER in remark for remark in deaf.remarks)
    assert deaf.description == "pop, the bpm is 120."


def test_a_reference_of_a_whole_band_becomes_stored_codes_or_a_remark(tmp_path: Path) -> None:
    band = Reference(str(_sound(tmp_path / "band.wav", 9.0)))
    request = render(references=(band,), style="hip hop, dark")
    bare = request2plan(request, request.arrangement.timeline(), checkpoint(tmp_path))
    assert bare.prompt is None
    assert "band.wav was not heard" in bare.remarks[0]
    with_codes = checkpoint(tmp_path, AUTO_PROMPT)
    plan = request2plan(request, request.arrangement.timeline(), with_codes)
    path = Path(with_codes.runtime) / AUTO_PROMPT
    assert plan.prompt == StoredCodes(path, "Hip-Hop", "en")
    assert any("stored codes of the kind Hip-Hop" in remark for remark in plan.remarks)
    write_prompts(Path(with_codes.runtime))
    first, second, again = (stored2codes(plan.prompt, seed) for seed in (0, 1, 2))
    assert first.shape == (3, PROMPT_FRAMES)
    assert first.dtype == torch.int64
    assert not torch.equal(first, second)
    assert torch.equal(first, again)
    path.write_bytes(b"no archive")
    with pytest.raises(JobError, match="no prompt codes"):
        stored2codes(plan.prompt, 0)


def test_what_is_not_heard_is_said(tmp_path: Path) -> None:
    request = render(avoid="banjo", tracks=(ContextTrack("Idea", midi="idea.mid"),))
    remarks = " ".join(request2plan(request, request.arrangement.timeline(), checkpoint(tmp_path)).remarks)
    assert "avoided" in remarks
    assert "tracks of the project were not heard" in remarks
    assert json.dumps(remarks)
