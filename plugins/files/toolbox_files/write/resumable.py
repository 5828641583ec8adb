"""Uploads in pieces that survive a lost connection.

The client chooses an id. The received content is kept in a file beside the target, named after a
hash of both, until the upload is completed, canceled or expired; its size is the offset at which
to resume.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from toolbox.atomic.staging import NEW_FILE
from toolbox.atomic.writing import NEW_DIRECTORY
from toolbox.atomic.writing import check_access
from toolbox.atomic.writing import errors_of
from toolbox.atomic.writing import make_directory
from toolbox.atomic.writing import put_in_place
from toolbox.atomic.writing import real_target
from toolbox.atomic.writing import status
from toolbox.errors import Conflict
from toolbox.request import CHUNK
from toolbox_files.conditions import Conditions
from toolbox_files.errors import ChecksumMismatch
from toolbox_files.errors import WrongOffset
from toolbox_files.errors import file_errors
from toolbox_files.write.registry import PREFIX
from toolbox_files.write.registry import UploadRegistry


class PartialUpload:
    """The upload to ``path`` with the id ``upload_id``, begun or not."""

    def __init__(self, path: Path, upload_id: str, registry: UploadRegistry) -> None:
        self._path = path
        self._registry = registry
        self.max_age = registry.max_age
        # Beside the file itself, if the path is a link: renaming needs one file system.
        target = real_target(path)
        digest = hashlib.sha256(os.fsencode(target.name) + b"/" + upload_id.encode()).hexdigest()
        self._partial = target.with_name(f"{PREFIX}{digest[:32]}")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        with file_errors(), errors_of(self._path):
            yield

    def offset(self) -> int:
        """Return the number of bytes received; 0 before the first piece."""
        with self._errors():
            try:
                return self._partial.stat().st_size
            except FileNotFoundError:
                return 0

    @contextlib.contextmanager
    def appending(self, offset: int) -> Iterator[BinaryIO]:
        """Open the file to append to; content that was written is kept if the block raises.

        Raises WrongOffset unless ``offset`` bytes were received, Conflict while another request
        appends.
        """
        with self._errors(), self._open() as file:
            received = os.fstat(file.fileno()).st_size
            if offset != received:
                raise WrongOffset(received)
            file.seek(offset)
            yield file

    @contextlib.contextmanager
    def _open(self) -> Iterator[BinaryIO]:
        make_directory(self._path.parent, NEW_DIRECTORY)
        old = status(self._path)
        if old is not None:
            check_access(real_target(self._path))
        # The file to be replaced may be private, and its mode is copied only at the end.
        mode = NEW_FILE if old is None else 0o600
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(self._partial, flags, mode), "r+b", buffering=0) as file:
            self._lock(file)
            # Recorded with the first piece only.
            if not os.fstat(file.fileno()).st_size:
                self._registry.add(self._partial)
            yield file

    def _lock(self, file: BinaryIO) -> None:
        """Lock the content until it is closed. Raises Conflict."""
        try:
            # Released by the kernel with the descriptor, also if the service is killed.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("another request is appending to this upload") from None
        # It may have been renamed or deleted between open(2) and flock(2).
        if not self._is_current(file):
            raise Conflict("the upload was just completed or canceled")

    def _is_current(self, file: BinaryIO) -> bool:
        try:
            return os.path.samestat(self._partial.lstat(), os.fstat(file.fileno()))
        except FileNotFoundError:
            return False

    def complete(self, sha256: str, conditions: Conditions) -> None:
        """Replace the target with the received content.

        Raises ChecksumMismatch unless ``sha256``, in hexadecimal, is empty or that of the content;
        the content is deleted then. Raises PreconditionFailed.
        """
        with self._errors(), self._open() as file:
            if sha256 and _sha256(file) != sha256.lower():
                self._remove()
                raise ChecksumMismatch("the SHA-256 of the received content doesn't match")
            put_in_place(self._partial, file, self._path, conditions.check)
            self._registry.remove(self._partial)

    def cancel(self) -> None:
        """Delete the received content, if there is any."""
        with self._errors():
            self._remove()

    def _remove(self) -> None:
        self._partial.unlink(missing_ok=True)
        self._registry.remove(self._partial)


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := file.read(CHUNK):
        digest.update(block)
    return digest.hexdigest()
