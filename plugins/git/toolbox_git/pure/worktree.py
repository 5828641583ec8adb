"""One repository by dulwich: its index, its files, and how they compare.

dulwich's own ``status`` looks through the whole index for every directory; this takes time in
proportion to the number of files.
"""

# ruff: noqa: PTH102, PTH105, PTH108, PTH106, PTH113, PTH115, PTH120, PTH123
# Names are bytes here, which pathlib doesn't take.

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from collections.abc import Iterator
from pathlib import Path

import msgspec
from dulwich.ignore import IgnoreFilterManager
from dulwich.index import ConflictedIndexEntry
from dulwich.index import Index
from dulwich.index import IndexEntry
from dulwich.index import cleanup_mode
from dulwich.index import get_path_element_validator
from dulwich.index import index_entry_from_stat
from dulwich.index import read_submodule_head
from dulwich.index import validate_path
from dulwich.objects import S_ISGITLINK
from dulwich.objects import Blob
from dulwich.objects import Commit
from dulwich.objects import ObjectID
from dulwich.objects import ShaFile
from dulwich.objects import Tag
from dulwich.objects import Tree
from dulwich.objectspec import parse_commit
from dulwich.objectspec import parse_object
from dulwich.refs import HEADREF
from dulwich.repo import Repo

from toolbox.errors import BadRequest
from toolbox_git.errors import BranchNotFound
from toolbox_git.errors import DirtyWorktree
from toolbox_git.names import to_bytes
from toolbox_git.names import to_text

GITLINK = 0o160000
INTENT_TO_ADD = 0x2000

Files = dict[bytes, tuple[int, bytes]]
"""Mode and hash by path."""


class Change(msgspec.Struct, frozen=True):
    """A file of the working tree that isn't as the index has it."""

    path: bytes
    kind: str
    """``modified``, ``deleted`` or ``untracked``."""


