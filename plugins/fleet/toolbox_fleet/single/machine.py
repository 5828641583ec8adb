"""This machine as a sandbox: its record, and its resources as metrics."""

from __future__ import annotations

import os
import pwd
from typing import Any

import toolbox
from toolbox_fleet.models.metrics import DataPoint
from toolbox_fleet.models.metrics import Series
from toolbox_fleet.models.sandboxes import LANGUAGE_LABEL
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.times import format_time

GIB = 1024**3

ID = "local"

# The control plane's names, and those of the group ``info``.
_METRICS = {
    "daytona.sandbox.cpu.utilization": "cpu_used_pct",
    "daytona.sandbox.cpu.limit": "cpu_count",
    "daytona.sandbox.memory.usage": "mem_used",
    "daytona.sandbox.memory.limit": "mem_total",
    "daytona.sandbox.memory.cache": "mem_cache",
    "daytona.sandbox.filesystem.usage": "disk_used",
    "daytona.sandbox.filesystem.total": "disk_total",
}


def this_machine() -> Sandbox:
    """Return the record of this machine, before ``create`` has changed it."""
    now = format_time()
    return Sandbox(
        id=ID,
        name=ID,
        toolbox_proxy_url="",
        user=_user(),
        cpu=os.cpu_count() or 1,
        memory=_gib(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")),
        disk=_gib(_disk()),
        gpu=0,
        created_at=now,
        updated_at=now,
        organization_id="local",
        target="local",
        state="started",
        desired_state="started",
        env={},
        # A client may fail without it: see LANGUAGE_LABEL.
        labels={LANGUAGE_LABEL: "python"},
        public=False,
        network_block_all=False,
        kvm=False,
        auto_stop_interval=0,
        auto_archive_interval=0,
        auto_delete_interval=-1,
        auto_pause_interval=0,
        daemon_version=f"v{toolbox.__version__}",
    )


def series(figures: Any) -> list[Series]:
    """Return the present figures of the group ``info`` as series of one value each."""
    moment = format_time(figures.timestamp_unix)
    return [
        Series(name, [DataPoint(moment, float(getattr(figures, field)))])
        for name, field in _METRICS.items()
    ]


def _gib(count: int) -> int:
    """Return ``count`` bytes in GiB, rounded up."""
    return -(-count // GIB)


def _disk() -> int:
    info = os.statvfs("/")
    return info.f_blocks * info.f_frsize


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # Containers often run under a uid without a name.
        return str(os.getuid())
