"""The command ``toolbox reload``."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from toolbox.handover.report import Report
from toolbox.handover.report import read_report
from toolbox.linux.procfs import descendants

FAILED = 1
USAGE_ERROR = 2

LIMIT = 600.0
"""Seconds to wait for the end: a new version has two minutes for its check alone."""

LOOK = 0.05


def find_masters() -> list[int]:
    """Return the pids of the services of this user that can be upgraded in place.

    Sandboxes and containers that run on this machine are not meant by a command outside of them:
    those in another PID namespace, and those that another service started, are left out.
    """
    inside = _pid_namespace("self")
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            # Other users' processes show nothing.
            with suppress(OSError):
                if _pid_namespace(path.name) == inside and read_report(int(path.name)) is not None:
                    found.append(int(path.name))
    below = {pid for master in found for pid in descendants(master)}
    return sorted(set(found) - below)


def _pid_namespace(pid: str) -> str:
    """Return the name of a process's PID namespace. Raises OSError."""
    return os.readlink(f"/proc/{pid}/ns/pid")  # noqa: PTH115


def reload_command(pid: int | None, *, secrets: bool = False) -> int:
    """Upgrade a service, report what went on and what didn't; return the exit status.

    With ``secrets`` the service reads their files again first, as on SIGHUP.
    """
    masters = [pid] if pid is not None else find_masters()
    if len(masters) != 1:
        many = f"several services run here: --pid is one of {', '.join(map(str, masters))}"
        return _refuse(many if masters else "no service of this user runs here")
    try:
        before = read_report(masters[0])
        if before is None:
            return _refuse(f"{masters[0]} is no service that can be upgraded in place")
        if secrets:
            os.kill(masters[0], signal.SIGHUP)
        os.kill(masters[0], signal.SIGUSR2)
        report = _wait(masters[0], before)
    except OSError as error:
        return _refuse(f"{masters[0]}: {error.strerror}")
    if report.get("state") != "done":
        print(f"toolbox: reload: {report.get('reason', 'no report came')}", file=sys.stderr)
        return FAILED
    _show(report)
    return 0


def _refuse(reason: str) -> int:
    print(f"toolbox: reload: {reason}", file=sys.stderr)
    return USAGE_ERROR


def _wait(pid: int, before: Report) -> Report:
    """Return the report of an upgrade that began after ``before``. Raises OSError."""
    # One that is going on may have loaded what was there before: then another one follows.
    wanted = before.get("number", 0) + 1
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        report = read_report(pid) or {}
        if report.get("number", 0) >= wanted and report.get("state") in ("done", "failed"):
            return report
        time.sleep(LOOK)
    return {}


def _show(report: Report) -> None:
    print(f"version {report.get('version')}, {report.get('gap')} s without service")
    counts = report.get("counts") or {}
    if any(counts.values()):
        print(
            "going on: " + ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
        )
    for each in report.get("ended") or ():
        print(f"ended: {each.get('kind')} {each.get('id')}: {each.get('reason')}")
    if anew := report.get("anew"):
        print(f"started anew: {', '.join(anew)}")
