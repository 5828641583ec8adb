"""Paths of a dialect on ports of its own.

Its operations are below a root, such as ``/agentsandbox``: those of several dialects have the same
names. Their clients know no root, but a port, so on that the root is added.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from typing import TYPE_CHECKING
from typing import Any
from typing import cast

from toolbox.plugins.root_ports import RootPorts

if TYPE_CHECKING:
    from flask import Flask

    from toolbox.lifecycle import Toolbox


class Mount:
    """WSGI middleware that adds ``root`` to paths whose first segment is one of ``first``, on
    ``ports``. All other paths stay what they are.
    """

    def __init__(
        self,
        app: Callable[..., Iterable[bytes]],
        ports: Collection[int],
        root: str,
        first: frozenset[str],
    ) -> None:
        self._app = app
        # As text, as the server has them.
        self._ports = frozenset(map(str, ports))
        self._root = root
        self._first = first

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ.get("SERVER_PORT") in self._ports:
            path: str = environ["PATH_INFO"]
            segment, slash, _rest = path.removeprefix("/").partition("/")
            if segment in self._first and (segment or not slash):
                environ["PATH_INFO"] = self._root + path
        return self._app(environ, start_response)


def mount(app: Flask, toolbox: Toolbox, group: str, root: str, first: frozenset[str]) -> None:
    """Mount a group, if it is served, on the ports in its settings, which are RootPorts."""
    for served in toolbox.registry.served:
        if served.group.name == group:
            ports = cast(RootPorts, served.group_settings).ports
            app.wsgi_app = Mount(app.wsgi_app, ports, root, first)  # type: ignore[method-assign]
