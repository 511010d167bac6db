"""A fake REAPER in a Lua interpreter of its own, driven from a test: what the user does, ticks, and what is left."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.patience import PATIENCE

HERE = Path(__file__).parent
FAKE = HERE / "fake"
SIGNATURES = HERE / "signatures.tsv"
SCRIPTS = HERE.parents[2] / "daw_scripts" / "reaper"


HEAD = """
local p = reaper.EnumProjects(-1)
local tr = reaper.GetTrack(p, 0)
local item = reaper.GetTrackMediaItem(tr, 0)
local take = reaper.GetActiveTake(item)
local midi = reaper.GetActiveTake(reaper.GetTrackMediaItem(reaper.GetTrack(p, 1), 0))
"""
"""What a test's script calls the objects of the small project of `conftest.py`."""


def lua(value: Any) -> str:
    """A Lua expression of a plain Python value."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str | Path):
        return '"' + "".join(f"\\{byte:03d}" for byte in str(value).encode()) + '"'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"[{lua(key)}] = {lua(item)}" for key, item in value.items()) + "}"
    return "{" + ", ".join(lua(item) for item in value) + "}"


class LuaError(Exception):
    """A command failed; the text is Lua's traceback."""


class Reaper:
    """One running (fake) REAPER. `home`: its resource path, kept between restarts, as are saved projects."""

    def __init__(
        self,
        interpreter: str,
        version: str,
        home: Path,
        env: Mapping[str, str] | None = None,
        *,
        system: str = "Other",
        device_rate: float = 48_000.0,
        boots: int = 1,
        imgui: bool = False,
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        config = {
            "version": version,
            "os": system,
            "home": str(home),
            "list": str(SIGNATURES),
            "env": {"HOME": str(home), **(env or {})},
            "device_rate": device_rate,
            "boots": boots,
            "imgui": imgui,
        }
        self.process = subprocess.Popen(
            [interpreter, str(FAKE / "main.lua"), lua(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def __enter__(self) -> Reaper:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the program at once, as a crash or `kill -9` would."""
        self.process.kill()
        self.process.communicate()

    def do(self, text: str, /, **values: Any) -> Any:
        """Runs Lua text with `values` as locals; its result as plain Python values. Raises LuaError."""
        head = "".join(f"local {name} = {lua(value)} " for name, value in values.items())
        raw = (head + text).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"%d\n" % len(raw) + raw)
        self.process.stdin.flush()
        kind, size = self._line().split()
        answer = self._read(int(size)).decode(errors="replace")
        if kind != "ok":
            raise LuaError(answer)
        return json.loads(answer)

    def _read(self, count: int) -> bytes:
        assert self.process.stdout is not None
        handle, data = self.process.stdout.fileno(), b""
        while len(data) < count:
            ready, _, _ = select.select([handle], [], [], PATIENCE)
            more = os.read(handle, count - len(data)) if ready else b""
            if not more:
                self.process.kill()
                said = self.process.communicate()[1].decode(errors="replace")
                raise LuaError(f"the interpreter ended or hangs: {said}")
            data += more
        return data

    def _line(self) -> str:
        line = b""
        while not line.endswith(b"\n"):
            line += self._read(1)
        return line.decode()

    def run(self, script: str) -> None:
        """The user starts an action of daw_scripts/reaper. Raises LuaError with what crashed."""
        self.do("fake.run(path)", path=SCRIPTS / script)
        self.check_crashes()

    def eval(self, text: str, /) -> Any:
        """What a script of this text returns, run as an action that asks for no undo point. Raises LuaError."""
        wrapped = f"reaper.defer(function() end) {text}"
        ok = self.do(
            "local ok, found = fake.run('test.lua', text) keep.found = found "
            "if not ok then return table.remove(fake.crashes) end fake.tick()",
            text=wrapped,
        )
        if ok is not None:
            raise LuaError(ok)
        return self.do("return keep.found")

    def check_crashes(self) -> None:
        crashes = self.do("return fake.crashes")
        if crashes:
            raise LuaError("\n".join(crashes))

    def tick(self, count: int = 1) -> None:
        """Turns of REAPER's main loop. Raises LuaError with what crashed."""
        self.do("for _ = 1, count do fake.tick() end", count=count)
        self.check_crashes()

    def until(self, condition: str | Callable[[], Any], what: str = "") -> Any:
        """Ticks until the Lua expression (or the Python function) is true; gives its value. Raises TimeoutError."""
        end = time.monotonic() + PATIENCE
        while True:
            self.tick()
            found = condition() if callable(condition) else self.do(f"return {condition}")
            if found:
                return found
            if time.monotonic() > end:
                raise TimeoutError(f"{what or condition}: not within {PATIENCE:g} s. {self.said()}")
            time.sleep(0.004)

    def said(self) -> str:
        """What the script has said so far, for the message of a failed test."""
        return str(self.do("return { console = fake.console, refusals = fake.refusals, running = fake.running() }"))

    def dump(self, project: str = "model.current") -> str:
        """The project as .RPP text."""
        return str(self.do(f"return fake.dump({project})"))

    def check(self, *, notes: bool = True) -> None:
        """Raises AssertionError for all that REAPER would have refused, and (`notes`) for bad manners and leaks."""
        found = self.do(
            "local sources, accessors = fake.leaks() "
            "return { refusals = fake.refusals, notes = fake.notes, crashes = fake.crashes, "
            "sources = sources, accessors = accessors, expected = fake.expected() }"
        )
        assert not found["refusals"], found["refusals"]
        assert not found["crashes"], found["crashes"]
        if notes:
            assert not found["notes"], found["notes"]
            assert (found["sources"], found["accessors"]) == (0, 0), "sources or accessors that nobody gave back"
            assert found["expected"] == 0, "a dialog that the test expected did not come"
