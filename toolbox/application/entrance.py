"""The outermost layer of the application."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

from toolbox.http.environ import OPERATION
from toolbox.http.environ import REQUEST_ID
from toolbox.identifiers import new_id
from toolbox.response import JSON


class Entrance:
    """WSGI middleware that strips the path prefix and serves constant operations without Flask.

    ``constants`` maps a path to the operation's name and its response, as JSON.
    """

    def __init__(
        self,
        app: Callable[..., Iterable[bytes]],
        prefix: str,
        constants: dict[str, tuple[str, bytes]],
    ) -> None:
        self._app = app
        self._prefix = prefix
        self._constants = constants

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        # WSGI's rule for mounted applications: SCRIPT_NAME takes what PATH_INFO loses (PEP 3333).
        if self._prefix and (path + "/").startswith(self._prefix + "/"):
            path = path[len(self._prefix) :] or "/"
            environ["PATH_INFO"] = path
            environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + self._prefix
        known = self._constants.get(path)
        if known is None or environ["REQUEST_METHOD"] != "GET" or "HTTP_UPGRADE" in environ:
            return self._app(environ, start_response)
        # Observers read these, as of any other request.
        environ[OPERATION], constant = known
        environ[REQUEST_ID] = request_id = new_id()
        headers = [("Content-Type", JSON), ("Content-Length", str(len(constant)))]
        headers.append(("X-Request-Id", request_id))
        start_response("200 OK", headers)
        return (constant,)
