"""Requests for E2B's port and names, led to the operations below ``/e2b``.

The paths that E2B's clients use are those of other groups, too (``/files``), so the host name or
a header has to tell them apart: ``localhost:49983``, ``49983-<id>.<domain>``, ``api.<domain>``, or
``E2b-Sandbox-Port``. Where the group ``fleet`` has sandboxes, those go to the sandbox.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from typing import TYPE_CHECKING
from typing import Any

import msgspec

from toolbox.errors import ToolboxError
from toolbox.response import JSON
from toolbox_e2b.errors import ROOT
from toolbox_e2b.errors import SERVICES
from toolbox_e2b.settings import ENVD_PORT
from toolbox_e2b.settings import E2bSettings

if TYPE_CHECKING:
    from toolbox.lifecycle import Toolbox

_OF_SANDBOX = frozenset({*SERVICES, "files", "health", "init", "metrics", "envs"})
_OF_CONTROL = frozenset({"sandboxes", "snapshots", "templates", "v2"})
"""First segments of the paths that are E2B's; any other stays what it is."""

_MOUNT = "/toolbox"
"""The path below which the group ``fleet`` has the sandboxes' own services."""


class Entrance:
    """WSGI middleware that recognizes E2B's clients by the host that they ask for."""

    def __init__(
        self, app: Callable[..., Iterable[bytes]], toolbox: Toolbox, settings: E2bSettings
    ) -> None:
        self._app = app
        self._toolbox = toolbox
        self._api = f"api.{settings.domain}".lower() if settings.domain else ""
        served = {each.group.name: each.backend.name for each in toolbox.registry.served}
        # With the backend "single" this service is the only sandbox.
        self._has_sandboxes = served.get("fleet", "single") != "single"

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        first = environ["PATH_INFO"].removeprefix("/").partition("/")[0]
        if first in _OF_SANDBOX and (key := _sandbox(environ)) is not None:
            # The id means nothing where there is one sandbox: with E2B_DEBUG it is made up.
            if not self._has_sandboxes:
                _lead(environ, ROOT)
            elif self._runs(key):
                _lead(environ, f"{_MOUNT}/{key}{ROOT}")
            else:
                return _refuse(key, start_response)
        elif first in _OF_CONTROL and self._is_api(environ):
            _lead(environ, ROOT)
        return self._app(environ, start_response)

    def _is_api(self, environ: dict[str, Any]) -> bool:
        host: str = environ.get("HTTP_HOST", "")
        return bool(self._api) and host.lower() in (self._api, self._api.partition(":")[0])

    def _runs(self, key: str) -> bool:
        # By its state and not by trying: a service that is starting refuses connections, too.
        fleet = self._toolbox.backends.get("fleet")
        try:
            # Before the service is ready nothing can be told: the gateway does so.
            return fleet is None or fleet.sandbox(key).state == "started"
        except ToolboxError:
            return False


def _sandbox(environ: dict[str, Any]) -> str | None:
    """Return the id of the sandbox that a request is for, empty for the only one.

    None if it isn't E2B's: by the name, not by the port that was connected to, as a proxy may be
    in between.
    """
    port = str(ENVD_PORT)
    host: str = environ.get("HTTP_HOST", "")
    # Links of browsers have no header that would tell them apart, only their host.
    if host.startswith(f"{port}-"):
        return host.removeprefix(f"{port}-").partition(".")[0]
    if host.rpartition(":")[2] == port or environ.get("HTTP_E2B_SANDBOX_PORT") == port:
        return str(environ.get("HTTP_E2B_SANDBOX_ID", ""))
    return None


def _lead(environ: dict[str, Any], root: str) -> None:
    # RAW_URI, too: what is forwarded to a sandbox goes there as it is written.
    environ["PATH_INFO"] = root + environ["PATH_INFO"]
    if environ.get("RAW_URI", "").startswith("/"):
        environ["RAW_URI"] = root + environ["RAW_URI"]


def _refuse(key: str, start_response: Any) -> Iterable[bytes]:
    # Clients take these words for a sandbox that was killed or has reached its timeout.
    message = f"The sandbox {key[:64]!r} was not found"
    body = msgspec.json.encode({"sandboxId": key[:64], "message": message, "code": 502})
    start_response("502 Bad Gateway", [("Content-Type", JSON), ("Content-Length", str(len(body)))])
    return [body]
