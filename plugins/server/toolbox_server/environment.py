"""Changes of an environment: checked as a whole, then made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from collections.abc import MutableMapping

from toolbox.variables import is_variable_name
from toolbox_server.errors import InvalidVariable
from toolbox_server.models import UpdateEnvRequest

MAX_VARIABLE = 32 * os.sysconf("SC_PAGE_SIZE") - 1
"""Bytes of ``NAME=value``: execve(2) refuses a longer string (MAX_ARG_STRLEN)."""


def max_total() -> int:
    """Bytes of a whole environment: half of what execve(2) takes, the rest is for arguments."""
    return os.sysconf("SC_ARG_MAX") // 2


def plan(change: UpdateEnvRequest, environ: Mapping[str, str]) -> dict[str, str]:
    """What ``environ`` becomes by ``change``.

    Raises InvalidVariable for a name or value that no environment can hold, and if no process
    could be started with the result: its way back would be barred, too.
    """
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
        raise InvalidVariable(f"{name!r} can't be the name of a variable")


def _check_value(name: str, value: str) -> None:
    if "\0" in value:
        raise InvalidVariable(f"the value of {name!r} holds a NUL")
    if len(_encode(name, f"{name}={value}")) > MAX_VARIABLE:
        raise InvalidVariable(f"{name!r} and its value are over {MAX_VARIABLE} bytes")


def _encode(name: str, text: str) -> bytes:
    try:
        return os.fsencode(text)
    except UnicodeEncodeError as error:
        raise InvalidVariable(f"{name!r} can't be written in {error.encoding}") from None


def _check_total(result: Mapping[str, str], before: Mapping[str, str]) -> None:
    """Refuse to go over the limit, but never to come closer to it from above."""
    size = _size(result)
    if size > max(max_total(), _size(before)):
        raise InvalidVariable(f"the environment would have {size} bytes; {max_total()} are allowed")


def _size(environ: Mapping[str, str]) -> int:
    """Bytes on a new process's stack: each string, its end and the pointer to it."""
    return sum(len(os.fsencode(f"{name}={value}")) + 9 for name, value in environ.items())


def apply(result: Mapping[str, str], environ: MutableMapping[str, str]) -> None:
    """Make ``environ`` what ``result`` is."""
    for name in [name for name in environ if name not in result]:
        del environ[name]
    for name, value in result.items():
        if environ.get(name) != value:
            environ[name] = value
