"""A real Ardour under Xvfb with its own configuration, driven by Lua text that a test-only hook runs inside it."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from tests.patience import PATIENCE

HERE = Path(__file__).parent
TIMER_DS_BIT = 47  # LuaSignal.LuaTimerDS in Ardour 7.3; `check_timer_bit` proves it in the running program
HOOK_BITS = "1" + "0" * TIMER_DS_BIT
NEEDED = ("ardour", "ardour7-lua", "ardour7-export", "Xvfb", "setpriv")
TETHER = ("setpriv", "--pdeathsig", "KILL")
"""Put before a command: it dies with the test run, even when that is killed."""

CONFIG = """<?xml version="1.0" encoding="UTF-8"?>
<Ardour>
  <Config>
    <Option name="try-autostart-engine" value="1"/>
    <Option name="hide-dummy-backend" value="0"/>
    <Option name="copy-demo-sessions" value="0"/>
    <Option name="plugin-scan-timeout" value="0"/>
    <Option name="discover-vst-on-start" value="0"/>
    <Option name="use-lxvst" value="0"/>
    <Option name="auto-analyse-audio" value="0"/>
  </Config>
  <Extra>
    <AudioMIDISetup>
      <EngineStates>
        <State backend="None (Dummy)" driver="Normal Speed" device="Silence" input-device="Silence" \
output-device="Silence" sample-rate="RATE" buffer-size="1024" n-periods="0" input-latency="0" output-latency="0" \
lm-input="" lm-output="" active="1" use-buffered-io="0" midi-option="1 in, 1 out, Silence" lru="1"><MIDIDevices/>
        </State>
      </EngineStates>
    </AudioMIDISetup>
  </Extra>
</Ardour>
"""


def missing() -> list[str]:
    """Programs of Debian's `ardour`, `xvfb` and `util-linux` packages that are not installed."""
    return [name for name in NEEDED if shutil.which(name) is None]


def lua_quote(text: str) -> str:
    """A Lua string literal."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def wait_until(what: str, ready: Any, every: float = 0.05) -> Any:
    """Calls `ready` until it returns something true, which is returned. Raises TimeoutError naming `what`."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := ready():
            return found
        time.sleep(every)
    raise TimeoutError(f"{what}: not within {PATIENCE:g} s")


@dataclass(frozen=True)
class Action:
    """An installed action or hook: its name in Ardour and the script's file."""

    name: str
    script: Path


def as_installed(script: Path) -> str:
    """Lua text that makes of a script what Ardour makes of it: `factory` alone, as byte code without upvalues."""
    return (
        "local here = setmetatable({ardour = function() end}, {__index = _ENV}) "
        f"assert(loadfile({lua_quote(str(script))}, 't', here))() "
        "return assert(load(string.dump(here.factory, true), nil, 'b', _ENV))(...)"
    )