class Worktree:
    """A repository, its index while it is worked on, and the files."""

    def __init__(self, repo: Repo) -> None:
        self.repo = repo
        self.top = os.fsencode(repo.path)
        self.config = repo.get_config_stack()
        self._normalizer = repo.get_blob_normalizer() if not repo.bare else None
        self._filemode = self.config.get_boolean((b"core",), b"filemode", True)
        self._validate = get_path_element_validator(self.config)
        if repo.bare:
            raise BadRequest("a bare repository has no working tree")
        self.index: Index = repo.open_index()
        self._written = self._index_time()

    def _index_time(self) -> int:
        try:
            return Path(self.repo.index_path()).stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def save(self) -> None:
        """Write the index."""
        self.index.write()

    # Trees and commits

    def commit_tree(self, commit: bytes | None) -> Files:
        """The files of a commit, none if there is no commit."""
        if commit is None:
            return {}
        return self.tree(commit_at(self.repo, commit).tree)

    def tree(self, tree: bytes) -> Files:
        """The files of a tree."""
        files: Files = {}
        store = self.repo.object_store
        stack = [(b"", tree)]
        while stack:
            prefix, sha = stack.pop()
            found = store[ObjectID(sha)]
            assert isinstance(found, Tree)
            for name, mode, entry in found.iteritems():
                if stat.S_ISDIR(mode):
                    stack.append((prefix + name + b"/", entry))
                else:
                    files[prefix + name] = (mode, entry)
        return files

    def head(self) -> bytes | None:
        """The commit HEAD stands for, None before the first."""
        return head_of(self.repo)

    # Comparing

    def entry(self, path: bytes) -> tuple[int, bytes] | None:
        """Mode and hash of a path in the index, None if it isn't there or is in conflict."""
        try:
            found = self.index[path]
        except KeyError:
            return None
        if isinstance(found, ConflictedIndexEntry):
            return None
        return found.mode, found.sha

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
            status.st_size & 0xFFFFFFFF == entry.size
            and status.st_mtime_ns == changed
            and changed < self._written
        ):
            return True
        return self.blob(path, status).id == entry.sha

    def mode_of(self, status: os.stat_result, known: int | None = None) -> int:
        """The mode git gives a file."""
        mode = cleanup_mode(status.st_mode)
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
        return self._normalizer.checkin_normalize(blob, path)

    def changes(self) -> Iterator[Change]:
        """Every file that isn't as the index has it; ignored ones are left out."""
        entries = dict(self.index.items())
        ignore = IgnoreFilterManager.from_repo(self.repo)
        seen: set[bytes] = set()
        for path, status in self._walk(_directories(entries), entries, ignore):
            entry = entries.get(path.rstrip(b"/"))
            if entry is None:
                yield Change(path, "untracked")
                continue
            seen.add(path)
            if isinstance(entry, IndexEntry) and not self.is_clean(path, entry, status):
                yield Change(path, "modified")
        for path, entry in entries.items():
            if path not in seen and isinstance(entry, IndexEntry) and not entry.skip_worktree:
                yield Change(path, "deleted")

    def _walk(
        self,
        tracked: set[bytes],
        entries: dict[bytes, IndexEntry | ConflictedIndexEntry],
        ignore: IgnoreFilterManager,
    ) -> Iterator[tuple[bytes, os.stat_result]]:
        stack = [b""]
        while stack:
            directory = stack.pop()
            with os.scandir(self.top + b"/" + directory) as listing:
                for each in listing:
                    path = directory + each.name
                    if each.name == b".git":
                        continue
                    known = entries.get(path)
                    if known is not None and not _replaced(known, each):
                        yield path, each.stat(follow_symlinks=False)
                    elif not each.is_dir(follow_symlinks=False):
                        if not ignore.is_ignored(os.fsdecode(path)) and _storable(each):
                            yield path, each.stat(follow_symlinks=False)
                    elif path in tracked or known is not None:
                        stack.append(path + b"/")
                    elif not ignore.is_ignored(os.fsdecode(path) + "/"):
                        if _is_repository(each.path):
                            yield path + b"/", each.stat(follow_symlinks=False)
                        else:
                            stack.append(path + b"/")

    def is_ignored(self, path: bytes) -> bool:
        """Whether the path or a directory above it is ignored."""
        ignore = IgnoreFilterManager.from_repo(self.repo)
        return bool(ignore.is_ignored(os.fsdecode(path)))

    # Changing

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
            self._make_room(path)
            self.index[path] = index_entry_from_stat(status, head, GITLINK)
            return
        known = self.entry(path)
        blob = self.blob(path, status)
        if known is None or known[1] != blob.id:
            self.repo.object_store.add_object(blob)
        self._make_room(path)
        mode = self.mode_of(status, known[0] if known else None)
        self.index[path] = index_entry_from_stat(status, blob.id, mode)

    def _make_room(self, path: bytes) -> None:
        """Take out of the index what can't be there beside ``path``: files above or below it."""
        if path in self.index:
            return
        for place in range(len(path)):
            if path[place : place + 1] == b"/" and path[:place] in self.index:
                del self.index[path[:place]]
        below = path + b"/"
        for other in [each for each in self.index if each.startswith(below)]:
            del self.index[other]

    def put(self, path: bytes, mode: int, sha: bytes) -> None:
        """Write a file of the repository to the working tree and the index.

        Raises DirtyWorktree if a directory that isn't empty is in the way, BadRequest for a path
        that leads out of the working tree.
        """
        if not validate_path(path, self._validate):
            raise BadRequest(f"{to_text(path)} is not allowed in a working tree")
        full = self.top + b"/" + path
        self._make_parents(path)
        if S_ISGITLINK(mode):
            Path(os.fsdecode(full)).mkdir(exist_ok=True)
        else:
            self._write(path, full, mode, sha)
        self._make_room(path)
        entry_mode = mode if S_ISGITLINK(mode) else cleanup_mode(mode)
        self.index[path] = index_entry_from_stat(os.lstat(full), sha, entry_mode)

    def _write(self, path: bytes, full: bytes, mode: int, sha: bytes) -> None:
        blob = self.repo.object_store[ObjectID(sha)]
        assert isinstance(blob, Blob)
        if not stat.S_ISLNK(mode):
            assert self._normalizer is not None
            blob = self._normalizer.checkout_normalize(blob, path)
        temporary = Path(os.fsdecode(os.path.dirname(full)), f".toolbox-{os.getpid()}.tmp")
        try:
            if stat.S_ISLNK(mode):
                temporary.symlink_to(os.fsdecode(blob.data))
            else:
                rights = 0o777 if mode & 0o100 else 0o666
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
                with open(os.open(temporary, flags, rights), "wb") as file:
                    file.write(blob.data)
            try:
                os.replace(temporary, full)
            except IsADirectoryError:
                try:
                    Path(os.fsdecode(full)).rmdir()
                except OSError:
                    raise DirtyWorktree(f"{to_text(path)} is a directory in the way") from None
                os.replace(temporary, full)
        finally:
            temporary.unlink(missing_ok=True)

    def _make_parents(self, path: bytes) -> None:
        """Make the directories above ``path``; links and files on the way are removed, since
        what git knew of them has been checked before.
        """
        place = path.find(b"/")
        while place > 0:
            parent = self.top + b"/" + path[:place]
            try:
                os.mkdir(parent)
            except FileExistsError:
                if not stat.S_ISDIR(os.lstat(parent).st_mode):
                    os.unlink(parent)
                    os.mkdir(parent)
            place = path.find(b"/", place + 1)

    def remove(self, path: bytes) -> None:
        """Remove a file from the working tree and the index, and directories that become empty."""
        if path in self.index:
            del self.index[path]
        if not self.leads_inside(path):
            return
        full = self.top + b"/" + path
        try:
            status = os.lstat(full)
            if stat.S_ISDIR(status.st_mode):
                os.rmdir(full)  # A submodule; one that isn't empty stays.
            else:
                os.unlink(full)
            parent = os.path.dirname(path)
            while parent:
                os.rmdir(self.top + b"/" + parent)
                parent = os.path.dirname(parent)
        except OSError:
            return

    def leads_inside(self, path: bytes) -> bool:
        """Whether everything above ``path`` is a directory: no link leads elsewhere."""
        place = path.find(b"/")
        while place > 0:
            status = self.lstat(path[:place])
            if status is None or not stat.S_ISDIR(status.st_mode):
                return False
            place = path.find(b"/", place + 1)
        return True

    def put_index(self, path: bytes, wanted: tuple[int, bytes] | None) -> None:
        """Set a path of the index alone; what is known of the file is kept if it is the same."""
        if wanted is None:
            if path in self.index:
                del self.index[path]
            return
        if self.entry(path) == wanted:
            return
        self._make_room(path)
        # A status of zeros: it is compared by content when it is looked at.
        self.index[path] = IndexEntry(0, 0, 0, 0, wanted[0], 0, 0, 0, ObjectID(wanted[1]))


