"""Uploads in pieces that survive a lost connection.

The client chooses an id. What has arrived is kept in a file beside the target, named after both,
until the upload is completed, cancelled or forgotten; its size is the offset to go on at.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from toolbox.errors import Conflict
from toolbox.request import CHUNK
from toolbox.staging import NEW_FILE
from toolbox.writing import NEW_DIRECTORY
from toolbox.writing import check_access
from toolbox.writing import errors_of
from toolbox.writing import make_directory
from toolbox.writing import put_in_place
from toolbox.writing import real_target
from toolbox.writing import status
from toolbox_files.abandoned import PREFIX
from toolbox_files.abandoned import Uploads
from toolbox_files.conditions import Conditions
from toolbox_files.errors import ChecksumMismatch
from toolbox_files.errors import WrongOffset
from toolbox_files.errors import file_errors


class PartialUpload:
    """One upload to ``path``, by its id."""

    def __init__(self, path: Path, upload_id: str, uploads: Uploads) -> None:
        self._path = path
        self._uploads = uploads
        self.max_age = uploads.max_age
        target = real_target(path)
        digest = hashlib.sha256(os.fsencode(target.name) + b"/" + upload_id.encode()).hexdigest()
        self._name = target.with_name(f"{PREFIX}{digest[:32]}")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        with file_errors(), errors_of(self._path):
            yield

    def offset(self) -> int:
        """Bytes that have arrived; 0 for an upload nobody has begun."""
        with self._errors():
            try:
                return self._name.stat().st_size
            except FileNotFoundError:
                return 0

    @contextlib.contextmanager
    def appending(self, offset: int) -> Iterator[BinaryIO]:
        """The file to append to; what was written stays whatever happens.

        Raises WrongOffset unless ``offset`` bytes have arrived, Conflict while another request
        appends.
        """
        with self._errors(), self._open() as file:
            arrived = os.fstat(file.fileno()).st_size
            if offset != arrived:
                raise WrongOffset(arrived)
            file.seek(offset)
            yield file

    @contextlib.contextmanager
    def _open(self) -> Iterator[BinaryIO]:
        make_directory(self._path.parent, NEW_DIRECTORY)
        old = status(self._path)
        if old is not None:
            check_access(real_target(self._path))
        # Others may not read what is to replace a file that they perhaps can't.
        mode = NEW_FILE if old is None else 0o600
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(self._name, flags, mode), "r+b", buffering=0) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Conflict("another request is appending to this upload") from None
            if not self._is_still(file):
                raise Conflict("the upload has just been completed or cancelled")
            if not os.fstat(file.fileno()).st_size:
                self._uploads.remember(self._name)
            yield file

    def _is_still(self, file: BinaryIO) -> bool:
        try:
            return os.path.samestat(self._name.lstat(), os.fstat(file.fileno()))
        except FileNotFoundError:
            return False

    def complete(self, sha256: str, conditions: Conditions) -> None:
        """Let what has arrived become the file.

        ``sha256`` in hexadecimal is compared if it isn't empty: raises ChecksumMismatch, and the
        upload has to begin again. Raises PreconditionFailed.
        """
        with self._errors(), self._open() as file:
            if sha256 and _sha256(file) != sha256.lower():
                self._remove()
                raise ChecksumMismatch("what has arrived is not what the checksum says")
            put_in_place(self._name, file, self._path, conditions.check)
            self._uploads.forget(self._name)

    def cancel(self) -> None:
        """Forget what has arrived, if anything has."""
        with self._errors():
            self._remove()

    def _remove(self) -> None:
        self._name.unlink(missing_ok=True)
        self._uploads.forget(self._name)


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := file.read(CHUNK):
        digest.update(block)
    return digest.hexdigest()
