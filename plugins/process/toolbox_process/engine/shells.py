"""The shell that runs commands, and its arguments for a command of any length."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from toolbox.linux.nameless import nameless_file
from toolbox_process.errors import ProgramMissing

LIST = Path("/etc/shells")

PREFERRED = ("/usr/bin/zsh", "/bin/zsh", "/usr/bin/bash", "/bin/bash")
"""The order of the Daytona Toolbox API."""

POSIX = frozenset({"sh", "bash", "zsh", "dash", "ash", "ksh", "ksh93", "mksh", "yash"})
"""Shells that take ``-c`` and POSIX syntax; ``$SHELL`` may be something else entirely."""

SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
"""Valid name of a shell variable; environment variables may have other names."""

MAX_ARGUMENT = 100 * 1024
"""Bytes of a command passed as an argument: Linux accepts 128 KiB (execve(2))."""


def find_shell(configured: str) -> str:
    """Return the path of the configured shell, or else of the first that is installed: a preferred
    one that ``/etc/shells`` names, ``$SHELL``, ``sh``. Raises ProgramMissing.
    """
    candidates = [configured] if configured else [*_listed(), os.environ.get("SHELL", "")]
    for path in [*candidates, "/bin/sh", "/usr/bin/sh"]:
        if Path(path).name in POSIX and os.access(path, os.X_OK):
            return path
    raise ProgramMissing("no shell is installed")


class ChosenShell:
    """The shell of this service. It stays the same when another is installed, so that a session and
    the next behave alike; it is chosen again only if it was removed.
    """

    def __init__(self, configured: str) -> None:
        self._configured = configured
        self._path = ""
        with suppress(ProgramMissing):  # Raised again for each command.
            self.path()

    def path(self) -> str:
        """Return the path. Raises ProgramMissing."""
        if not os.access(self._path, os.X_OK):
            self._path = find_shell(self._configured)
        return self._path


def _listed() -> list[str]:
    try:
        return _read_list(LIST.stat().st_mtime_ns)
    except OSError:
        return []


@lru_cache(1)
def _read_list(changed: int) -> list[str]:
    """Return the preferred shells in the list, which is read again when it was changed."""
    lines = LIST.read_text("utf-8", "replace").splitlines()
    named = {line.strip() for line in lines if not line.startswith("#")}
    return [path for path in PREFERRED if path in named]


def command_line(
    shell: str, command: str, directory: Callable[[], Path]
) -> tuple[list[str], int | None]:
    """Return the arguments that run ``command``, and a file descriptor to pass on, or None.

    The descriptor is a file with a command too long for an argument; the caller closes it.
    """
    text = command.encode("utf-8", "surrogateescape")
    if len(text) <= MAX_ARGUMENT:
        # "--" lets a command begin with a dash or a plus.
        return (
            [shell, "-c", "--", command] if command[:1] in "-+" else [shell, "-c", command]
        ), None
    fd = nameless_file(text, directory)
    # Not sourced, since the shell's error messages would name the file.
    return [shell, "-c", f'eval "$(cat /proc/self/fd/{fd})"'], fd


def session_arguments(shell: str) -> list[str]:
    """Return the arguments with which ``shell`` reads commands from its standard input."""
    # Startup files of zsh (-f disables them) could read the commands from standard input.
    return [shell, "-f"] if Path(shell).name == "zsh" else [shell]


def command_word(shell: str) -> str:
    """Return the word to put before a builtin, so that no function overrides it.

    In POSIX shells it also keeps an error of a special builtin from ending the shell (2.8.1 of the
    Shell Command Language).
    """
    return "builtin" if Path(shell).name == "zsh" else "command"