def _directories(paths: Iterable[bytes]) -> set[bytes]:
    """Every directory above one of ``paths``."""
    found: set[bytes] = set()
    for path in paths:
        place = path.rfind(b"/")
        while place > 0 and path[:place] not in found:
            found.add(path[:place])
            place = path.rfind(b"/", 0, place)
    return found


def _storable(each: os.DirEntry[bytes]) -> bool:
    return each.is_symlink() or each.is_file(follow_symlinks=False)


def _replaced(entry: IndexEntry | ConflictedIndexEntry, found: os.DirEntry[bytes]) -> bool:
    """Whether a directory is where the index has a file."""
    submodule = isinstance(entry, IndexEntry) and S_ISGITLINK(entry.mode)
    return not submodule and found.is_dir(follow_symlinks=False)


def _is_repository(path: bytes) -> bool:
    return os.path.lexists(path + b"/.git/HEAD") or os.path.isfile(path + b"/.git")


def commit_at(repo: Repo, sha: bytes) -> Commit:
    """The commit with this hash."""
    found = repo.object_store[ObjectID(sha)]
    assert isinstance(found, Commit)
    return found


def head_of(repo: Repo) -> bytes | None:
    """The commit HEAD stands for, None before the first."""
    try:
        return repo.head()
    except KeyError:
        return None


def current_branch(repo: Repo) -> bytes | None:
    """The branch that is checked out, None if HEAD is detached."""
    target = repo.refs.get_symrefs().get(HEADREF)
    if target is None or not target.startswith(b"refs/heads/"):
        return None
    return bytes(target.removeprefix(b"refs/heads/"))


def resolve(repo: Repo, revision: str) -> bytes:
    """The hash of the commit that ``revision`` names. Raises BranchNotFound."""
    name = to_bytes(revision)
    if revision and not revision.startswith("-"):
        for parse in (parse_commit, parse_object):
            try:
                return _peeled(repo, parse(repo, name))
            except (KeyError, ValueError, IndexError, AssertionError, NotImplementedError):
                continue
    raise BranchNotFound(f"no branch, tag or commit {revision!r}")


def _peeled(repo: Repo, found: ShaFile) -> bytes:
    """The commit that an object is, or that a tag stands for. Raises ValueError."""
    while isinstance(found, Tag):
        found = repo.object_store[found.object[1]]
    if not isinstance(found, Commit):
        raise ValueError("no commit")
    return found.id
