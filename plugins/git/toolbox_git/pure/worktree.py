"""One repository by dulwich: its index while it is worked on, and the files it tells of."""

# ruff: noqa: PTH115
# Names are bytes here, which pathlib doesn't take.

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
from toolbox.errors import NotImplemented_
from toolbox_git.errors import FilterFailed
from toolbox_git.names import to_text
from toolbox_git.pure.index_reading import glance
from toolbox_git.pure.index_reading import is_whole

GITLINK = 0o160000
INTENT_TO_ADD = 0x2000
ASSUME_VALID = 0x8000

Entries = Mapping[bytes, IndexEntry | ConflictedIndexEntry]
"""An index by path."""


class Worktree:
    """A repository, its index while it is worked on, and the files."""

    def __init__(self, repo: Repo) -> None:
        self.repo = repo
        self.top = os.fsencode(repo.path)
        self.config = repo.get_config_stack()
        self._normalizer = repo.get_blob_normalizer() if not repo.bare else None
        self._filemode = self.config.get_boolean((b"core",), b"filemode", True)
        self.validate = get_path_element_validator(self.config)
        """Tells whether a part of a path may be in a working tree."""
        if repo.bare:
            raise BadRequest("a bare repository has no working tree")
        # Before it is read: what is written meanwhile must count as written later.
        self._written = self._index_time()
        self._directories: set[bytes] | None = None
        self._modes: dict[int, int] = {}

    @cached_property
    def index(self) -> Index:
        """The index, to be worked on."""
        try:
            return self.repo.open_index()
        except ChecksumMismatch:
            if is_whole(Path(self.repo.index_path()).read_bytes()):
                # dulwich stops at an extension that it doesn't know and would have to.
                raise NotImplemented_(
                    "the index is split or sparse, which only the backend cli can read"
                ) from None
            raise

    def look(self) -> tuple[Entries, bytes | None]:
        """What is in the index, to be looked at, and the tree it stands for if that is known."""
        if "index" not in self.__dict__:
            found = glance(Path(self.repo.index_path()))
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
        # What git has noted there of the files no longer holds: its untracked cache would hide
        # what has been taken out of the index.
        self.index._extensions.clear()
        self.index.write()

    def entry(self, path: bytes) -> tuple[int, bytes] | None:
        """Mode and hash of a path in the index, None if it isn't there or is in conflict."""
        try:
            found = self.index[path]
        except KeyError:
            return None
        if isinstance(found, ConflictedIndexEntry):
            return None
        return found.mode, found.sha

    def is_left_out(self, path: bytes) -> bool:
        """Whether a sparse checkout leaves the file out of the working tree."""
        if path not in self.index:
            return False
        entry = self.index[path]
        return isinstance(entry, IndexEntry) and entry.skip_worktree and not self.lstat(path)

    def lstat(self, path: bytes) -> os.stat_result | None:
        """The file's status, None if nothing is there."""
        try:
            return os.lstat(self.top + b"/" + path)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def is_clean(self, path: bytes, entry: IndexEntry, status: os.stat_result) -> bool:
        """Whether the file is as the index has it; it is read only if its status differs."""
        if entry.extended_flags & INTENT_TO_ADD:
            return False
        if S_ISGITLINK(entry.mode):
            if not stat.S_ISDIR(status.st_mode):
                return False
            head = read_submodule_head(os.fsdecode(self.top + b"/" + path))
            return head is None or head == entry.sha
        if stat.S_ISDIR(status.st_mode) or self.mode_of(status, entry.mode) != entry.mode:
            return False
        time = entry.mtime
        seconds = time if isinstance(time, tuple) else (int(time), int(time % 1 * 1_000_000_000))
        changed = seconds[0] * 1_000_000_000 + seconds[1]
        # What was written in the same moment as the index may have changed since, unseen.
        if (
            status.st_mtime_ns == changed
            and status.st_size & 0xFFFFFFFF == entry.size
            and changed < self._written
        ):
            return True
        return self.blob(path, status).id == entry.sha

    def mode_of(self, status: os.stat_result, known: int | None = None) -> int:
        """The mode git gives a file."""
        mode = self._modes.get(status.st_mode)
        if mode is None:
            mode = self._modes[status.st_mode] = cleanup_mode(status.st_mode)
        if not self._filemode and known is not None and stat.S_ISREG(mode) and stat.S_ISREG(known):
            return known
        return mode

    def blob(self, path: bytes, status: os.stat_result) -> Blob:
        """A file as it would be stored."""
        full = self.top + b"/" + path
        if stat.S_ISLNK(status.st_mode):
            return Blob.from_string(os.readlink(full))
        if not stat.S_ISREG(status.st_mode):
            raise BadRequest(f"{to_text(path)} is no file, link or directory")
        blob = Blob.from_string(Path(os.fsdecode(full)).read_bytes())
        assert self._normalizer is not None
        with filtering():
            return self._normalizer.checkin_normalize(blob, path)

    def content(self, path: bytes, mode: int, sha: bytes) -> bytes:
        """What a file of the repository is in the working tree."""
        blob = self.repo.object_store[ObjectID(sha)]
        assert isinstance(blob, Blob)
        if not stat.S_ISLNK(mode):
            assert self._normalizer is not None
            with filtering():
                blob = self._normalizer.checkout_normalize(blob, path)
        return blob.data

    def is_ignored(self, path: bytes) -> bool:
        """Whether the path or a directory above it is ignored."""
        ignore = IgnoreFilterManager.from_repo(self.repo)
        return bool(ignore.is_ignored(os.fsdecode(path)))

    def stage(self, path: bytes) -> None:
        """Bring one file or nested repository into the index, or out of it if it is gone."""
        status = self.lstat(path)
        if status is None:
            if path in self.index:
                del self.index[path]
            return
        if stat.S_ISDIR(status.st_mode):
            head = read_submodule_head(os.fsdecode(self.top + b"/" + path))
            if head is None:
                raise BadRequest(f"{to_text(path)} has no commit that could be added")
            self.record(path, index_entry_from_stat(status, head, GITLINK))
            return
        known = self.entry(path)
        blob = self.blob(path, status)
        if known is None or known[1] != blob.id:
            self.repo.object_store.add_object(blob)
        mode = self.mode_of(status, known[0] if known else None)
        self.record(path, index_entry_from_stat(status, blob.id, mode))

    def record(self, path: bytes, entry: IndexEntry) -> None:
        """Set an entry of the index, and drop what can't be beside it: files above or below."""
        if path not in self.index:
            if self._directories is None:
                self._directories = directories_of(self.index)
            for parent in parents_of(path):
                if parent in self.index:
                    del self.index[parent]
            if path in self._directories:
                below = path + b"/"
                for other in [each for each in self.index if each.startswith(below)]:
                    del self.index[other]
            self._directories.update(parents_of(path))
        self.index[path] = entry

    def put_index(self, path: bytes, wanted: tuple[int, bytes] | None) -> None:
        """Set a path of the index alone; what is known of the file is kept if it is the same."""
        if wanted is None:
            if path in self.index:
                del self.index[path]
            return
        if self.entry(path) == wanted:
            return
        left_out = self.is_left_out(path)
        # A status of zeros: it is compared by content when it is looked at.
        entry = IndexEntry(0, 0, 0, 0, wanted[0], 0, 0, 0, ObjectID(wanted[1]))
        entry.set_skip_worktree(left_out)
        self.record(path, entry)


