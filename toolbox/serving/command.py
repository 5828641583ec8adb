"""The command ``toolbox serve``."""

from __future__ import annotations

import argparse
import os
import socket
from pathlib import Path
from typing import Any

from toolbox.handover.inheritance import find_inheritance
from toolbox.packaging.bundle import forget_bundle
from toolbox.serving.bootstrap import prepare
from toolbox.serving.bootstrap import wsgi_app
from toolbox.serving.listening import inherit
from toolbox.settings import SettingsError
from toolbox.settings.addresses import UNIX

USAGE_ERROR = 2


def serve_command(options: argparse.Namespace) -> int:
    """Serve, for the first time or as the successor of an earlier version; return the exit status.
    Raises SettingsError.
    """
    if not Path("/proc/self").exists():
        raise SettingsError("/proc is not mounted: without it no process can be found or ended")
    directory = _current_directory()
    try:
        inheritance = find_inheritance(os.environ)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    listener = _inherit(options) if inheritance is None else None
    overrides: dict[tuple[str, ...], Any] = {
        ("server", "host"): options.host,
        ("server", "port"): options.port,
        ("server", "also"): [_absolute(address) for address in options.also or []] or None,
        ("server", "port_file"): options.port_file,
        ("auth", "token_file"): options.token_file,
        ("process", "local", "entrypoint"): options.program or None,
    }
    # Paths on the command line are relative to the current directory, not to work_dir.
    for path in (("server", "port_file"), ("auth", "token_file")):
        if overrides[path]:
            overrides[path] = str(Path(overrides[path]).absolute())
    if options.fd is not None and inheritance is not None:
        with socket.socket(fileno=os.dup(inheritance.listeners[0])) as inherited:
            overrides["server", "host"], overrides["server", "port"] = inherited.getsockname()[:2]
    if listener:
        # Its own address: whether a token is needed depends on who can reach that.
        overrides["server", "host"], overrides["server", "port"] = listener.getsockname()[:2]
    given = {path: value for path, value in overrides.items() if value is not None}
    forget_bundle(os.environ)
    secrets = inheritance.secrets if inheritance else None
    prepared = prepare(options.config, given, secrets)
    if inheritance is not None and inheritance.is_check:
        wsgi_app(prepared)  # Imports every plugin, as the worker does.
        return 0
    from toolbox.serving.server import BAD_SETTINGS
    from toolbox.serving.server import serve

    directory = inheritance.directory if inheritance else directory
    status = serve(prepared, listener, inheritance, directory)
    return USAGE_ERROR if status == BAD_SETTINGS else status


def _current_directory() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:  # It was deleted.
        return "/"


def _absolute(address: str) -> str:
    """Return an address of the command line, where paths don't start from the work directory."""
    path = address.removeprefix(UNIX)
    return address if path in ("", address) else f"{UNIX}{Path(path).absolute()}"


def _inherit(options: argparse.Namespace) -> socket.socket | None:
    if options.fd is None:
        return None
    if options.host is not None or options.port is not None:
        raise SettingsError("--fd: the socket has an address: leave --host and --port out")
    return inherit(options.fd)
