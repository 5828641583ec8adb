"""Requests that come by a preview URL."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Iterable
from typing import TYPE_CHECKING
from typing import Any

import msgspec

from toolbox_fleet.access.address import MOUNT
from toolbox_fleet.access.address import OWN_PORT

if TYPE_CHECKING:
    from toolbox.lifecycle import Toolbox

VISIT = "toolbox_fleet.visit"
"""Key of the WSGI environment with the :class:`Visit`, which no client can set."""

SIGNED = r"signed[a-z2-7]{32}"
"""A token of a signed URL. Letters in one case, and fit for a host name."""

_FIRST = re.compile(rf"/({SIGNED})(?=[/?#]|\Z)")


class Visit(msgspec.Struct, frozen=True):
    """A request by the preview URL of a port of a sandbox."""

    sandbox_id: str
    port: int
    admitted: bool
    """True if a preview token, or the URL itself, lets it in."""
    cookie: str = ""
    """The cookie to set, so that a page's further requests are let in; empty for none."""

    @property
    def is_api(self) -> bool:
        """True if the port is that of the sandbox's own API."""
        return self.port == OWN_PORT

    @property
    def path(self) -> str:
        """The path of an operation of ours that forwards it."""
        sandbox = f"{MOUNT}/{self.sandbox_id}"
        return sandbox if self.is_api else f"{sandbox}/proxy/{self.port}"


def visit_of(environ: dict[str, Any]) -> Visit | None:
    """Return the visit that a request is, or None."""
    visit: Visit | None = environ.get(VISIT)
    return visit


class PreviewEntrance:
    """WSGI middleware that leads requests by preview URLs to the operation that forwards them."""

    def __init__(self, app: Callable[..., Iterable[bytes]], toolbox: Toolbox) -> None:
        self._app = app
        self._toolbox = toolbox

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        backend = self._toolbox.backends.get("fleet")
        # None while the service starts, when there are no preview URLs yet.
        if backend is not None:
            signed = _FIRST.match(environ.get("RAW_URI", ""))
            visit = backend.plane.previews.visit(environ, signed[1] if signed else "")
            if visit is not None:
                self._lead(environ, visit, signed[0] if signed else "")
                return self._app(environ, _with_cookie(start_response, visit.cookie))
        return self._app(environ, start_response)

    def _lead(self, environ: dict[str, Any], visit: Visit, signed: str) -> None:
        environ[VISIT] = visit
        path: str = environ["PATH_INFO"]
        if signed:
            # From here on nothing knows it: neither a log nor the application.
            environ["RAW_URI"] = _rooted(environ["RAW_URI"].removeprefix(signed))
            path = path.removeprefix(signed)
            if "HTTP_REFERER" in environ:
                environ["HTTP_REFERER"] = environ["HTTP_REFERER"].replace(signed, "", 1)
        environ["PATH_INFO"] = visit.path + _rooted(path)


def _rooted(path: str) -> str:
    return path if path.startswith("/") else f"/{path}"


def _with_cookie(start_response: Any, cookie: str) -> Any:
    if not cookie:
        return start_response

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        # After the application's: of two with a name the last counts.
        return start_response(status, [*headers, ("Set-Cookie", cookie)], exc_info)

    return start
