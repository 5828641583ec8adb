"""Uploads that nobody has completed: where they are, and deleting them when they are old.

What has arrived of an upload stands beside its target, which may be anywhere. A directory of
symbolic links, one to each, remembers where: so they are also found by the next service.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import re
import stat
import tempfile
import time
from pathlib import Path

from toolbox.errors import printable

log = logging.getLogger("toolbox.files")

PREFIX = ".toolbox-upload-"
_NAME = re.compile(re.escape(PREFIX) + "[0-9a-f]{32}")


class Uploads:
    """The uploads that are not complete, remembered in ``state_dir``.

    Those whose last piece is older than ``max_age`` seconds are deleted by :meth:`sweep`; 0 keeps
    them. Where nothing can be remembered uploads work all the same.
    """

    def __init__(self, max_age: int, state_dir: str = "") -> None:
        self.max_age = max_age
        own = Path(tempfile.gettempdir()) / f"toolbox-uploads-{os.getuid()}"
        self._directory = Path(state_dir) if state_dir else own

    def remember(self, partial: Path) -> None:
        """``partial`` has been begun."""
        if not self.max_age:
            return
        try:
            self._directory.mkdir(0o700, parents=True, exist_ok=True)
            if self._is_ours():
                with contextlib.suppress(FileExistsError):
                    self._link(partial).symlink_to(partial.absolute())
        except OSError as error:
            log.warning("an upload can't be remembered: %s", error)

    def forget(self, partial: Path) -> None:
        """``partial`` is complete, or has been cancelled."""
        with contextlib.suppress(OSError):
            self._link(partial).unlink()

    def _link(self, partial: Path) -> Path:
        return self._directory / hashlib.sha256(os.fsencode(partial.absolute())).hexdigest()[:32]

    def _is_ours(self) -> bool:
        """Nobody else may put links here: what they point to is deleted."""
        info = self._directory.lstat()
        return (
            stat.S_ISDIR(info.st_mode)
            and info.st_uid == os.geteuid()
            and not info.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        )

    def sweep(self) -> None:
        """Delete what is too old, and forget what is gone."""
        try:
            links = list(self._directory.iterdir()) if self.max_age and self._is_ours() else []
        except OSError:
            return
        for link in links:
            with contextlib.suppress(OSError):
                partial = link.readlink()
                if _NAME.fullmatch(partial.name) and self._is_over(partial):
                    link.unlink()

    def _is_over(self, partial: Path) -> bool:
        """Whether ``partial`` is gone, now at the latest. Raises OSError."""
        try:
            fd = os.open(partial, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        with os.fdopen(fd, "rb") as file:
            # Whoever appends holds the lock: it isn't abandoned.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(fd).st_mtime > time.time() - self.max_age:
                return False
            partial.unlink()
        log.info("%s was abandoned and is deleted", printable(str(partial)))
        return True
