"""The backend ``local``: this machine, from the environment, the cgroup and the kernel."""

from __future__ import annotations

import math
import os
from datetime import UTC
from datetime import datetime

from toolbox.lifecycle import Context
from toolbox.linux.cgroup import find_accounting
from toolbox.plugins import NoSettings
from toolbox_info.cpu import CpuMeter
from toolbox_info.errors import HomeUnknown
from toolbox_info.models import SystemMetrics


class LocalInfo:
    """See :class:`toolbox_info.backend.InfoBackend`."""

    def __init__(self, settings: NoSettings, context: Context) -> None:
        self._context = context
        self._accounting = find_accounting()
        self._cpu = CpuMeter(self._accounting.cpu_seconds, context.loop)

    def close(self) -> None:
        self._cpu.close()

    def work_dir(self) -> str:
        return str(self._context.work_dir)

    def home_dir(self) -> str:
        # Not the user database: POST /env may have changed HOME, and commands see that.
        home = os.environ.get("HOME")
        if not home:
            raise HomeUnknown("the environment variable HOME is not set")
        return home

    def metrics(self) -> SystemMetrics:
        now = datetime.now(UTC).replace(microsecond=0)
        usage = self._accounting.usage()
        total, used, free = _disk()
        return SystemMetrics(
            timestamp=now.isoformat().replace("+00:00", "Z"),
            timestamp_unix=int(now.timestamp()),
            cpu_count=max(1, math.ceil(usage.cpu_limit)),
            cpu_used_pct=round(min(100.0, 100 * self._cpu.busy_cores() / usage.cpu_limit), 2),
            mem_total=usage.memory_total,
            # The counters are read one after the other, so usage may exceed the limit briefly.
            mem_used=min(usage.memory_used, usage.memory_total),
            mem_cache=usage.memory_cache,
            disk_total=total,
            disk_used=used,
            disk_free=free,
        )


def _disk() -> tuple[int, int, int]:
    """Return bytes of the root file system: total, used, free to users (statvfs(3))."""
    try:
        info = os.statvfs("/")
    except OSError:
        return 0, 0, 0
    size = info.f_frsize
    used = (info.f_blocks - info.f_bfree) * size
    return info.f_blocks * size, used, info.f_bavail * size
