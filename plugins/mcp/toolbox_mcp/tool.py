"""A tool: its description for a model, its arguments, and what it returns.

Tools are rows of a table: the modules in :mod:`toolbox_mcp.tools` have one for each group, and
plugins add theirs by the hook in :mod:`toolbox_mcp.hookspecs`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Mapping
from typing import Any

import msgspec

from toolbox_mcp.logs import Logs
from toolbox_mcp.settings import McpSettings


class ToolFailure(Exception):
    """A failure that the model is shown, to do better; so are all of ``toolbox.errors``."""


class NoArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of a tool that takes none."""


class ToolResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a tool.

    ``content`` are content blocks of the protocol, of which ``toolbox_mcp.content`` makes the usual
    ones. ``structured`` is of the tool's ``result``.
    """

    content: list[dict[str, Any]]
    structured: Any = None
    is_error: bool = False


class Progress(msgspec.Struct, frozen=True):
    """The progress of a tool, for a client that asked for it."""

    progress: float
    """A number that grows."""
    message: str = ""
    total: float | None = None


Returned = ToolResult | str
Run = Callable[["Call", Any], Returned | Generator[Progress, None, Returned]]


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """One tool.

    ``run(call, arguments)`` gets a :class:`Call` and the struct ``arguments``. It returns a text or
    a ToolResult; a tool that takes its time is a generator that yields Progress and returns one of
    them. Names and descriptions of the struct's fields (``msgspec.Meta``) become the JSON schema
    that the model is shown; ``result`` is a struct, too, for results with a structure.
    """

    name: str
    description: str
    run: Run
    arguments: type[msgspec.Struct] = NoArguments
    result: type[msgspec.Struct] | None = None
    read_only: bool = False
    destructive: bool = False
    """True if it may destroy or replace something, and not only add."""
    idempotent: bool = False
    """True if a second call with the same arguments changes nothing."""
    open_world: bool = False
    """True if it may reach beyond the sandbox, such as a command."""


class Call:
    """One call of a tool: what it works with, and whether anybody still waits for it."""

    def __init__(
        self,
        backends: Mapping[str, Any],
        settings: McpSettings,
        logs: Logs,
        is_disconnected: Callable[[], bool],
        canceled: threading.Event,
        ends_with_connection: bool,
    ) -> None:
        self.backends = backends
        """The backends of all groups, by the group's name."""
        self.settings = settings
        self.logs = logs
        self._is_disconnected = is_disconnected
        self._canceled = canceled
        self._ends_with_connection = ends_with_connection

    def is_canceled(self) -> bool:
        """Report whether the client has canceled the call.

        Since 2026-07-28 it does so by closing the connection, before that by a notification: a
        connection that broke was no sign then.
        """
        if self._canceled.is_set():
            return True
        return self._ends_with_connection and self._is_disconnected()

    def is_abandoned(self) -> bool:
        """Report whether nobody waits for the result any more."""
        return self._canceled.is_set() or self._is_disconnected()
