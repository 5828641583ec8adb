"""The files by which a session's shell runs one command: its text, and the named pipes that are its
streams.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import NamedTuple

from toolbox_process.statedir import StateDirectory

NOTHING = Path("/dev/null")


class Script(NamedTuple):
    """The paths. ``source``, what the command reads, is a pipe only if it reads at all."""

    text: Path
    out: Path
    err: Path
    source: Path = NOTHING

    def remove(self) -> None:
        """Delete them."""
        for path in self:
            if path != NOTHING:
                with contextlib.suppress(OSError):
                    path.unlink()


class Scripts:
    """Those of one session, in directories of its own."""

    def __init__(self, state: StateDirectory, name: str) -> None:
        self._state = state
        self._name = name

    def write(self, number: int, text: bytes, reads: bool) -> Script:
        """The files of a command, wherever there is a place for them. Raises OSError."""
        failure: OSError | None = None
        for passed in count():
            try:
                directory = self._state.path(passed) / self._name
            except OSError as error:
                raise failure or error from None
            ends = ("sh", "out", "err", "in") if reads else ("sh", "out", "err")
            script = Script(*(directory / f"{number}.{end}" for end in ends))
            try:
                directory.mkdir(0o700, exist_ok=True)
                _make(script, text)
            except OSError as error:
                script.remove()
                failure = error
            else:
                return script
        raise AssertionError("unreachable")

    def remove(self) -> None:
        """Delete the directories."""
        for directory in self._state.paths():
            shutil.rmtree(directory / self._name, ignore_errors=True)


def _make(script: Script, text: bytes) -> None:
    fd = os.open(script.text, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        # With no newline after it: a backslash at the end would take that away.
        file.write(text)
    for path in script[1:]:
        if path != NOTHING:
            os.mkfifo(path, 0o600)


def run_line(
    script: Script, word: str, answer: str, cwd: str | None, envs: Mapping[str, str]
) -> bytes:
    """What a shell reads to run it and then to say ``answer`` and the exit status.

    ``word`` stands before builtins. ``cwd`` and ``envs`` hold for this command only.
    """
    quote = shlex.quote
    source = "".join(f"{name}={quote(value)} " for name, value in envs.items())
    run = f"{source}{word} . {quote(str(script.text))}"
    before = after = ""
    if cwd is not None:
        run = f"{word} cd -- {quote(cwd)} && {{ _toolbox_at=$PWD; {run}; }}"
        before = "_toolbox_from=$PWD; _toolbox_at=; "
        # Unless it has gone elsewhere by itself.
        after = (
            f'; [ "$PWD" != "$_toolbox_at" ] || {word} cd -- "$_toolbox_from"'
            f"; {word} unset _toolbox_from _toolbox_at"
        )
        run = f"{{ {run}; }}"
    line = (
        f"{before}{run} <{quote(str(script.source))} >{quote(str(script.out))}"
        f" 2>{quote(str(script.err))}; {word} echo {answer} $?{after}\n"
    )
    return os.fsencode(line)
