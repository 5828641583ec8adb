"""Trees that are invisible until they are complete, and others that are about to go."""

from __future__ import annotations

import contextlib
import logging
import threading
import uuid
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

from toolbox.trees.attributes import Owner
from toolbox.trees.copying import TreeCopy
from toolbox.trees.errors import Cancelled
from toolbox.trees.errors import TreeError
from toolbox.trees.errors import described
from toolbox.trees.removing import remove_tree

log = logging.getLogger("toolbox")


class Cancellation:
    """The wish to end a long work early, from any thread."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        self._event.set()

    def check(self) -> None:
        """Raise Cancelled if that is wanted."""
        if self._event.is_set():
            raise Cancelled("cancelled")


class Staging:
    """A directory for what isn't there yet, or not any more.

    It is on the file system of all that is published from it, so that a rename publishes it whole.
    A process that is killed leaves only what :meth:`sweep` removes at the next start.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextlib.contextmanager
    def growing(self, target: Path) -> Iterator[Path]:
        """Give a path for a new tree or file that the block makes; then it becomes ``target``.

        If the block raises, or ``target`` is there already, nothing is left of it. An empty
        directory may be there.
        """
        path = self._path()
        try:
            yield path
            # rename(2) replaces an empty directory, and no other.
            path.rename(target)
        except BaseException:
            _remove(path)
            raise

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give an empty directory that is removed after the block."""
        path = self._path()
        path.mkdir(0o700)
        try:
            yield path
        finally:
            _remove(path)

    def copy(
        self,
        source: Path,
        target: Path,
        check: Callable[[], None],
        owner: Owner | None = None,
    ) -> TreeCopy:
        """Make ``target`` a copy of the tree ``source``; see :class:`TreeCopy`.

        Raises TreeError and what ``check`` raises; then nothing is left.
        """
        with described("can't copy the files"), self.growing(target) as path:
            work = TreeCopy(source, path, check, owner)
            work.run()
        return work

    def discard(self, path: Path) -> None:
        """Take a tree or file away at once, if it is there, and remove it."""
        gone = self._path()
        try:
            path.rename(gone)
        except FileNotFoundError:
            return
        _remove(gone)

    def sweep(self) -> None:
        """Remove what a process that was killed has left. While nothing else is going on."""
        if self._directory.is_dir():
            for path in self._directory.iterdir():
                _remove(path)

    def _path(self) -> Path:
        # When it is first needed: a fleet without sandboxes has no directories.
        self._directory.mkdir(0o700, exist_ok=True)
        # A name that says nothing: names of users could be too long, or collide.
        return self._directory / uuid.uuid4().hex


def _remove(path: Path) -> None:
    """Remove what nobody finds any more; what can't be removed stays for the next sweep."""
    try:
        remove_tree(path)
    except (OSError, TreeError) as error:
        log.warning("could not remove %s: %s", path, error)
