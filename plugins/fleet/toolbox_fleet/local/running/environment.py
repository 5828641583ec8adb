"""The environment and the settings of a sandbox's service.

Nothing of the control plane's environment gets there but what every program needs.
"""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

from toolbox_fleet.access.address import ID_VARIABLE
from toolbox_fleet.local.running.isolation import Inside

MARKER = ID_VARIABLE
"""The variable by which a sandbox's processes are found, whatever became of them."""

_SHARED = ("PATH", "TZ", "LANG", "LC_ALL", "LC_CTYPE", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""Variables that describe this machine, not the control plane."""


def base_environment(user: str, home: Path) -> dict[str, str]:
    """Return the variables that every sandbox has."""
    shared = {name: os.environ[name] for name in _SHARED if name in os.environ}
    own = {"HOME": str(home), "USER": user, "LOGNAME": user, "TERM": "xterm-256color"}
    return {"PATH": os.defpath, "LANG": "C.UTF-8", **shared, **own}


def service_settings(paths: Inside, given: str, stop_timeout: int) -> str:
    """Return the settings file of a service, on the base of the file ``given``.

    Raises OSError, or ValueError if that isn't TOML.
    """
    tables: dict[str, Any] = tomllib.loads(Path(given).read_text("utf-8")) if given else {}
    # Each would take the same core, the last one.
    own: dict[str, dict[str, Any]] = {
        "server": {
            "work_dir": str(paths.home),
            "pin_core": False,
            "shutdown_timeout": stop_timeout,
        },
        "auth": {"mode": "token", "signing_key_file": str(paths.signing_key)},
        "log": {"file": str(paths.log), "max_size": 1024 * 1024, "keep": 1},
        # A sandbox makes no sandboxes; it serves what clients ask of the only one.
        "fleet": {"backend": "single"},
    }
    for name, values in own.items():
        tables[name] = {**tables.get(name, {}), **values}
    tables["log"].setdefault("level", "warning")
    return "".join(f"{_toml_key(name)} = {_toml(table)}\n" for name, table in tables.items())


def _toml_key(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def _toml(value: Any) -> str:
    """Return a value as TOML: scalars are written alike in JSON, tables inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_key(key)} = {_toml(of)}" for key, of in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False, default=str)


def write_private(file: Path, text: str) -> None:
    """Replace a file that only its owner may read. Raises OSError."""
    # A new one: the sandbox may have put a link in its place.
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)
    new.replace(file)
