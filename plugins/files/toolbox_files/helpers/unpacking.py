"""Tar archives into a directory, by one strict rule.

* Nothing is written outside: a name with ``..``, or one that links lead out with, is refused; an
  absolute name begins at the directory. Hard links are made to what is inside only, and symbolic
  links that lead outside only if that is asked for; nothing is ever written through one.
* Files, directories and links only: FIFOs, devices and unknown types are refused.
* What is there already is replaced, not written to: also a link, and an empty directory.
  A directory that is there stays, with its content, and gets the member's mode.
* All belongs to the service's user; permissions are kept, set-id and sticky bits aren't.

Each file is complete before it is seen. Members before one that is refused, or that there is no
room for, stay; of that one nothing does.
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

from toolbox.staging import Staged
from toolbox.staging import private_name
from toolbox_files.helpers.beneath import Beneath
from toolbox_files.helpers.beneath import LeadsOutside
from toolbox_files.helpers.compressing import BLOCK
from toolbox_files.helpers.compressing import decompressed
from toolbox_files.helpers.tarstream import TarStream

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Refused(Exception):
    """A member that isn't unpacked; the message tells which and why."""


def unpack(directory: str, source: io.RawIOBase, outside_links: bool) -> int:
    """Unpack into ``directory``; return the count of members.

    The directory is made once the first member has come: an upload that breaks off before leaves
    nothing. Raises Refused, OSError, tarfile.TarError and what the decompressors raise.
    """
    stream = decompressed(source)
    place: Any = TarStream(stream)
    archive: Any = tarfile.TarFile(fileobj=place, mode="r", copybufsize=BLOCK)
    member = archive.next()
    _make_root(directory)
    unpacker = _Unpacker(directory, place, outside_links)
    count = 0
    try:
        while member is not None:
            unpacker.add(member)
            archive.members.clear()
            count += 1
            member = archive.next()
    finally:
        unpacker.finish()
    while stream.read(BLOCK):
        pass  # What pads an archive to its block size, and what the compression checks.
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
            raise Refused(f"{member.name} would land outside") from None
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
            raise Refused(f"{member.name!r} is no name of a file")
        fd, names = self._tree.directory(parts[:-1], make=True)
        if member.issym():
            self._check_link([*names, parts[-1]], member.linkname)
            self._add_link(fd, parts[-1], member.linkname)
        elif member.islnk():
            self._add_name(member, [*names, parts[-1]], fd)
        elif member.isreg():
            self._add_file(member, fd, parts[-1])
        else:
            raise Refused(f"{member.name} is no file, directory or link")

    def _add_directory(self, member: tarfile.TarInfo, parts: list[str]) -> None:
        names: list[str] = []
        if parts:
            fd, names = self._tree.directory(parts[:-1], make=True)
            _make_directory(fd, parts[-1], member.mode & 0o777 | 0o700)
            names = [*names, parts[-1]]
        # Mode and time at the end: what comes into a directory needs the one, changes the other.
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
        sparse: Any = member.sparse  # Places and sizes.
        place = 0
        for start, size in [(0, member.size)] if sparse is None else sparse:
            if start < place or size < 0 or start + size > member.size:
                raise Refused(f"{member.name} has no size that can be")
            target.seek(start)
            self._copy_block(size, target)
            place = start + size
        if place < member.size:
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
        """Raise Refused if a link of these names to ``target`` isn't allowed."""
        if self._outside_links:
            return
        if self._tree.leads_outside(names[:-1], target):
            raise _leads_outside(names)
        if "/.." in target.lstrip("./"):
            # The name before may become a link, and what is above that be another directory.
            self._doubtful.append((names, target))

    def _add_link(self, fd: int, name: str, target: str) -> None:
        if not target:
            raise Refused(f"{name} is a link to nothing")
        _place(fd, name, lambda made: os.symlink(target, made, dir_fd=fd))

    def _add_name(self, member: tarfile.TarInfo, names: list[str], fd: int) -> None:
        """Give what is inside already the name ``names``."""
        linked = _parts(member.linkname)
        if not linked:
            raise Refused(f"{member.name} is a link to a directory")
        here = os.dup(fd)  # The tree gives one at a time.
        try:
            there, _ = self._tree.directory(linked[:-1], make=False)
            info = os.lstat(linked[-1], dir_fd=there)
            if not (stat.S_ISREG(info.st_mode) or stat.S_ISLNK(info.st_mode)):
                raise Refused(f"{member.name} is a link to what is no file")
            if stat.S_ISLNK(info.st_mode):
                self._check_link(names, os.readlink(linked[-1], dir_fd=there))
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(info, os.lstat(names[-1], dir_fd=here)):
                    return  # Renaming one name of a file over another does nothing, too.
            _place(here, names[-1], lambda made: _link(linked[-1], there, made, here))
        except (FileNotFoundError, NotADirectoryError):
            raise Refused(f"{member.name} is a link to {member.linkname}, not inside") from None
        finally:
            os.close(here)

    def finish(self) -> None:
        """Give directories their modes and times. Raises Refused for a link that leads outside by
        what has come after it, and is taken away.
        """
        outside = [names for names, target in self._doubtful if self._take_away(names, target)]
        self._finish_directories()
        if outside:
            raise _leads_outside(outside[0])

    def _take_away(self, names: list[str], target: str) -> bool:
        """Unlink the link ``names``, if it still has this target and leads outside; whether so."""
        with contextlib.suppress(OSError, LeadsOutside):
            fd, _ = self._tree.directory(names[:-1], make=False)
            still = os.readlink(names[-1], dir_fd=fd) == target
            if still and self._tree.leads_outside(names[:-1], target):
                os.unlink(names[-1], dir_fd=fd)
                return True
        return False

    def _finish_directories(self) -> None:
        for names, member in reversed(self._directories.items()):
            # Who may not is no reason to fail; nor is a directory that has been replaced.
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
    return Refused(f"{name} is a link that leads outside, which outside_links=true allows")


def _make_root(directory: str) -> None:
    """Make ``directory`` and what is missing above it. Raises OSError."""
    try:
        os.makedirs(directory, 0o755, exist_ok=True)  # noqa: PTH103
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, "", error.filename) from None
    except FileNotFoundError as error:
        # What is above it is there: /proc says so of what it refuses.
        raise PermissionError(errno.EACCES, "", error.filename) from None


def _make_directory(fd: int, name: str, mode: int) -> None:
    try:
        os.mkdir(name, mode, dir_fd=fd)
    except FileExistsError:
        if not stat.S_ISDIR(os.lstat(name, dir_fd=fd).st_mode):
            os.unlink(name, dir_fd=fd)
            os.mkdir(name, mode, dir_fd=fd)


def _place(fd: int, name: str, make: Callable[[str], None]) -> None:
    """Let ``make`` make ``name``, or under another name what then replaces it."""
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
    """Let ``rename`` replace the file, the link or the empty directory ``name``."""
    try:
        rename()
    except IsADirectoryError:
        os.rmdir(name, dir_fd=fd)
        rename()


def _rename(old: str, new: str, fd: int) -> None:
    os.replace(old, new, src_dir_fd=fd, dst_dir_fd=fd)


def _link(old: str, there: int, new: str, here: int) -> None:
    os.link(old, new, src_dir_fd=there, dst_dir_fd=here, follow_symlinks=False)
