"""Bootstrap of a service from its settings, the same for every way of starting it.

It has two parts. :func:`prepare` is light, and runs before there is a worker process;
:func:`make_toolbox` finds and imports the plugins, so that only the worker pays for them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import msgspec

from toolbox import logs
from toolbox.auth.access import Auth
from toolbox.auth.factory import SECRET_VARIABLES
from toolbox.auth.factory import TOKEN_VARIABLE
from toolbox.auth.factory import choose_authenticator
from toolbox.auth.factory import make_auth
from toolbox.auth.factory import most_exposed
from toolbox.auth.tokens import PREVIEW_TOKEN
from toolbox.errors import ToolboxError
from toolbox.linux.environment import erase_from_environ
from toolbox.logs.masking import Mask
from toolbox.settings import CoreSettings
from toolbox.settings import SettingsError
from toolbox.settings import Values
from toolbox.settings import core_settings
from toolbox.settings import read_values
from toolbox.settings.addresses import all_hosts
from toolbox.settings.values import Problems

if TYPE_CHECKING:
    from flask import Flask

    from toolbox.handover.inheritance import Secrets
    from toolbox.lifecycle import Toolbox
    from toolbox.plugins import Registry

Overrides = Mapping[tuple[str, ...], Any]


class Prepared(msgspec.Struct, frozen=True):
    """A service before its plugins are imported, in its work directory."""

    settings: CoreSettings
    values: Values
    auth: Auth
    work_dir: Path
    mask: Mask


def read(
    file: str | None = None, overrides: Overrides | None = None
) -> tuple[CoreSettings, Values]:
    """Read the settings and configure the log. Raises SettingsError."""
    values = read_values(file, os.environ, overrides or {})
    settings = core_settings(values)
    logs.configure(settings.log)
    return settings, values


def load(
    file: str | None = None, overrides: Overrides | None = None
) -> tuple[CoreSettings, Values, Registry]:
    """Read the settings and discover the plugins they enable. Raises SettingsError."""
    settings, values = read(file, overrides)
    return settings, values, _discover(settings, values)


def _discover(settings: CoreSettings, values: Values) -> Registry:
    from toolbox.plugins.discovery import discover

    return discover(settings.plugins, values)


def prepare(
    file: str | None = None,
    overrides: Overrides | None = None,
    inherited: Secrets | None = None,
) -> Prepared:
    """Read the settings and enter the work directory. Raises SettingsError.

    Removes the secrets from the environment; prints one that had to be generated. Those that were
    ``inherited`` from an earlier version of the service stay in force.
    """
    settings, values = read(file, overrides)
    if inherited is not None and not settings.auth.token_file:
        # It was taken out of the environment; without any a service would make another one up.
        os.environ[TOKEN_VARIABLE] = inherited.token
    with Problems() as problems:
        with problems.noted():
            logs.write_to_file(settings.log)
        with problems.noted():
            host = most_exposed(all_hosts(settings.server))
            auth = make_auth(settings.auth, host, os.environ)
        with problems.noted():
            work_dir = enter(settings.server.work_dir)
            logs.check_audit(settings.log)
    for variable in SECRET_VARIABLES:
        erase_from_environ(variable)
    if inherited is not None:
        auth.store.restore(inherited)
    elif generated := auth.store.generated:
        print(f"No token configured; generated one for this run: {generated}", flush=True)
    mask = Mask(settings.log.mask, auth.secrets, PREVIEW_TOKEN)
    logs.hide(mask)
    ToolboxError.hide = mask
    return Prepared(settings, values, auth, work_dir, mask)


def enter(configured: str) -> Path:
    """Change to the work directory. Raises SettingsError."""
    path = Path(configured or ".").absolute()
    try:
        os.chdir(path)
    except OSError as error:
        raise SettingsError(f"server.work_dir: {path}: {error.strerror}") from None
    return path


def make_toolbox(prepared: Prepared) -> Toolbox:
    """Return the service, not yet started. Raises SettingsError."""
    from toolbox.lifecycle import Toolbox

    settings, auth = prepared.settings, prepared.auth
    registry = _discover(settings, prepared.values)
    auth.authenticator = choose_authenticator(
        settings.auth, registry, prepared.values, auth.authenticator
    )
    return Toolbox(settings, registry, auth, prepared.work_dir, prepared.mask)


def wsgi_app(prepared: Prepared | None = None) -> Flask:
    """Return the WSGI application; by default of the environment's settings, for your own gunicorn.

    Raises SettingsError.
    """
    from toolbox.application.app import create_app

    return create_app(make_toolbox(prepared or prepare()))
