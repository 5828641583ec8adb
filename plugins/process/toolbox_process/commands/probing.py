"""Asking a program of the sandbox something, with no more rights than jobs have."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Sequence
from signal import SIGKILL

from toolbox.identifiers import new_id
from toolbox_process.engine.engine import Engine
from toolbox_process.engine.job import Kind
from toolbox_process.engine.launcher import Child
from toolbox_process.engine.launcher import Pipes
from toolbox_process.engine.spec import OpenPipes
from toolbox_process.engine.spec import Spec

LIMIT = 10.0
"""Maximum seconds that the program may take."""

MAX_REPLY = 4096
"""Maximum bytes that are read."""

POLL = 0.01
"""Seconds between looks whether a killed program has been reaped."""

# Whatever the program writes to standard error, it isn't part of the reply.
_QUIET = ("/bin/sh", "-c", 'exec "$0" "$@" 2>/dev/null')


def ask(engine: Engine, arguments: Sequence[str]) -> str:
    """Return what a short program writes to standard output, as far as it comes in time.

    Started by the launcher: the program may be one that a job has put there. No job is listed.
    Raises SpawnFailed, OSError.
    """
    with OpenPipes(1) as pipes:
        spec = Spec(Kind.CODE, "", (*_QUIET, *arguments), "/")
        reading, writing = pipes[0]
        child = engine.launch(spec, new_id(), Pipes(None, writing, writing))
        os.close(pipes[0].pop())
        try:
            return _read(reading).decode(errors="replace")
        finally:
            _end(child)


def _read(fd: int) -> bytes:
    text = b""
    deadline = time.monotonic() + LIMIT
    while len(text) < MAX_REPLY and (left := deadline - time.monotonic()) > 0:
        if select.select([fd], [], [], left)[0]:
            data = os.read(fd, MAX_REPLY)
            if not data:
                break
            text += data
    return text


def _end(child: Child) -> None:
    child.end_tree(0, (SIGKILL,))
    deadline = time.monotonic() + LIMIT
    while child.poll() is None and time.monotonic() < deadline:
        time.sleep(POLL)
    child.close()
