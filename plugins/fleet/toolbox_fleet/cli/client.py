"""The HTTP client of the command, and its errors."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import SplitResult
from urllib.parse import urlsplit

TIMEOUT = 60.0
"""Seconds to wait for a response."""

MISTAKE = 2
"""The exit status if nothing was done: there is no such service, or it doesn't let us in."""

FAILED = 1
"""The exit status if something could not be done."""


class CommandError(Exception):
    """A reason, in one line, why the command did not do all that it was asked to."""

    def __init__(self, message: str, status: int = FAILED) -> None:
        super().__init__(message)
        self.status = status


class NoSuchPath(CommandError):
    """The service responded 404."""


class Client:
    """Sends requests to one service. Not for several threads."""

    def __init__(self, url: str, token: str) -> None:
        self._parts = _parts(url)
        self.url = url.rstrip("/")
        self._token = token

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Return the JSON of the response; ``path`` is below the service's URL and escaped.

        Raises CommandError.
        """
        status, content = self._send(method, path, body)
        try:
            value = json.loads(content) if content else None
        except ValueError:
            raise self._mistake(f"what responds at {self.url} is not this service") from None
        if status < 300:
            return value
        message = value.get("message") if isinstance(value, dict) else None
        raise self._error(status, str(message or f"status {status}"))

    def _send(self, method: str, path: str, body: Any) -> tuple[int, bytes]:
        secure = self._parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        # A service with `[auth] mode = "none"` takes requests without one.
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=TIMEOUT)
        try:
            connection.request(method, self._parts.path.rstrip("/") + path, data, headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise self._mistake(
                f"no service at {self.url}: {reason}; start one with `toolbox serve`, or name"
                " another with --url or TOOLBOX_URL"
            ) from None
        finally:
            connection.close()

    def _error(self, status: int, message: str) -> CommandError:
        if status == 401 and self._token:
            return self._mistake(
                f"the token is not that of {self.url}: check TOOLBOX_TOKEN or --token-file"
            )
        if status == 401:
            return self._mistake(f"{self.url} requires a token: set TOOLBOX_TOKEN or --token-file")
        # A class of its own: an id that is gone is no failure of a deletion.
        return NoSuchPath(message) if status == 404 else CommandError(message)

    def _mistake(self, message: str) -> CommandError:
        return CommandError(message, MISTAKE)


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # Its port, too, is only checked when it is read.
        valid = False
    # Spaces and control characters would end the request's first line.
    if not valid or not url.isascii() or not url.isprintable() or " " in url:
        raise CommandError(f"{url!r} is not a URL such as http://127.0.0.1:2280", MISTAKE)
    return parts
