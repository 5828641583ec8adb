"""Unpacking tar archives into a directory, by strict rules.

* Nothing is written outside: a name with ``..``, or one that leads out by links, is refused; an
  absolute name is relative to the directory. Hard links are made only to files inside, symbolic
  links that lead outside only on request, and nothing is ever written through one.
* Only files, directories and links: FIFOs, devices and unknown types are refused.
* An existing file, link or empty directory is replaced, not written to. An existing directory
  with content is kept and gets the member's mode.
* Everything belongs to the service's user; permissions are kept, set-id and sticky bits aren't.

Each file is complete before it becomes visible. After a member that is refused, or for which there
is no space, the previous members are kept, but nothing of that one.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import tarfile
from collections.abc import Callable
from typing import Any
from typing import BinaryIO

from toolbox.atomic.staging import Staged
from toolbox.atomic.staging import private_name
from toolbox_files.helpers.beneath import Beneath
from toolbox_files.helpers.beneath import LeadsOutside
from toolbox_files.helpers.compressing import BLOCK
from toolbox_files.helpers.compressing import decompressed
from toolbox_files.helpers.tar_stream import TarStream

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Refused(Exception):
    """A member that can't be unpacked; the message says which and why."""


def unpack(directory: str, source: io.RawIOBase, outside_links: bool) -> int:
    """Unpack into ``directory``; return the number of members.

    The directory is created after the first member's header was read: an upload that breaks off
    before leaves nothing. Raises Refused, OSError, tarfile.TarError and decompressors' errors.
    """
    stream = decompressed(source)
    tar: Any = TarStream(stream)
    archive: Any = tarfile.TarFile(fileobj=tar, mode="r", copybufsize=BLOCK)
    member = archive.next()
    _make_root(directory)
    unpacker = _Unpacker(directory, tar, outside_links)
    count = 0
    try:
        while member is not None:
            unpacker.add(member)
            archive.members.clear()  # tarfile keeps every member in memory otherwise.
            count += 1
            member = archive.next()
    finally:
        unpacker.finish()
    while stream.read(BLOCK):
        pass  # The padding to the block size, and the checksum of the compression.
    return count


