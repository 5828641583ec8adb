"""The memory that holds the environment this process was started with."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from toolbox.linux.procfs import stat_fields


def erase_from_environ(name: str) -> None:
    """Overwrite a variable in the memory this process was started with.

    Removing it from ``os.environ`` leaves it there, and every process of the user can read it in
    ``/proc/<pid>/environ`` (proc(5)). To be called after that: it must no longer be in use.
    """
    fields = stat_fields(os.getpid())
    start, end = int(fields[47]), int(fields[48])  # env_start and env_end, fields 50 and 51
    with contextlib.suppress(OSError), Path("/proc/self/mem").open("r+b", buffering=0) as memory:
        memory.seek(start)
        block = memory.read(end - start)
        offset = 0
        for variable in block.split(b"\0"):
            if variable.startswith(f"{name}=".encode()):
                memory.seek(start + offset)
                memory.write(b"\0" * len(variable))
            offset += len(variable) + 1
