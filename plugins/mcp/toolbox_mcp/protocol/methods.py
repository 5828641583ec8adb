"""The methods of the protocol, whose results are the same in every revision but for their frame."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from toolbox import __version__
from toolbox.errors import NotFound
from toolbox.errors import ToolboxError
from toolbox_mcp import resources
from toolbox_mcp.catalog import Catalog
from toolbox_mcp.protocol.jsonrpc import INTERNAL_ERROR
from toolbox_mcp.protocol.jsonrpc import INVALID_PARAMS
from toolbox_mcp.protocol.jsonrpc import METHOD_NOT_FOUND
from toolbox_mcp.protocol.jsonrpc import RESOURCE_NOT_FOUND
from toolbox_mcp.protocol.jsonrpc import RpcError
from toolbox_mcp.protocol.jsonrpc import text_of
from toolbox_mcp.protocol.revisions import SUPPORTED
from toolbox_mcp.protocol.revisions import negotiated
from toolbox_mcp.settings import McpSettings
from toolbox_mcp.tool import Tool

Params = dict[str, Any]
Method = Callable[["Methods", Params], dict[str, Any]]

SERVER = {"name": "sandbox-toolbox", "title": "Sandbox Toolbox", "version": __version__}

INSTRUCTIONS = (
    "Tools for one Linux sandbox. Relative paths start in its working directory. Commands run in "
    "the same file system as the file tools. Long results are shortened, with a note that says "
    "how to get the rest."
)

LIST_TTL = 60_000
"""Milliseconds that clients may keep a list of tools, which is the same until the service ends."""

_CURSOR = re.compile(r"[0-9]{1,9}", re.ASCII)


class Methods:
    """Every method but ``tools/call``, which takes its time."""

    def __init__(
        self, catalog: Catalog, backends: Mapping[str, Any], settings: McpSettings
    ) -> None:
        self.catalog = catalog
        self._backends = backends
        self._settings = settings

    def call(self, method: str, params: Params, stateless: bool) -> dict[str, Any]:
        """Return a method's result. Raises RpcError."""
        known = STATELESS_METHODS if stateless else HANDSHAKE_METHODS
        if method not in known:
            raise RpcError(METHOD_NOT_FOUND, f"unknown method: {method[:100]!r}")
        try:
            return known[method](self, params)
        except NotFound as error:
            code = INVALID_PARAMS if stateless else RESOURCE_NOT_FOUND
            raise RpcError(code, error.message) from None
        except ToolboxError as error:
            code = INVALID_PARAMS if error.status < 500 else INTERNAL_ERROR
            raise RpcError(code, error.message) from None

    def tool(self, params: Params) -> Tool:
        """Return the tool that a call names. Raises RpcError."""
        name = text_of(params, "name")
        if name not in self.catalog.tools:
            raise RpcError(INVALID_PARAMS, f"unknown tool: {name[:100]!r}")
        return self.catalog.tools[name]

    def initialize(self, params: Params) -> dict[str, Any]:
        """Agree on a revision."""
        version = negotiated(text_of(params, "protocolVersion"))
        return {"protocolVersion": version, "serverInfo": SERVER, **self._offer()}

    def discover(self, params: Params) -> dict[str, Any]:
        """Describe this server."""
        return {"supportedVersions": list(SUPPORTED), **self._offer(), **kept(LIST_TTL)}

    def _offer(self) -> dict[str, Any]:
        capabilities: dict[str, Any] = {"tools": {}}
        if "files" in self._backends:
            capabilities["resources"] = {}
        return {"capabilities": capabilities, "instructions": INSTRUCTIONS}

    def ping(self, params: Params) -> dict[str, Any]:
        """Show that the service works."""
        return {}

    def list_tools(self, params: Params) -> dict[str, Any]:
        """List all tools; there is one page."""
        return {"tools": self.catalog.described, **kept(LIST_TTL)}

    def list_resources(self, params: Params) -> dict[str, Any]:
        """List the files in the working directory."""
        page, following = resources.list_files(self._files, _start(params))
        end = {} if following is None else {"nextCursor": str(following)}
        return {"resources": page, **end, **kept(0)}

    def list_templates(self, params: Params) -> dict[str, Any]:
        """Show the form of the URIs that can be read."""
        templates = [resources.TEMPLATE] if "files" in self._backends else []
        return {"resourceTemplates": templates, **kept(LIST_TTL)}

    def read_resource(self, params: Params) -> dict[str, Any]:
        """Read a file."""
        uri = text_of(params, "uri")
        try:
            found = resources.read_file(self._files, uri, self._settings.max_media)
        except ValueError as error:
            raise RpcError(INVALID_PARAMS, str(error)) from None
        return {"contents": [found], **kept(0)}

    @property
    def _files(self) -> Any:
        if "files" not in self._backends:
            raise RpcError(METHOD_NOT_FOUND, "there are no resources without the group 'files'")
        return self._backends["files"]


def _start(params: Params) -> int:
    cursor = params.get("cursor", "0")
    if not isinstance(cursor, str) or not _CURSOR.fullmatch(cursor):
        raise RpcError(INVALID_PARAMS, "unknown cursor")
    return int(cursor)


def kept(milliseconds: int) -> dict[str, Any]:
    """Return the fields that say how long a client may keep a result; older clients ignore them."""
    # Another token may see the same, but what it sees is none of a shared cache's business.
    return {"ttlMs": milliseconds, "cacheScope": "private"}


_BOTH: dict[str, Method] = {
    "tools/list": Methods.list_tools,
    "resources/list": Methods.list_resources,
    "resources/templates/list": Methods.list_templates,
    "resources/read": Methods.read_resource,
}
STATELESS_METHODS: dict[str, Method] = {**_BOTH, "server/discover": Methods.discover}
HANDSHAKE_METHODS: dict[str, Method] = {
    **_BOTH,
    "initialize": Methods.initialize,
    "ping": Methods.ping,
}
