"""Runs Python code, piece by piece, in one namespace.

The argument is the descriptor of a socket for requests and outcomes, a line of JSON each. The
program's own streams are left to the code, so that nothing it or its children write can be taken
for an outcome.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import signal
import socket
import sys
import termios
import time
import traceback
import types
from typing import Any

SOURCE = "<stdin>"


class OrderedStderr(io.RawIOBase):
    """Standard error that stays in order with standard output.

    A reader of two pipes can't see which was written to first. So there is never data in both: this
    waits until standard output has been read, by this process or one it has started, before it
    writes, and then until its own data has been read.
    """

    name = "<stderr>"
    mode = "wb"

    def __init__(self) -> None:
        super().__init__()
        self._pipes = {fd: _identity(fd) for fd in (1, 2)}

    def fileno(self) -> int:
        return 2

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        """Write all of ``data``."""
        view = memoryview(data).cast("B")
        self._wait(1)
        at = 0
        while at < len(view):
            at += os.write(2, view[at:])
        self._wait(2)
        return at

    def _wait(self, fd: int) -> None:
        """Wait until the other side has read everything, if ``fd`` is still the pipe it was."""
        pause = 0.0
        while _identity(fd) == self._pipes[fd] and _unread(fd):
            time.sleep(pause)
            pause = min(0.001, 2 * pause + 0.00001)


def _identity(fd: int) -> Any:
    try:
        info = os.fstat(fd)
    except OSError:
        return None
    return info.st_dev, info.st_ino


def _unread(fd: int) -> int:
    """Return the bytes in a pipe (FIONREAD of ioctl_tty(2), which accepts either end)."""
    try:
        return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)
    except OSError:
        return 0


def describe(error: BaseException) -> dict[str, str]:
    """Return an exception for clients: of the stack, only the lines of their own code."""
    name = type(error).__name__
    try:
        value = str(error)
    except Exception:
        value = "<no text>"
    lines = [
        f'  File "{SOURCE}", line {frame.lineno}\n'
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == SOURCE
    ]
    head = ["Traceback (most recent call last):\n"] if lines else []
    last = f"{name}: {value}\n" if value else f"{name}\n"
    shown = {"name": name, "value": value, "traceback": "".join([*head, *lines, last])}
    # A lone surrogate has no encoding outside of Python.
    return {key: text.encode("utf-8", "backslashreplace").decode() for key, text in shown.items()}


def run(code: str, namespace: dict[str, Any]) -> dict[str, str] | None:
    """Run code; return the exception that has ended it."""
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        exec(compile(code, SOURCE, "exec", dont_inherit=True), namespace)
    except SystemExit:
        return None
    except BaseException as error:
        return describe(error)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return None


def flush() -> None:
    """Write what the code has printed without a newline."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass  # The code may have closed or replaced it.


def with_environment(envs: dict[str, str], code: str, namespace: dict[str, Any]) -> Any:
    """Run code with variables that apply to this run only."""
    before = {name: os.environ.get(name) for name in envs}
    os.environ.update(envs)
    try:
        return run(code, namespace)
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def serve(channel: socket.socket, namespace: dict[str, Any]) -> None:
    """Serve requests until the channel is closed."""
    own = os.getpid()
    for line in channel.makefile("rb"):
        request = json.loads(line)
        try:
            error = with_environment(request["envs"], request["code"], namespace)
        except KeyboardInterrupt as late:
            error = describe(late)
        flush()
        if os.getpid() != own:
            os._exit(0)  # A child that the code has forked and that has come this far.
        outcome = json.dumps({"id": request["id"], "error": error})
        channel.sendall(outcome.encode("ascii") + b"\n")


def main() -> None:
    """Prepare the namespace and serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = socket.socket(fileno=int(sys.argv[1]))
    # Children of the code must not hold the channel open.
    channel.set_inheritable(False)
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    ordered: Any = OrderedStderr()
    sys.stderr = sys.__stderr__ = io.TextIOWrapper(  # type: ignore[misc]
        ordered, "utf-8", "backslashreplace", line_buffering=True, write_through=True
    )
    # As in an interactive Python.
    sys.argv = [""]
    sys.path[0] = ""
    module = types.ModuleType("__main__")
    module.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = module
    serve(channel, module.__dict__)


if __name__ == "__main__":
    main()
