"""The revisions of the protocol, and the one that a request is of.

Since 2026-07-28 each request stands alone: ``params._meta`` names its revision, and headers repeat
what gateways route by. Older clients negotiate a revision by ``initialize`` and repeat it in a
header; this service keeps no session, so any of their requests may come first.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from werkzeug.datastructures import Headers

from toolbox_mcp.protocol.jsonrpc import HEADER_MISMATCH
from toolbox_mcp.protocol.jsonrpc import INVALID_PARAMS
from toolbox_mcp.protocol.jsonrpc import UNSUPPORTED_VERSION
from toolbox_mcp.protocol.jsonrpc import Message
from toolbox_mcp.protocol.jsonrpc import RpcError
from toolbox_mcp.protocol.jsonrpc import object_of

STATELESS = "2026-07-28"
HANDSHAKES = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
"""Revisions that begin with ``initialize``, the newest first. The oldest two have batches, which no
client is known to send and this service refuses.
"""
SUPPORTED = (STATELESS, *HANDSHAKES)

VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"

VERSION_HEADER = "MCP-Protocol-Version"
METHOD_HEADER = "Mcp-Method"
NAME_HEADER = "Mcp-Name"

NAMES = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""The parameter that ``Mcp-Name`` repeats, by method."""

_ENCODED = re.compile(r"=\?base64\?(.*)\?=")


def is_stateless(message: Message, headers: Headers) -> bool:
    """Report whether a message is of the stateless revision. Raises RpcError for an unknown one."""
    version = headers.get(VERSION_HEADER)
    meta = message.params.get("_meta")
    if message.method == "initialize":
        return False  # The negotiation itself, whatever was tried before it.
    if version == STATELESS or message.method == "server/discover":
        return True
    if isinstance(meta, dict) and VERSION_KEY in meta:
        return True
    if version is not None and version not in HANDSHAKES:
        raise unsupported(version)
    return False


def unsupported(version: str) -> RpcError:
    """Return the error for a revision that isn't supported."""
    data = {"supported": list(SUPPORTED), "requested": version[:100]}
    return RpcError(UNSUPPORTED_VERSION, "unsupported protocol version", data)


def check_envelope(message: Message, headers: Headers) -> None:
    """Raise RpcError unless a request of the stateless revision is complete and its headers agree
    with its body: a gateway in front may have judged it by them.
    """
    meta = object_of(message.params, "_meta")
    lacks = [key for key in (VERSION_KEY, CAPABILITIES_KEY) if key not in meta]
    if lacks:
        raise RpcError(INVALID_PARAMS, f"params._meta lacks {' and '.join(lacks)}")
    version = meta[VERSION_KEY]
    _compare(headers, VERSION_HEADER, version)
    _compare(headers, METHOD_HEADER, message.method)
    name = message.params.get(NAMES.get(message.method, ""))
    if name is not None:
        _compare(headers, NAME_HEADER, name)
    if not isinstance(meta[CAPABILITIES_KEY], dict):
        raise RpcError(INVALID_PARAMS, f"params._meta: {CAPABILITIES_KEY} must be an object")
    if version != STATELESS:
        raise unsupported(version)


def _compare(headers: Headers, header: str, expected: Any) -> None:
    found = headers.getlist(header)
    if len(found) != 1 or decode_header(found[0]) != expected:
        raise RpcError(HEADER_MISMATCH, f"the header {header} does not match the message")


def decode_header(value: str) -> str | None:
    """Return the text in a header: names that aren't ASCII come in base64. None if malformed."""
    match = _ENCODED.fullmatch(value)
    if match is None:
        return value
    try:
        return base64.b64decode(match[1], validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def negotiated(requested: Any) -> str:
    """Return the revision to speak with a client that asks for one by ``initialize``."""
    return requested if requested in HANDSHAKES else HANDSHAKES[0]
