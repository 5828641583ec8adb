"""Telling the world that the service accepts requests, and a person where to look."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from toolbox.group import Operation
    from toolbox.lifecycle import Toolbox

log = logging.getLogger("toolbox")


def announce(toolbox: Toolbox, address: tuple[str, int]) -> None:
    """Tell that requests are accepted at ``address``, host and port, in the words that runners
    wait for; and, where a person seems to have started the service, how to begin.
    """
    host, port = address[:2]
    if toolbox.settings.server.port_file:
        _write_port_file(Path(toolbox.settings.server.port_file), port)
    lines = [f"Starting toolbox server on port {port}"]
    if toolbox.auth.made or sys.stdout.isatty():
        lines += _hints(toolbox, _reachable(host), port)
    # At once, or lines of others come between them.
    print("".join(f"{line}\n" for line in lines), end="", flush=True)


def _hints(toolbox: Toolbox, host: str, port: int) -> Iterable[str]:
    """The page's URL and the token for a shell. A token stands in a URL only after ``#``: that
    part reaches no server and no log, and the page takes it out at once.
    """
    made = toolbox.auth.made
    if _has_page(toolbox.registry.operations()):
        fragment = f"#token={quote(made, safe='')}" if made else ""
        prefix = toolbox.settings.server.path_prefix
        yield f"Open in a browser: http://{host}:{port}{prefix}/{fragment}"
    if made:
        yield f"For other programs: export TOOLBOX_TOKEN={made}"


def _has_page(operations: Iterable[Operation]) -> bool:
    return any(each.path == "/" and "GET" in each.methods for each in operations)


def _reachable(host: str) -> str:
    """``host`` as a URL has it: the address that stands for all is none to connect to."""
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        return "127.0.0.1"
    return f"[{host}]" if address.version == 6 else host


def _write_port_file(path: Path, port: int) -> None:
    """Write the port so that a reader sees all of it or nothing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(f"{port}\n")
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        log.error("can't write the port file %s: %s", path, error.strerror)
