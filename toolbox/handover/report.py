"""The report of the last upgrade in place, in memory that ``toolbox reload`` reads.

It is a file without a name, open in the master (memfd_create(2)): it needs no directory that could
be written to, is found by the master's pid alone, and can be read by those who may signal it.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Any

NAME = "toolbox-reload"

Report = dict[str, Any]


class ReportFile:
    """The report, as the master writes it. ``fd`` is that of an earlier version of the master."""

    def __init__(self, fd: int = -1) -> None:
        self.fd = fd
        if fd < 0:
            with suppress(OSError):  # Old kernels and sandboxes: the log has to do.
                self.fd = os.memfd_create(NAME)
        self.report: Report = {"number": 0, "state": "idle"}
        if fd >= 0:
            self.report = _parse(os.pread(fd, 1 << 20, 0)) or self.report
        self.update()

    def begin(self, state: str) -> None:
        """Begin the report of another upgrade."""
        number = self.report.get("number", 0) + 1
        self.report = {}
        self.update(number=number, state=state, started=_now())

    def finish(self, state: str, **changes: Any) -> None:
        """Note the end of an upgrade."""
        self.update(state=state, finished=_now(), **changes)

    def update(self, **changes: Any) -> None:
        """Change fields of the report."""
        self.report |= changes
        if self.fd >= 0:
            data = json.dumps(self.report).encode() + b"\n"
            # In this order: a reader sees two lines, and takes the first, or half of one.
            os.pwrite(self.fd, data, 0)
            os.ftruncate(self.fd, len(data))


def read_report(pid: int) -> Report | None:
    """Return the report of a master, None if it has none (yet). Raises OSError."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            if os.readlink(link).startswith(f"/memfd:{NAME}"):  # noqa: PTH115
                return _parse(link.read_bytes())
    return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _parse(data: bytes) -> Report | None:
    with suppress(ValueError):
        found = json.loads(data.split(b"\n")[0])
        return found if isinstance(found, dict) else None
    return None
