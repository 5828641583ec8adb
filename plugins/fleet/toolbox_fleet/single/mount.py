"""The URLs of a control plane's toolbox proxy."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

from toolbox_fleet.access.address import ID_VARIABLE
from toolbox_fleet.access.address import MOUNT
from toolbox_fleet.access.address import SANDBOX_ID


class SandboxMount:
    """WSGI middleware that serves the root's operations below ``/toolbox/<sandbox id>``, too.

    The id is that of the environment variable ID_VARIABLE, without it any. ``prefix`` is the
    service's own path prefix, which may stand before it.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]], prefix: str) -> None:
        self._app = app
        # A port may have been another sandbox's: what is meant for that must not be done here.
        own = os.environ.get(ID_VARIABLE, "")
        sandbox_id = re.escape(own) if own else SANDBOX_ID
        self._mount = re.compile(rf"(?:{re.escape(prefix)})?{MOUNT}/{sandbox_id}(?=/|\Z)")

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        if mount := self._mount.match(path):
            # So that redirects and forwarded prefixes contain the mount (PEP 3333).
            environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + mount[0]
            environ["PATH_INFO"] = path[mount.end() :] or "/"
        return self._app(environ, start_response)
