"""The number of cores for a job, for programs that would count the machine's.

A control group's quota is seen by no system call that counts cores (sched_getaffinity(2),
sysconf(3)), so programs start a thread for each core there is and are throttled together.
"""

from __future__ import annotations

import math
import os
import time

from toolbox.linux.cgroup import find_accounting

VARIABLES = (
    "OMP_NUM_THREADS",  # OpenMP; nproc(1), too
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "GOMAXPROCS",
    "RAYON_NUM_THREADS",
    "TOKIO_WORKER_THREADS",
    "POLARS_MAX_THREADS",
    "JULIA_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
    "PYTHON_CPU_COUNT",  # from Python 3.13 on
    "DOTNET_PROCESSOR_COUNT",
    "CARGO_BUILD_JOBS",
    "CMAKE_BUILD_PARALLEL_LEVEL",
)

FRESH = 5.0
"""Seconds for which a limit is cached: it may be changed, but seldom is."""


class Cores:
    """The CPU limit of the control group. *Any thread.*"""

    def __init__(self) -> None:
        self._accounting = find_accounting()
        self._found: tuple[float, dict[str, str]] | None = None

    def hints(self) -> dict[str, str]:
        """Return the variables that state it; empty if every core may be used."""
        now = time.monotonic()
        found = self._found
        if found is None or now - found[0] > FRESH:
            limit = max(1, math.ceil(self._accounting.usage().cpu_limit))
            limited = limit < (os.cpu_count() or 1)
            hints = dict.fromkeys(VARIABLES, str(limit)) if limited else {}
            self._found = found = (now, hints)
        return found[1]
