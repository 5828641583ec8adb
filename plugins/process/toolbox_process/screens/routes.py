"""The operations of screens, an extension of the Daytona Toolbox API."""

from __future__ import annotations

from toolbox.errors import BadRequest
from toolbox.errors import InvalidBody
from toolbox.group import Operations
from toolbox.request import RequestInfo
from toolbox.response import StreamResponse
from toolbox_process.errors import CommandCompleted
from toolbox_process.errors import InputUnavailable
from toolbox_process.errors import ProcessNotFound
from toolbox_process.errors import TooManyWaiting
from toolbox_process.screens.models import Screen
from toolbox_process.screens.models import ScreenQuery
from toolbox_process.screens.models import ScreenWaitQuery
from toolbox_process.screens.models import SendRequest
from toolbox_process.screens.models import Sent
from toolbox_process.screens.models import TerminalInfos
from toolbox_process.screens.models import Waited
from toolbox_process.screens.protocol import HasScreens

operations = Operations()

ASCIICAST = "application/x-asciicast"
LOST = "X-Toolbox-Lost"
"""The header with the number of bytes before a recording that are no longer kept."""


@operations.get("/x/terminals")
def list_terminals(backend: HasScreens) -> TerminalInfos:
    """List terminals: PTYs and jobs with a pseudo-terminal, also those that have ended lately."""
    return TerminalInfos(terminals=list(backend.screens.list()))


@operations.get("/x/terminals/{terminal_id}/screen", errors=(BadRequest, ProcessNotFound))
def get_terminal_screen(backend: HasScreens, terminal_id: str, query: ScreenQuery) -> Screen:
    """Show a terminal's screen as text."""
    return backend.screens.look(terminal_id, query.scrollback)


@operations.post(
    "/x/terminals/{terminal_id}/send",
    errors=(BadRequest, InvalidBody, ProcessNotFound, CommandCompleted, InputUnavailable),
)
def send_to_terminal(backend: HasScreens, terminal_id: str, body: SendRequest) -> Sent:
    """Type on a terminal: text, then named keys."""
    return backend.screens.send(terminal_id, body)


@operations.get(
    "/x/terminals/{terminal_id}/wait", errors=(BadRequest, ProcessNotFound, TooManyWaiting)
)
def wait_for_terminal(
    backend: HasScreens, terminal_id: str, query: ScreenWaitQuery, request: RequestInfo
) -> Waited:
    """Wait until a text is on the screen or the terminal is quiet, or has ended."""
    return backend.screens.wait(terminal_id, query, request.is_disconnected)


@operations.get(
    "/x/terminals/{terminal_id}/recording",
    returns=StreamResponse,
    content_type=ASCIICAST,
    errors=(ProcessNotFound,),
)
def get_terminal_recording(backend: HasScreens, terminal_id: str) -> StreamResponse:
    """Download what a terminal has shown as a recording to play, in the format asciicast v2.

    ``X-Toolbox-Lost`` is the number of bytes before it that are no longer kept.
    """
    recording = backend.screens.record(terminal_id)
    headers = {LOST: str(recording.lost)} if recording.lost else {}
    return StreamResponse(recording.lines, ASCIICAST, headers=headers)
