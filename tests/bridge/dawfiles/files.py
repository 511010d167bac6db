"""Projects as other programs write them, for the readers' tests: written by hand after published samples' shapes."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import soundfile

METADATA = '<?xml version="1.0" encoding="UTF-8"?><MetaData><Title>Song</Title></MetaData>'


def dawproject(path: Path, project: str | bytes, **members: bytes) -> Path:
    """A ZIP of `project`, metadata and further members (their names with "__" for "/" and "_DOT_" for ".")."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("project.xml", project)
        archive.writestr("metadata.xml", METADATA)
        for name, data in members.items():
            archive.writestr(name.replace("__", "/").replace("_DOT_", "."), data)
    return path


def wav(path: Path, seconds: float, rate: int = 48000, channels: int = 1, value: float = 0.25) -> Path:
    """A constant, so that every sample tells which file it is from."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full((round(seconds * rate), channels), value, np.float32), rate, subtype="FLOAT")
    return path


BITWIG = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Project version="1.0">
  <Application name="Bitwig Studio" version="5.2"/>
  <Transport>
    <Tempo max="666.000000" min="20.000000" unit="bpm" value="120.000000" id="id0" name="Tempo"/>
    <TimeSignature denominator="4" numerator="4" id="id1"/>
  </Transport>
  <Structure>
    <Track contentType="notes" loaded="true" id="id2" name="Bass" color="#a2eabf">
      <Channel audioChannels="2" destination="id15" role="regular" solo="false" id="id3">
        <Devices><ClapPlugin deviceID="x" deviceName="Synth" deviceRole="instrument" id="id7" name="Synth">
          <Parameters/><Enabled value="true" id="id8" name="On/Off"/><State path="plugins/a.clap-preset"/></ClapPlugin>
        </Devices>
        <Mute value="false" id="id6" name="Mute"/>
      </Channel>
    </Track>
    <Track contentType="audio" loaded="true" id="id9" name="Drumloop" color="#b53bba">
      <Channel audioChannels="2" destination="id15" role="regular" id="id10"/>
    </Track>
    <Track contentType="audio" id="id40" name="Stretched"><Channel role="regular" id="id41"/></Track>
    <Track contentType="notes" id="id42" name="Old idea">
      <Channel role="regular" id="id43"><Mute value="true" id="id44"/></Channel></Track>
    <Track contentType="audio notes" loaded="true" id="id14" name="Master"><Channel role="master" id="id15"/></Track>
  </Structure>
  <Arrangement id="id19">
    <Lanes timeUnit="beats" id="id20">
      <Lanes track="id2" id="id21">
        <Clips id="id22">
          <Clip time="4.0" duration="8.0" playStart="1.0" loopStart="0.0" loopEnd="4.0">
            <Notes id="id23">
              <Note time="0.000000" duration="0.250000" channel="0" key="65" vel="0.787402" rel="0.787402"/>
              <Note time="1.000000" duration="0.250000" channel="0" key="64" vel="1.0"/>
              <Note time="3.500000" duration="2.0" channel="0" key="53" vel="0.007874"/>
            </Notes>
          </Clip>
        </Clips>
      </Lanes>
      <Lanes track="id9" id="id24">
        <Clips id="id25">
          <Clip time="16.0" duration="8.0" playStart="0.0" loopStart="0.0" loopEnd="8.0" name="Loop">
            <Clips id="id26">
              <Clip time="0.0" duration="8.0" contentTimeUnit="beats" playStart="0.0">
                <Warps contentTimeUnit="seconds" timeUnit="beats" id="id28">
                  <Audio algorithm="stretch" channels="1" duration="4.0" sampleRate="48000" id="id27">
                    <File path="audio/Loop.wav"/>
                  </Audio>
                  <Warp time="0.0" contentTime="0.0"/><Warp time="8.0" contentTime="4.0"/>
                </Warps>
              </Clip>
            </Clips>
          </Clip>
        </Clips>
      </Lanes>
      <Lanes track="id40" id="id45"><Clips id="id46">
        <Clip time="0" duration="8"><Warps contentTimeUnit="seconds" timeUnit="beats" id="id47">
          <Audio channels="1" duration="4.0" sampleRate="48000" id="id48"><File path="audio/Loop.wav"/></Audio>
          <Warp time="0.0" contentTime="0.0"/><Warp time="8.0" contentTime="2.823541666666667"/></Warps></Clip>
      </Clips></Lanes>
      <Lanes track="id42" id="id49"><Clips id="id50"><Clip time="0" duration="4"><Notes id="id51">
        <Note time="0" duration="1" channel="0" key="99"/></Notes></Clip></Clips></Lanes>
      <Lanes track="id14" id="id29"><Clips id="id30"/></Lanes>
    </Lanes>
    <Markers id="id52"><Marker time="0.0" name="Intro"/><Marker time="8.0" name="Verse"/>
      <Marker time="16.0" name="Drop"/><Marker time="0" name="key=F#m"/></Markers>
    <TempoAutomation unit="bpm" id="id60"><Target parameter="id0"/>
      <RealPoint time="0" value="120" interpolation="hold"/>
      <RealPoint time="24" value="120" interpolation="linear"/>
      <RealPoint time="32" value="60" interpolation="hold"/></TempoAutomation>
    <TimeSignatureAutomation id="id61"><Target parameter="id1"/>
      <TimeSignaturePoint time="0" numerator="4" denominator="4"/>
      <TimeSignaturePoint time="16" numerator="7" denominator="8"/></TimeSignatureAutomation>
  </Arrangement>
  <Scenes/>
</Project>
"""
"""As Bitwig Studio exports: clips within clips, warped audio, a loop that begins in its middle, a muted track."""

