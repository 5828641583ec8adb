"""One repository with dulwich: its index during an operation, and its files."""

# ruff: noqa: PTH115
# Names are bytes here, which pathlib doesn't accept.

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from dulwich.errors import ChecksumMismatch
from dulwich.ignore import IgnoreFilterManager
from dulwich.index import ConflictedIndexEntry
from dulwich.index import Index
from dulwich.index import IndexEntry
from dulwich.index import cleanup_mode
from dulwich.index import get_path_element_validator
from dulwich.index import index_entry_from_stat
from dulwich.index import read_submodule_head
from dulwich.objects import S_ISGITLINK
from dulwich.objects import Blob
from dulwich.objects import ObjectID
from dulwich.repo import Repo

from toolbox.errors import BadRequest
from toolbox.errors import NotSupported
from toolbox_git.dulwich.index_reader import is_valid
from toolbox_git.dulwich.index_reader import read_index
from toolbox_git.errors import FilterFailed
from toolbox_git.names import to_text

GITLINK = 0o160000
INTENT_TO_ADD = 0x2000
ASSUME_VALID = 0x8000

Entries = Mapping[bytes, IndexEntry | ConflictedIndexEntry]
"""Index entries by path."""


class Worktree:
    """A repository, its index during an operation, and its files."""

    def __init__(self, repo: Repo) -> None:
        self.repo = repo
        self.top = os.fsencode(repo.path)
        self.config = repo.get_config_stack()
        self._normalizer = repo.get_blob_normalizer() if not repo.bare else None
        self._filemode = self.config.get_boolean((b"core",), b"filemode", True)
        self.validate = get_path_element_validator(self.config)
        """Reports whether a working tree may contain an element of a path."""
        if repo.bare:
            raise BadRequest("a bare repository has no working tree")
        # Taken before the index is read: a write in between must count as a later one.
        self._written = self._index_time()
        self._directories: set[bytes] | None = None
        self._modes: dict[int, int] = {}

    @cached_property
    def index(self) -> Index:
        """The index, for operations that change it."""
        try:
            return self.repo.open_index()
        except ChecksumMismatch:
            if is_valid(Path(self.repo.index_path()).read_bytes()):
                # dulwich stopped before the checksum, at a mandatory extension it doesn't know.
                raise NotSupported("a split or sparse index requires the backend cli") from None
            raise

    def snapshot(self) -> tuple[Entries, bytes | None]:
        """Return the index's entries, read-only, and the hash of its tree if the index has it."""
        # A cached property that was used is in __dict__: it may have unsaved changes.
        if "index" not in self.__dict__:
            found = read_index(Path(self.repo.index_path()))
            if found is not None:
                return found.entries, found.tree
        return dict(self.index.items()), None

    def _index_time(self) -> int:
        try:
            return Path(self.repo.index_path()).stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def save(self) -> None:
        """Write the index."""
        # Git's caches there are out of date now: its untracked cache would hide files that were
        # removed from the index.
        self.index._extensions.clear()  # noqa: SLF001
        self.index.write()

    def entry(self, path: bytes) -> tuple[int, bytes] | None:
        """Return mode and hash of a path in the index; None if it is absent or in conflict."""
        try:
            found = self.index[path]
        except KeyError:
            return None
        if isinstance(found, ConflictedIndexEntry):
            return None
        return found.mode, found.sha

    def is_left_out(self, path: bytes) -> bool:
        """Report whether a sparse checkout leaves the file out of the working tree."""
        if path not in self.index:
            return False
        entry = self.index[path]
        return isinstance(entry, IndexEntry) and entry.skip_worktree and not self.lstat(path)

    def lstat(self, path: bytes) -> os.stat_result | None:
        """Return the file's status; None if it doesn't exist."""
        try:
            return os.lstat(self.top + b"/" + path)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def is_clean(self, path: bytes, entry: IndexEntry, status: os.stat_result) -> bool:
        """Report whether the file matches the index; its content is read only if needed."""
        if entry.extended_flags & INTENT_TO_ADD:
            return False
        if S_ISGITLINK(entry.mode):
            return stat.S_ISDIR(status.st_mode) and self._is_submodule_clean(path, entry)
        if stat.S_ISDIR(status.st_mode) or self.mode_of(status, entry.mode) != entry.mode:
            return False
        time = entry.mtime
        seconds = time if isinstance(time, tuple) else (int(time), int(time % 1 * 1_000_000_000))
        changed = seconds[0] * 1_000_000_000 + seconds[1]
        # A file as new as the index may have changed after it without a change of its time
        # ("racy git": gitformat-index(5)).
        if (
            status.st_mtime_ns == changed
            and status.st_size & 0xFFFFFFFF == entry.size
            and changed < self._written
        ):
            return True
        return self.blob(path, status).id == entry.sha

    def _is_submodule_clean(self, path: bytes, entry: IndexEntry) -> bool:
        head = read_submodule_head(os.fsdecode(self.top + b"/" + path))
        return head is None or head == entry.sha

    def mode_of(self, status: os.stat_result, known: int | None = None) -> int:
        """Return the mode that git gives a file; ``known`` if the file system has no modes."""
        mode = self._modes.get(status.st_mode)
        if mode is None:
            mode = self._modes[status.st_mode] = cleanup_mode(status.st_mode)
        if not self._filemode and known is not None and stat.S_ISREG(mode) and stat.S_ISREG(known):
            return known
        return mode

    def blob(self, path: bytes, status: os.stat_result) -> Blob:
        """Return a file as git would store it."""
        full = self.top + b"/" + path
        if stat.S_ISLNK(status.st_mode):
            return Blob.from_string(os.readlink(full))
        if not stat.S_ISREG(status.st_mode):
            raise BadRequest(f"{to_text(path)} is not a file, symbolic link or directory")
        blob = Blob.from_string(Path(os.fsdecode(full)).read_bytes())
        assert self._normalizer is not None
        with filtering():
            return self._normalizer.checkin_normalize(blob, path)

    def content(self, path: bytes, mode: int, sha: bytes) -> bytes:
        """Return a stored file's content as the working tree has it."""
        blob = self.repo.object_store[ObjectID(sha)]
        assert isinstance(blob, Blob)
        if not stat.S_ISLNK(mode):
            assert self._normalizer is not None
            with filtering():
                blob = self._normalizer.checkout_normalize(blob, path)
        return blob.data

    def is_ignored(self, path: bytes) -> bool:
        """Report whether the path or a directory above it is ignored."""
        ignore = IgnoreFilterManager.from_repo(self.repo)
        return bool(ignore.is_ignored(os.fsdecode(path)))

    def stage(self, path: bytes) -> None:
        """Add one file or nested repository to the index, or remove it if it doesn't exist."""
        status = self.lstat(path)
        if status is None:
            if path in self.index:
                del self.index[path]
            return
        if stat.S_ISDIR(status.st_mode):
            head = read_submodule_head(os.fsdecode(self.top + b"/" + path))
            if head is None:
                raise BadRequest(f"{to_text(path)} has no commit to add")
            self.record(path, index_entry_from_stat(status, head, GITLINK))
            return
        known = self.entry(path)
        blob = self.blob(path, status)
        if known is None or known[1] != blob.id:
            self.repo.object_store.add_object(blob)
        mode = self.mode_of(status, known[0] if known else None)
        self.record(path, index_entry_from_stat(status, blob.id, mode))

    def record(self, path: bytes, entry: IndexEntry) -> None:
        """Set an entry of the index and remove those that would make its path a directory or
        one of its parents a file.
        """
        if path not in self.index:
            if self._directories is None:
                self._directories = directories_of(self.index)
            for parent in parents_of(path):
                if parent in self.index:
                    del self.index[parent]
            if path in self._directories:
                below = path + b"/"
                for other in [known for known in self.index if known.startswith(below)]:
                    del self.index[other]
            self._directories.update(parents_of(path))
        self.index[path] = entry

    def put_index(self, path: bytes, wanted: tuple[int, bytes] | None) -> None:
        """Set a path of the index without its file; an equal entry keeps its file status."""
        if wanted is None:
            if path in self.index:
                del self.index[path]
            return
        if self.entry(path) == wanted:
            return
        left_out = self.is_left_out(path)
        # A status of zeros never matches, so the next comparison reads the file.
        entry = IndexEntry(0, 0, 0, 0, wanted[0], 0, 0, 0, ObjectID(wanted[1]))
        entry.set_skip_worktree(left_out)
        self.record(path, entry)