@contextlib.contextmanager
def filtering() -> Iterator[None]:
    """Raises FilterFailed if a filter can't be run, of which there is no exception of dulwich's."""
    try:
        yield
    except OSError as error:
        raise FilterFailed(f"a filter can't be run: {error}") from None


def is_conflict(tree: Worktree, path: bytes) -> bool:
    """Whether a merge has left the path with several versions."""
    return path in tree.index and isinstance(tree.index[path], ConflictedIndexEntry)


def is_intended(entry: IndexEntry | ConflictedIndexEntry) -> bool:
    """Whether it is there only to be seen: ``git add --intent-to-add``."""
    return isinstance(entry, IndexEntry) and bool(entry.extended_flags & INTENT_TO_ADD)


def is_assumed(entry: IndexEntry) -> bool:
    """Whether the file isn't to be looked at: git-update-index(1), and sparse checkouts."""
    return bool(entry.flags & ASSUME_VALID) or entry.skip_worktree


def parents_of(path: bytes) -> Iterator[bytes]:
    """Every directory above ``path``, the nearest first."""
    place = path.rfind(b"/")
    while place > 0:
        yield path[:place]
        place = path.rfind(b"/", 0, place)


def directories_of(paths: Iterable[bytes]) -> set[bytes]:
    """Every directory above one of ``paths``."""
    found: set[bytes] = set()
    for path in paths:
        for parent in parents_of(path):
            if parent in found:
                break
            found.add(parent)
    return found
