"""Properties by which clients can be told apart."""

from __future__ import annotations

from collections.abc import Iterable

from toolbox.sockets.subprotocols import Subprotocols

VERSION_SUBPROTOCOL = "X-Daytona-SDK-Version~"
"""The SDK version as a subprotocol: browsers can't set headers on a WebSocket."""


ENVS_SUBPROTOCOL = "X-Daytona-Pty-Envs~"
"""Variables for a terminal as unpadded base64url JSON."""

EXIT_SUBPROTOCOL = "X-Daytona-Pty-Exit-Control"
"""Offered by clients that understand a terminal's ``exited`` message; older ones would print it."""

SUBPROTOCOLS = Subprotocols(
    preferred=(VERSION_SUBPROTOCOL, EXIT_SUBPROTOCOL), private=(ENVS_SUBPROTOCOL,)
)
"""The subprotocols of the Daytona SDKs."""


def split_subprotocols(headers: Iterable[str]) -> list[str]:
    """Return the subprotocols in all header lines that offer some."""
    return [token.strip() for token in ",".join(headers).split(",") if token.strip()]


def sdk_version(header: str, subprotocols: Iterable[str]) -> str:
    """Return the SDK's version from its header, else from a subprotocol; empty if unknown."""
    if header:
        return header
    for token in split_subprotocols(subprotocols):
        if token.startswith(VERSION_SUBPROTOCOL):
            return token.removeprefix(VERSION_SUBPROTOCOL)
    return ""


def is_java(agent: str) -> bool:
    """Report whether a WebSocket is the Java SDK's, which sends its library's User-Agent only."""
    # OkHttp, the HTTP library of the Java SDK.
    return agent.lower().startswith("okhttp/")
