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

from toolbox_process.procfs import read_process

PREFIX = "toolbox-process-"

LASTING = "toolbox-sessions-"
"""Begins the name of what outlives a worker, but not the process above it; its pid and the time of
its start follow.
"""


class StateDirectory:
    """A private directory, made when it is first needed, and again if somebody deletes it.

    One that is ``small`` lies in memory where it can: files there are made ten times as fast. One
    that is ``lasting`` is found by the worker after this one. Where a disk is full or can't be
    written, there are others.
    """

    def __init__(self, configured: str, small: bool = False, lasting: bool = False) -> None:
        self._configured = configured
        self._small = small
        self._prefix = _own_prefix() if lasting else f"{PREFIX}{os.getpid()}-"
        self._adopted: dict[Path, int] = {}
        self._made: dict[Path, tuple[Path, int]] = {}
        self._lock = threading.Lock()

    def path(self, passed: int = 0) -> Path:
        """The directory, which exists, or another after so many are ``passed`` over. Raises OSError
        if there is no place for it.
        """
        failure = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with self._lock:
            for parent in dict.fromkeys(self._parents()):
                try:
                    path = self._at(parent)
                except OSError as error:
                    failure = error
                    continue
                if not passed:
                    return path
                passed -= 1
        raise failure

    def paths(self) -> list[Path]:
        """Those that were made."""
        with self._lock:
            return [path for path, _ in self._made.values()]

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

    def _at(self, parent: Path) -> Path:
        path, fd = self._made.get(parent, (None, -1))
        if path is not None and path.is_dir():
            return path
        if self._configured:
            parent.mkdir(parents=True, exist_ok=True)
        made = self._make(parent) or self._make(parent)
        if made is None:
            raise FileNotFoundError(errno.ENOENT, "deleted as soon as it was made")
        if fd >= 0:
            os.close(fd)
        self._made[parent] = made
        return made[0]

    def _make(self, parent: Path) -> tuple[Path, int] | None:
        """A new directory, locked so that everybody can see it is in use; None if somebody took it
        for abandoned before, and has deleted it.
        """
        path = Path(tempfile.mkdtemp(prefix=self._prefix, dir=parent))
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError:
            path.rmdir()
            raise
        with contextlib.suppress(OSError):  # Some file systems know no locks.
            fcntl.flock(fd, fcntl.LOCK_SH)
        _remove_abandoned(parent)
        if path.is_dir():
            return path, fd
        os.close(fd)
        return None

    def _parents(self) -> list[Path]:
        if self._configured:
            return [Path(self._configured)]
        named = [os.environ.get("TMPDIR", ""), "/tmp", "/var/tmp", "/dev/shm"]
        if self._small:
            named.insert(0, "/dev/shm")
        with contextlib.suppress(OSError):  # It may be gone.
            named.append(str(Path.cwd()))
        return [Path(name) for name in named if name]

    def close(self) -> None:
        """Delete the directory, and what was adopted."""
        with self._lock:
            for path, fd in (*self._adopted.items(), *self._made.values()):
                shutil.rmtree(path, ignore_errors=True)
                os.close(fd)
            self._adopted.clear()
            self._made.clear()


def _own_prefix() -> str:
    parent = read_process(os.getppid())
    return f"{LASTING}{os.getppid()}-{parent.started if parent else 0}-"


def _is_awaited(path: Path) -> bool:
    """Whether the next worker of a service may still look for it."""
    pid, started, *_ = f"{path.name.removeprefix(LASTING)}--".split("-")
    try:
        owner = read_process(int(pid)) if pid.isdigit() else None
    except OSError:
        return True  # Nobody can tell now.
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
