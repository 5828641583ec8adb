"""Environment variables: the one rule for their names, and the home directory."""

from __future__ import annotations

import os
import pwd
from pathlib import Path


def is_variable_name(name: str) -> bool:
    """Report whether a variable may have that name.

    execve(2) accepts any string that is not empty and has neither ``=`` nor NUL. Line ends are
    refused, too: in a listing of the environment one name would look like two. Shells use fewer
    names, but mostly pass the others on to programs, which may need them.
    """
    if not name or set(name) & set("=\0\r\n"):
        return False
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return True


def home_directory() -> Path:
    """Return the user's home: ``HOME``, the entry in the user database, or ``/``."""
    if home := os.environ.get("HOME"):
        return Path(home)
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return Path("/")


def expand_home(path: str) -> Path:
    """Return a path of a setting, in which ``~`` is the home directory, as an absolute one.

    pathlib's function fails for a user without an entry, such as those that containers run as.
    """
    first, _, rest = path.partition("/")
    return (home_directory() / rest if first == "~" else Path(path).expanduser()).absolute()
