"""What a measurement was made on."""

from __future__ import annotations

import os
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path


def machine() -> str:
    """Processor, kernel, versions and how busy it is."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("gunicorn", "flask", "msgspec"))
    busy = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    return (
        f"{date.today()}: {len(os.sched_getaffinity(0))} x {_processor()}, "
        f"Linux {platform.release()}, Python {platform.python_version()}, {packages}; "
        f"load {busy}."
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