CUBASE = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Project version="1.0">
  <Application name="Cubase" version="14.0"/>
  <Transport><TimeSignature denominator="4" numerator="3" id="sig"/></Transport>
  <Structure>
    <Channel role="master" id="master"/>
    <Track contentType="tracks" id="group" name="Group"><Channel role="submix" id="bus"/>
      <Track contentType="audio" id="t1" name="Gitarre &amp; Amp"><Channel role="regular" id="c1"/></Track>
      <Track contentType="audio" id="t2" name="Off"><Channel role="regular" id="c2"/></Track>
    </Track>
    <Track contentType="notes" id="t3" name="Pad"><Channel role="regular" id="c3"/></Track>
  </Structure>
  <Arrangement id="arr">
    <Lanes timeUnit="seconds" id="l0">
      <Lanes track="t1" id="l1"><Clips id="k1">
        <Clip time="1.5" duration="3" playStart="0.25" contentTimeUnit="seconds" fadeInTime="-0.1" name="Riff">
          <Audio channels="1" duration="10" sampleRate="44100" id="a1"><File path="./audio/riff.wav" external="false"/>
          </Audio></Clip>
        <Clip time="5" reference="a1" duration="2"/>
        <Clip time="20" duration="1" enable="false">
          <Audio channels="1" duration="10" sampleRate="44100" id="a3"><File path="audio/riff.wav"/></Audio></Clip>
      </Clips></Lanes>
      <Lanes track="t2" id="l2"><Clips id="k2"><Clip time="0" duration="2">
        <Audio channels="2" duration="2" sampleRate="48000" id="a4"><File path="/nowhere/ext.wav" external="true"/>
        </Audio></Clip></Clips></Lanes>
      <Lanes track="t3" id="l3"><Clips id="k3"><Clip time="2" duration="4" contentTimeUnit="beats"><Notes id="n1">
        <Note time="0" duration="1" channel="0" key="60" vel="0.5"/>
        <Note time="2" duration="1" channel="0" key="64" vel="0.5"/></Notes></Clip></Clips></Lanes>
    </Lanes>
    <TempoAutomation timeUnit="seconds" id="tempo">
      <RealPoint time="0" value="120" interpolation="linear"/>
      <RealPoint time="4" value="60" interpolation="hold"/>
    </TempoAutomation>
    <TimeSignatureAutomation id="tsa"><Target parameter="sig"/>
      <TimeSignaturePoint time="6" numerator="4" denominator="4"/></TimeSignatureAutomation>
  </Arrangement>
</Project>
"""
"""As Cubase exports: everything in seconds, a ramp over time, no tempo in the transport, references, groups."""

STUDIO_ONE = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Project version="1.0">
  <Application name="Studio One" version="6.5"/>
  <Transport><Tempo max="500" min="20" unit="bpm" value="100" id="id0"/>
    <TimeSignature denominator="4" numerator="4" id="id1"/></Transport>
  <Structure><Track contentType="notes" loaded="true" id="id2" name="Pad"><Channel role="regular" id="id3"/></Track>
    <Track contentType="notes" id="id4" name="Kit"><Channel role="regular" id="id5"/></Track></Structure>
  <Arrangement id="id6">
    <Lanes timeUnit="beats" id="id7">
      <Markers id="id8"><Marker time="0" name="Verse"/><Marker time="32" name="Chorus"/><Marker time="64" name="End"/>
      </Markers>
      <Lanes track="id2" id="id9"><Clips id="id10">
        <Clip time="0.0" duration="16.0" contentTimeUnit="seconds" name="pad"><Notes id="id11">
          <Note key="60" time="0.6" duration="0.6" vel="0.8" channel="0"/></Notes></Clip></Clips></Lanes>
      <Lanes track="id4" id="id12"><Clips id="id13"><Clip time="0" duration="4"><Notes id="id14">
          <Note key="36" time="0" duration="0.5" vel="1" channel="9"/></Notes></Clip></Clips></Lanes>
    </Lanes>
  </Arrangement>
</Project>
"""
"""As Studio One exports: notes in seconds, markers among the lanes, and one that ends the song."""

