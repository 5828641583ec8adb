"""What a backend of the group ``computeruse`` can do, one Protocol for each concern.

Whatever touches the display may raise DisplayUnavailable, ComputerUseUnavailable and InputBusy.
``cancelled`` tells if the client has gone: a gesture that takes long then ends with
GestureCancelled and with nothing held that was not held before.
"""

from __future__ import annotations

from typing import BinaryIO
from typing import Protocol

import msgspec

from toolbox_computeruse.accessibility_models import AccessibilityNode
from toolbox_computeruse.accessibility_models import FindRequest
from toolbox_computeruse.chords import Chord
from toolbox_computeruse.models import Display
from toolbox_computeruse.models import Position
from toolbox_computeruse.models import ProcessStatus
from toolbox_computeruse.models import Screenshot
from toolbox_computeruse.models import Window
from toolbox_computeruse.nodes import NodeId
from toolbox_computeruse.nodes import Tree
from toolbox_computeruse.pacing import Cancelled
from toolbox_computeruse.recording_models import Recording


class Region(msgspec.Struct, frozen=True):
    """A rectangle, in pixels of the screen; it may reach beyond."""

    x: int
    y: int
    width: int
    height: int


class Desktop(Protocol):
    """The programs a desktop is made of. Unknown names raise ProcessNotFound."""

    def start(self) -> dict[str, ProcessStatus]:
        """Start what doesn't run and wait until it is ready. Raises ComputerUseUnavailable."""

    def stop(self) -> dict[str, ProcessStatus]:
        """Let go of what is held, and end the programs, the last started first; a start that waits
        until they are ready fails.
        """

    def state(self) -> str:
        """``active``, ``partial`` or ``inactive``."""

    def runs(self, name: str) -> bool:
        """Whether a program runs."""

    def restart(self, name: str) -> None:
        """End a program, if it runs, and start it, with those that can't outlive it; returns when
        they are ready, or when it waits for another program that does not run.

        Raises ProcessNotFound, and ComputerUseUnavailable if a program that must be there isn't.
        """

    def output(self, name: str) -> str:
        """What a program wrote to standard output, the end of it if that is much."""

    def errors(self, name: str) -> str:
        """What a program wrote to standard error, the end of it if that is much."""


class Screen(Protocol):
    """The pixels."""

    def capture(
        self, region: Region | None, show_cursor: bool, format: str, quality: int, scale: float
    ) -> Screenshot:
        """The screen, or a region of it, as a file. Raises InvalidInput."""


class Mouse(Protocol):
    """The pointer. Coordinates beyond the screen mean its edge; buttons and modifiers go by the
    names of :mod:`toolbox_computeruse.chords`. Each answer is where the pointer is afterwards.
    """

    def position(self) -> Position:
        """Where it is."""

    def move(self, x: int, y: int) -> Position:
        """Move it."""

    def click(
        self, x: int, y: int, button: str, clicks: int, modifiers: tuple[str, ...]
    ) -> Position:
        """Move it and click, several times as one double or triple click."""

    def drag(
        self,
        start: Position,
        end: Position,
        button: str,
        modifiers: tuple[str, ...],
        cancelled: Cancelled,
    ) -> Position:
        """Move it with a button held."""

    def scroll(
        self,
        at: Position,
        direction: str,
        amount: int,
        modifiers: tuple[str, ...],
        cancelled: Cancelled,
    ) -> None:
        """Turn the wheel ``amount`` notches: ``up``, ``down``, ``left`` or ``right``."""

    def down(self, at: Position | None, button: str) -> Position:
        """Hold a button, there or where the pointer is."""

    def up(self, at: Position | None, button: str) -> Position:
        """Let a button go."""


class Keyboard(Protocol):
    """The keys."""

    def type(self, text: str, delay: float, cancelled: Cancelled) -> None:
        """Type a text, with ``\\n`` as the Enter key and ``delay`` seconds after each character."""

    def press(self, chord: Chord) -> None:
        """Press a key with modifiers, and let all of it go."""

    def down(self, key: str) -> None:
        """Hold a key."""

    def up(self, key: str) -> None:
        """Let a key go."""


class Displays(Protocol):
    """Monitors and windows."""

    def displays(self) -> list[Display]:
        """The monitors, the primary one first."""

    def windows(self) -> list[Window]:
        """The programs' windows."""


class Recordings(Protocol):
    """Films of the screen. Unknown ids raise RecordingNotFound."""

    def start(self, label: str) -> Recording:
        """Begin one. Raises InvalidLabel, FfmpegNotFound, RecordingFailed."""

    def stop(self, recording_id: str) -> Recording:
        """End one that is being made."""

    def list(self) -> list[Recording]:
        """All of them, those being made first."""

    def get(self, recording_id: str) -> Recording:
        """One of them."""

    def open(self, recording_id: str) -> BinaryIO:
        """The file, as far as it has been written, open for reading, unbuffered."""

    def delete(self, recording_id: str) -> None:
        """Delete one. Raises RecordingStillActive."""


class Accessibility(Protocol):
    """What programs tell assistive technology. Everything may raise A11yUnavailable, A11yFailed
    and A11yNodeNotFound; scopes are ``focused``, ``pid`` and ``all``.
    """

    def tree(self, scope: str, pid: int, max_depth: int) -> Tree:
        """The nodes of a scope. Raises A11yNoRoot."""

    def find(self, request: FindRequest, scope: str) -> tuple[list[AccessibilityNode], bool]:
        """The nodes that fit, and if there are more. Raises A11yNoRoot, A11yInvalidRequest."""

    def focus(self, node: NodeId) -> None:
        """Give a node the focus; returns when it has it, or not soon. Raises
        A11yActionNotSupported.
        """

    def invoke(self, node: NodeId, action: str) -> None:
        """Do an action, the first if it is empty. Raises A11yActionNotSupported."""

    def set_value(self, node: NodeId, value: str) -> None:
        """Set text or number. Raises A11yActionNotSupported."""


class ComputerUseBackend(Protocol):
    """A desktop: all of it."""

    @property
    def desktop(self) -> Desktop: ...

    @property
    def screen(self) -> Screen: ...

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
        """Raises InvalidInput if a gesture that takes that long is not allowed."""