@contextlib.contextmanager
def filtering() -> Iterator[None]:
    """Raise FilterFailed if a filter can't be run, for which dulwich has no exception."""
    try:
        yield
    except OSError as error:
        raise FilterFailed(f"failed to run a filter: {error}") from None


def is_conflict(tree: Worktree, path: bytes) -> bool:
    """Report whether the path has unresolved versions of a merge."""
    return path in tree.index and isinstance(tree.index[path], ConflictedIndexEntry)


def is_intended(entry: IndexEntry | ConflictedIndexEntry) -> bool:
    """Report whether the entry is only announced: ``git add --intent-to-add``."""
    return isinstance(entry, IndexEntry) and bool(entry.extended_flags & INTENT_TO_ADD)


def is_assumed(entry: IndexEntry) -> bool:
    """Report whether the file counts as unchanged: git-update-index(1), and sparse checkouts."""
    return bool(entry.flags & ASSUME_VALID) or entry.skip_worktree


def parents_of(path: bytes) -> Iterator[bytes]:
    """Yield every directory above ``path``, the nearest first."""
    slash = path.rfind(b"/")
    while slash > 0:
        yield path[:slash]
        slash = path.rfind(b"/", 0, slash)


def directories_of(paths: Iterable[bytes]) -> set[bytes]:
    """Return every directory above one of ``paths``."""
    found: set[bytes] = set()
    for path in paths:
        for parent in parents_of(path):
            if parent in found:
                break
            found.add(parent)
    return found
