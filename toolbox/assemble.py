"""Putting a service together from its settings: the one path every way of starting it takes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from toolbox import logs
from toolbox.auth import TOKEN_VARIABLE
from toolbox.auth import make_auth
from toolbox.lifecycle import Toolbox
from toolbox.masking import Mask
from toolbox.plugins import Registry
from toolbox.plugins import discover
from toolbox.processes import erase_from_environ
from toolbox.settings import CoreSettings
from toolbox.settings import SettingsError
from toolbox.settings import Values
from toolbox.settings import core_settings
from toolbox.settings import read_values
from toolbox.signing import KEY_VARIABLE

if TYPE_CHECKING:
    from flask import Flask

Overrides = Mapping[tuple[str, ...], Any]


def load(
    file: str | None = None, overrides: Overrides | None = None
) -> tuple[CoreSettings, Values, Registry]:
    """Read the settings, and find and choose the plugins they let in. Raises SettingsError."""
    values = read_values(file, os.environ, overrides or {})
    settings = core_settings(values)
    logs.configure(settings.log)
    return settings, values, discover(settings.plugins, values)


def make_toolbox(file: str | None = None, overrides: Overrides | None = None) -> Toolbox:
    """The service, not yet started, in its work directory. Raises SettingsError.

    Takes the token out of the environment; prints it if one had to be made up.
    """
    settings, _, registry = load(file, overrides)
    logs.write_to_file(settings.log)
    auth, made = make_auth(settings.auth, settings.server.host, os.environ)
    for variable in (TOKEN_VARIABLE, KEY_VARIABLE):
        erase_from_environ(variable)
    if made:
        print(f"No token is configured; this one holds until the service ends: {made}", flush=True)
    mask = Mask(settings.log.mask, auth.secrets)
    logs.hide(mask)
    return Toolbox(settings, registry, auth, _enter(settings.server.work_dir), mask)


def _enter(configured: str) -> Path:
    path = Path(configured or ".").absolute()
    try:
        os.chdir(path)
    except OSError as error:
        raise SettingsError(f"server.work_dir: {path}: {error.strerror}") from None
    return path


def wsgi_app() -> Flask:
    """The WSGI application by the settings of the environment, for a gunicorn of one's own."""
    from toolbox.app import create_app

    return create_app(make_toolbox())
