"""Runs of the helper program."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from toolbox.errors import ToolboxError
from toolbox.errors import from_os_error
from toolbox.helpers import helper_command
from toolbox.linux.clock import awake
from toolbox.processes import popen
from toolbox_checkpoints.errors import CheckpointFailed
from toolbox_checkpoints.errors import from_exit
from toolbox_checkpoints.errors import from_failure

POLL = 0.5
"""Seconds between two checks whether a client that waits is still connected."""

GRACE = 10.0
"""Seconds that a cancelled helper may take to remove what is incomplete; a later sweep removes what
it has not.
"""


class Run:
    """A helper at work on a task, until its result or its error is there."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.task = task
        self.started = time.time()
        self.files = 0
        self.bytes = 0
        self.result: dict[str, Any] | None = None
        self.error: ToolboxError | None = None
        self.done = threading.Event()
        # Cancelled by any thread, while another one may be closing it after the end.
        self._closing = threading.Lock()
        try:
            self._process = popen(
                helper_command("toolbox_checkpoints.helpers.main"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        except OSError as error:
            raise from_os_error(error) or CheckpointFailed(str(error)) from error

    def start(self, pool: Executor, ended: Callable[[Run], None]) -> None:
        """Follow it on a thread of ``pool``, which calls ``ended`` before anybody is told."""
        pool.submit(self.follow, ended)

    def wait(self, seconds: float, is_disconnected: Callable[[], bool]) -> bool:
        """Wait for its end, and report whether it has ended. Returns early without the client."""
        deadline = awake() + seconds
        while not self.done.wait(max(0.0, min(POLL, deadline - awake()))):
            if awake() >= deadline or is_disconnected():
                return False
        return True

    def outcome(self) -> dict[str, Any]:
        """Return the result of a run that has ended. Raises the error that it came to."""
        if self.error is not None:
            raise self.error
        return self.result or {}

    def cancel(self) -> None:
        """Ask for the end. What has begun to change a directory is finished, or undone, first."""
        with self._closing:
            if self._process.stdin and not self._process.stdin.closed:
                self._process.stdin.close()

    def kill(self) -> None:
        """End it at once; the next sweep removes what it leaves."""
        # It leads a session of its own, in which nobody else is.
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)

    def follow(self, ended: Callable[[Run], None] | None = None) -> None:
        """Send the task, and read what the helper writes to its end."""
        process = self._process
        assert process.stdin and process.stdout
        try:
            # ASCII, whatever bytes are in the names.
            process.stdin.write(json.dumps(self.task).encode() + b"\n")
            process.stdin.flush()
        except (OSError, ValueError):
            # It has ended, or was cancelled.
            pass
        try:
            with process.stdout:
                for line in process.stdout:
                    self._take(json.loads(line))
        finally:
            self.cancel()
            status = process.wait()
            if self.result is None and self.error is None:
                self.error = from_exit(status)
            # Those who wait are told last: what they see then is already true for all.
            try:
                if ended is not None:
                    ended(self)
            finally:
                self.done.set()

    def _take(self, message: dict[str, Any]) -> None:
        if "progress" in message:
            self.files, self.bytes = message["progress"]
        elif "error" in message:
            self.error = from_failure(message["error"])
        else:
            self.result = message["result"]
