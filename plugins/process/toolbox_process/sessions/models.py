"""Bodies, queries and headers of the session operations."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from toolbox_process.models import Environment
from toolbox_process.models import PreviewText


class CreateSessionRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A session under an id of the client's choice."""

    session_id: Annotated[str, Meta(min_length=1)]


class CommandInfo(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A command of a session. It has an exit code once it has ended.

    That is -1 if it could not be started, never had its turn, or ended with the service's worker;
    the header ``X-Toolbox-End-Reason`` gives the reason.
    """

    id: str
    command: str
    exit_code: int | msgspec.UnsetType = msgspec.UNSET


class SessionInfo(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A session and its commands, the oldest first."""

    session_id: str
    commands: list[CommandInfo]


class SessionExecuteRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A command for the session's shell. ``async`` is the older name of ``runAsync``.

    ``cwd``, relative to the shell's directory, and ``envs`` apply to this command only.
    """

    command: str
    cwd: str | None = None
    envs: Environment | None = None
    run_async: bool | None = None
    legacy_async: bool | None = msgspec.field(name="async", default=None)
    suppress_input_echo: bool | None = None

    @property
    def wait(self) -> bool:
        """True if the response waits for the command's end."""
        return not (self.run_async or self.legacy_async)


class SessionExecuteResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The command's id and, if it was waited for, its output and exit code."""

    cmd_id: str
    output: str | None = None
    stdout: str | None = None
    stderr: str | None = None
    exit_code: int | None = None


class InputRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Text for a command's standard input; a newline is added if there is none at its end."""

    data: Annotated[str, Meta(min_length=1)]


class Logs(msgspec.Struct, frozen=True, kw_only=True):
    """The output of a command: both streams in the order they came, and each alone."""

    output: str
    stdout: str
    stderr: str


class LogQuery(msgspec.Struct, frozen=True, kw_only=True):
    """``follow`` is on only for the literal ``true``."""

    follow: str = ""


class ClientHeaders(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename={
        "version": "X-Daytona-SDK-Version",
        "split_output": "X-Daytona-Split-Output",
        "accept": "Accept",
        "subprotocols": "Sec-WebSocket-Protocol",
        "agent": "User-Agent",
        "preview": "X-Toolbox-Preview",
    },
):
    """The headers by which the dialect of a client is recognized.

    ``preview`` shortens output to bytes from its beginning and its end, with a note between them:
    ``2000,4000``. Headers then have the totals.
    """

    version: str = ""
    split_output: str = ""
    accept: str = ""
    subprotocols: list[str] = []
    agent: str = ""
    preview: PreviewText | None = None
