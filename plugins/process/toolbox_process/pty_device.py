"""A pseudo-terminal and the program on it, without a fork of this process.

ptyprocess forks, which takes tens of milliseconds from a large process with many threads; here the
program opens the terminal itself, and so gets it as its controlling one (open(2), O_NOCTTY).
"""

from __future__ import annotations

import os
import subprocess
import termios
from collections.abc import Callable
from collections.abc import Mapping

import ptyprocess  # type: ignore[import-untyped]

from toolbox_process.shells import SHELL_NAME

_IUTF8 = 0o40000
"""From asm-generic/termbits-common.h, the same everywhere; in ``termios`` from Python 3.14 on."""

_TRAMPOLINE = 'exec <>"$0" >&0 2>&0; exec "$@"'


def keep_odd_variables(environment: Mapping[str, str]) -> list[str]:
    """What stands before the arguments so that ``sh`` passes on the variables it can't use itself:
    dash drops them.
    """
    odd = [
        f"{name}={value}" for name, value in environment.items() if not SHELL_NAME.fullmatch(name)
    ]
    return ["env", "--", *odd] if odd else []


def _erase_whole_characters(fd: int) -> None:
    """Set IUTF8 (termios(3)): in cooked mode a erase takes a character, not a byte of one."""
    attributes = termios.tcgetattr(fd)
    attributes[0] |= _IUTF8
    termios.tcsetattr(fd, termios.TCSANOW, attributes)


class PtyDevice(ptyprocess.PtyProcess):  # type: ignore[misc]
    """The master's side. Whoever reaps the child is the owner of ``process``, never this."""

    def __init__(self, process: subprocess.Popen[bytes], master: int, slave: int) -> None:
        super().__init__(process.pid, master)
        self.closed: bool = False
        self.process = process
        # Held open so that the master can be read before the program has opened its side.
        self._slave = slave

    @classmethod
    def start(
        cls,
        arguments: list[str],
        rows: int,
        columns: int,
        spawn: Callable[[list[str]], subprocess.Popen[bytes]],
    ) -> PtyDevice:
        """Start ``arguments`` on a new terminal; ``spawn`` starts a program in a new session.
        Raises what it raises, and OSError.
        """
        master, slave = os.openpty()
        try:
            os.set_inheritable(slave, False)
            name = os.ttyname(slave)
            termios.tcsetwinsize(master, (rows, columns))
            _erase_whole_characters(master)
            process = spawn(["/bin/sh", "-c", _TRAMPOLINE, name, *arguments])
        except BaseException:
            os.close(master)
            os.close(slave)
            raise
        return cls(process, master, slave)

    def resize(self, rows: int, columns: int) -> None:
        """Change the size; the program is told by SIGWINCH."""
        self.setwinsize(rows, columns)

    def release_slave(self) -> None:
        """Let the master see the end once nobody else holds the other side."""
        if self._slave >= 0:
            os.close(self._slave)
            self._slave = -1

    def close(self, force: bool = True) -> None:
        """Hang up."""
        if not self.closed:
            self.release_slave()
            self.fileobj.close()
            self.closed = True
            self.fd = -1
