"""What can go wrong in the group ``lsp``.

What a language server does wrong is a plain 500 with a code of its own, not a 502 or 504: the
proxies between a client and its sandbox take those for their own and may answer something else.
"""

from __future__ import annotations

from toolbox.errors import BadRequest
from toolbox.errors import NotImplemented_
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
    """The document is no regular file that can be read."""

    code = "LSP_DOCUMENT_UNREADABLE"


class RequestRefused(BadRequest):
    """The server answered with an error; ``rpc_code`` is its JSON-RPC code."""

    code = "LSP_REQUEST_REFUSED"

    def __init__(self, message: str, rpc_code: int) -> None:
        super().__init__(message)
        self.rpc_code = rpc_code


class FeatureMissing(NotImplemented_):
    """The server in use can't do this for its language."""

    code = "LSP_FEATURE_MISSING"


class ServerNotInstalled(ToolboxError):
    """The server's program is not on PATH; the message tells how to install it."""

    code = "LSP_SERVER_NOT_INSTALLED"


class ServerFailed(ToolboxError):
    """The server ended, can't be initialised, or doesn't speak the protocol."""

    code = "LSP_SERVER_FAILED"


class ServerTimeout(ToolboxError):
    """The server didn't answer in time."""

    code = "LSP_SERVER_TIMEOUT"


class TooManyWaiting(Unavailable):
    """As many requests as may wait for language servers do."""

    code = "LSP_TOO_MANY_WAITING"
