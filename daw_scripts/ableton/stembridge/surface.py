"""Live's side: what Live calls on a control surface, and the tick that drives everything.

Live calls `update_display` about every 100 ms, always on its main thread; all work happens there. The methods are the
minimum that Live asks of a script that is no hardware.
"""

from __future__ import annotations

import os
import time
import traceback
from typing import Any, Callable, Sequence

from . import asking, settings
from .band import Band
from .engine import Engine, endpoint_folders
from .osc import Message, OscError
from .remote import Remote
from .speaker import Speaker
from .trouble import Trouble
from .wishes import VERBS, Wish, midi2verb, text2wish, triggers, words2wish

BUDGET = 0.015
"""Seconds of work in one tick; a single step may go over it, no second one is begun."""


class Surface:
    """What `create_instance` gives to Live. `clock`: seconds, for the tests."""

    def __init__(self, c_instance: Any, clock: Callable[[], float] = time.monotonic) -> None:
        import Live

        self._c_instance = c_instance
        self._clock = clock
        self._live = Live
        chosen, wrong = settings.load(os.path.dirname(os.path.abspath(__file__)))
        self._triggers = triggers(chosen)
        self._remote = Remote(chosen["osc_host"], chosen["osc_port"])
        self._speaker = Speaker(c_instance, lambda text: self._remote.tell("/message", "s", [text]))
        self._engine = Engine(endpoint_folders(chosen["runtime"]))
        self._band = Band(c_instance.song(), self._engine, self._speaker, chosen, Live.Clip.MidiNoteSpecification)
        self._verbs: list[str] = []
        self._clip: Any = None
        self._clip_name = ""
        self._missed = ""
        self._fault = ""
        for text in wrong + ([self._remote.why] if self._remote.why else []):
            self._speaker.warn(text)
        if self._remote.port and chosen["osc_host"] not in ("127.0.0.1", "localhost"):
            self._speaker.warn("OSC port {} is open to the network.".format(chosen["osc_port"]))

    # What Live calls

    def update_display(self) -> None:
        """The tick."""
        try:
            self._tick()
        except Exception:
            fault = traceback.format_exc()
            if fault != self._fault:
                self._c_instance.log_message("stembridge: " + fault)
                self._speaker.warn("Something went wrong in the script; Live's Log.txt says what.")
            self._fault = fault

    def disconnect(self) -> None:
        """The set is closed, or another control surface is chosen."""
        self._band.close()
        self._engine.close()
        self._remote.close()

    def build_midi_map(self, midi_map_handle: Any) -> None:
        """Asks Live for the notes and controllers of the settings."""
        for trigger in self._triggers:
            forward = (
                self._live.MidiMap.forward_midi_cc if trigger.kind == "cc" else self._live.MidiMap.forward_midi_note
            )
            forward(self._c_instance.handle(), midi_map_handle, trigger.channel, trigger.number)

    def receive_midi(self, midi_bytes: Sequence[int]) -> None:
        """One MIDI message; what it asks for happens at the next tick."""
        verb = midi2verb(midi_bytes, self._triggers)
        if verb is not None:
            self._verbs.append(verb)

    def receive_midi_chunk(self, midi_chunk: Sequence[Sequence[int]]) -> None:
        """Several at once, as Live 11 and later send them."""
        for midi_bytes in midi_chunk:
            self.receive_midi(midi_bytes)

    def connect_script_instances(self, instanciated_scripts: Any) -> None:
        """Nothing to do with other scripts."""

    def refresh_state(self) -> None:
        """No display to bring up to date."""

    def port_settings_changed(self) -> None:
        """The MIDI ports were chosen anew: the map is built again."""
        self._c_instance.request_rebuild_midi_map()

    def can_lock_to_devices(self) -> bool:
        """No devices here."""
        return False

    def suggest_input_port(self) -> str:
        """Any port will do."""
        return ""

    def suggest_output_port(self) -> str:
        """Nothing is sent."""
        return ""

    def suggest_map_mode(self, cc_no: int, channel: int) -> int:
        """Absolute controllers."""
        return int(self._live.MidiMap.MapMode.absolute)

    def suggest_needs_takeover(self, cc_no: int, channel: int) -> bool:
        """No parameters are mapped."""
        return False

    # The tick

    def _tick(self) -> None:
        begin = self._clock()
        self._speaker.tick(begin)
        for message in self._engine.tick(begin):
            self._heard(message)
        self._say_why()
        verbs, self._verbs = self._verbs, []
        if verbs:
            self._ask(lambda: Wish(verbs[0]))
        for message in self._remote.tick():
            self._from_outside(message)
        self._look_at_clip()
        while self._band.step() and self._clock() - begin < BUDGET:
            pass

    def _heard(self, message: Message) -> None:
        try:
            self._band.heard(message)
            if message.address == "/progress" and len(message.values) == 4:
                self._remote.tell("/progress", "f", [float(message.values[2])])
        except (OscError, TypeError, ValueError) as error:
            self._speaker.warn(f"The engine answered something that is not understood ({error}).")

    def _say_why(self) -> None:
        """Says once why the engine cannot be used, where that is not just its absence before anything was asked."""
        if self._engine.state == "foreign" and self._engine.why != self._missed:
            self._speaker.warn(self._engine.why)
        self._missed = self._engine.why

    def _ask(self, wish: Callable[[], Wish | None]) -> None:
        try:
            wished = wish()
            if wished is not None:
                self._band.ask(wished)
        except Trouble as trouble:
            self._speaker.warn(str(trouble))
        except OscError as error:
            self._speaker.warn(f"The engine could not be told: {error}.")

    def _names(self) -> Any:
        return asking.names_of(self._c_instance.song(), self._band.memory)

    def _look_at_clip(self) -> None:
        """The clip that Live shows: a name that becomes a command while it is shown is carried out, once."""
        clip = self._c_instance.song().view.detail_clip
        name = "" if clip is None else str(clip.name)
        if clip != self._clip or clip is None:
            self._clip, self._clip_name = clip, name
        elif name != self._clip_name:
            self._clip_name = name
            span = (float(clip.start_time), float(clip.end_time)) if clip.is_arrangement_clip else None
            self._ask(lambda: text2wish(name, self._names(), span))

    def _from_outside(self, message: Message) -> None:
        verb, values = message.address[1:], message.values
        text = " ".join(value for value in values if isinstance(value, str))
        if verb in VERBS:
            head, _, style = text.partition(":")
            self._ask(lambda: words2wish(verb, head, self._names(), style.strip()))
        elif verb == "status":
            self._remote.tell("/message", "s", [self._engine.why or ("Busy." if self._band.busy else "Ready.")])
        elif verb in settings.OF_A_SET:
            value = text if verb == "style" else text.split() if verb == "stems" else values[0] if values else None
            value = int(value) if isinstance(value, float) and value == int(value) else value
            if settings.is_right(verb, value):
                self._band.choose(verb, value)
                self._speaker.say(f"{verb}: {text or value}")
            else:
                self._speaker.warn(f"'{text or value}' cannot be the setting '{verb}'.")
        else:
            self._speaker.warn(f"OSC address {message.address} is not known.")
