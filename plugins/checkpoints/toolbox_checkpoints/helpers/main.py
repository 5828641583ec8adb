"""The helper program. It reads a task from standard input, and writes JSON texts, one a line:

``{"progress": [files, bytes]}`` now and then, at last ``{"result": ...}`` or ``{"error": ...}``.
It ends when its standard input does, and removes what is incomplete.
"""

from __future__ import annotations

import gc
import os
import resource
from collections.abc import Callable
from typing import Any

from toolbox.filenames import decode_name
from toolbox.trees.errors import Cancelled
from toolbox_checkpoints.helpers.creating import create
from toolbox_checkpoints.helpers.differing import diff
from toolbox_checkpoints.helpers.failures import CANCELLED
from toolbox_checkpoints.helpers.restoring import fork
from toolbox_checkpoints.helpers.restoring import restore
from toolbox_checkpoints.helpers.service import Service
from toolbox_checkpoints.helpers.service import read_task
from toolbox_checkpoints.helpers.sweeping import sweep

MAX_MEMORY = 2 * 1024**3
"""Maximum bytes of data: trees may have any number of entries."""

MAX_MESSAGE = 3 * 4096
"""Maximum characters of a message: it may have the path of a tree, and one in it."""

_WORKS: dict[str, Callable[[dict[str, Any], Service], dict[str, Any]]] = {
    "create": create,
    "diff": diff,
    "fork": fork,
    "restore": restore,
    "sweep": sweep,
}


def main(arguments: list[str]) -> int:
    """Do the task; return the exit status."""
    # Files get the modes of those they are copied from, whatever the service's mask is.
    os.umask(0o022)
    # Above that the helper fails, before the machine runs out of memory.
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = MAX_MEMORY if hard == resource.RLIM_INFINITY else min(MAX_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    # Trees are known by millions of small objects, in no cycle, that would be looked through often.
    gc.disable()
    try:
        task = read_task()
    except Cancelled:
        return CANCELLED
    service = Service()
    try:
        result = _WORKS[task["kind"]](task, service)
        service.send(progress=service.progress)
        service.send(result=result)
    except Cancelled:
        return CANCELLED
    except MemoryError:
        service.send(error={"kind": "Refused", "message": "the tree has too many entries"})
    except Exception as error:
        service.send(error=_describe(error))
    return 0


def _describe(error: Exception) -> dict[str, Any]:
    number = error.errno if isinstance(error, OSError) else None
    name = error.filename if isinstance(error, OSError) else None
    return {
        "kind": type(error).__name__,
        "message": decode_name(os.fsencode(str(error)))[:MAX_MESSAGE],
        "errno": number or 0,
        "name": decode_name(os.fsencode(name))[-MAX_MESSAGE:]
        if isinstance(name, str | bytes)
        else "",
    }
