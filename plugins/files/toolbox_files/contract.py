"""Tests that every backend of the group ``files`` must pass.

Subclass :class:`FilesContract` in a test module and provide the fixture ``backend``: a backend
with an empty, writable working directory, as :mod:`toolbox.testing` has::

    class TestMyFiles(FilesContract):
        @pytest.fixture
        def backend(self, make_backend):
            return make_backend(MyFiles, MySettings())
"""

from __future__ import annotations

import json
from typing import Any
from typing import get_args

import pytest

from toolbox.errors import Conflict
from toolbox.errors import NotSupported
from toolbox.errors import PreconditionFailed
from toolbox.errors import ToolboxError
from toolbox_files.backend import FilesBackend
from toolbox_files.backend import SearchResults
from toolbox_files.conditions import Conditions
from toolbox_files.errors import ChecksumMismatch
from toolbox_files.errors import FileNotFound
from toolbox_files.errors import InvalidFilePath
from toolbox_files.errors import WrongOffset
from toolbox_files.models import ArchiveFormat
from toolbox_files.models import SearchOptions
from toolbox_files.page_models import GlobOptions
from toolbox_files.page_models import GrepOptions
from toolbox_files.page_models import TreePlace


def write(backend: FilesBackend, path: str, content: bytes = b"content") -> None:
    """Store a file."""
    with backend.writing(path) as file:
        file.write(content)


def read(backend: FilesBackend, path: str) -> bytes:
    """Return a file's content."""
    with backend.open(path) as file:
        return file.read()


def values(results: SearchResults) -> list[Any]:
    """Return all results of a search, decoded."""
    try:
        return [json.loads(line) for line in b"".join(results).splitlines()]
    finally:
        results.close()


