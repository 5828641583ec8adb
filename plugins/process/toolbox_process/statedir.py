"""The directories where output and named pipes are kept."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from pathlib import Path


class StateDirectory:
    """A private directory, made when it is first needed, and again if somebody deletes it.

    One that is ``small`` lies in memory where it can: files there are made ten times as fast.
    """

    def __init__(self, configured: str, small: bool = False) -> None:
        self._configured = configured
        self._small = small
        self._path: Path | None = None
        self._lock = threading.Lock()

    def path(self) -> Path:
        """The directory, which exists. Raises OSError if there is no place for it."""
        with self._lock:
            if self._path is None or not self._path.is_dir():
                self._path = self._make()
            return self._path

    def _make(self) -> Path:
        failure: OSError | None = None
        for parent in self._parents():
            try:
                parent.mkdir(parents=True, exist_ok=True)
                return Path(tempfile.mkdtemp(prefix=f"toolbox-process-{os.getpid()}-", dir=parent))
            except OSError as error:
                failure = error
        assert failure is not None
        raise failure

    def _parents(self) -> list[Path]:
        if self._configured:
            return [Path(self._configured)]
        named = [os.environ.get("TMPDIR", ""), "/tmp", "/var/tmp", "/dev/shm"]
        if self._small:
            named.insert(0, "/dev/shm")
        return [*(Path(name) for name in named if name), Path.cwd()]

    def close(self) -> None:
        """Delete the directory."""
        with self._lock:
            if self._path is not None:
                shutil.rmtree(self._path, ignore_errors=True)
                self._path = None
