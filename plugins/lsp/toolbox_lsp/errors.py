"""Errors of the group ``lsp``.

A language server's failure is a 500 with its own code, not a 502 or 504: proxies between a client
and its sandbox may replace responses with those.
"""

from __future__ import annotations

from toolbox.errors import BadRequest
from toolbox.errors import NotSupported
from toolbox.errors import ToolboxError
from toolbox.errors import Unavailable


class ServerNotInitialized(BadRequest):
    """The server of this language and project was not started."""

    code = "LSP_SERVER_NOT_INITIALIZED"


class LanguageUnsupported(BadRequest):
    """No server is known for the language."""

    code = "LSP_LANGUAGE_UNSUPPORTED"


class ProjectInvalid(BadRequest):
    """The project is not a directory."""

    code = "LSP_PROJECT_INVALID"


class DocumentUnreadable(BadRequest):
    """The document isn't a readable regular file."""

    code = "LSP_DOCUMENT_UNREADABLE"


class RequestRefused(BadRequest):
    """The server returned an error; ``rpc_code`` is its JSON-RPC code."""

    code = "LSP_REQUEST_REFUSED"

    def __init__(self, message: str, rpc_code: int) -> None:
        super().__init__(message)
        self.rpc_code = rpc_code


class FeatureMissing(NotSupported):
    """The server in use doesn't support this operation."""

    code = "LSP_FEATURE_MISSING"


class ServerNotInstalled(ToolboxError):
    """The server's program isn't on PATH; the message says how to install it."""

    code = "LSP_SERVER_NOT_INSTALLED"


class ServerFailed(ToolboxError):
    """The server exited, can't be initialized, or violates the protocol."""

    code = "LSP_SERVER_FAILED"


class ServerTimeout(ToolboxError):
    """The server didn't respond in time."""

    code = "LSP_SERVER_TIMEOUT"


class TooManyWaiting(Unavailable):
    """The limit of requests that wait for language servers is reached."""

    code = "LSP_TOO_MANY_WAITING"
