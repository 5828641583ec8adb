"""A pseudo-terminal and the program on it, without a fork of this process.

ptyprocess forks, which takes tens of milliseconds from a large process with many threads; here the
program opens the terminal itself, and so gets it as its controlling one (open(2), O_NOCTTY).
"""

from __future__ import annotations

import os
import termios
from collections.abc import Mapping
from collections.abc import Sequence

import ptyprocess  # type: ignore[import-untyped]

from toolbox_process.engine.launcher import TerminalSize
from toolbox_process.engine.shells import SHELL_NAME

_IUTF8 = 0o40000
"""From asm-generic/termbits-common.h, the same everywhere; in ``termios`` from Python 3.14 on."""

_TRAMPOLINE = 'exec <>"$0" >&0 2>&0; exec "$@"'


def on_terminal(
    path: str, arguments: Sequence[str], environment: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the arguments that run ``arguments`` on the terminal at ``path``, with every variable
    of ``environment``: dash drops those whose names it can't use itself.
    """
    odd = [
        f"{name}={value}" for name, value in environment.items() if not SHELL_NAME.fullmatch(name)
    ]
    keep = ["env", "--", *odd] if odd else []
    return ("/bin/sh", "-c", _TRAMPOLINE, path, *keep, *arguments)


def _erase_whole_characters(fd: int) -> None:
    """Set IUTF8 (termios(3)): in cooked mode a erase takes a character, not a byte of one."""
    attributes = termios.tcgetattr(fd)
    attributes[0] |= _IUTF8
    termios.tcsetattr(fd, termios.TCSANOW, attributes)


class PtyDevice(ptyprocess.PtyProcess):  # type: ignore[misc]
    """The master's side. The program is signaled and reaped by its launcher, never by this."""

    def __init__(self, size: TerminalSize) -> None:
        master, self.slave = os.openpty()
        try:
            os.set_inheritable(self.slave, False)
            self.path = os.ttyname(self.slave)
            termios.tcsetwinsize(master, size)
            _erase_whole_characters(master)
            super().__init__(0, master)
        except BaseException:
            os.close(master)
            os.close(self.slave)
            raise
        self.closed: bool = False

    @classmethod
    def of(cls, master: int, slave: int) -> PtyDevice:
        """Return the device of descriptors that were handed over; ``slave`` may be -1."""
        device = cls.__new__(cls)
        ptyprocess.PtyProcess.__init__(device, 0, master)
        device.slave, device.path, device.closed = slave, "", False
        return device

    def resize(self, size: TerminalSize) -> None:
        """Change the size; the program gets SIGWINCH."""
        if not self.closed:
            self.setwinsize(*size)

    def release_slave(self) -> None:
        """Let the master see the end once nothing else holds the other side.

        Until the program has ended it is held open: it may not have opened its side yet.
        """
        if self.slave >= 0:
            os.close(self.slave)
            self.slave = -1

    def close(self, force: bool = True) -> None:
        """Hang up."""
        if not self.closed:
            self.release_slave()
            self.fileobj.close()
            self.closed = True
            self.fd = -1
