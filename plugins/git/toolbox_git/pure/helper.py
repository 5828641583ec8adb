"""The program of a helper process: takes tasks on standard input, answers on standard output."""

from __future__ import annotations

import gc
import os
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
from toolbox_git.pure.diagnosis import diagnose
from toolbox_git.pure.messages import STARTED
from toolbox_git.pure.messages import Answer
from toolbox_git.pure.messages import Task
from toolbox_git.pure.messages import frame
from toolbox_git.pure.messages import read_task
from toolbox_git.urls import Credentials
from toolbox_git.urls import redact

IDLE = 60.0
"""Seconds after which a helper without a task ends."""


def main() -> None:
    """Work until there is nothing to do, or the service has ended."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # What a library prints must not be taken for an answer.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    tasks: queue.Queue[Task] = queue.Queue()
    threading.Thread(target=_receive, args=(sys.stdin.buffer, tasks), daemon=True).start()
    _preload()
    while True:
        try:
            task = tasks.get(timeout=IDLE)
        except queue.Empty:
            return
        answers.write(STARTED)
        answers.flush()
        answers.write(frame(_answer(task)))
        answers.flush()


def _receive(stream: IO[bytes], tasks: queue.Queue[Task]) -> None:
    while task := read_task(stream):
        tasks.put(task)
    # The service has ended, however it did: nobody waits for what is being done.
    os.kill(os.getpid(), signal.SIGTERM)


def _preload() -> None:
    import toolbox_git.pure.operations  # noqa: F401

    # What is made of an index or a history stays until the answer: looking through it again and
    # again for cycles takes a fifth of the time.
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


def _answer(task: Task) -> Answer:
    from toolbox_git.pure.operations import OPERATIONS

    os.environ.clear()
    os.environ.update(task.environment)
    function, kind = OPERATIONS[task.operation]
    body = msgspec.msgpack.decode(task.body, type=kind)
    secret = Credentials(getattr(body, "username", "") or "", getattr(body, "password", "") or "")
    try:
        result: Any = function(body, Path(task.base), task)
        return Answer(result=msgspec.Raw(msgspec.msgpack.encode(result)))
    except Exception as caught:
        error = diagnose(caught)
        detail = "" if type(error) is not ToolboxError else traceback.format_exc(limit=-8)
        return Answer(
            error=type(error).__name__,
            message=redact(error.message, secret),
            detail=redact(detail, secret),
        )


if __name__ == "__main__":
    main()
