"""Changes of an environment, checked as a whole before they are made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from collections.abc import MutableMapping

from toolbox.settings.variables import is_variable_name
from toolbox_server.errors import InvalidVariable
from toolbox_server.models import UpdateEnvRequest

MAX_VARIABLE = 32 * os.sysconf("SC_PAGE_SIZE") - 1
"""Maximum bytes of ``NAME=value``: execve(2) refuses longer strings (MAX_ARG_STRLEN)."""


def max_total() -> int:
    """Return the maximum bytes of an environment: half of execve(2)'s; arguments get the rest."""
    return os.sysconf("SC_ARG_MAX") // 2


def plan(change: UpdateEnvRequest, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that ``change`` makes of ``environ``.

    Raises InvalidVariable for an invalid name or value, and if no process could be started with
    the result: then no command could repair it, either.
    """
    # Everything is checked before anything changes: a request is applied completely or not at all.
    new = {name: value or "" for name, value in (change.set or {}).items()}
    for name in [*new, *(change.unset or ())]:
        _check_name(name)
    for name, value in new.items():
        _check_value(name, value)
    dropped = set(change.unset or ())
    if prefix := change.unset_value_prefix:
        dropped |= {name for name, value in environ.items() if value.startswith(prefix)} - set(new)
    result = {name: value for name, value in environ.items() if name not in dropped} | new
    _check_total(result, environ)
    return result


def _check_name(name: str) -> None:
    if not is_variable_name(name):
        raise InvalidVariable(f"invalid environment variable name: {name!r}")


def _check_value(name: str, value: str) -> None:
    if "\0" in value:
        raise InvalidVariable(f"the value of {name!r} contains NUL")
    if len(_encode(name, f"{name}={value}")) > MAX_VARIABLE:
        raise InvalidVariable(f"{name!r} and its value exceed {MAX_VARIABLE} bytes")


def _encode(name: str, text: str) -> bytes:
    try:
        return os.fsencode(text)
    except UnicodeEncodeError as error:
        raise InvalidVariable(f"{name!r} can't be encoded as {error.encoding}") from None


def _check_total(result: Mapping[str, str], before: Mapping[str, str]) -> None:
    """Refuse an environment over the limit, unless the change makes it smaller."""
    size = _size(result)
    if size > max(max_total(), _size(before)):
        raise InvalidVariable(f"the environment would have {size} bytes (limit {max_total()})")


def _size(environ: Mapping[str, str]) -> int:
    """Return the bytes on a new process's stack: each string, its NUL and its pointer."""
    return sum(len(os.fsencode(f"{name}={value}")) + 9 for name, value in environ.items())


def apply(result: Mapping[str, str], environ: MutableMapping[str, str]) -> None:
    """Make ``environ`` equal to ``result``."""
    # One by one, since os.environ also has to call putenv(3) and unsetenv(3).
    for name in [name for name in environ if name not in result]:
        del environ[name]
    for name, value in result.items():
        # Unchanged ones stay: setenv(3) leaks the old string.
        if environ.get(name) != value:
            environ[name] = value
