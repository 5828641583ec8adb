"""Checks of everything ``toolbox serve`` would refuse: ``toolbox config --check``."""

from __future__ import annotations

import os

from toolbox import logs
from toolbox.auth.anyone import AnyoneAuthenticator
from toolbox.auth.factory import choose_authenticator
from toolbox.auth.factory import make_auth
from toolbox.auth.factory import most_exposed
from toolbox.plugins.discovery import discover
from toolbox.serving.bootstrap import enter
from toolbox.serving.further import check_further
from toolbox.serving.listening import check_address
from toolbox.settings import CoreSettings
from toolbox.settings import SettingsError
from toolbox.settings import Values
from toolbox.settings import read_values
from toolbox.settings import valid_settings
from toolbox.settings.addresses import all_hosts
from toolbox.settings.values import Problems


def check(file: str | None = None) -> list[str]:
    """Return one line for each mistake in the settings (``file``, or where the service finds them)
    and in what they refer to.

    Takes the steps of serving, but goes on after a mistake with the settings that are valid.
    Changes the working directory to the service's.
    """
    problems = Problems()
    try:
        values = read_values(file, os.environ, {})
    except SettingsError as error:
        return list(error.problems)
    settings = valid_settings(values, problems)
    logs.configure(settings.log)
    _check_surroundings(settings, values, problems)
    with problems.noted():
        registry = discover(settings.plugins, values)
        if _is_right(values, "auth"):
            # Nobody is authenticated here: it only has to be chosen.
            choose_authenticator(settings.auth, registry, values, AnyoneAuthenticator())
    return problems.found


def _check_surroundings(settings: CoreSettings, values: Values, problems: Problems) -> None:
    server = settings.server
    if settings.log.file:
        with problems.noted():
            logs.check_file("log.file", settings.log.file)
    # An invalid setting may be the one by which no token is needed.
    if _is_right(values, "auth") and _is_right(values, "server"):
        with problems.noted():
            make_auth(settings.auth, most_exposed(all_hosts(server)), dict(os.environ))
    with problems.noted():
        check_address(server.host, server.port)
    with problems.noted():
        enter(server.work_dir)
        logs.check_audit(settings.log)
    with problems.noted():
        check_further(server)  # Paths are relative to the work directory.


def _is_right(values: Values, section: str) -> bool:
    kind = type(getattr(CoreSettings(), section))
    try:
        values.section((section,), kind)
    except SettingsError:
        return False
    return True
