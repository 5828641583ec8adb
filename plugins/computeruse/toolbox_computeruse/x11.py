"""The backend ``x11``: a private X server or an existing one."""

from __future__ import annotations

import os
import uuid

from toolbox.errors import ToolboxError
from toolbox.lifecycle import Context
from toolbox.plugins import NoSettings
from toolbox_computeruse.accessibility.accessibility import AtspiAccessibility
from toolbox_computeruse.backend import Keyboard
from toolbox_computeruse.backend import Mouse
from toolbox_computeruse.connection import XConnection
from toolbox_computeruse.desktop.desktop import Desktop
from toolbox_computeruse.desktop.programs import DesktopContext
from toolbox_computeruse.desktop.programs import bus_listens
from toolbox_computeruse.errors import InvalidInput
from toolbox_computeruse.input.chords import Chord
from toolbox_computeruse.input.keyboard import XKeyboard
from toolbox_computeruse.input.mouse import GestureMouse
from toolbox_computeruse.input.xtest import XInputDevice
from toolbox_computeruse.recordings.recordings import FfmpegRecordings
from toolbox_computeruse.screen.displays import XDisplays
from toolbox_computeruse.screen.frames import XFrames
from toolbox_computeruse.screen.screen import XScreen
from toolbox_computeruse.settings import ComputerUseSettings
from toolbox_computeruse.settings import display_name
from toolbox_computeruse.settings import recordings_dir

PARTS = ("xvfb", "dbus", "xfce4", "atspi", "x11vnc", "novnc")
"""The programs of a desktop, by their names in the API."""


class X11ComputerUse:
    """An implementation of :class:`toolbox_computeruse.backend.ComputerUseBackend` for X11.

    Views and input have a connection each, so that a screenshot needn't wait for the end of a
    gesture.
    """

    def __init__(self, settings: NoSettings, context: Context) -> None:
        options: ComputerUseSettings = context.group_settings
        self._options = options
        name = display_name(options)
        self._view_connection = XConnection(
            name, options.x_timeout, context.loop, self._check_server
        )
        self._input_connection = XConnection(
            name, options.x_timeout, context.loop, self._check_server
        )
        self._input_device = XInputDevice(self._input_connection, options.gesture_timeout)
        self.screen = XScreen(self._view_connection, options.max_pixels)
        self.frames = XFrames(self._view_connection)
        self.displays = XDisplays(self._view_connection)
        self.mouse: Mouse = GestureMouse(self._input_device)
        self.keyboard: Keyboard = XKeyboard(
            self._input_device, options.gesture_timeout, options.x_timeout
        )
        self.recordings = FfmpegRecordings(name, self.displays, recordings_dir(options))
        bus = os.environ.get("DBUS_SESSION_BUS_ADDRESS", "")
        # An image may still have the address of a bus that ran when it was built.
        bus = bus if bus_listens(bus) else ""
        # An abstract socket leaves no file behind when its bus is killed (unix(7)).
        session = bus or f"unix:abstract=toolbox-desktop-{uuid.uuid4()}"
        self.accessibility = AtspiAccessibility(session, self._retype, self._is_up)
        # The desktop's programs are asked through parts that need the desktop: hence callables.
        desktop_context = DesktopContext(
            display=name,
            bus=session,
            own_bus=not bus,
            manager_runs=self._manager_runs,
            forget_manager=self.displays.forget_manager,
            server_responds=lambda: self.desktop.server_responds(),
            accessibility_responds=self.accessibility.available,
        )
        self.desktop = Desktop(options, desktop_context, stopping=self._release_all)

    def details(self) -> dict[str, str]:
        """Return the display and the programs of the desktop, for operators."""
        return {
            "display": self._view_connection.name,
            "attached": str(self._options.attach).lower(),
            **dict.fromkeys(PARTS, "disabled or not installed"),
            **{program.name: program.command[0] for program in self.desktop.parts()},
        }

    def close(self) -> None:
        # First the recordings: ffmpeg fails when its X server ends.
        self.recordings.close()
        self.desktop.close()
        self._view_connection.close()
        self._input_connection.close()

    def check_gesture(self, seconds: float) -> None:
        if seconds > self._options.gesture_timeout:
            limit = self._options.gesture_timeout
            raise InvalidInput(f"the gesture would take {seconds:g} s; the limit is {limit:g} s")

    def _check_server(self, pid: int) -> None:
        self.desktop.check_server(pid)

    def _is_up(self) -> bool:
        return self.desktop.is_up()

    def _retype(self, text: str) -> None:
        # Select everything, so that the text replaces it.
        self.keyboard.press(Chord("a", ("ctrl",)))
        if text:
            self.keyboard.type(text, 0, lambda: False)
        else:
            self.keyboard.press(Chord("delete"))

    def _release_all(self) -> None:
        self._input_device.release_all()
        self.recordings.close()

    def _manager_runs(self) -> bool:
        try:
            return self.displays.manager_runs()
        except ToolboxError:  # The X server doesn't respond yet.
            return False
