"""The Protocols of a backend for the group ``computeruse``, one for each concern.

Every method that uses the display may raise DisplayUnavailable, ComputerUseUnavailable and
InputBusy. ``canceled`` reports whether the client has disconnected: a long gesture then raises
GestureCanceled and releases what it pressed.
"""

from __future__ import annotations

from typing import BinaryIO
from typing import Protocol

from toolbox_computeruse.accessibility.models import FindRequest
from toolbox_computeruse.accessibility.models import Found
from toolbox_computeruse.accessibility.nodes import NodeId
from toolbox_computeruse.accessibility.nodes import Tree
from toolbox_computeruse.input.chords import Chord
from toolbox_computeruse.input.pacing import IsCanceled
from toolbox_computeruse.models import Display
from toolbox_computeruse.models import Position
from toolbox_computeruse.models import ProcessStatus
from toolbox_computeruse.models import Region
from toolbox_computeruse.models import Screenshot
from toolbox_computeruse.models import Window
from toolbox_computeruse.recordings.models import Recording
from toolbox_computeruse.screen.models import Frame
from toolbox_computeruse.screen.models import View


class Desktop(Protocol):
    """The programs of a desktop. Unknown names raise ProcessNotFound."""

    def start(self) -> dict[str, ProcessStatus]:
        """Start the programs that aren't running and wait until they are ready.

        Raises ComputerUseUnavailable.
        """

    def stop(self) -> dict[str, ProcessStatus]:
        """Release held keys and buttons and stop the programs, the last started first.

        A concurrent start fails.
        """

    def state(self) -> str:
        """Return ``active``, ``partial`` or ``inactive``."""

    def runs(self, name: str) -> bool:
        """Report whether a program runs."""

    def restart(self, name: str) -> None:
        """Restart a program, or start it, along with those that depend on it.

        Returns when they are ready, or at once if the program waits for another one that isn't
        running. Raises ProcessNotFound, and ComputerUseUnavailable if a required one doesn't start.
        """

    def output(self, name: str) -> str:
        """Return the end of a program's standard output."""

    def errors(self, name: str) -> str:
        """Return the end of a program's standard error."""


class Screen(Protocol):
    """The pixels."""

    def capture(
        self, region: Region | None, show_cursor: bool, format: str, quality: int, scale: float
    ) -> Screenshot:
        """Capture the screen, or a region of it, as an image file. Raises InvalidInput."""


class Frames(Protocol):
    """The screen as it changes."""

    def frame(self, view: View, known: str, wait: float, canceled: IsCanceled) -> Frame | None:
        """Return the screen once its tag isn't ``known``, or None after ``wait`` seconds.

        May return earlier if too many viewers wait.
        """


class Mouse(Protocol):
    """The pointer. Every method returns its new position.

    Coordinates outside the screen are moved to its edge; buttons have the names of
    :mod:`toolbox_computeruse.input.gestures`, modifiers those of
    :mod:`toolbox_computeruse.input.chords`.
    """

    def position(self) -> Position:
        """Return the pointer's position."""

    def move(self, x: int, y: int) -> Position:
        """Move the pointer."""

    def click(
        self, x: int, y: int, button: str, clicks: int, modifiers: tuple[str, ...]
    ) -> Position:
        """Move the pointer and click; several clicks make a double or triple click."""

    def drag(
        self,
        start: Position,
        end: Position,
        button: str,
        modifiers: tuple[str, ...],
        canceled: IsCanceled,
    ) -> Position:
        """Move the pointer with a button held."""

    def scroll(
        self,
        position: Position,
        direction: str,
        amount: int,
        modifiers: tuple[str, ...],
        canceled: IsCanceled,
    ) -> None:
        """Turn the wheel ``amount`` notches: ``up``, ``down``, ``left`` or ``right``."""

    def down(self, position: Position | None, button: str) -> Position:
        """Press and hold a button, at ``position`` or where the pointer is."""

    def up(self, position: Position | None, button: str) -> Position:
        """Release a button, at ``position`` or where the pointer is."""


class Keyboard(Protocol):
    """The keyboard."""

    def type(self, text: str, delay: float, canceled: IsCanceled) -> None:
        """Type a text, with ``\\n`` as the Enter key and ``delay`` seconds after each character."""

    def press(self, chord: Chord) -> None:
        """Press and release a key with modifiers."""

    def down(self, key: str) -> None:
        """Press and hold a key."""

    def up(self, key: str) -> None:
        """Release a key."""


class Displays(Protocol):
    """Monitors and windows."""

    def displays(self) -> list[Display]:
        """Return the monitors, the primary one first."""

    def windows(self) -> list[Window]:
        """Return the windows of programs."""


class Recordings(Protocol):
    """Screen recordings. Unknown ids raise RecordingNotFound."""

    def start(self, label: str) -> Recording:
        """Start a recording. Raises InvalidLabel, FfmpegNotFound, RecordingFailed."""

    def stop(self, recording_id: str) -> Recording:
        """Stop an active recording."""

    def list(self) -> list[Recording]:
        """Return all recordings, active ones first."""

    def get(self, recording_id: str) -> Recording:
        """Return one recording."""

    def open(self, recording_id: str) -> BinaryIO:
        """Open a recording's file, as far as it has been written, for unbuffered reading."""

    def delete(self, recording_id: str) -> None:
        """Delete a recording. Raises RecordingStillActive."""


class Accessibility(Protocol):
    """The accessibility tree of the programs on the desktop.

    Every method may raise A11yUnavailable, A11yFailed and A11yNodeNotFound. Scopes are
    ``focused``, ``pid`` and ``all``.
    """

    def tree(self, scope: str, pid: int, max_depth: int) -> Tree:
        """Return the nodes of a scope. Raises A11yNoRoot."""

    def find(self, request: FindRequest, scope: str) -> Found:
        """Return the nodes that match. Raises A11yNoRoot, A11yInvalidRequest."""

    def focus(self, node: NodeId) -> None:
        """Give a node the focus and wait a few seconds until it has it.

        Raises A11yActionNotSupported.
        """

    def invoke(self, node: NodeId, action: str) -> None:
        """Perform an action of a node, by default its first. Raises A11yActionNotSupported."""

    def set_value(self, node: NodeId, value: str) -> None:
        """Set the text or number of a node. Raises A11yActionNotSupported."""


class ComputerUseBackend(Protocol):
    """A complete desktop."""

    @property
    def desktop(self) -> Desktop: ...

    @property
    def screen(self) -> Screen: ...

    @property
    def frames(self) -> Frames: ...

    @property
    def mouse(self) -> Mouse: ...

    @property
    def keyboard(self) -> Keyboard: ...

    @property
    def displays(self) -> Displays: ...

    @property
    def accessibility(self) -> Accessibility: ...

    @property
    def recordings(self) -> Recordings: ...

    def check_gesture(self, seconds: float) -> None:
        """Raise InvalidInput if a gesture may not take that long."""
