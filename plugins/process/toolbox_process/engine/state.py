"""Directories for output, named pipes and journals."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from toolbox.linux.procfs import read_process
from toolbox.plugins.capabilities import HasPrivatePaths

PREFIX = "toolbox-process-"

LASTING = "toolbox-sessions-"
"""Prefix of directories that outlive a worker, but not the master above it.

The master's pid and start time follow.
"""


class DirectoryStanding(NamedTuple):
    """The directories of one kind, by their parents, with the descriptors that lock them; and those
    of earlier workers.
    """

    made: dict[Path, tuple[Path, int]]
    adopted: dict[Path, int]


class StateDirectory:
    """A private directory, made when it is first needed, and again if it was deleted.

    It is in ``configured`` or, if that is empty, in the first usable one of several places. A
    ``small`` one is in memory where possible, where files are made ten times as fast, and elsewhere
    while ``configured`` is full. A ``lasting`` one is found by the next worker. ``share`` is called
    with each new directory, to let others in.
    *Any thread.*
    """

    def __init__(
        self,
        configured: str,
        small: bool = False,
        lasting: bool = False,
        share: Callable[[Path], object] = lambda path: None,
    ) -> None:
        self._configured = configured
        self._share = share
        self._small = small
        self._prefix = _own_prefix() if lasting else f"{PREFIX}{os.getpid()}-"
        self._adopted: dict[Path, int] = {}
        self._made: dict[Path, tuple[Path, int]] = {}
        self._lock = threading.Lock()

    def standing(self) -> DirectoryStanding:
        """Return the directories, which another one is to delete."""
        with self._lock:
            return DirectoryStanding(dict(self._made), dict(self._adopted))

    def resume(self, standing: DirectoryStanding) -> None:
        """Go on with directories."""
        with self._lock:
            # The descriptor keeps the lock, whoever closes another copy of it (flock(2)).
            self._made.update(standing.made)
            self._adopted.update(standing.adopted)

    def path(self, passed: int = 0) -> Path:
        """Return the directory, made if necessary, in the place after the first ``passed`` usable
        ones, which turned out to be full. Raises OSError if there are not as many.
        """
        failure = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with self._lock:
            for parent in dict.fromkeys(self._parents()):
                try:
                    path = self._ensure(parent)
                except OSError as error:
                    failure = error
                    continue
                if not passed:
                    return path
                passed -= 1
        raise failure

    def paths(self) -> list[Path]:
        """Return the directories that were made."""
        with self._lock:
            return [path for path, _ in self._made.values()]

    def private_paths(self) -> list[Path]:
        """Return the directories there are to be kept from programs, one at least if possible."""
        with contextlib.suppress(OSError):
            self.path()
        return [*self.paths(), *self._adopted]

    def adopt(self) -> list[Path]:
        """Take over the directories that earlier workers have left, and return them."""
        for parent in dict.fromkeys(self._parents()):
            for path in parent.glob(f"{self._prefix}*"):
                with contextlib.suppress(OSError):
                    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
                    try:
                        if os.fstat(fd).st_uid != os.geteuid():
                            raise PermissionError
                        # Fails while a worker uses it.
                        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except OSError:
                        os.close(fd)
                    else:
                        self._adopted[path] = fd
        return list(self._adopted)

    def _ensure(self, parent: Path) -> Path:
        path, fd = self._made.get(parent, (None, -1))
        if path is not None and path.is_dir():
            return path
        if self._configured and parent == Path(self._configured):
            parent.mkdir(parents=True, exist_ok=True)
        # Once more if another service took it for abandoned: it doesn't look again so soon.
        made = self._make(parent) or self._make(parent)
        if made is None:
            raise FileNotFoundError(errno.ENOENT, "deleted as soon as it was created")
        if fd >= 0:
            os.close(fd)
        self._made[parent] = made
        return made[0]

    def _make(self, parent: Path) -> tuple[Path, int] | None:
        """Return a new directory and the descriptor that locks it, to show that it is in use.

        None if another service deleted it as abandoned before it was locked.
        """
        path = Path(tempfile.mkdtemp(prefix=self._prefix, dir=parent))
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError:
            path.rmdir()
            raise
        with contextlib.suppress(OSError):  # Some file systems have no locks.
            fcntl.flock(fd, fcntl.LOCK_SH)
        _remove_abandoned(parent)
        self._share(path)
        if path.is_dir():
            return path, fd
        os.close(fd)
        return None

    def _parents(self) -> list[Path]:
        if self._configured and not self._small:
            return [Path(self._configured)]
        named = [os.environ.get("TMPDIR", ""), "/tmp", "/var/tmp", "/dev/shm"]
        if self._small:
            # With the disk full, a session still has to run what makes room.
            named[:0] = [self._configured, "/dev/shm"]
        with contextlib.suppress(OSError):  # It may have been deleted.
            named.append(str(Path.cwd()))
        return [Path(name) for name in named if name]

    def close(self) -> None:
        """Delete the directories, the adopted ones too."""
        with self._lock:
            for path, fd in (*self._adopted.items(), *self._made.values()):
                shutil.rmtree(path, ignore_errors=True)
                os.close(fd)
            self._adopted.clear()
            self._made.clear()


def find_private(
    directories: Iterable[StateDirectory], backends: Mapping[str, object]
) -> list[Path]:
    """Return what is to be kept from programs: such directories, and what ``backends`` name."""
    owners = [each for each in backends.values() if isinstance(each, HasPrivatePaths)]
    own = [path for each in directories for path in each.private_paths()]
    return [*own, *(path for each in owners for path in each.private_paths())]


def _own_prefix() -> str:
    parent = read_process(os.getppid())
    return f"{LASTING}{os.getppid()}-{parent.started if parent else 0}-"


def _is_awaited(path: Path) -> bool:
    """Report whether the master runs whose next worker may adopt the directory."""
    pid, started, *_ = f"{path.name.removeprefix(LASTING)}--".split("-")
    try:
        owner = read_process(int(pid)) if pid.isdigit() else None
    except OSError:
        return True  # Unknown, so keep it.
    return owner is not None and str(owner.started) == started


def _remove_abandoned(parent: Path) -> None:
    """Delete the directories of services that were killed; those in use are locked (flock(2))."""
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
