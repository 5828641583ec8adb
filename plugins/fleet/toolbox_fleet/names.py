"""Names, labels and environments that clients may give: checked once, for every backend."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from toolbox_fleet.errors import InvalidValue

LONGEST_NAME = 255
"""Characters."""

MAX_LABELS = 256
"""Labels of a sandbox."""

LONGEST_LABEL = 4096
"""Characters of a label, and of its name."""

LONGEST_VARIABLE = 128 * 1024 - 1
"""Bytes of ``NAME=value``, without its NUL: the kernel takes no longer one (execve(2))."""

OWN = "TOOLBOX_"
"""The beginning of variables that are the service's, which no sandbox's ``env`` may set."""

_RESERVED = frozenset((".", "..", "paginated", "for-runner", "ssh-access", "by-name"))
"""Names that a URL could not hold: dots are removed from paths, words are other operations."""


def check_name(name: str) -> str:
    """Return a name that a client has given to a resource. Raises InvalidValue.

    Any printable text; a slash would end a part of a path.
    """
    if not name or len(name) > LONGEST_NAME:
        raise InvalidValue(f"name must have 1 to {LONGEST_NAME} characters")
    if not name.isprintable() or "/" in name or name != name.strip():
        raise InvalidValue(
            "name must consist of printable characters other than /, with no space around them"
        )
    if name in _RESERVED:
        raise InvalidValue(f"the name {name} is reserved")
    _check_whole(name)
    return name


def check_labels(labels: Mapping[str, str]) -> None:
    """Raise InvalidValue if a sandbox can't have these labels."""
    if len(labels) > MAX_LABELS:
        raise InvalidValue(f"a sandbox has at most {MAX_LABELS} labels")
    for text in (*labels, *labels.values()):
        if len(text) > LONGEST_LABEL or "\0" in text:
            raise InvalidValue(f"a label has at most {LONGEST_LABEL} characters, and no NUL")
        _check_whole(text)


def _check_whole(text: str) -> None:
    """Raise InvalidValue if a client has cut a character in half.

    The decoding has made it U+FFFD: two names that differ only there would be one.
    """
    if "\ufffd" in text:
        raise InvalidValue("names and labels must not have half of a surrogate pair, or U+FFFD")


def check_environment(env: Mapping[str, str]) -> None:
    """Raise InvalidValue if a process can't have these variables."""
    for name, value in env.items():
        if not name or "=" in name or "\0" in name:
            raise InvalidValue("the name of a variable is empty, or contains = or NUL")
        if "\0" in value:
            raise InvalidValue(f"the variable {name} contains NUL")
        if len(f"{name}={value}".encode()) > LONGEST_VARIABLE:
            raise InvalidValue(f"the variable {name[:40]} is over {LONGEST_VARIABLE} bytes")


def refuse_own_variables(variables: Iterable[str]) -> None:
    """Raise InvalidValue if one is a name of the service's own."""
    for name in variables:
        if name.startswith(OWN):
            raise InvalidValue(f"{name[:60]}: names with {OWN} belong to the service")


def check_text(**fields: Any) -> None:
    """Raise InvalidValue if one of ``fields`` is a text with NUL, which no system call takes."""
    for name, value in fields.items():
        if isinstance(value, str) and "\0" in value:
            raise InvalidValue(f"{name} contains NUL")
