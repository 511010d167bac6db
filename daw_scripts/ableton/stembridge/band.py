"""The course of a job: a wish becomes a request, the engine's events become clips.

One job at a time. `step` does a little of what is under way; a take lands as a whole, in one tick and one undo step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import VERSION, asking, memory, request
from .engine import Engine, text2object
from .osc import Message, OscError
from .placing import Landing, Placer, event2landing
from .speaker import Speaker
from .trouble import Trouble
from .wishes import Wish

if TYPE_CHECKING:
    from Live.Song import Song


FINISHED = {"/done", "/failed", "/cancelled"}


class Band:
    """Works for one set (`song`). `settings` are those of all sets; the set's own are laid over them."""

    def __init__(self, song: Song, engine: Engine, speaker: Speaker, settings: dict[str, Any], note_class: Any) -> None:
        self._song = song
        self._engine = engine
        self._speaker = speaker
        self._settings = settings
        self._note_class = note_class
        self._steps: asking.Steps | None = None
        self._request: dict[str, Any] = {}
        self._stems: list[dict[str, Any]] = []
        self._landings: list[Landing] = []
        self._manifests = 0
        self._warnings: list[str] = []
        self._ended = False
        self._sent = False
        self._told_to_wait = False
        self.memory = memory.load(song)
        self._resume()

    @property
    def settings(self) -> dict[str, Any]:
        """The user's settings with this set's own laid over them."""
        return dict(self._settings, **self.memory.settings)

    @property
    def busy(self) -> bool:
        """Whether a job is being asked for or is under way."""
        return self._steps is not None or self.memory.running is not None

    # From the user

    def ask(self, wish: Wish) -> None:
        """Begins what is wished for. Raises `Trouble` where that cannot be."""
        if wish.verb == "cancel":
            self._cancel()
            return
        if self.busy:
            raise Trouble("The band is still playing. Wait until it is done, or cancel.")
        if self._engine.state != "open":
            raise Trouble(self._engine.why or "The engine is just being connected. Ask again in a moment.")
        self._steps = asking.ask(self._song, wish, self.memory, self.settings)
        self._speaker.say("Reading the set ...")

    def choose(self, name: str, value: Any) -> None:
        """Keeps a setting with the set."""
        self._remember(self.memory._replace(settings=dict(self.memory.settings, **{name: value})))

    # From Live, ten times a second

    def step(self) -> bool:
        """One bounded piece of work. False where there was none, or it has to wait for a later tick."""
        try:
            return self._step()
        except Exception:
            self._steps = None
            self._give_up()
            raise

    def _step(self) -> bool:
        if self._steps is not None:
            return self._read_on()
        if self._ended and len(self._landings) < len(self._stems):
            self._prepare()
            return True
        if self._ended and not self._waits_for_recording():
            self._land()
        return False

    def _waits_for_recording(self) -> bool:
        """New tracks while the musician records would be in the way: the take waits."""
        recording = bool(self._song.record_mode and self._song.is_playing)
        if recording and not self._told_to_wait:
            self._speaker.say("The take is ready; it lands when you have stopped recording.")
        self._told_to_wait = recording
        return recording

    def heard(self, message: Message) -> None:
        """Takes one event from the engine. Raises `OscError` for one that is not understood."""
        name, values = message.address, message.values
        running = self.memory.running
        if name == "/here":
            self._welcome(str(values[0]))
        elif name == "/lost":
            self._sent = False
            waits = " The job goes on when the engine is there again; cancel gives it up." if running else ""
            self._speaker.warn(str(values[0]) + waits)
        elif name == "/error" and len(values) == 4:
            self._speaker.warn(f"The engine: {values[2]} {values[3]}")
            if running is not None and str(values[0]).startswith("/stembridge/v1/request"):
                self._give_up()
        elif running is not None and values and values[0] in (running.job, ""):
            self._event(name, values)

    def close(self) -> None:
        """The set is closed. A job under way is remembered by the set, if it was saved, and goes on in the engine."""
        self._steps = None

    # Asking

    def _read_on(self) -> bool:
        assert self._steps is not None
        try:
            next(self._steps)
            return True
        except StopIteration as stop:
            asked = stop.value
        except Trouble as trouble:
            self._steps = None
            self._speaker.warn(str(trouble))
            return False
        except RuntimeError as error:
            self._steps = None
            self._speaker.warn(f"The set was changed while it was read ({error}). Ask again.")
            return False
        self._steps = None
        self._request = asked.request
        self._begin(memory.Running(asked.request["job"], asked.verb, asked.path, asked.stems))
        for text in asked.told:
            self._speaker.say(text)
        self._speaker.say(asked.summary)
        return False

    def _begin(self, running: memory.Running) -> None:
        self._stems, self._landings, self._ended, self._sent = [], [], False, False
        self._remember(self.memory._replace(running=running))
        self._send()

    def _send(self) -> None:
        """Sends the request, or sends it again: the engine knows a job by its id, and answers with how it stands."""
        running = self.memory.running
        if running is None or self._sent or self._ended or self._engine.state != "open":
            return
        self._stems, self._landings = [], []
        try:
            request.send(self._engine, self._request, running.request)
            self._sent = True
        except OscError as error:
            self._speaker.warn(f"The request could not be sent: {error}.")
            self._give_up()

    def _resume(self) -> None:
        """Goes on with the job that the set was saved or reloaded with."""
        running = self.memory.running
        if running is None:
            return
        try:
            self._request = request.load(running.request, asking.root_of(self._song))
            self._speaker.say("Going on with the job that this set was waiting for.")
        except Trouble as trouble:
            self._speaker.warn(str(trouble))
            self._give_up()

    def _welcome(self, version: str) -> None:
        if version == VERSION:
            self._speaker.say(f"The engine is there (version {version}).")
        else:
            self._speaker.warn(
                f"The engine has version {version}, this script {VERSION}. They understand each other; to update the "
                "script: stembridge install ableton, then restart Live."
            )
        self._send()

    def _cancel(self) -> None:
        running = self.memory.running
        if self._steps is not None:
            self._steps = None
            self._speaker.say("Cancelled.")
        elif running is None:
            self._speaker.say("Nothing is under way.")
        elif self._engine.state == "open" and self._sent and not self._ended:
            self._engine.send("/cancel", "s", [running.job])
            self._speaker.say("Cancelling ...")
        else:
            self._give_up()
            self._speaker.say("Given up. The engine may still finish it; nothing is placed.")

    # Events of the running job

    def _event(self, name: str, values: list[Any]) -> None:
        if name == "/accepted" and len(values) == 3:
            place = "it is next" if values[1] <= 0 else f"{values[1]} before it"
            self._speaker.say(f"The engine has the job; {place}.")
        elif name == "/progress" and len(values) == 4:
            self._speaker.progress(progress2text(str(values[1]), float(values[2]), float(values[3])))
        elif name == "/note" and len(values) == 2:
            self._speaker.say(str(values[1]))
        elif name == "/stem" and len(values) == 2:
            self._stem(text2object(values[1]))
        elif name == "/done" and len(values) == 2:
            self._done(text2object(values[1]))
        elif name == "/failed" and len(values) == 4:
            self._give_up()
            self._speaker.warn(" ".join(str(value) for value in values[2:] if value))
        elif name == "/cancelled":
            self._give_up()
            self._speaker.say("Cancelled. Nothing was placed.")

    def _stem(self, event: dict[str, Any]) -> None:
        running = self.memory.running
        wanted = running.stems if running else []
        key = (event.get("take"), event.get("stem"))
        self._stems = [other for other in self._stems if (other.get("take"), other.get("stem")) != key]
        if not wanted or event.get("stem") in wanted:
            self._stems.append(event)
            self._speaker.say("{} is ready.".format(event.get("stem")))

    def _done(self, event: dict[str, Any]) -> None:
        manifests = event.get("manifests")
        self._manifests = len(manifests) if isinstance(manifests, list) else 1
        warnings = event.get("warnings")
        self._warnings = [str(warning) for warning in warnings] if isinstance(warnings, list) else []
        self._ended, self._landings = True, []
        if not self._stems:
            self._give_up()
            self._speaker.warn(" ".join(["The engine is done, but announced no stem.", *self._warnings]))

    # Landing

    def _prepare(self) -> None:
        """Reads one stem's notes."""
        event = self._stems[len(self._landings)]
        arrangement = self._request["arrangement"]
        try:
            self._landings.append(event2landing(event, arrangement["clock"], request.request2end(self._request)))
        except Trouble as trouble:
            self._stems.remove(event)
            self._speaker.warn(str(trouble))

    def _land(self) -> None:
        """Everything at once, so that one undo takes it away."""
        running = self.memory.running
        assert running is not None
        placer = Placer(self._song, self._note_class)
        put_back = placer.keep_selection()
        self._song.begin_undo_step()
        try:
            asking.land(placer, self._song, running, self._landings, self.settings)
            take = asking.taken(running, self._request, self._manifests)
            self._remember(self.memory._replace(takes=self.memory.with_take(take), running=None))
        finally:
            self._ended = False
            try:
                put_back()
            finally:
                self._song.end_undo_step()
        names = ", ".join(dict.fromkeys(landing.name for landing in self._landings)) or "nothing"
        self._speaker.say(f"Done: {names}. Undo takes all of it away.")
        if placer.places:
            self._speaker.say("Placed on: {}.".format(", ".join(placer.places)))
        for problem in [*self._warnings, *placer.problems]:
            self._speaker.warn(problem)

    def _give_up(self) -> None:
        self._ended, self._sent, self._stems, self._landings = False, False, [], []
        self._remember(self.memory._replace(running=None))

    def _remember(self, changed: memory.Memory) -> None:
        self.memory = changed
        memory.save(self._song, changed)


def progress2text(stage: str, fraction: float, eta: float) -> str:
    """ "render, 45 %, about 12 s" """
    rest = "" if eta < 0 else f", about {round(eta)} s"
    return f"{stage}, {round(100 * min(max(fraction, 0.0), 1.0))} %{rest}"