class _Unpacker:
    """Puts members into ``directory``; the content of files comes from ``stream``."""

    def __init__(self, directory: str, stream: Any, outside_links: bool) -> None:
        self._directory = directory
        self._stream = stream
        self._outside_links = outside_links
        self._tree = Beneath(directory)
        self._directories: dict[tuple[str, ...], tarfile.TarInfo] = {}
        self._doubtful: list[tuple[list[str], str]] = []

    def add(self, member: tarfile.TarInfo) -> None:
        """Unpack one member. Raises Refused, OSError."""
        try:
            self._add(member)
        except LeadsOutside:
            raise Refused(f"{member.name} would be written outside the directory") from None
        except OSError as error:
            if error.errno:
                error.filename = f"{self._directory}/{member.name}"
            raise

    def _add(self, member: tarfile.TarInfo) -> None:
        parts = _parts(member.name)
        if member.isdir():
            self._add_directory(member, parts)
            return
        if not parts:
            raise Refused(f"{member.name!r} is not a file name")
        fd, names = self._tree.directory(parts[:-1], make=True)
        if member.issym():
            self._check_link([*names, parts[-1]], member.linkname)
            self._add_link(fd, parts[-1], member.linkname)
        elif member.islnk():
            self._add_hard_link(member, [*names, parts[-1]], fd)
        elif member.isreg():
            self._add_file(member, fd, parts[-1])
        else:
            raise Refused(f"{member.name} is not a file, directory or link")

    def _add_directory(self, member: tarfile.TarInfo, parts: list[str]) -> None:
        names: list[str] = []
        if parts:
            fd, names = self._tree.directory(parts[:-1], make=True)
            _make_directory(fd, parts[-1], member.mode & 0o777 | 0o700)
            names = [*names, parts[-1]]
        # Mode and times are set last: new entries need the one and change the other.
        self._directories[tuple(names)] = member

    def _add_file(self, member: tarfile.TarInfo, fd: int, name: str) -> None:
        staged = Staged(fd, closed=True)
        try:
            self._copy(member, staged.file)
            os.fchmod(staged.file.fileno(), member.mode & 0o777)
            with contextlib.suppress(OSError, OverflowError):
                os.utime(staged.file.fileno(), (member.mtime, member.mtime))
            _replace(fd, name, lambda: staged.take_place(name))
        finally:
            staged.discard()

    def _copy(self, member: tarfile.TarInfo, target: BinaryIO) -> None:
        self._stream.seek(member.offset_data)
        sparse: Any = member.sparse  # Offsets and sizes.
        end = 0
        for start, size in [(0, member.size)] if sparse is None else sparse:
            if start < end or size < 0 or start + size > member.size:
                raise Refused(f"{member.name} has an invalid size")
            target.seek(start)
            self._copy_block(size, target)
            end = start + size
        if end < member.size:
            target.truncate(member.size)

    def _copy_block(self, size: int, target: BinaryIO) -> None:
        while size:
            block = self._stream.read(min(BLOCK, size))
            if not block:
                raise tarfile.ReadError("unexpected end of data")
            size -= len(block)
            view = memoryview(block)
            while view:
                view = view[target.write(view) :]

    def _check_link(self, names: list[str], target: str) -> None:
        """Raise Refused unless a link at ``names`` to ``target`` is allowed."""
        if self._outside_links:
            return
        if self._tree.leads_outside(names[:-1], target):
            raise _leads_outside(names)
        if "/.." in target.lstrip("./"):
            # A later member may turn the name before ".." into a link, which changes its parent.
            self._doubtful.append((names, target))

    def _add_link(self, fd: int, name: str, target: str) -> None:
        if not target:
            raise Refused(f"{name} is a link without a target")
        _put(fd, name, lambda made: os.symlink(target, made, dir_fd=fd))

    def _add_hard_link(self, member: tarfile.TarInfo, names: list[str], fd: int) -> None:
        """Link ``names`` to an existing file inside."""
        linked = _parts(member.linkname)
        if not linked:
            raise Refused(f"{member.name} is a hard link to a directory")
        here = os.dup(fd)  # The tree's descriptor is valid until its next call.
        try:
            there, _ = self._tree.directory(linked[:-1], make=False)
            info = os.lstat(linked[-1], dir_fd=there)
            if not (stat.S_ISREG(info.st_mode) or stat.S_ISLNK(info.st_mode)):
                raise Refused(f"{member.name} is a hard link to something that is not a file")
            if stat.S_ISLNK(info.st_mode):
                self._check_link(names, os.readlink(linked[-1], dir_fd=there))
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(info, os.lstat(names[-1], dir_fd=here)):
                    return  # Already linked; rename(2) would do nothing either.
            _put(here, names[-1], lambda made: _link(linked[-1], there, made, here))
        except (FileNotFoundError, NotADirectoryError):
            raise Refused(
                f"{member.name} is a hard link to {member.linkname}, which is not inside"
            ) from None
        finally:
            os.close(here)

    def finish(self) -> None:
        """Set modes and times of directories.

        Deletes links that lead outside because of later members; raises Refused for the first.
        """
        outside = [
            names for names, target in self._doubtful if self._delete_if_outside(names, target)
        ]
        self._finish_directories()
        if outside:
            raise _leads_outside(outside[0])

    def _delete_if_outside(self, names: list[str], target: str) -> bool:
        """Delete a link that still has this target and leads outside; report whether it did."""
        with contextlib.suppress(OSError, LeadsOutside):
            fd, _ = self._tree.directory(names[:-1], make=False)
            still = os.readlink(names[-1], dir_fd=fd) == target
            if still and self._tree.leads_outside(names[:-1], target):
                os.unlink(names[-1], dir_fd=fd)
                return True
        return False

    def _finish_directories(self) -> None:
        for names, member in reversed(self._directories.items()):
            # Missing permission is no reason to fail, nor is a directory replaced since.
            with contextlib.suppress(OSError, OverflowError, LeadsOutside):
                fd, _ = self._tree.directory(list(names), make=False)
                own = os.open(".", _DIRECTORY, dir_fd=fd)
                try:
                    os.fchmod(own, member.mode & 0o777)
                    os.utime(own, (member.mtime, member.mtime))
                finally:
                    os.close(own)


def _parts(name: str) -> list[str]:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise LeadsOutside
    return parts


def _leads_outside(names: list[str]) -> Refused:
    name = "/".join(names)
    return Refused(
        f"{name} is a link that leads outside the directory (allowed by outside_links=true)"
    )


def _make_root(directory: str) -> None:
    """Make ``directory`` and its missing parents. Raises OSError."""
    try:
        os.makedirs(directory, 0o755, exist_ok=True)  # noqa: PTH103
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, "", error.filename) from None
    except FileNotFoundError as error:
        # Its parent exists: /proc refuses new entries with ENOENT.
        raise PermissionError(errno.EACCES, "", error.filename) from None


def _make_directory(fd: int, name: str, mode: int) -> None:
    try:
        os.mkdir(name, mode, dir_fd=fd)
    except FileExistsError:
        if not stat.S_ISDIR(os.lstat(name, dir_fd=fd).st_mode):
            os.unlink(name, dir_fd=fd)
            os.mkdir(name, mode, dir_fd=fd)


def _put(fd: int, name: str, make: Callable[[str], None]) -> None:
    """Call ``make`` with ``name``, or with a private name that then replaces ``name``."""
    try:
        make(name)
    except FileExistsError:
        private = private_name()
        make(private)
        try:
            _replace(fd, name, lambda: _rename(private, name, fd))
        except BaseException:
            os.unlink(private, dir_fd=fd)
            raise


def _replace(fd: int, name: str, rename: Callable[[], None]) -> None:
    """Call ``rename`` to replace the file, link or empty directory ``name``."""
    try:
        rename()
    except IsADirectoryError:
        os.rmdir(name, dir_fd=fd)
        rename()


def _rename(old: str, new: str, fd: int) -> None:
    os.replace(old, new, src_dir_fd=fd, dst_dir_fd=fd)


def _link(old: str, there: int, new: str, here: int) -> None:
    os.link(old, new, src_dir_fd=there, dst_dir_fd=here, follow_symlinks=False)
