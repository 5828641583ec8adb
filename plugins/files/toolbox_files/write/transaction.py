"""Changes of several files, all or none of them.

Everything that may fail for lack of space happens before anything is visible: the new contents are
complete in invisible files, and so are copies of the old ones. Then file after file is renamed into
place, each only if it is still the one that was read; if one can't be, those before it are put
back, which takes no space. Only a service that is killed between two renames leaves a part.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from toolbox.errors import Conflict
from toolbox.errors import ContentTooLarge
from toolbox_files.errors import InvalidFilePath
from toolbox_files.errors import file_errors
from toolbox_files.helpers.beneath import MAX_LINKS
from toolbox_files.helpers.beneath import Beneath
from toolbox_files.helpers.beneath import LeadsOutside
from toolbox_files.names import to_bytes
from toolbox_files.write.steps import Place
from toolbox_files.write.steps import Removal
from toolbox_files.write.steps import Step
from toolbox_files.write.steps import Writing
from toolbox_files.write.steps import named
from toolbox_files.write.steps import take_steps

MAX_SIZE = 64 * 1024 * 1024
"""Maximum bytes of a file that is read: it is held in memory."""

_NO_LINK = (errno.EINVAL, errno.ENOENT)
"""Errnos of readlink(2) for what is no link, or isn't there."""

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@contextlib.contextmanager
def changing(root: Path, lock: AbstractContextManager[object]) -> Iterator[Transaction]:
    """Yield a transaction of files below the directory ``root``. Raises FileNotFound.

    All transactions on these files share the ``lock``.
    """
    with file_errors():
        transaction = Transaction(Beneath(str(root)), lock)
    try:
        yield transaction
    finally:
        transaction.close()


class _Target:
    """A file by its name, its directory's real names, and whether a link led there."""

    def __init__(self, names: tuple[str, ...], is_link: bool) -> None:
        self.names = names
        self.is_link = is_link


class Transaction:
    """See :class:`toolbox_files.backend.Changes`."""

    def __init__(self, root: Beneath, lock: AbstractContextManager[object]) -> None:
        self._root = root
        self._lock = lock
        self._directories: dict[tuple[str, ...], int] = {}
        self._places: dict[tuple[str, ...], Place] = {}
        self._targets: dict[str, _Target] = {}
        self._steps: dict[tuple[str, ...], Writing | Removal] = {}
        self._made: list[tuple[str, ...]] = []

    def close(self) -> None:
        """Close the descriptors."""
        for fd in self._directories.values():
            os.close(fd)
        self._root.close()

    def read(self, name: str) -> bytes | None:
        with file_errors(), named(name):
            place = self._place(name)
        return None if place.info is None else place.content

    def write(self, name: str, content: bytes, executable: bool | None, like: str = "") -> None:
        with file_errors(), named(name):
            place = self._place(name)
            before = self._steps.get(self._targets[name].names)
            if executable is None and isinstance(before, Writing):
                executable = before.executable
            source = self._place(like).info if like else None
            mode = stat.S_IMODE(source.st_mode) if source else None
            if executable is None and mode is not None:
                executable = bool(mode & 0o100)
        self._steps[self._targets[name].names] = Writing(place, content, executable, mode)

    def remove(self, name: str) -> None:
        with file_errors(), named(name):
            place = self._place(name)
        target = self._targets[name]
        if target.is_link:
            raise InvalidFilePath(f"{name} is a symbolic link")
        self._steps.pop(target.names, None)
        if place.info is not None:
            self._steps[target.names] = Removal(place)

    def commit(self) -> None:
        # Removals last: a rename has its new name before the old one is gone.
        steps: list[Step] = sorted(self._steps.values(), key=lambda step: isinstance(step, Removal))
        try:
            with file_errors():
                for names, step in self._steps.items():
                    with named(step.place.shown):
                        step.place.directory = self._directory(names[:-1], make=True)
                take_steps(steps, self._lock)
        except BaseException:
            self._remove_empty(reversed(self._made))
            raise
        removed = [names for names, step in self._steps.items() if isinstance(step, Removal)]
        above = {names[:count] for names in removed for count in range(1, len(names))}
        self._remove_empty(sorted(above, key=len, reverse=True))

    def _place(self, name: str) -> Place:
        target = self._targets.get(name) or self._resolve(name)
        place = self._places.get(target.names)
        if place is None:
            place = self._places[target.names] = self._read(name, target.names)
        elif name not in self._targets:
            raise Conflict(f"{name} and {place.shown} are the same file")
        self._targets[name] = target
        return place

    def _resolve(self, name: str) -> _Target:
        """Return the file that a name means. Raises InvalidFilePath, OSError."""
        parts = os.fsdecode(to_bytes(name)).split("/")
        if name.startswith("/") or ".." in parts or parts[-1] in ("", "."):
            raise InvalidFilePath(f"{name} is not a file's path below the directory")
        try:
            for links in range(MAX_LINKS):
                try:
                    fd, above = self._root.directory(parts[:-1], make=False)
                except FileNotFoundError:
                    known = [part for part in parts if part not in ("", ".")]
                    return _Target(tuple(known), bool(links))
                try:
                    link = os.readlink(parts[-1], dir_fd=fd)
                except OSError as error:
                    if error.errno not in _NO_LINK:
                        raise
                    return _Target((*above, parts[-1]), bool(links))
                parts = [*above, *link.split("/")]
                if link.startswith("/") or parts[-1] in ("", ".", ".."):
                    break
        except LeadsOutside:
            pass
        raise InvalidFilePath(f"{name} leads out of the directory by a link")

    def _read(self, shown: str, names: tuple[str, ...]) -> Place:
        """Return a file as it is now. Raises OSError, ContentTooLarge."""
        place = Place(shown, -1, names[-1], None, b"")
        with contextlib.suppress(FileNotFoundError):
            place.directory = self._directory(names[:-1], make=False)
            info = os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)
            if not stat.S_ISREG(info.st_mode):
                raise OSError(errno.EISDIR if stat.S_ISDIR(info.st_mode) else errno.ENXIO, "")
            with os.fdopen(os.open(place.name, _READ, dir_fd=place.directory), "rb", 0) as file:
                place.info = os.fstat(file.fileno())
                # One byte more shows that it is too large.
                place.content = file.read(MAX_SIZE + 1)
        if len(place.content) > MAX_SIZE:
            raise ContentTooLarge(f"{shown} is too large to patch (limit {MAX_SIZE} bytes)")
        return place

    def _directory(self, names: tuple[str, ...], make: bool) -> int:
        """Return a descriptor of a directory, kept until the end. Raises OSError."""
        if names not in self._directories:
            for count in range(len(names) + 1) if make else ():
                try:
                    self._root.directory(list(names[:count]), make=False)
                except FileNotFoundError:
                    self._root.directory(list(names[:count]), make=True)
                    self._made.append(names[:count])
            fd, _ = self._root.directory(list(names), make=False)
            self._directories[names] = os.dup(fd)
        return self._directories[names]

    def _remove_empty(self, directories: Iterable[tuple[str, ...]]) -> None:
        """Remove those of ``directories`` that are empty; the lowest come first."""
        for names in directories:
            with contextlib.suppress(OSError, LeadsOutside):
                fd, _ = self._root.directory(list(names[:-1]), make=False)
                os.rmdir(names[-1], dir_fd=fd)
