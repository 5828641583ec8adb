"""The processes of a sandbox: finding all of them, suspending them, ending them for certain.

They are those below the process that was started, and those with the sandbox's id in their
environment. The service adopts the orphans below it, and in a PID namespace of its own the kernel
lets none get away.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import time
from collections.abc import Callable
from collections.abc import Iterable
from pathlib import Path

from toolbox.linux.pidfd import open_process
from toolbox.linux.procfs import GONE
from toolbox.linux.procfs import HIDDEN
from toolbox.linux.procfs import Process
from toolbox.linux.procfs import all_processes
from toolbox.linux.procfs import children
from toolbox.linux.procfs import cpu_ticks
from toolbox.linux.procfs import read
from toolbox.linux.procfs import read_process
from toolbox.processes import descendants
from toolbox_fleet.local.records import Running
from toolbox_fleet.local.running.environment import MARKER
from toolbox_fleet.local.running.groups import Usage

KILL_LIMIT = 10.0
"""Seconds to wait for killed processes, which may hang in the kernel."""

ROUND = 0.2
"""Seconds to wait for the processes of one round of killing."""


def boot_id() -> str:
    """Return the id of this boot, "" where there is none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def main_process(running: Running) -> Process | None:
    """Return the process that was started, None if it has ended. Raises OSError."""
    if running.boot_id != boot_id():
        return None
    process = read_process(running.pid)
    return process if process is not None and process.started == running.started else None


def is_inner_alive(running: Running) -> bool:
    """Report whether the first process of the PID namespace is alive. Raises OSError."""
    if not running.inner or running.boot_id != boot_id():
        return False
    process = read_process(running.inner)
    return process is not None and process.started == running.inner_started


def master(running: Running) -> int:
    """Return the pid of the service's master, 0 if it isn't there. Raises OSError."""
    if not running.inner:
        return running.pid if main_process(running) else 0
    # bwrap's own first process has one child: the service adopts all orphans.
    return min(children(running.inner), default=0) if is_inner_alive(running) else 0


def members(running: Running | None, sandbox_id: str) -> set[int]:
    """Return the pids of all processes of a sandbox. Raises OSError."""
    found = marked({sandbox_id}).get(sandbox_id, set())
    roots = set(found)
    if running is not None:
        if main_process(running):
            roots.add(running.pid)
        if is_inner_alive(running):
            roots.add(running.inner)
    for root in roots:
        found |= {root, *descendants(root)}
    return found - {os.getpid()}


def marked(sandbox_ids: Iterable[str]) -> dict[str, set[int]]:
    """Return the pids of the processes with the mark of each of the sandboxes. Raises OSError."""
    wanted = {identity.encode(): identity for identity in sandbox_ids}
    found: dict[str, set[int]] = {}
    for process in all_processes():
        identity = wanted.get(_mark(process.pid))
        if identity is not None:
            found.setdefault(identity, set()).add(process.pid)
    return found


def _mark(pid: int) -> bytes:
    try:
        environ = b"\0" + read(f"/proc/{pid}/environ")
    except OSError as error:
        if error.errno in GONE | HIDDEN:
            return b""
        raise
    _, _, rest = environ.partition(f"\0{MARKER}=".encode())
    return rest.partition(b"\0")[0]


def usage(pids: Iterable[int]) -> Usage:
    """Return what processes use together, where no control group counts it."""
    ticks = pages = 0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError):
            ticks += cpu_ticks(pid)
            # Resident without what is shared, which would count for each of them (proc(5)).
            _, resident, shared = read(f"/proc/{pid}/statm").split()[:3]
            pages += int(resident) - int(shared)
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE"), 0)


def send(pid: int, number: int) -> None:
    """Send a signal to a process that may have ended."""
    # 0 and below would be whole groups.
    if pid > 0:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def wait_for_end(pids: Iterable[int], seconds: float) -> bool:
    """Wait until the processes have ended, ``seconds`` at most; report whether they have."""
    until = time.monotonic() + seconds
    with contextlib.ExitStack() as stack:
        poll = select.poll()
        waiting = 0
        for pid in list(pids)[:256]:
            try:
                descriptor = open_process(pid)
            except ProcessLookupError:
                continue
            stack.callback(os.close, descriptor)
            poll.register(descriptor, select.POLLIN)
            waiting += 1
        while waiting and (left := until - time.monotonic()) > 0:
            for descriptor, _ in poll.poll(left * 1000 + 1):
                poll.unregister(descriptor)
                waiting -= 1
    return not waiting


def terminate(running: Running, seconds: float) -> bool:
    """Ask a service to stop, with its jobs; report whether it has within ``seconds``."""
    pid = master(running)
    if not pid:
        return main_process(running) is None
    send(pid, signal.SIGTERM)
    return wait_for_end([running.pid], seconds)


def kill(running: Running | None, sandbox_id: str, others: Callable[[str], set[int]]) -> None:
    """Kill every process of a sandbox and wait until all have ended.

    ``others`` returns the pids of further ones, which are found in another way. Raises TimeoutError
    if some are left, which hang in the kernel; OSError if it can't look.
    """
    if running is not None:
        if is_inner_alive(running):
            # The kernel kills all in the namespace with its first process (pid_namespaces(7)).
            send(running.inner, signal.SIGKILL)
        elif pid := master(running):
            # It can't start anything while it is stopped, and still adopts what its descendants
            # leave: nobody is left to escape when it is killed as the last.
            send(pid, signal.SIGSTOP)
            _kill_all(lambda: set(descendants(pid)), KILL_LIMIT)
            send(pid, signal.SIGKILL)
    _kill_all(lambda: members(running, sandbox_id) | others(sandbox_id), KILL_LIMIT)


def _kill_all(find: Callable[[], set[int]], seconds: float) -> None:
    until = time.monotonic() + seconds
    while targets := {pid for pid in find() if read_process(pid) is not None}:
        if time.monotonic() > until:
            raise TimeoutError(errno.ETIMEDOUT, f"processes can't be killed: {sorted(targets)}")
        for pid in targets:
            send(pid, signal.SIGKILL)
        wait_for_end(targets, ROUND)
