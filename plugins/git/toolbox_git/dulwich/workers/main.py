"""The program of a worker process: reads tasks from standard input, writes results to standard
output.
"""

from __future__ import annotations

import gc
import os
import pwd
import queue
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import IO
from typing import Any

import msgspec

from toolbox.errors import ToolboxError
from toolbox_git.dulwich.messages import STARTED
from toolbox_git.dulwich.messages import Task
from toolbox_git.dulwich.messages import TaskResult
from toolbox_git.dulwich.messages import frame
from toolbox_git.dulwich.messages import read_task
from toolbox_git.dulwich.workers.diagnosis import diagnose
from toolbox_git.urls import Credentials
from toolbox_git.urls import redact

IDLE_TIMEOUT = 60.0
"""Seconds without a task after which a worker exits."""


def main() -> None:
    """Process tasks until none has come for :data:`IDLE_TIMEOUT`, or the service has ended."""
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # Output of a library must not be mistaken for a result.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    tasks: queue.Queue[Task] = queue.Queue()
    # In a thread, to notice the end of the service during a task as well.
    threading.Thread(target=_receive, args=(sys.stdin.buffer, tasks), daemon=True).start()
    _preload()
    while True:
        try:
            task = tasks.get(timeout=IDLE_TIMEOUT)
        except queue.Empty:
            return
        results.write(STARTED)
        results.flush()
        results.write(frame(_perform(task)))
        results.flush()


def _receive(stream: IO[bytes], tasks: queue.Queue[Task]) -> None:
    while task := read_task(stream):
        tasks.put(task)
    # The pipe's end means that the service has ended, even by a crash: no one awaits the result.
    os.kill(os.getpid(), signal.SIGTERM)


def _preload() -> None:
    import toolbox_git.dulwich.operations  # noqa: F401

    # The objects made from an index or a history live until the result is sent; scanning them
    # for cycles over and over takes a fifth of the time.
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


def _name_user() -> None:
    """Have a user without an entry in /etc/passwd be "unknown" in reflogs, as with git."""
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        os.environ.setdefault("LOGNAME", "unknown")


def _perform(task: Task) -> TaskResult:
    from toolbox_git.dulwich.operations import OPERATIONS

    # The service's environment may have changed since the worker was started.
    os.environ.clear()
    os.environ.update(task.environment)
    _name_user()
    function, kind = OPERATIONS[task.operation]
    body = msgspec.msgpack.decode(task.body, type=kind)
    secret = Credentials(getattr(body, "username", "") or "", getattr(body, "password", "") or "")
    try:
        result: Any = function(body, Path(task.base), task)
        return TaskResult(result=msgspec.Raw(msgspec.msgpack.encode(result)))
    except Exception as caught:
        error = diagnose(caught)
        detail = "" if type(error) is not ToolboxError else traceback.format_exc(limit=-8)
        return TaskResult(
            error=type(error).__name__,
            message=redact(error.message, secret),
            detail=redact(detail, secret),
        )


if __name__ == "__main__":
    main()
