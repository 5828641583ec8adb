"""The toolbox proxy of a control plane, without the proxy."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

from toolbox_standalone.address import MOUNT
from toolbox_standalone.address import SANDBOX_ID


class SandboxMount:
    """WSGI middleware: serves below ``/toolbox/<sandbox id>`` what is served at the root.

    ``prefix`` is the path below which the service is reached, too.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]], prefix: str) -> None:
        self._app = app
        self._mount = re.compile(rf"(?:{re.escape(prefix)})?{MOUNT}/{SANDBOX_ID}(?=/|\Z)")

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        if mount := self._mount.match(path):
            environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + mount[0]
            environ["PATH_INFO"] = path[mount.end() :] or "/"
        return self._app(environ, start_response)
