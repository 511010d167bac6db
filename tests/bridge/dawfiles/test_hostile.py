"""Files that are damaged, made to harm, or just odd: refused with a reason, or read without what is wrong in them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.dawfiles import box, context, rpp_text
from bridge.dawfiles.read import song_file2arrangement
from bridge.dawfiles.timelines import MAX_PASSES
from bridge.errors import RequestError
from bridge.midifile import read_smf
from tests.bridge.dawfiles.files import BITWIG, CUBASE, REAPER, dawproject, wav


def refusal(path: Path) -> RequestError:
    with pytest.raises(RequestError) as refused:
        song_file2arrangement(path)
    assert refused.value.field == str(path)
    assert list(path.parent.glob("stembridge/**/*")) == [], "nothing is written for what is refused"
    return refused.value


def project(lanes: str, structure: str = "", more: str = "") -> str:
    return (
        '<Project version="1.0"><Transport><Tempo unit="bpm" value="120" id="t"/></Transport>'
        f'<Structure><Track id="a" name="A"/>{structure}</Structure>'
        f'<Arrangement><Lanes timeUnit="beats"><Lanes track="a">{lanes}</Lanes></Lanes>{more}</Arrangement></Project>'
    )


NOTE = '<Note time="0" duration="1" key="60" channel="0"/>'
ONE_NOTE = f'<Clips><Clip time="0" duration="4"><Notes>{NOTE}</Notes></Clip></Clips>'


def test_what_is_no_zip_or_holds_no_project_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.dawproject").write_bytes(b"PK not really")
    assert "no ZIP" in refusal(tmp_path / "a.dawproject").message
    with zipfile.ZipFile(tmp_path / "b.dawproject", "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "no project.xml" in refusal(tmp_path / "b.dawproject").message
    assert "not a <Project>" in refusal(dawproject(tmp_path / "c.dawproject", "<Song/>")).message
    assert "XML is broken" in refusal(dawproject(tmp_path / "d.dawproject", BITWIG[:3000])).message
    odd = BITWIG.replace("UTF-8", "klingon")
    assert "XML is broken" in refusal(dawproject(tmp_path / "f.dawproject", odd)).message
    whole = dawproject(tmp_path / "e.dawproject", BITWIG).read_bytes()
    # Inside, the ZIP gives the name in UTF-8 that is none, and differs from its own list of names.
    local = bytearray(whole)
    local[6:8], local[30:34] = (0x800).to_bytes(2, "little"), b"\xff\xad\xfe\xff"
    (tmp_path / "g.dawproject").write_bytes(local)
    assert "is broken" in refusal(tmp_path / "g.dawproject").message
    (tmp_path / "e.dawproject").write_bytes(whole[: len(whole) // 2])
    assert refusal(tmp_path / "e.dawproject").code == "file.damaged"


@pytest.mark.parametrize(
    "prologue",
    [
        '<!DOCTYPE p [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE p SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE p [<!ENTITY % x SYSTEM "http://localhost/x"> %x;]>',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_document_types_are_refused_in_every_encoding(tmp_path: Path, prologue: str, encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?>{prologue}{project(ONE_NOTE)}'
    assert "document type" in refusal(dawproject(tmp_path / "a.dawproject", text.encode(encoding))).message


def test_a_bomb_is_cut_off_at_the_bound_and_not_at_what_the_zip_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(box, "MAX_XML", 1 << 20)
    path = dawproject(tmp_path / "a.dawproject", b"<Project>" + b" " * (40 << 20))
    assert path.stat().st_size < 100_000
    raw = path.read_bytes()
    size = (9 + (40 << 20)).to_bytes(4, "little")
    assert raw.count(size) == 2
    assert "larger than 1 MB" in refusal(path).message
    path.write_bytes(raw.replace(size, (100).to_bytes(4, "little")))
    assert refusal(path).code == "file.damaged"
    monkeypatch.setattr(box, "MAX_MEMBERS", 1)
    assert "more than 1 files" in refusal(dawproject(tmp_path / "b.dawproject", BITWIG)).message


def test_nesting_and_loops_without_end_are_bounded(tmp_path: Path) -> None:
    deep = "<Lanes>" * 2000 + "</Lanes>" * 2000
    assert "inside each other" in refusal(dawproject(tmp_path / "a.dawproject", project(deep))).message
    # A clip that refers to the list of clips it is in; a loop of nearly nothing in a clip without end.
    itself = '<Clips id="x"><Clip time="0" duration="4" reference="x"/></Clips>' + ONE_NOTE
    arrangement, _ = song_file2arrangement(dawproject(tmp_path / "b.dawproject", project(itself)))
    assert len(arrangement.tracks) == 1
    tiny = (
        '<Clips><Clip time="0" duration="100000" loopStart="0" loopEnd="0.000001"><Notes>'
        '<Note time="0" duration="1" key="60" channel="0"/></Notes></Clip></Clips>'
    )
    (part,) = song_file2arrangement(dawproject(tmp_path / "c.dawproject", project(tiny)))[0].tracks
    assert len(read_smf(part.midi or "").tracks[0].notes) <= MAX_PASSES


def test_numbers_that_are_none_are_read_as_nothing(tmp_path: Path) -> None:
    odd = (
        '<Clips><Clip time="nan" duration="inf"><Notes><Note time="-4" duration="1" key="60" channel="0"/>'
        '<Note time="1e300" duration="1" key="61" channel="0"/><Note time="1" duration="-1" key="200" channel="0"/>'
        '<Note time="1" duration="-1" key="62" channel="77" vel="9e9"/></Notes></Clip></Clips>'
    )
    tempo = '<TempoAutomation><RealPoint time="0" value="0"/><RealPoint time="4" value="nan"/></TempoAutomation>'
    metre = '<TimeSignaturePoint time="8" numerator="0" denominator="3"/>'
    more = f"{tempo}<TimeSignatureAutomation>{metre}</TimeSignatureAutomation>"
    arrangement, _ = song_file2arrangement(dawproject(tmp_path / "a.dawproject", project(odd, "", more)))
    assert arrangement.timeline().bpm_at(0) == pytest.approx(120)
    assert len(arrangement.metres) == 1
    fast = '<TempoAutomation><RealPoint time="0" value="99999"/></TempoAutomation>'
    (tmp_path / "fast").mkdir()
    refused = refusal(dawproject(tmp_path / "fast/b.dawproject", project(ONE_NOTE, "", fast)))
    assert refused.code == "file.tempo"


@pytest.mark.parametrize("name", ["../../escape.wav", "/etc/passwd.wav", "C:\\\\x.wav", "a/../../b.wav"])
def test_a_sound_s_name_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    """Sounds come out of the ZIP under names of our own, and nothing is taken from outside by an inside name."""
    (tmp_path / "song").mkdir()
    audio = f'<Audio channels="1" duration="2" sampleRate="48000"><File path="{name}"/></Audio>'
    clip = f'<Clips><Clip time="0" duration="4">{audio}</Clip></Clips>'
    path = tmp_path / "song/song.dawproject"
    sound = wav(tmp_path / "x.wav", 2.0).read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("project.xml", project(clip))
        archive.writestr(name, sound)
    before = {p for p in tmp_path.rglob("*") if p.is_file()}
    arrangement, _ = song_file2arrangement(path)
    made = {p for p in tmp_path.rglob("*") if p.is_file()} - before
    assert all(p.parent == tmp_path / "song/stembridge/context" for p in made)
    assert all((t.audio or "").startswith(str(tmp_path / "song/stembridge/context")) for t in arrangement.tracks)


def test_a_sound_that_is_none_or_broken_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = dawproject(tmp_path / "a.dawproject", BITWIG, audio__Loop_DOT_wav=b"RIFFnonsense")
    _, remarks = song_file2arrangement(path)
    assert any("cannot be read" in remark for remark in remarks)
    monkeypatch.setattr(context, "MAX_EMBEDDED", 10)
    path = dawproject(tmp_path / "b.dawproject", BITWIG, audio__Loop_DOT_wav=wav(tmp_path / "x.wav", 4.0).read_bytes())
    _, remarks = song_file2arrangement(path)
    assert any("is not there" in remark for remark in remarks)


def test_what_is_no_reaper_project_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.rpp").write_text("<HTML>\n>\n")
    assert "does not begin" in refusal(tmp_path / "a.rpp").message
    (tmp_path / "b.rpp").write_text("<REAPER_PROJECT 0.1\n" + "<TRACK\n" * 500)
    assert "inside each other" in refusal(tmp_path / "b.rpp").message
    (tmp_path / "c.rpp").write_text("<REAPER_PROJECT 0.1\n  TEMPO 120 4 4\n>\n")
    assert refusal(tmp_path / "c.rpp").code == "file.empty"
    monkeypatch.setattr(rpp_text, "MAX_BYTES", 100)
    (tmp_path / "d.rpp").write_text(REAPER)
    assert refusal(tmp_path / "d.rpp").code == "file.too_large"
    assert refusal(tmp_path / "gone.rpp").code == "file.missing"


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.data())
def test_projects_with_pieces_changed_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Nothing but `RequestError` comes out, whatever is cut, doubled or overwritten."""
    kind, text = data.draw(st.sampled_from([("rpp", REAPER), ("dawproject", BITWIG), ("dawproject", CUBASE)]))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        length = data.draw(st.integers(0, 40))
        piece = data.draw(
            st.sampled_from(
                ["", "-1", "nan", "1e308", "999999999", "<", ">", '"', "\n", "0", "<ITEM\n", "E 1 ff\n", "/>"]
            )
            | st.text(max_size=5)
        )
        text = text[:at] + piece + text[at + length :]
    folder = tmp_path_factory.mktemp("changed")
    path = folder / f"song.{kind}"
    raw = text.encode("utf-8", "replace")
    if kind == "rpp":
        path.write_bytes(raw)
    else:
        dawproject(path, raw)
    why = None
    try:
        arrangement, _ = song_file2arrangement(path)
    except RequestError as error:
        why = error
    if why is not None:
        assert why.code.startswith("file.")
        assert why.field.startswith(str(path))
        return
    clock = arrangement.timeline()
    assert clock.beat2second(arrangement.start) < clock.beat2second(arrangement.end)