REAPER = """<REAPER_PROJECT 0.1 "7.22/linux-x86_64" 1731940532
  <NOTES 0 2
    |<TRACK in a note is no track
    |>
  >
  RIPPLE 0
  PROJOFFS -4.5 -2 0
  SAMPLERATE 44100 1 0
  <RENDER_CFG
    ZXZhdxgAAA==
  >
  TEMPO 120 4 4 0
  <TEMPOENVEX
    EGUID {A1}
    ACT 1 -1
    VIS 1 0 1
    PT 0.000000000000 120.0000000000 1 262148 0 1 0 "" 0 1920 0
    PT 4.000000000000 120.0000000000 0
    PT 8.000000000000 60.0000000000 1 524295 0 5
  >
  MARKER 1 0 "Intro" 1 0 1 R {B1} 0
  MARKER 1 2 "" 1
  MARKER 2 2 `Verse "two"` 1 0 1 R {B2} 0
  MARKER 2 8 "" 1
  MARKER 3 0 "Whole song" 1 0 1 R {B3} 0
  MARKER 3 10 "" 1
  MARKER 4 0 "key=D dorian" 8
  <PROJBAY
  >
  <TRACK {T1}
    NAME Keys
    MUTESOLO 0 0 0
    <FXCHAIN
      <VST "VSTi: Synth" synth.so 0 "" 1234<5653 ""
        ZXhhbXBsZQ==
      >
      <JS "some js" ""
        1 2 3
      >
    >
    <ITEM
      POSITION 2
      SNAPOFFS 0
      LENGTH 2
      LOOP 1
      MUTE 0 0
      NAME "idea"
      SOFFS 0
      PLAYRATE 1 1 0 -1 0 0.0025
      <SOURCE MIDI
        HASDATA 1 960 QN
        CCINTERP 32
        POOLEDEVTS {POOL}
        E 0 90 3c 60
        <X 0 0
          /w9LU0lHIHJvb3Q=
        >
        e 480 80 3c 00
        Em 0 90 50 60
        Em 240 80 50 00
        E 0 b0 40 7f
        E 240 90 40 40
        E 240 80 40 00
        E 240 b0 40 00
        E 480 b0 7b 00
        GUID {S1}
        IGNTEMPO 0 120 4 4
      >
    >
    <ITEM
      POSITION 4
      LENGTH 0.6
      LOOP 0
      <SOURCE MIDIPOOL
        POOLEDEVTS {POOL}
      >
    >
  >
  <TRACK {T2}
    NAME "Gtr Größe"
    <ITEM
      POSITION 1
      LENGTH 2
      LOOP 0
      SOFFS 0.5
      PLAYRATE 1 1 0 -1 0 0.0025
      <SOURCE SECTION
        LENGTH 4
        MODE 1
        STARTPOS 1
        OVERLAP 0.01
        <SOURCE WAVE
          FILE "Media\\gtr.wav"
        >
      >
      TAKE SEL
      NAME "take 2"
      SOFFS 0.25
      PLAYRATE 1 1 0 -1 0 0.0025
      <SOURCE WAVE
        FILE "Media/gtr2.wav" 1
      >
    >
    <ITEM
      POSITION 4
      LENGTH 1
      LOOP 0
      PLAYRATE 1.5 1 0 -1 0 0.0025
      <SOURCE WAVE
        FILE "Media/gtr.wav"
      >
    >
  >
  <TRACK {T3}
    NAME "Loop"
    <ITEM
      POSITION 0
      LENGTH 2.5
      LOOP 1
      <SOURCE WAVE
        FILE "Media/loop.wav"
      >
    >
  >
  <TRACK {T4}
    NAME "Silenced"
    MUTESOLO 1 0 0
    <ITEM
      POSITION 0
      LENGTH 1
      <SOURCE WAVE
        FILE "gone.wav"
      >
    >
  >
>
"""
"""As REAPER 7 saves: plug-ins, a display offset, ramp, pooled MIDI, takes, a section, quotes, a region around all."""
