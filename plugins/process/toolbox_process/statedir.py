"""The directories where output, named pipes and journals are kept."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
import threading
from pathlib import Path

from toolbox_process.tree import read_process

PREFIX = "toolbox-process-"

LASTING = "toolbox-sessions-"
"""Begins the name of what outlives a worker, but not the process above it; its pid and the time of
its start follow.
"""


class StateDirectory:
    """A private directory, made when it is first needed, and again if somebody deletes it.

    One that is ``small`` lies in memory where it can: files there are made ten times as fast. One
    that is ``lasting`` is found by the worker after this one.
    """

    def __init__(self, configured: str, small: bool = False, lasting: bool = False) -> None:
        self._configured = configured
        self._small = small
        self._prefix = _own_prefix() if lasting else f"{PREFIX}{os.getpid()}-"
        self._adopted: dict[Path, int] = {}
        self._path: Path | None = None
        self._fd = -1
        self._lock = threading.Lock()

    def path(self) -> Path:
        """The directory, which exists. Raises OSError if there is no place for it."""
        with self._lock:
            if self._path is None or not self._path.is_dir():
                self._path = self._make()
            return self._path

    def adopt(self) -> list[Path]:
        """The directories that workers before this one have left, which are ours from now on."""
        for parent in dict.fromkeys(self._parents()):
            for path in parent.glob(f"{self._prefix}*"):
                with contextlib.suppress(OSError):
                    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
                    try:
                        if os.fstat(fd).st_uid != os.geteuid():
                            raise PermissionError
                        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except OSError:
                        os.close(fd)
                    else:
                        self._adopted[path] = fd
        return list(self._adopted)

    def _make(self) -> Path:
        failure = OSError(errno.ENOENT, "deleted as soon as it was made")
        for parent in self._parents() * 2:
            try:
                parent.mkdir(parents=True, exist_ok=True)
                _remove_abandoned(parent)
                path = Path(tempfile.mkdtemp(prefix=self._prefix, dir=parent))
                if self._hold(path):
                    return path
            except OSError as error:
                failure = error
        raise failure

    def _hold(self, path: Path) -> bool:
        """Lock the directory, so that everybody can see it is in use.

        False if somebody took it for abandoned before, and has deleted it.
        """
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with contextlib.suppress(OSError):  # Some file systems know no locks.
            fcntl.flock(fd, fcntl.LOCK_SH)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        return path.is_dir()

    def _parents(self) -> list[Path]:
        if self._configured:
            return [Path(self._configured)]
        named = [os.environ.get("TMPDIR", ""), "/tmp", "/var/tmp", "/dev/shm"]
        if self._small:
            named.insert(0, "/dev/shm")
        return [*(Path(name) for name in named if name), Path.cwd()]

    def close(self) -> None:
        """Delete the directory, and what was adopted."""
        with self._lock:
            for path, fd in self._adopted.items():
                shutil.rmtree(path, ignore_errors=True)
                os.close(fd)
            self._adopted.clear()
            if self._path is not None:
                shutil.rmtree(self._path, ignore_errors=True)
                self._path = None
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1


def _own_prefix() -> str:
    parent = read_process(os.getppid())
    return f"{LASTING}{os.getppid()}-{parent.started if parent else 0}-"


def _is_awaited(path: Path) -> bool:
    """Whether the next worker of a service may still look for it."""
    pid, started, *_ = f"{path.name.removeprefix(LASTING)}--".split("-")
    owner = read_process(int(pid)) if pid.isdigit() else None
    return owner is not None and str(owner.started) == started


def _remove_abandoned(parent: Path) -> None:
    """Delete what services that were killed have left behind; what is in use is locked."""
    for path in (*parent.glob(f"{PREFIX}*"), *parent.glob(f"{LASTING}*")):
        if path.name.startswith(LASTING) and _is_awaited(path):
            continue
        with contextlib.suppress(OSError):
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(fd)
