"""All that ``toolbox serve`` would refuse, without serving: ``toolbox config --check``."""

from __future__ import annotations

import os

from toolbox import logs
from toolbox.assemble import enter
from toolbox.auth import make_auth
from toolbox.plugins import discover
from toolbox.server import check_address
from toolbox.settings import CoreSettings
from toolbox.settings import SettingsError
from toolbox.settings import Values
from toolbox.settings import read_values
from toolbox.settings import right_settings
from toolbox.values import Problems


def check(file: str | None = None) -> list[str]:
    """What is wrong with the settings in ``file``, or where the service finds them, and with what
    they lead to; one line for each mistake. By the steps that serving takes, each of which goes on
    here with what is right. Changes the working directory to the service's.
    """
    problems = Problems()
    try:
        values = read_values(file, os.environ, {})
    except SettingsError as error:
        return list(error.problems)
    settings = right_settings(values, problems)
    logs.configure(settings.log)
    _check_surroundings(settings, values, problems)
    with problems.noted():
        discover(settings.plugins, values)
    return problems.found


def _check_surroundings(settings: CoreSettings, values: Values, problems: Problems) -> None:
    server = settings.server
    if settings.log.file:
        with problems.noted():
            logs.check_file("log.file", settings.log.file)
    # What is wrong may be what says that no token is needed.
    if _is_right(values, "auth") and _is_right(values, "server"):
        with problems.noted():
            make_auth(settings.auth, server.host, dict(os.environ))
    with problems.noted():
        check_address(server.host, server.port)
    with problems.noted():
        enter(server.work_dir)
        logs.check_audit(settings.log)


def _is_right(values: Values, section: str) -> bool:
    kind = type(getattr(CoreSettings(), section))
    try:
        values.section((section,), kind)
    except SettingsError:
        return False
    return True
