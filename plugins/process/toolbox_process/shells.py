"""Which shell runs commands, and how a command of any length is handed to it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from toolbox_process.errors import ProgramMissing
from toolbox_process.nameless import nameless_file

LIST = Path("/etc/shells")

PREFERRED = ("/usr/bin/zsh", "/bin/zsh", "/usr/bin/bash", "/bin/bash")
"""The order of the Daytona Toolbox API."""

POSIX = frozenset({"sh", "bash", "zsh", "dash", "ash", "ksh", "ksh93", "mksh", "yash"})
"""Shells that take ``-c`` and POSIX syntax; ``$SHELL`` may be something else entirely."""

SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
"""Names a shell may have for its variables; an environment may have others."""

MAX_ARGUMENT = 100 * 1024
"""Longer commands don't travel as an argument: Linux takes 128 KiB (execve(2))."""


def find_shell(configured: str) -> str:
    """The path of the shell: the one configured, else a preferred one that ``/etc/shells`` names,
    else ``$SHELL``, else ``sh``. Raises ProgramMissing.
    """
    candidates = [configured] if configured else [*_listed(), os.environ.get("SHELL", "")]
    for path in [*candidates, "/bin/sh", "/usr/bin/sh"]:
        if Path(path).name in POSIX and os.access(path, os.X_OK):
            return path
    raise ProgramMissing("no shell is installed")


class ChosenShell:
    """The shell, chosen once: one that is installed later changes nothing for a running service.

    Chosen again only where the one there was has gone.
    """

    def __init__(self, configured: str) -> None:
        self._configured = configured
        self._path = ""
        with suppress(ProgramMissing):  # Whoever asks is told so.
            self.path()

    def path(self) -> str:
        """Its path. Raises ProgramMissing."""
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
    """The preferred shells in the list; read again when it was changed."""
    lines = LIST.read_text("utf-8", "replace").splitlines()
    named = {line.strip() for line in lines if not line.startswith("#")}
    return [path for path in PREFERRED if path in named]


def command_line(
    shell: str, command: str, directory: Callable[[], Path]
) -> tuple[list[str], int | None]:
    """The arguments that run ``command``, and a file descriptor to pass on, if one is needed.

    The descriptor holds a command too long for an argument; the caller closes it.
    """
    text = command.encode("utf-8", "surrogateescape")
    if len(text) <= MAX_ARGUMENT:
        # "--" so that a command may begin with a dash.
        return (
            [shell, "-c", "--", command] if command[:1] in "-+" else [shell, "-c", command]
        ), None
    fd = nameless_file(text, directory)
    # Not sourced: then errors would name the file, and not the shell.
    return [shell, "-c", f'eval "$(cat /proc/self/fd/{fd})"'], fd


def session_arguments(shell: str) -> list[str]:
    """How ``shell`` is started to read commands from its standard input."""
    # zsh would read its startup files from the input meant for us.
    return [shell, "-f"] if Path(shell).name == "zsh" else [shell]


def command_word(shell: str) -> str:
    """What stands before a builtin so that no function of the user's takes its place and, in the
    POSIX shells, a syntax error doesn't end the shell (2.8.1 of the Shell Command Language).
    """
    return "builtin" if Path(shell).name == "zsh" else "command"