class FilesContract:
    """The rules of :class:`toolbox_files.backend.FilesBackend`."""

    def test_content_survives_a_round_trip(self, backend: FilesBackend) -> None:
        write(backend, "new/directory/file", b"\0\xff")
        assert read(backend, "new/directory/file") == b"\0\xff"
        uploaded = backend.uploaded_file("new/directory/file")
        assert uploaded.name == "file"
        assert uploaded.path == backend.info("new/directory/file").path

    def test_a_write_that_fails_changes_nothing(self, backend: FilesBackend) -> None:
        write(backend, "file", b"old")
        with pytest.raises(ZeroDivisionError), backend.writing("file") as file:
            file.write(b"new")
            raise ZeroDivisionError
        assert read(backend, "file") == b"old"
        assert [entry.name for entry in backend.list(".", 1)] == ["file"]

    def test_writes_can_be_conditional(self, backend: FilesBackend) -> None:
        write(backend, "file", b"one")
        etag = backend.etag("file")
        with backend.writing("file", Conditions(if_match=etag)) as file:
            file.write(b"two")
        assert backend.etag("file") != etag
        for conditions in (Conditions(if_match=etag), Conditions(if_none_match="*")):
            with pytest.raises(PreconditionFailed), backend.writing("file", conditions):
                pass
        assert read(backend, "file") == b"two"

    def test_lists_are_sorted_and_have_levels(self, backend: FilesBackend) -> None:
        for name in ("b", "a/y", "a/x", ".hidden"):
            write(backend, name)
        assert [entry.name for entry in backend.list(".", 1)] == [".hidden", "a", "b"]
        assert [entry.name for entry in backend.list(".", 2)] == [".hidden", "a", "x", "y", "b"]
        assert backend.info("a").is_dir

    def test_missing_and_invalid_paths_are_errors(self, backend: FilesBackend) -> None:
        for call in (backend.info, backend.open, backend.etag):
            with pytest.raises(FileNotFound):
                call("absent")
        for path in ("", "a\0b"):
            with pytest.raises(InvalidFilePath):
                backend.info(path)
        backend.make_folder("directory", "755")
        with pytest.raises(InvalidFilePath):
            backend.open("directory")

    def test_nothing_is_lost_by_moving(self, backend: FilesBackend) -> None:
        write(backend, "tree/file")
        write(backend, "other")
        with pytest.raises(Conflict):
            backend.move("other", "tree/file")
        with pytest.raises(InvalidFilePath):
            backend.move("tree", "tree/below")
        assert backend.move("tree", "moved") == ""
        assert read(backend, "moved/file") == b"content"

    def test_directories_are_deleted_only_recursively(self, backend: FilesBackend) -> None:
        write(backend, "tree/file")
        with pytest.raises(InvalidFilePath):
            backend.delete("tree", recursive=False)
        backend.delete("tree", recursive=True)
        assert list(backend.list(".", 1)) == []

    def test_empty_directories_are_removed(self, backend: FilesBackend) -> None:
        """One that isn't empty stays, and so does a file."""
        write(backend, "folder/below/file", b"x")
        for path in ("folder", "folder/below"):
            with pytest.raises(Conflict):
                backend.remove_folder(path)
        with pytest.raises(ToolboxError):
            backend.remove_folder("folder/below/file")
        backend.delete("folder/below/file", recursive=False)
        backend.remove_folder("folder/below")
        assert list(backend.list("folder", 1)) == []

    def test_permissions_are_set(self, backend: FilesBackend) -> None:
        write(backend, "file")
        backend.set_permissions("file", "640", "", "")
        assert backend.info("file").permissions == "0640"

    def test_what_is_no_link_leads_nowhere(self, backend: FilesBackend) -> None:
        write(backend, "file")
        assert backend.link_target("file") is None
        with pytest.raises(FileNotFound):
            backend.link_target("missing")

    def test_attributes_are_replaced_as_a_whole(self, backend: FilesBackend) -> None:
        write(backend, "file")
        assert backend.attributes("file", "user.test.") == {}
        try:
            backend.set_attributes("file", "user.test.", {"a": "1", "b": "ü"})
        except NotSupported:  # A file system may have none.
            assert backend.attributes("file", "user.test.") == {}
            return
        assert backend.attributes("file", "user.test.") == {"a": "1", "b": "ü"}
        backend.set_attributes("file", "user.test.", {"b": "2"})
        assert backend.attributes("file", "user.test.") == {"b": "2"}
        assert backend.attributes("file", "user.other.") == {}

    def test_names_and_lines_are_found(self, backend: FilesBackend) -> None:
        write(backend, "tree/file.txt", b"first\nneedle\r\n")
        names = SearchOptions(path="tree", pattern="*.txt")
        assert values(backend.search_names(names)) == ["tree/file.txt"]
        lines = SearchOptions(path="tree", pattern="needle")
        assert values(backend.search_lines(lines)) == [
            {"file": "tree/file.txt", "line": 2, "content": "needle"}
        ]

    def test_pages_go_on_after_a_place(self, backend: FilesBackend) -> None:
        for name in ("a", "b/c", "d"):
            write(backend, f"tree/{name}.txt", b"one\nneedle\nneedle\n")
        names = GlobOptions(path="tree", pattern="**/*.txt", limit=2)
        *found, end = values(backend.glob(names, None))
        assert found == ["tree/a.txt", "tree/b/c.txt"]
        assert end == {"truncated": "limit", "at": [["b", "c.txt"], 0], "error": ""}
        place = TreePlace(["b", "c.txt"])
        assert values(backend.glob(names, place))[:-1] == ["tree/d.txt"]
        lines = GrepOptions(path="tree", pattern="^need", context=1, limit=3)
        *found, end = values(backend.grep(lines, None))
        assert found[2] == {
            "file": "tree/b/c.txt",
            "line": 2,
            "column": 1,
            "content": "needle",
            "before": ["one"],
        }
        assert end["at"] == [["b", "c.txt"], 2]
        *found, end = values(backend.grep(lines, TreePlace(["b", "c.txt"], 2)))
        assert [(match["file"], match["line"]) for match in found] == [
            ("tree/b/c.txt", 3),
            ("tree/d.txt", 2),
            ("tree/d.txt", 3),
        ]
        assert (end["truncated"], end["at"]) == ("", None)
        malformed = GrepOptions(path="tree", pattern="(")
        assert values(backend.grep(malformed, None))[-1]["error"]
        with pytest.raises(FileNotFound):
            backend.glob(GlobOptions(path="no", pattern="*"), None)
        with pytest.raises(FileNotFound):
            backend.grep(GrepOptions(path="no", pattern="x"), None)

    def test_several_files_change_at_once_or_not(self, backend: FilesBackend) -> None:
        write(backend, "tree/old", b"old")
        write(backend, "tree/sub/gone", b"gone")
        with backend.changing("tree") as changes:
            assert (changes.read("old"), changes.read("new")) == (b"old", None)
            changes.write("old", b"new", None)
            changes.write("made/new", b"new", True, "old")
            changes.remove("sub/gone")
            assert read(backend, "tree/old") == b"old"
            changes.commit()
        assert read(backend, "tree/old") == read(backend, "tree/made/new") == b"new"
        assert backend.info("tree/made/new").mode == "-rwxr-xr-x"
        with pytest.raises(FileNotFound):
            backend.info("tree/sub")
        with backend.changing("tree") as changes:
            changes.read("old")
            changes.write("old", b"newer", None)
            changes.write("other", b"other", None)
            write(backend, "tree/old", b"changed")
            with pytest.raises(PreconditionFailed):
                changes.commit()
        assert read(backend, "tree/old") == b"changed"
        with pytest.raises(FileNotFound):
            backend.info("tree/other")
        with backend.changing("tree") as changes:
            for name in ("../outside", "/outside", "made/..", ""):
                with pytest.raises(InvalidFilePath):
                    changes.read(name)

    def test_uploads_can_be_resumed(self, backend: FilesBackend) -> None:
        upload = backend.partial_upload("file", "id")
        with upload.appending(0) as file:
            file.write(b"one ")
        with pytest.raises(WrongOffset), upload.appending(1):
            pass
        again = backend.partial_upload("file", "id")
        assert again.offset() == 4
        with again.appending(4) as file:
            file.write(b"two")
        again.complete("", Conditions())
        assert read(backend, "file") == b"one two"
        with backend.partial_upload("file", "id").appending(0) as file:
            file.write(b"new")
        with pytest.raises(ChecksumMismatch):
            backend.partial_upload("file", "id").complete("0" * 64, Conditions())
        assert read(backend, "file") == b"one two"

    def test_directories_are_packed_and_unpacked(self, backend: FilesBackend) -> None:
        write(backend, "tree/sub/file", b"x" * 100_000)
        # Every format that can be packed can be unpacked.
        for kind in get_args(ArchiveFormat):
            with backend.unpack("copy") as archive:
                for block in backend.pack("tree", kind):
                    archive.write(memoryview(block))
                assert archive.finish() == 2
            assert read(backend, "copy/sub/file") == b"x" * 100_000
