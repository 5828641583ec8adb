"""The backend ``local``: this machine, by the environment, cgroup and kernel."""

from __future__ import annotations

import math
import os
import time
from datetime import UTC
from datetime import datetime
from pathlib import Path

from toolbox.lifecycle import Context
from toolbox.plugins import NoSettings
from toolbox_info.cgroup import Usage
from toolbox_info.cgroup import find_cgroup
from toolbox_info.errors import HomeUnknown
from toolbox_info.models import SystemMetrics


class LocalInfo:
    """See :class:`toolbox_info.backend.InfoBackend`."""

    def __init__(self, settings: NoSettings, context: Context) -> None:
        self._context = context
        self._cgroup = find_cgroup()
        self._before = (time.monotonic(), self._cgroup.cpu_seconds())

    def work_dir(self) -> str:
        return str(self._context.work_dir)

    def home_dir(self) -> str:
        try:
            return str(Path.home())  # $HOME, else the user's entry in passwd(5).
        except RuntimeError:
            raise HomeUnknown("the user has no home directory") from None

    def metrics(self) -> SystemMetrics:
        now = datetime.now(UTC).replace(microsecond=0)
        usage = self._cgroup.usage()
        total, used, free = _disk()
        return SystemMetrics(
            timestamp=now.isoformat().replace("+00:00", "Z"),
            timestamp_unix=int(now.timestamp()),
            cpu_count=max(1, math.ceil(usage.cpu_limit)),
            cpu_used_pct=self._cpu_percent(usage),
            mem_total=usage.memory_total,
            mem_used=min(usage.memory_used, usage.memory_total),
            mem_cache=usage.memory_cache,
            disk_total=total,
            disk_used=used,
            disk_free=free,
        )

    def _cpu_percent(self, usage: Usage) -> float:
        """Percent of the limit since the call before; nobody asking costs nothing."""
        then, seconds = self._before
        now = time.monotonic()
        self._before = (now, usage.cpu_seconds)
        passed, worked = now - then, usage.cpu_seconds - seconds
        if passed <= 0 or worked < 0 or usage.cpu_limit <= 0:
            return 0.0
        return round(100 * worked / passed / usage.cpu_limit, 2)


def _disk() -> tuple[int, int, int]:
    """Bytes of the root file system: all, used, free for an ordinary user (statvfs(3))."""
    try:
        info = os.statvfs("/")
    except OSError:
        return 0, 0, 0
    size = info.f_frsize
    used = (info.f_blocks - info.f_bfree) * size
    return info.f_blocks * size, used, info.f_bavail * size
