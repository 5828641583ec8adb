"""A program that ends the services of a test runner that was killed.

A runner that is killed runs no teardown, and nothing else would end its services, each of which is
in its own session. Standard input is a pipe that only the runner writes to: a line with the pid
and the directory of each service. The kernel closes it when the runner ends, however that happens.
Sandboxes of a service outlive it; those with files in its directory are ended, too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from toolbox.linux.procfs import Process
from toolbox.linux.procfs import all_processes
from toolbox.linux.procfs import descendants
from toolbox.linux.procfs import read_process

GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL."""

MARKER = b"TOOLBOX_FLEET_SANDBOX="
"""The variable that every process of a sandbox begins with."""


def main() -> None:
    """Read pids until the end of the input, then end what still runs of them."""
    started, directories = [], set()
    for line in sys.stdin.buffer:
        pid, _, directory = line.rstrip(b"\n").partition(b" ")
        # Now: at the end the pid may be that of any other process.
        started += _look([int(pid)])
        directories.add(directory)
    services = _left(started)
    # Before any of them ends: its children would have another parent then.
    below = _look(pid for service in services for pid in descendants(service.pid))
    _send(services, signal.SIGTERM)
    # A service ends its jobs and deletes its files itself, if it can.
    deadline = time.monotonic() + GRACE
    while _left(services) and time.monotonic() < deadline:
        time.sleep(0.05)
    _send(_left([*services, *below]), signal.SIGKILL)
    # Now that nothing makes more of them.
    _send(_sandboxes(directories), signal.SIGKILL)


def _sandboxes(directories: Iterable[bytes]) -> list[Process]:
    """Return the processes of sandboxes whose files are in one of the directories."""
    found = []
    for process in all_processes():
        with contextlib.suppress(OSError):
            variables = Path(f"/proc/{process.pid}/environ").read_bytes()
            # The paths are in the command of what isolates it, or are its own.
            paths = Path(f"/proc/{process.pid}/cmdline").read_bytes() + variables
            if MARKER in variables and any(directory in paths for directory in directories):
                found.append(process)
    return found


def _look(pids: Iterable[int]) -> list[Process]:
    found = map(read_process, pids)
    return [process for process in found if process is not None]


def _left(processes: list[Process]) -> list[Process]:
    """Return those that still run; another process may have got the pid of one that ended."""
    return [
        process
        for process in processes
        if (found := read_process(process.pid)) and found.started == process.started
    ]


def _send(processes: list[Process], number: int) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


if __name__ == "__main__":
    main()
