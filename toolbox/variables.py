"""The environment: one rule for the names of variables, and what is read from it."""

from __future__ import annotations

import os
import pwd
from pathlib import Path


def is_variable_name(name: str) -> bool:
    """Whether an environment can hold a variable of that name: execve(2) takes any string that is
    not empty and has neither ``=`` nor NUL.

    Nor line ends: whoever lists an environment would take the name for two. Shells use fewer names,
    but mostly pass on the others; programs may want them.
    """
    if not name or set(name) & set("=\0\r\n"):
        return False
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return True


def home_directory() -> Path:
    """The user's home: ``HOME``, else what the user database says, else ``/``."""
    if home := os.environ.get("HOME"):
        return Path(home)
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return Path("/")
