"""The Protocol of a backend of the group ``swerex``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from typing import Protocol

from toolbox.request import Body
from toolbox.request import RequestInfo
from toolbox.response import TextResponse
from toolbox_swerex.models import BashAction
from toolbox_swerex.models import BashInterrupt
from toolbox_swerex.models import Closed
from toolbox_swerex.models import Command
from toolbox_swerex.models import CommandResult
from toolbox_swerex.models import Created
from toolbox_swerex.models import CreateSession
from toolbox_swerex.models import Done
from toolbox_swerex.models import FileContent
from toolbox_swerex.models import Observation
from toolbox_swerex.models import ReadFile
from toolbox_swerex.models import WriteFile

IsDisconnected = Callable[[], bool]


class Runtime(Protocol):
    """Runs sessions and commands, and reads and writes files.

    Every method but ``once`` raises RemoteError for what clients raise again, and NotSupported if
    the group that it needs isn't served.
    """

    def once(
        self, request: RequestInfo, request_id: str, work: Callable[[IsDisconnected], Any]
    ) -> TextResponse:
        """Do the work of a request, or return what it came to when the same was sent before."""

    def create_session(self, request: CreateSession, is_disconnected: IsDisconnected) -> Created:
        """Start a session."""

    def run_in_session(
        self, action: BashAction | BashInterrupt, is_disconnected: IsDisconnected
    ) -> Observation:
        """Run an action in its session."""

    def close_session(self, name: str) -> Closed:
        """End a session and everything it has started."""

    def close_all(self) -> Done:
        """End all sessions."""

    def execute(self, command: Command, is_disconnected: IsDisconnected) -> CommandResult:
        """Run a command outside of all sessions."""

    def read_file(self, request: ReadFile) -> FileContent:
        """Return the text of a file."""

    def write_file(self, request: WriteFile) -> Done:
        """Replace a file; missing directories are created."""

    def upload(self, body: Body) -> Done:
        """Store an uploaded file, or what an uploaded zip file has in it."""
