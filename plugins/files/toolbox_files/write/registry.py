"""The registry of incomplete uploads: where their content is, and when it expires.

The content of an incomplete upload is kept beside its target, which may be anywhere. A directory
with a symbolic link to each records where, so that a restarted service finds them too.
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


class UploadRegistry:
    """Incomplete uploads, recorded in ``state_dir``, or in the temporary directory if empty.

    :meth:`sweep` deletes those whose last piece is older than ``max_age`` seconds; 0 keeps them.
    Uploads also work where nothing can be recorded, but then they never expire.
    """

    def __init__(self, max_age: int, state_dir: str = "") -> None:
        self.max_age = max_age
        own = Path(tempfile.gettempdir()) / f"toolbox-uploads-{os.getuid()}"
        self._directory = Path(state_dir) if state_dir else own

    def add(self, partial: Path) -> None:
        """Record that the upload kept in ``partial`` has begun."""
        if not self.max_age:
            return
        try:
            self._directory.mkdir(0o700, parents=True, exist_ok=True)
            if self._is_ours():
                with contextlib.suppress(FileExistsError):
                    # A link survives a crash and needs no format or lock.
                    self._link(partial).symlink_to(partial.absolute())
        except OSError as error:
            log.warning("can't record an incomplete upload: %s", error)

    def remove(self, partial: Path) -> None:
        """Drop the record of an upload that was completed or canceled."""
        with contextlib.suppress(OSError):
            self._link(partial).unlink()

    def _link(self, partial: Path) -> Path:
        return self._directory / hashlib.sha256(os.fsencode(partial.absolute())).hexdigest()[:32]

    def _is_ours(self) -> bool:
        """Report whether only this user may write here: targets of links are deleted."""
        info = self._directory.lstat()
        return (
            stat.S_ISDIR(info.st_mode)
            and info.st_uid == os.geteuid()
            and not info.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        )

    def sweep(self) -> None:
        """Delete expired uploads, and drop the records of those that no longer exist."""
        try:
            links = list(self._directory.iterdir()) if self.max_age and self._is_ours() else []
        except OSError:
            return
        for link in links:
            with contextlib.suppress(OSError):
                partial = link.readlink()
                # Only a name of ours: a link to any other file must delete nothing.
                if _NAME.fullmatch(partial.name) and self._expire(partial):
                    link.unlink()

    def _expire(self, partial: Path) -> bool:
        """Delete ``partial`` if it has expired; report whether it is deleted. Raises OSError."""
        try:
            # O_NOFOLLOW and O_NONBLOCK: it may have been replaced by a link or a FIFO.
            fd = os.open(partial, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        with os.fdopen(fd, "rb") as file:
            # A request that appends holds the lock: raises BlockingIOError.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(fd).st_mtime > time.time() - self.max_age:
                return False
            partial.unlink()
        log.info("deleted an expired partial upload: %s", printable(str(partial)))
        return True
