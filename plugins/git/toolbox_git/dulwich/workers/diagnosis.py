"""Mapping from dulwich's exceptions to errors."""

from __future__ import annotations

import re

from toolbox.errors import BadRequest
from toolbox.errors import Conflict
from toolbox.errors import Forbidden
from toolbox.errors import NotSupported
from toolbox.errors import ToolboxError
from toolbox.errors import from_os_error
from toolbox_git.errors import AuthenticationFailed
from toolbox_git.errors import FilterFailed
from toolbox_git.errors import RepositoryNotFound
from toolbox_git.errors import TransportFailed

_HTTP_STATUS = re.compile(r"unexpected http (?:resp(?:onse)? )?(\d{3})|status(?: code)?:? (\d{3})")


def diagnose(error: Exception) -> ToolboxError:
    """Return the error to report; a plain ToolboxError for an unexpected exception."""
    if isinstance(error, ToolboxError):
        return error
    return _from_dulwich(error) or _from_system(error) or ToolboxError(_unknown(error))


def _unknown(error: Exception) -> str:
    return f"the operation failed: {type(error).__name__}: {error}"[:2000]


def _from_dulwich(error: Exception) -> ToolboxError | None:
    # Imported here, so that a worker receives tasks before dulwich is loaded.
    from dulwich.client import HTTPProxyUnauthorized
    from dulwich.client import HTTPUnauthorized
    from dulwich.errors import GitProtocolError
    from dulwich.errors import HangupException
    from dulwich.errors import NotGitRepository
    from dulwich.errors import SendPackError
    from dulwich.file import FileLocked
    from dulwich.filters import FilterError
    from dulwich.index import InvalidPathError
    from dulwich.repo import UnsupportedExtension
    from dulwich.repo import UnsupportedVersion

    if isinstance(error, HTTPUnauthorized):
        return AuthenticationFailed("the remote requires credentials, or rejected those given")
    if isinstance(error, FileLocked):
        return Conflict("another program is changing this repository: a .lock file exists")
    if isinstance(error, NotGitRepository):
        return RepositoryNotFound("remote repository not found")
    if isinstance(error, UnsupportedExtension | UnsupportedVersion):
        return NotSupported(f"this repository requires the backend cli: {error}")
    if isinstance(error, FilterError):
        return FilterFailed(f"a filter failed: {error}"[:2000])
    if isinstance(error, InvalidPathError):
        return BadRequest("the name of a file is not allowed in a working tree")
    if isinstance(error, GitProtocolError | HangupException | SendPackError):
        return _from_protocol(str(error))
    if isinstance(error, HTTPProxyUnauthorized):
        return TransportFailed("the proxy requires credentials")
    return None


def _from_protocol(text: str) -> ToolboxError:
    lower = text.lower()
    match = _HTTP_STATUS.search(lower)
    status = (match[1] or match[2]) if match else ""
    if status == "403" or "permission denied" in lower:
        return Forbidden(f"the remote refused: {text}"[:2000])
    if status == "404" or "not found" in lower or "does not appear to be a git" in lower:
        return RepositoryNotFound(f"remote repository not found: {text}"[:2000])
    return TransportFailed(f"the remote failed: {text or 'it hung up'}"[:2000])


def _from_system(error: Exception) -> ToolboxError | None:
    import socket
    import ssl

    from urllib3.exceptions import HTTPError

    if isinstance(error, HTTPError | socket.gaierror | ConnectionError | TimeoutError):
        return TransportFailed(f"the remote is unreachable: {error}"[:2000])
    if isinstance(error, ssl.SSLError):
        return TransportFailed(f"the remote is not trusted: {error}"[:2000])
    if isinstance(error, OSError):
        return from_os_error(error)
    return None
