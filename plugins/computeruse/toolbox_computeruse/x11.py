"""The backend ``x11``: an X server, ours or one that is there."""

from __future__ import annotations

import os
import uuid

from toolbox.errors import ToolboxError
from toolbox.lifecycle import Context
from toolbox.plugins import NoSettings
from toolbox_computeruse.accessibility import AtspiAccessibility
from toolbox_computeruse.backend import Keyboard
from toolbox_computeruse.backend import Mouse
from toolbox_computeruse.chords import Chord
from toolbox_computeruse.connection import XConnection
from toolbox_computeruse.desktop import Desktop
from toolbox_computeruse.displays import XDisplays
from toolbox_computeruse.errors import InvalidInput
from toolbox_computeruse.hands import Hands
from toolbox_computeruse.keyboard import XKeyboard
from toolbox_computeruse.mouse import GestureMouse
from toolbox_computeruse.programs import Place
from toolbox_computeruse.programs import bus_listens
from toolbox_computeruse.recordings import FfmpegRecordings
from toolbox_computeruse.screen import XScreen
from toolbox_computeruse.settings import ComputerUseSettings
from toolbox_computeruse.settings import display_name
from toolbox_computeruse.settings import recordings_dir

PARTS = ("xvfb", "dbus", "xfce4", "atspi", "x11vnc", "novnc")
"""The programs of a desktop, by the names the API has for them."""


class X11ComputerUse:
    """See :class:`toolbox_computeruse.backend.ComputerUseBackend`.

    Looking and touching have a connection each, so that a screenshot needn't wait for a text that
    is being typed.
    """

    def __init__(self, settings: NoSettings, context: Context) -> None:
        options: ComputerUseSettings = context.options
        self._options = options
        name = display_name(options)
        self._eyes = XConnection(name, options.x_timeout, context.loop, self._check_server)
        self._touch = XConnection(name, options.x_timeout, context.loop, self._check_server)
        self._hands = Hands(self._touch, options.gesture_timeout)
        self.screen = XScreen(self._eyes, options.max_pixels)
        self.displays = XDisplays(self._eyes)
        self.mouse: Mouse = GestureMouse(self._hands)
        self.keyboard: Keyboard = XKeyboard(self._hands, options.gesture_timeout, options.x_timeout)
        self.recordings = FfmpegRecordings(name, self.displays, recordings_dir(options))
        bus = os.environ.get("DBUS_SESSION_BUS_ADDRESS", "")
        bus = bus if bus_listens(bus) else ""  # An image may have kept that of its build.
        session = bus or f"unix:abstract=toolbox-desktop-{uuid.uuid4()}"
        self.accessibility = AtspiAccessibility(session, self._retype, self._is_up)
        place = Place(
            display=name,
            bus=session,
            own_bus=not bus,
            manager_runs=self._manager_runs,
            forget_manager=self.displays.forget_manager,
            server_answers=lambda: self.desktop.server_answers(),
            accessibility_answers=self.accessibility.available,
        )
        self.desktop = Desktop(options, place, stopping=self._let_go)

    def details(self) -> dict[str, str]:
        """What the desktop would be made of, for operators."""
        return {
            "display": self._eyes.name,
            "attached": str(self._options.attach).lower(),
            **dict.fromkeys(PARTS, "off, or not installed"),
            **{each.name: each.command[0] for each in self.desktop.parts()},
        }

    def close(self) -> None:
        self.recordings.close()
        self.desktop.close()
        self._eyes.close()
        self._touch.close()

    def check_gesture(self, seconds: float) -> None:
        if seconds > self._options.gesture_timeout:
            limit = self._options.gesture_timeout
            raise InvalidInput(f"that would take {seconds:g} s; the limit is {limit:g} s")

    def _check_server(self, pid: int) -> None:
        self.desktop.check_server(pid)

    def _is_up(self) -> bool:
        return self.desktop.is_up()

    def _retype(self, text: str) -> None:
        self.keyboard.press(Chord("a", ("ctrl",)))
        if text:
            self.keyboard.type(text, 0, lambda: False)
        else:
            self.keyboard.press(Chord("delete"))

    def _let_go(self) -> None:
        self._hands.release_all()
        self.recordings.close()

    def _manager_runs(self) -> bool:
        try:
            return self.displays.manager_runs()
        except ToolboxError:
            return False
