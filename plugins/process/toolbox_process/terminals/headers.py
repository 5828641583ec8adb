"""The headers of a terminal's WebSocket: the client's abilities, and variables."""

from __future__ import annotations

import base64
import binascii

from toolbox.errors import BadRequest
from toolbox.http.decoding import decode
from toolbox_process.terminals.models import PtyHeaders
from toolbox_process.wire.clients import ENVS_SUBPROTOCOL
from toolbox_process.wire.clients import EXIT_SUBPROTOCOL
from toolbox_process.wire.clients import VERSION_SUBPROTOCOL
from toolbox_process.wire.clients import is_java
from toolbox_process.wire.clients import split_subprotocols

MAX_ENVS = 64 * 1024
"""Characters of encoded variables."""


def wants_exit_message(headers: PtyHeaders) -> bool:
    """Report whether the client understands the ``exited`` message."""
    return EXIT_SUBPROTOCOL in split_subprotocols(headers.subprotocols)


def is_sdk(headers: PtyHeaders) -> bool:
    """Report whether the client is an SDK. SDKs report an error only if it is sent as a message."""
    return (
        bool(headers.version or headers.source)
        or is_java(headers.agent)
        or any(
            token == EXIT_SUBPROTOCOL or token.startswith((ENVS_SUBPROTOCOL, VERSION_SUBPROTOCOL))
            for token in split_subprotocols(headers.subprotocols)
        )
    )


def subprotocol_envs(headers: PtyHeaders) -> dict[str, str | None]:
    """Return the variables sent as a subprotocol. Raises BadRequest."""
    for token in split_subprotocols(headers.subprotocols):
        if token.startswith(ENVS_SUBPROTOCOL):
            return decode_envs(token.removeprefix(ENVS_SUBPROTOCOL))
    return {}


def decode_envs(text: str) -> dict[str, str | None]:
    """Return the variables that are encoded in ``text``. Raises BadRequest."""
    if len(text) > MAX_ENVS:
        raise BadRequest(f"environment too large (limit {MAX_ENVS} bytes)")
    try:
        # A subprotocol has no padding: "=" is not allowed in a token (RFC 9110, 5.6.2).
        data = base64.b64decode(text + "=" * (-len(text) % 4), "-_", validate=True)
        envs: dict[str, str | None] = decode(data, dict[str, str | None])
    except (binascii.Error, ValueError):
        raise BadRequest("the environment must be a JSON object of strings in base64url") from None
    return envs
