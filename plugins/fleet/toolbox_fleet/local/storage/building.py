"""The command that makes a tree of files from a Dockerfile: ``[fleet.local] builder``."""

from __future__ import annotations

import os
import select
import string
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from typing import NamedTuple

import msgspec

from toolbox.processes import popen
from toolbox.settings import SettingsError
from toolbox.trees.errors import TreeError
from toolbox_fleet.errors import InvalidValue
from toolbox_fleet.local.running.environment import MARKER
from toolbox_fleet.names import check_environment
from toolbox_fleet.names import refuse_own_variables

WAIT = 0.2
"""Seconds between two checks whether the build is still wanted."""

PLACES = frozenset({"dockerfile", "files", "environment"})
"""Placeholders of the command."""

_SHARED = ("PATH", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "http_proxy", "https_proxy", "no_proxy")
"""Variables of this machine that a build may need."""

LONGEST_ENVIRONMENT = 256 * 1024
"""Bytes of the file with an image's variables."""


def check_builder(builder: list[str]) -> None:
    """Raise SettingsError for a command that can't be one."""
    used: set[str] = set()
    for word in builder:
        try:
            used |= {name for _, name, _, _ in string.Formatter().parse(word) if name is not None}
        except ValueError as error:
            raise SettingsError(f"fleet.local.builder: {word!r}: {error}") from None
    if unknown := used - PLACES:
        known = ", ".join(f"{{{name}}}" for name in sorted(PLACES))
        raise SettingsError(f"fleet.local.builder: {{{min(unknown)}}} is none of {known}")
    if builder and not {"dockerfile", "files"} <= used:
        raise SettingsError("fleet.local.builder: the command needs {dockerfile} and {files}")


class Command(NamedTuple):
    """The command, for one build."""

    builder: list[str]
    identity: str
    """Marks its processes, as those of a sandbox are, to be found whatever becomes of them."""
    prefix: list[str]
    """A program that executes what follows it."""
    seconds: float
    """The time that it may take."""

    def run(
        self,
        dockerfile: str,
        work: Path,
        files: Path,
        write: Callable[[bytes], None],
        check: Callable[[], None],
    ) -> dict[str, str]:
        """Fill the empty directory ``files``; return the variables of the image's environment.

        ``work`` is an empty directory for everything else. The output is given to ``write``. What
        the command has left running is for the caller to end. Raises TreeError, OSError, and what
        ``check`` raises.
        """
        context = work / "context"
        context.mkdir()
        places = {"dockerfile": work / "Dockerfile", "files": files, "environment": work / "env"}
        places["dockerfile"].write_text(dockerfile, "utf-8")
        process = self._start([word.format_map(places) for word in self.builder], context)
        try:
            _pass_on(process, write, check, self.seconds)
        finally:
            process.kill()
            code = process.wait()
            assert process.stdout is not None
            process.stdout.close()
        if code:
            raise TreeError(f"the build failed ({_status(code)}); see its log")
        return _variables(places["environment"])

    def _start(self, command: list[str], context: Path) -> subprocess.Popen[Any]:
        # None of the service's variables: its token is there, and a Dockerfile may be anybody's.
        shared = {name: os.environ[name] for name in _SHARED if name in os.environ}
        own = {"PATH": os.defpath, "LANG": "C.UTF-8", MARKER: self.identity}
        try:
            return popen(
                [*self.prefix, *command],
                cwd=context,
                env={**own, **shared, "HOME": str(context.parent)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
            )
        except OSError as error:
            raise TreeError(f"{command[0]!r} can't be started: {error.strerror}") from None


def _pass_on(
    process: subprocess.Popen[Any],
    write: Callable[[bytes], None],
    check: Callable[[], None],
    seconds: float,
) -> None:
    """Pass the output on until the command has ended."""
    assert process.stdout is not None
    end = time.monotonic() + seconds
    outputs = [process.stdout.fileno()]
    # Something that it has left behind may hold the other end open, or it may have closed its own.
    while not _has_ended(process.pid):
        check()
        if time.monotonic() > end:
            raise TreeError(f"the build took longer than {seconds:.0f} s")
        _read(outputs, write, WAIT)
    while _read(outputs, write, 0):
        check()


def _read(outputs: list[int], write: Callable[[bytes], None], seconds: float) -> bool:
    """Write what comes in some time, and report whether something has come."""
    for output in select.select(outputs, [], [], seconds)[0]:
        if data := os.read(output, 64 * 1024):
            write(data)
            return True
        outputs.remove(output)
    return False


def _has_ended(pid: int) -> bool:
    """Report whether a child has ended, without reaping it: its pid stays its own."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _status(code: int) -> str:
    return f"exit code {code}" if code > 0 else f"signal {-code}"


def _variables(place: Path) -> dict[str, str]:
    """Return what a builder has written about the environment, if it has."""
    try:
        with place.open("rb") as file:
            text = file.read(LONGEST_ENVIRONMENT + 1)
    except FileNotFoundError:
        return {}
    try:
        if len(text) > LONGEST_ENVIRONMENT:
            raise InvalidValue("it is too long")
        variables = msgspec.json.decode(text, type=dict[str, str])
        check_environment(variables)
        refuse_own_variables(variables)
    except (msgspec.DecodeError, InvalidValue) as error:
        raise TreeError(f"the builder has written no environment of an image: {error}") from None
    return variables
