"""The process of a language server: start it, keep the end of what it complains, end all of it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import BinaryIO
from typing import cast

from toolbox.errors import printable
from toolbox.loop import IN
from toolbox.loop import Loop
from toolbox.processes import popen
from toolbox_lsp.errors import ServerFailed

MAX_COMPLAINTS = 2048
"""Bytes kept of standard error."""
QUOTED = 400
"""Characters of them in an error message."""


class ServerProcess:
    """A program in a session of its own, with pipes.

    Raises ServerFailed if it can't be started.
    """

    def __init__(self, command: list[str], directory: Path, loop: Loop) -> None:
        self.name = Path(command[0]).name
        self._loop = loop
        try:
            self._process = popen(
                command,
                cwd=directory,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise ServerFailed(
                f"{self.name} can't be started: {os.strerror(error.errno or 0)}"
            ) from None
        self.pid = self._process.pid
        self._lock = threading.Lock()
        self._reaped = False
        self._complaints = b""
        assert self._process.stderr is not None
        self._errors = self._process.stderr.fileno()
        os.set_blocking(self._errors, False)
        self._leader = _open_pidfd(self.pid)
        loop.call_soon(self._watch)

    def pipes(self) -> tuple[BinaryIO, BinaryIO]:
        """Its input and its output, which the caller closes."""
        return cast(BinaryIO, self._process.stdin), cast(BinaryIO, self._process.stdout)

    @property
    def killed(self) -> bool:
        """Whether it was ended by force."""
        return self._process.returncode == -signal.SIGKILL

    def running(self) -> bool:
        """Whether its leader has not ended; it may be ending."""
        with self._lock:
            if self._reaped:
                return False
            # Not reaped here, so that nobody else gets its pid while it may still be signalled.
            options = os.WEXITED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, self.pid, options) is None

    def signal(self, number: int) -> None:
        """Send a signal to everything that it started and that stayed in its process group."""
        with self._lock, contextlib.suppress(ProcessLookupError, PermissionError):
            if not self._reaped:
                os.killpg(self.pid, number)

    def wait(self, timeout: float) -> bool:
        """Wait for its end; whether it came."""
        deadline = time.monotonic() + timeout
        while self.running():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def finish(self, grace: float) -> str:
        """End what is left of it after ``grace`` seconds, and reap it; how it ended, in words."""
        self.wait(grace)
        self.signal(signal.SIGKILL)
        self.wait(grace)
        with self._lock:
            self._reaped = True
            status = self._process.wait()
        self._wait_for_group(grace)
        released = threading.Event()
        self._loop.call_soon(self._release)
        self._loop.call_soon(released.set)
        released.wait(grace)
        return f"{self.name} has ended ({_describe(status)}){self._quote()}"

    def _wait_for_group(self, timeout: float) -> None:
        """Wait until what it started is gone, too: killing takes the kernel a moment."""
        deadline = time.monotonic() + timeout
        with contextlib.suppress(ProcessLookupError, PermissionError):
            while time.monotonic() < deadline:
                os.killpg(self.pid, 0)
                time.sleep(0.01)

    def _watch(self) -> None:
        self._loop.add(self._errors, IN, self._on_complaint)
        if self._leader >= 0:
            self._loop.add(self._leader, IN, self._on_end)

    def _on_end(self, events: int) -> None:
        """End what it leaves behind: a child that holds its output would hide that it is gone."""
        self._loop.remove(self._leader)
        self.signal(signal.SIGKILL)

    def _on_complaint(self, events: int) -> None:
        try:
            data = os.read(self._errors, 65536)
        except BlockingIOError:
            return
        if data:
            self._complaints = (self._complaints + data)[-MAX_COMPLAINTS:]
        else:
            self._loop.remove(self._errors)

    def _release(self) -> None:
        """Take what it wrote last, and close the pipe."""
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._errors, 65536)
            self._complaints = (self._complaints + data)[-MAX_COMPLAINTS:]
        self._loop.remove(self._errors)
        if self._leader >= 0:
            self._loop.remove(self._leader)
            os.close(self._leader)
        assert self._process.stderr is not None
        self._process.stderr.close()

    def _quote(self) -> str:
        text = self._complaints.decode("utf-8", "surrogateescape").strip()
        return f": {printable(text[-QUOTED:])}" if text else ""


def _open_pidfd(pid: int) -> int:
    """A descriptor that tells of the end of ``pid``, or -1 where the system can't (Linux < 5.3)."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return -1


def _describe(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-status).name
    return f"signal {-status}"
