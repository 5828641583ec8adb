"""The files with which a session's shell runs a command: a script, and pipes as its streams."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
from collections.abc import Callable
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import NamedTuple

from toolbox_process.engine.state import StateDirectory

NOTHING = Path("/dev/null")


class Script(NamedTuple):
    """The paths. ``source``, its standard input, is a pipe only for a command that reads."""

    text: Path
    out: Path
    err: Path
    source: Path = NOTHING

    def remove(self) -> None:
        """Delete the files."""
        for path in self:
            if path != NOTHING:
                with contextlib.suppress(OSError):
                    path.unlink()


class Scripts:
    """The scripts of one session, in its own directories."""

    def __init__(
        self, state: StateDirectory, name: str, share: Callable[[Path], object] = lambda path: None
    ) -> None:
        self._state = state
        self.name = name
        """The name of the directories."""
        self._share = share

    def prepare(self) -> Path:
        """Return the directory that exists before the shell does, in the first place with room for
        it. Raises OSError.
        """
        failure: OSError | None = None
        for passed in count():
            try:
                self._state.path(passed)
            except OSError as error:
                raise failure or error from None
            try:
                return self._make_directory(passed)
            except OSError as error:
                failure = error
        raise AssertionError("unreachable")

    def _make_directory(self, passed: int) -> Path:
        directory = self._state.path(passed) / self.name
        directory.mkdir(0o700, exist_ok=True)
        self._share(directory)
        return directory

    def write(self, number: int, text: bytes, reads: bool) -> Script:
        """Write a command's files to the first directory with room for them. Raises OSError."""
        # Another directory may have room, or allow what this one forbids.
        failure: OSError | None = None
        for passed in count():
            try:
                directory = self._state.path(passed) / self.name
            except OSError as error:
                raise failure or error from None
            ends = ("sh", "out", "err", "in") if reads else ("sh", "out", "err")
            script = Script(*(directory / f"{number}.{end}" for end in ends))
            try:
                self._make_directory(passed)
                _make(script, text)
                for path in script:
                    if path != NOTHING:
                        self._share(path)
            except OSError as error:
                script.remove()
                failure = error
            else:
                return script
        raise AssertionError("unreachable")

    def remove(self) -> None:
        """Delete the directories."""
        for directory in self._state.paths():
            shutil.rmtree(directory / self.name, ignore_errors=True)


def _make(script: Script, text: bytes) -> None:
    # Never through a link: jobs may write to the directory, too.
    fd = os.open(script.text, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        # No newline is added: after a backslash at the end it would be a continuation.
        file.write(text)
    # Pipes rather than files: output is streamed, and read to its end (fifo(7)).
    for path in script[1:]:
        if path != NOTHING:
            os.mkfifo(path, 0o600)


def run_line(
    script: Script, word: str, marker: str, cwd: str | None, envs: Mapping[str, str]
) -> bytes:
    """Return the line that makes a shell run a script and then print ``marker`` and the exit
    status.

    ``word`` precedes builtins. ``cwd`` and ``envs`` apply to this command only.
    """
    quote = shlex.quote
    source = "".join(f"{name}={quote(value)} " for name, value in envs.items())
    run = f"{source}{word} . {quote(str(script.text))}"
    before = after = ""
    if cwd is not None:
        # Not in a subshell: variables and functions must stay in the session.
        run = f"{word} cd -- {quote(cwd)} && {{ _toolbox_at=$PWD; {run}; }}"
        before = "_toolbox_from=$PWD; _toolbox_at=; "
        # Unless the command has changed the directory itself.
        after = (
            f'; [ "$PWD" != "$_toolbox_at" ] || {word} cd -- "$_toolbox_from"'
            f"; {word} unset _toolbox_from _toolbox_at"
        )
        run = f"{{ {run}; }}"
    line = (
        f"{before}{run} <{quote(str(script.source))} >{quote(str(script.out))}"
        f" 2>{quote(str(script.err))}; {word} echo {marker} $?{after}\n"
    )
    return os.fsencode(line)
