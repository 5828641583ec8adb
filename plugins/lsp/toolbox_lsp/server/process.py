"""The process of a language server: its start, its standard error, its end."""

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
from toolbox.linux.clock import awake
from toolbox.processes import popen
from toolbox.sockets.loop import IN
from toolbox.sockets.loop import Loop
from toolbox_lsp.errors import ServerFailed

MAX_STDERR = 2048
"""Bytes kept of the end of standard error."""
MAX_QUOTED = 400
"""Characters of it in an error message."""


class ServerProcess:
    """A program in its own session (setsid(2)), with pipes.

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
        self._stderr_tail = b""
        assert self._process.stderr is not None
        self._errors = self._process.stderr.fileno()
        os.set_blocking(self._errors, False)
        # The pidfd tells of an exit even if children keep the pipes open.
        self._leader = _open_pidfd(self.pid)
        loop.call_soon(self._watch)

    def pipes(self) -> tuple[BinaryIO, BinaryIO]:
        """Return its standard input and output, which the caller closes."""
        return cast(BinaryIO, self._process.stdin), cast(BinaryIO, self._process.stdout)

    @property
    def killed(self) -> bool:
        """True if it was killed."""
        return self._process.returncode == -signal.SIGKILL

    def running(self) -> bool:
        """Report whether its main process has not exited yet."""
        with self._lock:
            if self._reaped:
                return False
            # Not reaped here: its pid can't be reused while it may still be signaled.
            options = os.WEXITED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, self.pid, options) is None

    def signal(self, number: int) -> None:
        """Send a signal to its process group."""
        with self._lock, contextlib.suppress(ProcessLookupError, PermissionError):
            if not self._reaped:
                os.killpg(self.pid, number)

    def wait(self, timeout: float) -> bool:
        """Wait until it exits; report whether it did within ``timeout`` seconds."""
        deadline = awake() + timeout
        # Polled: waitid(2) has no timeout, and pidfds need Linux 5.3.
        while self.running():
            if awake() > deadline:
                return False
            time.sleep(0.01)
        return True

    def finish(self, grace: float) -> str:
        """Kill what is left after ``grace`` seconds and reap it; return the reason of the end."""
        self.wait(grace)
        self.signal(signal.SIGKILL)
        self.wait(grace)
        with self._lock:
            self._reaped = True
            status = self._process.wait()
        # The group outlives its leader as long as it has members.
        self._wait_for_group(grace)
        # The loop must drop the descriptors before they are closed and reused.
        released = threading.Event()
        self._loop.call_soon(self._release)
        self._loop.call_soon(released.set)
        released.wait(grace)
        return f"{self.name} exited ({_status_text(status)}){self._quote()}"

    def _wait_for_group(self, timeout: float) -> None:
        """Wait until its whole process group has exited: SIGKILL takes effect asynchronously."""
        deadline = awake() + timeout
        with contextlib.suppress(ProcessLookupError, PermissionError):
            while awake() < deadline:
                # Signal 0 only checks that the group exists (kill(2)).
                os.killpg(self.pid, 0)
                time.sleep(0.01)

    def _watch(self) -> None:
        self._loop.add(self._errors, IN, self._on_stderr)
        if self._leader >= 0:
            self._loop.add(self._leader, IN, self._on_exit)

    def _on_exit(self, events: int) -> None:
        """Kill its remaining children: one that holds its output open would hide its exit."""
        self._loop.remove(self._leader)
        self.signal(signal.SIGKILL)

    def _on_stderr(self, events: int) -> None:
        try:
            data = os.read(self._errors, 65536)
        except BlockingIOError:
            return
        if data:
            self._stderr_tail = (self._stderr_tail + data)[-MAX_STDERR:]
        else:
            self._loop.remove(self._errors)

    def _release(self) -> None:
        """Read the rest of standard error, and close the descriptors."""
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._errors, 65536)
            self._stderr_tail = (self._stderr_tail + data)[-MAX_STDERR:]
        self._loop.remove(self._errors)
        if self._leader >= 0:
            self._loop.remove(self._leader)
            os.close(self._leader)
        assert self._process.stderr is not None
        self._process.stderr.close()

    def _quote(self) -> str:
        text = self._stderr_tail.decode("utf-8", "surrogateescape").strip()
        return f": {printable(text[-MAX_QUOTED:])}" if text else ""


def _open_pidfd(pid: int) -> int:
    """Return a descriptor that is readable once ``pid`` exits, or -1 before Linux 5.3."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return -1


def _status_text(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-status).name
    return f"signal {-status}"
