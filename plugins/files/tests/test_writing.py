"""Replacing files, where the kernel is old or the moment is bad."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import Any

import pytest
from toolbox_files.errors import InvalidFilePath
from toolbox_files.writing import replacing
from toolbox_files.writing import write_all

from toolbox.errors import InsufficientStorage


@pytest.fixture(params=["nameless", "named"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With O_TMPFILE, and as on a kernel that doesn't know it: it sees O_DIRECTORY."""
    if request.param == "named":
        monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY)
    return str(request.param)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_nothing_is_seen_before_the_end(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with replacing(tmp_path / "file") as file:
        file.write(b"new")
        assert (tmp_path / "file").read_bytes() == b"old"
        assert len(names(tmp_path)) == (1 if kind == "nameless" else 2)
    assert (tmp_path / "file").read_bytes() == b"new"
    assert names(tmp_path) == ["file"]


def test_an_error_leaves_the_old_file(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "file") as file:
        file.write(b"new")
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "new"):
        raise ZeroDivisionError
    assert (tmp_path / "file").read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


class FailingClose(io.FileIO):
    """As on network file systems, which tell only then that the quota is exceeded."""

    def close(self) -> None:
        was_open = not self.closed
        super().close()
        if was_open:
            raise OSError(errno.EDQUOT, "")


def test_ac_52_an_error_while_closing_is_a_failure(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"old")
    monkeypatch.setattr(os, "fdopen", lambda fd, mode, buffering: FailingClose(fd, mode))
    with pytest.raises(InsufficientStorage), replacing(tmp_path / "file") as file:
        file.write(b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("old", [b"old and long", None])
def test_ac_52_where_nothing_can_be_renamed_files_are_written_in_place(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bytes | None
) -> None:
    if old is not None:
        (tmp_path / "file").write_bytes(old)

    def replace(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSYS, "")

    monkeypatch.setattr(os, "replace", replace)
    with replacing(tmp_path / "file") as file:
        file.write(b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert names(tmp_path) == ["file"]


def test_what_takes_the_place_meanwhile_is_respected(kind: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidFilePath), replacing(tmp_path / "file") as file:
        file.write(b"new")
        (tmp_path / "file").mkdir()
    assert names(tmp_path) == ["file"]


class Sluggish(io.RawIOBase):
    """Takes three bytes at a time."""

    def __init__(self) -> None:
        self.taken = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.taken += bytes(data[:3])
        return min(3, len(data))


def test_write_all_goes_on_where_the_kernel_took_less() -> None:
    target = Sluggish()
    write_all(target, b"0123456789")
    assert target.taken == b"0123456789"
