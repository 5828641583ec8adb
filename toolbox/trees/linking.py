"""Files with several names, whose copies are to have them, too."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from toolbox.trees.listing import DIRECTORY
from toolbox.trees.listing import entries_in


class HardLinks:
    """The first copies of files with several names, for the others.

    Each has a second name in a directory of its own: the path of the first can be longer than a
    path may be.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory
        self._directory = -1

    def __enter__(self) -> None:
        self._path.mkdir(0o700)
        self._directory = os.open(self._path, DIRECTORY)

    def __exit__(self, *_: object) -> None:
        # The copies keep their own names; these were only for us.
        for entry in entries_in(self._directory):
            os.unlink(entry.name, dir_fd=self._directory)
        os.close(self._directory)
        self._path.rmdir()

    def link(self, status: os.stat_result, target: int, name: str) -> bool:
        """Make ``name`` a link to the copy of the same file. Return False if there is none."""
        try:
            kept = str(status.st_ino)
            os.link(kept, name, src_dir_fd=self._directory, dst_dir_fd=target)
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno == errno.EMLINK:  # The limit may be lower where the copy is.
                return False
            raise
        return True

    def keep(self, status: os.stat_result, target: int, name: str) -> None:
        """Remember the copy ``name`` of a file."""
        kept = str(status.st_ino)
        try:
            os.link(name, kept, src_dir_fd=target, dst_dir_fd=self._directory)
        except FileExistsError:
            # Another process has copied it meanwhile, or the first has as many names as it can.
            self._replace(kept, target, name)

    def _replace(self, kept: str, target: int, name: str) -> None:
        other = f"{kept}-{os.getpid()}"
        try:
            os.link(kept, other, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        except OSError as error:
            if error.errno == errno.EMLINK:
                return
            raise
        os.rename(other, name, src_dir_fd=self._directory, dst_dir_fd=target)