def ui_scripts(actions: Sequence[Action], hooks: Sequence[Action], plain_hooks: Mapping[str, str]) -> str:
    """The file in which Ardour keeps the scripts that a user has chosen in its script manager."""

    def b64(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    def origin(script: Path) -> str:
        return f'{{["x-script-origin"] = {lua_quote(str(script))}}}'

    scripts = "scripts = {} " + " ".join(
        f'scripts[{i}] = {{}} scripts[{i}]["n"] = {lua_quote(a.name)} scripts[{i}]["s"] = "--" '
        f'scripts[{i}]["f"] = {lua_quote(as_installed(a.script))} scripts[{i}]["a"] = {origin(a.script)}'
        for i, a in enumerate(actions, start=1)
    )
    callbacks = [(h.name, WINDOWS + as_installed(h.script), origin(h.script)) for h in hooks]
    callbacks += [(name, text, "{}") for name, text in plain_hooks.items()]
    xml = "".join(
        f'<LuaCallback lua="Lua 5.3" id="{9000 + i}" name="{name}" signals="{HOOK_BITS}">'
        + b64(f's = {{}} s["n"] = {lua_quote(name)} s["s"] = "--" s["f"] = {lua_quote(text)} s["a"] = {args} ')
        + "</LuaCallback>"
        for i, (name, text, args) in enumerate(callbacks)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<UIScripts>\n'
        f'  <ActionScript lua="Lua 5.3">{b64(scripts)}</ActionScript>\n'
        f"  <ActionHooks>{xml}</ActionHooks>\n</UIScripts>\n"
    )


WINDOWS = """
    local plain = LuaDialog
    LuaDialog = setmetatable({ Message = function(_, text)
      return { run = function()
        local file = assert(io.open(os.getenv("ARDOUR_REMOTE") .. "/shown", "ab"))
        file:write(text, "\\0")
        file:close()
      end }
    end }, { __index = plain })
"""
"""Put before a hook: its windows, which nobody could close, are written to a file instead."""


@dataclass
class Home:
    """A folder that stands in for the user's: configuration, cache, data and home, so that nothing real is touched.
    `rate`: Hz at which the audio engine runs."""

    root: Path
    extra: Mapping[str, str]
    rate: int = 48_000

    @property
    def config(self) -> Path:
        return self.root / "config" / "ardour7"

    @property
    def remote(self) -> Path:
        return self.root / "remote"

    def env(self) -> dict[str, str]:
        names = {
            "XDG_CONFIG_HOME": "config",
            "XDG_CACHE_HOME": "cache",
            "XDG_DATA_HOME": "data",
            "XDG_RUNTIME_DIR": "run",
        }
        folders = {name: str(self.root / folder) for name, folder in names.items()}
        kept = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "PYTHONPATH")}
        return {
            **kept,
            **folders,
            "HOME": str(self.root),
            "LC_ALL": "C.UTF-8",
            "ARDOUR_TRY_AUTOSTART_ENGINE": "1",
            "ARDOUR_REMOTE": str(self.remote),
            **self.extra,
        }

    def prepare(self, actions: Sequence[Action] = (), hooks: Sequence[Action] = ()) -> None:
        for folder in ("config/ardour7", "cache", "data", "run", "remote"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        (self.root / "run").chmod(0o700)
        (self.config / ".a7").touch()  # "has been here before": no first-run assistant
        (self.config / "config").write_text(CONFIG.replace("RATE", str(self.rate)))
        remote = (
            f"local f = assert(io.open({lua_quote(str(HERE / 'remote.lua'))}, 'rb')) local s = f:read('a') f:close() "
        )
        plain = {"remote": remote + "return assert(load(s, '@remote.lua'))()"}
        (self.config / "ui_scripts").write_text(ui_scripts(actions, hooks, plain))


def end_group(process: subprocess.Popen[Any]) -> None:
    """Ends a process and all it started (they share its process group)."""
    for sign, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return


def run_program(command: Sequence[str], env: Mapping[str, str]) -> tuple[int, str]:
    """Runs a program with all it starts to its end; its exit code and what it said. Raises TimeoutError."""
    process = subprocess.Popen(
        [*TETHER, *command],
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"{command[0]}: not within {PATIENCE:g} s") from None
    finally:
        end_group(process)
    return process.returncode, said


def run_headless(home: Home, script: Path, **env: str) -> str:
    """Runs a script in Ardour's session without a window (`ardour7-lua`) and returns what it printed."""
    code, said = run_program(["ardour7-lua", str(script)], home.env() | env)
    if code:
        raise RuntimeError(f"{script.name} failed ({code}):\n{said}")
    return said


class Ardour:
    """A running Ardour with a session open."""

    def __init__(self, home: Home, process: subprocess.Popen[Any], log: Path) -> None:
        self.home, self.process, self.log = home, process, log
        self.turn = 0

    def run(self, text: str) -> str:
        """Runs Lua text in Ardour's GUI thread; returns what it returns as text. Raises RuntimeError with its error."""
        self.turn += 1
        path = self.home.remote / f"{self.turn}.lua"
        path.with_suffix(".part").write_text(text)
        path.with_suffix(".part").rename(path)

        def answer() -> Path | None:
            self.check()
            return next((p for s in (".ok", ".error") if (p := path.with_suffix(s)).exists()), None)

        found: Path = wait_until(f"Ardour's answer to {text[:60]!r}", answer)
        if found.suffix == ".error":
            raise RuntimeError(found.read_text())
        return found.read_text()

    @property
    def shown(self) -> list[str]:
        """The texts of the windows that hooks have opened."""
        path = self.home.remote / "shown"
        return path.read_text().split("\0")[:-1] if path.exists() else []

    def check(self) -> None:
        """Raises RuntimeError with the last lines of its log when Ardour has ended."""
        if self.process.poll() is not None:
            last = "\n".join(self.log.read_text(errors="replace").splitlines()[-25:])
            raise RuntimeError(f"Ardour ended ({self.process.returncode}):\n{last}")


@contextlib.contextmanager
def ardour(home: Home, session: Path) -> Iterator[Ardour]:
    """Opens the session file in Ardour on a display of its own; ends everything on the way out."""
    log = home.root / "ardour.log"
    read, write = os.pipe()
    with contextlib.ExitStack() as stack:
        screen = subprocess.Popen(
            [*TETHER, "Xvfb", "-displayfd", str(write), "-screen", "0", "1280x800x24", "-nolisten", "tcp"],
            pass_fds=[write],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        stack.callback(end_group, screen)
        os.close(write)
        with os.fdopen(read) as pipe:
            number = pipe.readline().strip()
        if not number:
            raise RuntimeError("Xvfb did not start")
        for old in home.remote.iterdir():
            old.unlink()
        out = stack.enter_context(log.open("wb"))
        process = subprocess.Popen(
            [*TETHER, "ardour", "-n", "-a", "--no-hw-optimizations", str(session)],
            env=home.env() | {"DISPLAY": f":{number}"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        stack.callback(end_group, process)
        daw = Ardour(home, process, log)
        bit = daw.run("return LuaSignal.LuaTimerDS")
        if int(bit) != TIMER_DS_BIT:
            raise RuntimeError(f"LuaTimerDS is bit {bit} in this Ardour, not {TIMER_DS_BIT}")
        yield daw


SAME = 1e-6
"""Two renderings of one session are not equal to the last bit; nearer than this they say the same."""


def export_mix(home: Home, folder: Path, name: str, out: Path, samples: int, tries: int = 6) -> None:
    """Renders the session's range to a float WAV, until two renderings say the same.

    Ardour 7.3's tool may abort in its teardown when the file is complete, so what counts is the file: `samples` frames.
    And once, on a machine with three times as much work as cores, a rendering differed from the tracks that it was made
    of, and never again: a tool that stumbled must not be taken for a sound that lies wrong.
    """
    problems = []
    earlier = None
    for _ in range(tries):
        out.unlink(missing_ok=True)
        try:
            code, said = run_program(["ardour7-export", "-o", str(out), "-b", "float", str(folder), name], home.env())
            problems.append(f"exit {code}: {said[-300:]}")
        except TimeoutError as error:
            problems.append(str(error))
        if out.exists():
            audio, _ = soundfile.read(out, dtype="float32")
            if len(audio) < samples:
                problems.append(f"{len(audio)} of {samples} frames")
                continue
            if earlier is not None and np.abs(audio[:samples] - earlier[:samples]).max() < SAME:
                return
            problems.append(f"peak {np.abs(audio).max():.6f}")
            earlier = audio
    raise RuntimeError("ardour7-export: " + "; ".join(problems))
