"""Overwriting of a file in place, which restores the old content if it fails."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from toolbox.atomic.staging import NEW_FILE
from toolbox.atomic.staging import Staged
from toolbox.errors import printable

log = logging.getLogger("toolbox.writing")

_BLOCK = 1024 * 1024
_CAPABILITY = "security.capability"


def overwrite(target: Path, directory: int, old: os.stat_result | None, source: int) -> None:
    """Give ``target``, whose status is ``old``, the content of the open file ``source``.

    ``directory`` is the target's, open: its old content is copied there, if possible. A missing
    target is created, and removed again on failure. Raises OSError.
    """
    made = os.O_CREAT | os.O_EXCL if old is None else 0
    # O_NONBLOCK: a FIFO that has replaced the file since would block.
    fd = os.open(target, made | os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC, NEW_FILE)
    try:
        if old is None:
            _fill_new(target, fd, source)
        else:
            capability = _capability(target)
            with _copy(target, directory, old.st_size) as copy:
                _fill_old(target, fd, source, copy)
            _keep_privileges(fd, old, capability)
            _be_newer(fd, old)
    except OSError as error:
        # Root can open read-only files of the kernel for writing.
        if error.errno == errno.EIO and is_kernel_file(os.fstat(fd)):
            raise PermissionError(errno.EACCES, "") from None
        raise
    finally:
        os.close(fd)


def is_kernel_file(info: os.stat_result) -> bool:
    """Report whether a file with this status is in ``/proc`` or ``/sys``."""
    for directory in ("/proc", "/sys"):
        with contextlib.suppress(OSError):
            if Path(directory).stat().st_dev == info.st_dev:
                return True
    return False


def _fill_new(target: Path, fd: int, source: int) -> None:
    try:
        _fill(fd, source)
    except BaseException:
        with contextlib.suppress(OSError):
            target.unlink()
        raise


def _fill_old(target: Path, fd: int, source: int, copy: int) -> None:
    """Fill the file; if that fails, restore the content of ``copy``, if there is one."""
    before = os.fstat(fd).st_size
    try:
        _fill(fd, source)
    except BaseException:
        try:
            os.ftruncate(fd, before)  # Its growth may take the space that others need.
            if copy >= 0:
                _pour(copy, fd, 0, before)
        except OSError as error:
            log.error("%s is damaged: %s", printable(str(target)), os.strerror(error.errno or 0))
        raise


def _fill(fd: int, source: int) -> None:
    before = os.fstat(fd).st_size
    size = os.fstat(source).st_size
    # First where the file becomes longer: a full disk fails before anything is lost.
    _pour(source, fd, before, size)
    _pour(source, fd, 0, min(before, size))
    os.ftruncate(fd, size)
    # Some file systems report failures only when a file is closed.
    os.close(os.dup(fd))


def _pour(source: int, fd: int, start: int, end: int) -> None:
    while block := os.pread(source, max(0, min(_BLOCK, end - start)), start):
        view = memoryview(block)
        while view:
            count = _write(fd, view, start)
            start += count
            view = view[count:]


def _write(fd: int, data: memoryview, offset: int) -> int:
    try:
        return os.pwrite(fd, data, offset)
    except OSError as error:
        if error.errno != errno.ESPIPE or offset:
            raise
        return os.write(fd, data)  # Files of the kernel may have no offset.


@contextlib.contextmanager
def _copy(target: Path, directory: int, size: int) -> Iterator[int]:
    """Yield a descriptor of a copy of the file; -1 if it is empty or may not be read."""
    try:
        fd = os.open(target, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC) if size else -1
    except PermissionError:
        fd = -1
    if fd < 0:
        yield -1
        return
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, fd)
        copy = stack.enter_context(_scratch(directory))
        try:
            _pour(fd, copy, 0, size)
        except OSError:
            if not is_kernel_file(os.fstat(fd)):
                raise
            copy = -1  # Some files of the kernel can't be read.
        yield copy


@contextlib.contextmanager
def _scratch(directory: int) -> Iterator[int]:
    try:
        staged = Staged(directory, closed=True)
    except OSError:
        with tempfile.TemporaryFile(buffering=0) as file:
            yield file.fileno()
        return
    try:
        yield staged.file.fileno()
    finally:
        staged.discard()


def _capability(path: Path) -> bytes | None:
    with contextlib.suppress(OSError):
        return os.getxattr(path, _CAPABILITY)
    return None


def _be_newer(fd: int, old: os.stat_result) -> None:
    """Give the file another time than the old content: a file system's clock may tick slowly, and
    programs that compare times must see the difference.
    """
    now = os.fstat(fd)
    if now.st_mtime_ns == old.st_mtime_ns:
        with contextlib.suppress(OSError):
            os.utime(fd, ns=(now.st_atime_ns, now.st_mtime_ns + 1))


def _keep_privileges(fd: int, old: os.stat_result, capability: bytes | None) -> None:
    """Restore the bits that writing clears (inode(7)), where the kernel permits it."""
    with contextlib.suppress(OSError):
        mode = stat.S_IMODE(old.st_mode)
        if stat.S_IMODE(os.fstat(fd).st_mode) != mode:
            os.fchmod(fd, mode)
    if capability is not None:
        with contextlib.suppress(OSError):
            os.setxattr(fd, _CAPABILITY, capability)
