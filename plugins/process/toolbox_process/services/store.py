"""Definitions on disk, so that services come back after the service's own restart."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import logging
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from toolbox.atomic.writing import replacing
from toolbox.atomic.writing import write_all
from toolbox.settings.variables import home_directory
from toolbox_process.definition import Definition
from toolbox_process.definition import ServiceName

log = logging.getLogger("toolbox")

MAX_FILE = 1024 * 1024
"""Bytes of a file: a larger one is none of ours."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A service on disk. A declared one has no definition here, only whether it is to run."""

    name: ServiceName
    definition: Definition | None = None
    stopped: bool = False


def candidates(configured: str, work_dir: Path) -> Iterator[Path]:
    """Yield the directories that may hold the definitions of the service in ``work_dir``.

    That is ``configured`` or, if empty, $XDG_STATE_HOME or ~/.local/state, and the temporary
    directory, for systems on which the home can't be written.
    """
    own = f"services-{_key(work_dir)}"
    if configured:
        yield Path(configured).absolute() / own
        return
    if state := os.environ.get("XDG_STATE_HOME"):
        yield Path(state).absolute() / "toolbox" / own
    else:
        home = home_directory()
        # By its path from the home: a sandbox that is made of another one's files has its services.
        place = work_dir.relative_to(home) if work_dir.is_relative_to(home) else work_dir
        yield home.absolute() / ".local" / "state" / "toolbox" / f"services-{_key(place)}"
    yield Path(f"/tmp/toolbox-{os.geteuid()}-{own}")


def _key(place: Path) -> str:
    return hashlib.sha256(os.fsencode(place)).hexdigest()[:16]


class Store:
    """The definitions in one directory, made when there is the first. *Any thread.*

    Only one service at a time uses it (flock(2)); another in the same working directory keeps its
    definitions in memory.
    """

    def __init__(self, configured: str, work_dir: Path) -> None:
        self._candidates = list(candidates(configured, work_dir))
        self._lock = threading.Lock()
        self._path: Path | None = None
        self._fd = -1
        self._taken = False

    @property
    def paths(self) -> list[Path]:
        """The directories that are or may be used."""
        return self._candidates

    def load(self) -> list[Record]:
        """Return what was stored, by name. Files that can't be read are reported and left."""
        with self._lock:
            for path in self._candidates:
                with contextlib.suppress(OSError):
                    if path.is_dir() and self._open(path):
                        break
        if self._path is None:
            return []
        records = []
        # One that can't be read takes no other with it.
        for file in sorted(self._path.glob("*.json")):
            try:
                with file.open("rb") as opened:
                    record = msgspec.json.decode(opened.read(MAX_FILE), type=Record)
            except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
                log.warning("a service's definition can't be read: %s: %s", file, error)
            else:
                records.append(record)
        return sorted(records, key=lambda record: record.name)

    def save(self, record: Record) -> None:
        """Store a record, the whole of it or nothing. Raises OSError."""
        directory = self._directory()
        if directory is not None:
            with replacing(self._file(directory, record.name)) as file:
                os.fchmod(file.fileno(), 0o600)  # Variables may be secrets.
                write_all(file, msgspec.json.encode(record))

    def remove(self, name: str) -> None:
        """Forget a record. Raises OSError."""
        if self._path is not None:
            self._file(self._path, name).unlink(missing_ok=True)

    def close(self) -> None:
        """Let another service use the directory."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    @staticmethod
    def _file(directory: Path, name: str) -> Path:
        # A digest, so that no name from a client is part of a path.
        return directory / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"

    def _directory(self) -> Path | None:
        """Return the directory, made if necessary; None if another service uses it."""
        failure: OSError | None = None
        with self._lock:
            if self._path is not None and self._path.is_dir():
                return self._path
            for path in self._candidates:
                try:
                    path.mkdir(0o700, parents=True, exist_ok=True)
                    if self._taken or not self._open(path):
                        return None
                except OSError as error:
                    failure = failure or error
                else:
                    return path
        raise failure or FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    def _open(self, path: Path) -> bool:
        """Use a directory from now on; return whether no other service does. Raises OSError."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        info = os.fstat(fd)
        if info.st_uid != os.geteuid() or stat.S_IMODE(info.st_mode) & 0o022:
            os.close(fd)  # Whoever can write there would have programs run by us.
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            self._taken = True
            log.warning("services are not kept over a restart: another service uses %s", path)
            return False
        except OSError:
            pass  # Some file systems have no locks.
        # The lock of a directory that was deleted.
        if self._fd >= 0:
            os.close(self._fd)
        self._path, self._fd = path, fd
        return True
