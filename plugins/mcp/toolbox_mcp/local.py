"""The backend ``local``: tools on the backends of the other groups."""

from __future__ import annotations

import logging
import threading
from functools import cached_property
from typing import TYPE_CHECKING

from pluggy import PluginValidationError

from toolbox.lifecycle import Context
from toolbox.request import RequestInfo
from toolbox.response import StreamResponse
from toolbox.response import TextResponse
from toolbox_mcp import hookspecs
from toolbox_mcp.settings import McpSettings

if TYPE_CHECKING:
    from toolbox_mcp.protocol.server import Server

log = logging.getLogger("toolbox")


class LocalMcp:
    """See :class:`toolbox_mcp.backend.McpBackend`."""

    def __init__(self, settings: object, context: Context) -> None:
        self._context = context
        self._settings: McpSettings = context.group_settings
        self._lock = threading.Lock()
        self.max_message = self._settings.max_message
        try:
            context.plugins.add_hookspecs(hookspecs)
        except PluginValidationError as error:
            # The hook is there nevertheless, and calling it fails for that plugin only.
            log.error("tools of a plugin: %s", error)

    def admit(self, request: RequestInfo) -> None:
        """Raise Forbidden for a request of a foreign page."""
        if self._context.guard is not None:
            # The protocol asks for it, although a page has no token.
            self._context.guard.check_origin(request.environ)
            self._context.guard.check_json(request.environ)

    def receive(self, data: bytes, request: RequestInfo) -> TextResponse | StreamResponse:
        return self._server.receive(data, request)

    @property
    def _server(self) -> Server:
        with self._lock:
            return self._made

    @cached_property
    def _made(self) -> Server:
        # At the first message: tables and schemas of tools that nobody asks for cost nothing.
        from toolbox_mcp.catalog import Catalog
        from toolbox_mcp.protocol.server import Server

        context = self._context
        catalog = Catalog(context.backends, self._settings, context.plugins)
        return Server(catalog, context.backends, self._settings)
