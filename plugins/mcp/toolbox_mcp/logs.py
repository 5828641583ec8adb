"""Files with output that is too long for a result."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from toolbox.atomic.writing import write_all
from toolbox.errors import NotFound
from toolbox.errors import ToolboxError

KEPT = 100
"""Files that are kept, the last ones."""

log = logging.getLogger("toolbox")


class Logs:
    """Files in the sandbox with the full output of commands."""

    def __init__(self, backends: Mapping[str, Any], directory: str) -> None:
        self._backends = backends
        self._directory = directory
        self._paths: deque[str] = deque()
        self._lock = threading.Lock()

    def keep(self, name: str, chunks: Iterable[bytes]) -> str:
        """Write a file, and return its path; an empty one if that can't be."""
        if "files" not in self._backends:
            return ""
        path = f"{self._directory}/{name}"
        try:
            with self._backends["files"].writing(path) as file:
                for data in chunks:
                    write_all(file, data)
        except (ToolboxError, OSError) as error:
            # The ends of the output are in the result nevertheless.
            log.warning("the output of a command can't be kept: %s", error)
            return ""
        self._note(path)
        return path

    def _note(self, path: str) -> None:
        with self._lock:
            if path not in self._paths:
                self._paths.append(path)
            old = self._paths.popleft() if len(self._paths) > KEPT else None
        if old is not None:
            self._delete(old)

    def _delete(self, path: str) -> None:
        try:
            self._backends["files"].delete(path, False)
        except NotFound:
            pass  # Somebody has tidied up.
        except (ToolboxError, OSError) as error:
            log.warning("%s can't be deleted: %s", path, error)
