"""The announcement that the service accepts requests: for programs, and for a person."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import sys
from collections.abc import Iterable
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from urllib.parse import quote

from toolbox.settings.addresses import Address
from toolbox.settings.addresses import TcpAddress
from toolbox.settings.addresses import UnixAddress

if TYPE_CHECKING:
    from toolbox.lifecycle import Toolbox

log = logging.getLogger("toolbox")


def announce(toolbox: Toolbox, addresses: Sequence[Any]) -> None:
    """Print that requests are accepted at the first of ``addresses``, in the words that runners
    wait for, and at the others; and hints, where a person seems to have started the service.
    """
    (host, port, *_), *further = addresses
    if toolbox.settings.server.port_file:
        _write_port_file(Path(toolbox.settings.server.port_file), port)
    lines = [f"Starting toolbox server on port {port}"]
    lines += [f"Also listening on {_shown(address)}" for address in further]
    if toolbox.auth.store.generated or sys.stdout.isatty():
        lines += _hints(toolbox, _reachable(host), port)
    # In one write, or other lines come between them.
    print("".join(f"{line}\n" for line in lines), end="", flush=True)


def _hints(toolbox: Toolbox, host: str, port: int) -> Iterable[str]:
    """Yield the page's URL, and lines for a shell that export what programs need.

    The token is in the fragment of the URL: that part reaches no server and no log, and the page
    removes it at once.
    """
    made = toolbox.auth.store.generated
    root = f"http://{host}:{port}{toolbox.settings.server.path_prefix}"
    if _has(toolbox, "GET", "/"):
        fragment = f"#token={quote(made, safe='')}" if made else ""
        yield f"Open in a browser: {root}/{fragment}"
    if made and _has(toolbox, "POST", "/api/sandbox"):
        yield f"For Daytona clients: export DAYTONA_API_KEY={made} DAYTONA_API_URL={root}/api"
    if made:
        yield f"For other programs: export TOOLBOX_TOKEN={made}"


def _shown(address: Any) -> Address:
    """Return what a socket's ``getsockname()`` has returned, for people."""
    return UnixAddress(address) if isinstance(address, str) else TcpAddress(*address[:2])


def _has(toolbox: Toolbox, method: str, path: str) -> bool:
    """Report whether a plugin serves an operation."""
    operations = toolbox.registry.operations()
    return any(one.path == path and method in one.methods for one in operations)


def _reachable(host: str) -> str:
    """Return ``host`` for a URL: nobody can connect to the address that stands for all."""
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        return "127.0.0.1"
    return f"[{host}]" if address.version == 6 else host


def _write_port_file(path: Path, port: int) -> None:
    """Write the port atomically: a reader sees all of it or nothing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(f"{port}\n")
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        log.error("can't write the port file %s: %s", path, error.strerror)
