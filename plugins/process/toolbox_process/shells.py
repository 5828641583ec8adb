"""Which shell runs commands, and how a command of any length is handed to it."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from toolbox_process.errors import ProgramMissing

LIST = Path("/etc/shells")

PREFERRED = ("/usr/bin/zsh", "/bin/zsh", "/usr/bin/bash", "/bin/bash")
"""The order of the Daytona Toolbox API."""

POSIX = frozenset({"sh", "bash", "zsh", "dash", "ash", "ksh", "ksh93", "mksh", "yash"})
"""Shells that take ``-c`` and POSIX syntax; ``$SHELL`` may be something else entirely."""

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


def command_line(shell: str, command: str) -> tuple[list[str], int | None]:
    """The arguments that run ``command``, and a file descriptor to pass on, if one is needed.

    The descriptor holds a command too long for an argument; the caller closes it.
    """
    text = command.encode("utf-8", "surrogateescape")
    if len(text) <= MAX_ARGUMENT:
        # "--" so that a command may begin with a dash.
        return (
            [shell, "-c", "--", command] if command[:1] in "-+" else [shell, "-c", command]
        ), None
    fd = os.memfd_create("command")
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(text)
    return [shell, "-c", f". /proc/self/fd/{fd}"], fd


def session_arguments(shell: str) -> list[str]:
    """How ``shell`` is started to read commands from its standard input."""
    # zsh would read its startup files from the input meant for us.
    return [shell, "-f"] if Path(shell).name == "zsh" else [shell]


def command_word(shell: str) -> str:
    """What stands before a builtin so that no function of the user's takes its place and, in the
    POSIX shells, a syntax error doesn't end the shell (2.8.1 of the Shell Command Language).
    """
    return "builtin" if Path(shell).name == "zsh" else "command"
