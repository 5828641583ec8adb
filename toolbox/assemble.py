"""Putting a service together from its settings: the one path every way of starting it takes.

It has two parts. :func:`prepare` is what must be known before there is a worker process, and light;
:func:`make_toolbox` finds and imports the plugins, so what they take is the worker's alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from toolbox import logs
from toolbox.auth import TOKEN_VARIABLE
from toolbox.auth import Auth
from toolbox.auth import make_auth
from toolbox.errors import ToolboxError
from toolbox.masking import Mask
from toolbox.processes import erase_from_environ
from toolbox.settings import CoreSettings
from toolbox.settings import SettingsError
from toolbox.settings import Values
from toolbox.settings import core_settings
from toolbox.settings import read_values
from toolbox.signing import KEY_VARIABLE
from toolbox.values import Problems

if TYPE_CHECKING:
    from flask import Flask

    from toolbox.lifecycle import Toolbox
    from toolbox.plugins import Registry

Overrides = Mapping[tuple[str, ...], Any]


@dataclass(frozen=True)
class Prepared:
    """A service whose plugins are not imported yet, in its work directory."""

    settings: CoreSettings
    values: Values
    auth: Auth
    work_dir: Path
    mask: Mask


def read(
    file: str | None = None, overrides: Overrides | None = None
) -> tuple[CoreSettings, Values]:
    """Read the settings, and set up the log by them. Raises SettingsError."""
    values = read_values(file, os.environ, overrides or {})
    settings = core_settings(values)
    logs.configure(settings.log)
    return settings, values


def load(
    file: str | None = None, overrides: Overrides | None = None
) -> tuple[CoreSettings, Values, Registry]:
    """Read the settings, and find and choose the plugins they let in. Raises SettingsError."""
    settings, values = read(file, overrides)
    return settings, values, _discover(settings, values)


def _discover(settings: CoreSettings, values: Values) -> Registry:
    from toolbox.plugins import discover

    return discover(settings.plugins, values)


def prepare(file: str | None = None, overrides: Overrides | None = None) -> Prepared:
    """Read the settings and enter the work directory. Raises SettingsError.

    Takes the token out of the environment; prints it if one had to be made up.
    """
    settings, values = read(file, overrides)
    with Problems() as problems:
        with problems.noted():
            logs.write_to_file(settings.log)
        with problems.noted():
            auth, made = make_auth(settings.auth, settings.server.host, os.environ)
        with problems.noted():
            work_dir = enter(settings.server.work_dir)
            logs.check_audit(settings.log)
    for variable in (TOKEN_VARIABLE, KEY_VARIABLE):
        erase_from_environ(variable)
    if made:
        print(f"No token is configured; this one holds until the service ends: {made}", flush=True)
    mask = Mask(settings.log.mask, auth.secrets)
    logs.hide(mask)
    ToolboxError.hide = mask
    return Prepared(settings, values, auth, work_dir, mask)


def enter(configured: str) -> Path:
    """Go to the work directory. Raises SettingsError."""
    path = Path(configured or ".").absolute()
    try:
        os.chdir(path)
    except OSError as error:
        raise SettingsError(f"server.work_dir: {path}: {error.strerror}") from None
    return path


def make_toolbox(prepared: Prepared) -> Toolbox:
    """The service, not yet started. Raises SettingsError."""
    from toolbox.lifecycle import Toolbox

    registry = _discover(prepared.settings, prepared.values)
    return Toolbox(prepared.settings, registry, prepared.auth, prepared.work_dir, prepared.mask)


def wsgi_app(prepared: Prepared | None = None) -> Flask:
    """The WSGI application, by the settings of the environment for a gunicorn of one's own.

    Raises SettingsError.
    """
    from toolbox.app import create_app

    return create_app(make_toolbox(prepared or prepare()))
