"""The one writer of files, where the kernel is old, the disk full or the moment bad."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toolbox.atomic.writing import replacing
from toolbox.atomic.writing import write_all


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
    monkeypatch.setattr("toolbox.atomic.staging.FileIO", FailingClose)
    with pytest.raises(OSError, match="file") as caught, replacing(tmp_path / "file") as file:
        file.write(b"new")
    assert caught.value.errno == errno.EDQUOT
    assert (tmp_path / "file").read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("old", [b"old and long", None])
def test_ac_52_where_nothing_can_be_renamed_files_are_written_in_place(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bytes | None
) -> None:
    if old is not None:
        (tmp_path / "file").write_bytes(old)

    def replace(source: str, target: str, **directories: int) -> None:
        raise OSError(errno.ENOSYS, "")

    monkeypatch.setattr(os, "replace", replace)
    with replacing(tmp_path / "file") as file:
        file.write(b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert names(tmp_path) == ["file"]


def test_what_takes_the_place_meanwhile_is_respected(kind: str, tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), replacing(tmp_path / "file") as file:
        file.write(b"new")
        (tmp_path / "file").mkdir()
    assert names(tmp_path) == ["file"]


def in_place(tmp_path: Path, content: bytes) -> tuple[Path, Path]:
    """A file that can't be replaced by renaming, since it has another name, and that name."""
    file, other = tmp_path / "file", tmp_path / "other"
    file.write_bytes(content)
    os.link(file, other)
    return file, other


@pytest.mark.parametrize("new", [b"", b"new", b"longer than the old content"])
def test_f_a1_a_file_can_be_read_while_it_is_replaced_in_place(
    kind: str, tmp_path: Path, new: bytes
) -> None:
    file, other = in_place(tmp_path, b"old content")
    with replacing(file) as target:
        target.write(new)
        assert file.read_bytes() == b"old content"
    assert (file.read_bytes(), other.read_bytes()) == (new, new)
    assert file.samefile(other)
    assert names(tmp_path) == ["file", "other"]


def test_f_a1_an_error_leaves_what_would_be_written_in_place(kind: str, tmp_path: Path) -> None:
    file, other = in_place(tmp_path, b"old content")
    with pytest.raises(ZeroDivisionError), replacing(file) as target:
        target.write(b"new")
        raise ZeroDivisionError
    assert other.read_bytes() == b"old content"
    assert names(tmp_path) == ["file", "other"]


def test_f_a2_the_last_check_sees_nothing_of_the_own_write(kind: str, tmp_path: Path) -> None:
    file, _ = in_place(tmp_path, b"old content")
    seen: list[os.stat_result | None] = []
    with replacing(file, seen.append) as target:
        target.write(b"new")
    first, last = seen
    assert first is not None and last is not None
    assert (first.st_size, first.st_mtime_ns) == (last.st_size, last.st_mtime_ns)


def test_each_write_in_place_changes_the_time(tmp_path: Path) -> None:
    """As conditional writes need it; a clock of milliseconds wouldn't tell."""
    file, _ = in_place(tmp_path, b"old")
    times = []
    for number in range(10):
        with replacing(file) as target:
            target.write(b"%d" % number)
        times.append(file.stat().st_mtime_ns)
    assert len(set(times)) == len(times)


def test_a_file_that_gets_another_name_meanwhile_keeps_both(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with replacing(tmp_path / "file") as target:
        target.write(b"new")
        os.link(tmp_path / "file", tmp_path / "other")
    assert (tmp_path / "other").read_bytes() == b"new"
    assert (tmp_path / "file").samefile(tmp_path / "other")


def test_the_mode_is_that_at_the_end(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch(0o644)
    with replacing(tmp_path / "file"):
        (tmp_path / "file").chmod(0o600)
    assert (tmp_path / "file").stat().st_mode & 0o7777 == 0o600


def test_two_writers_in_place_do_not_mix(tmp_path: Path) -> None:
    size = 20 * 1024 * 1024
    file, other = in_place(tmp_path, b"old")
    both = threading.Barrier(2)

    def write(path: Path, byte: bytes) -> None:
        with replacing(path) as target:
            write_all(target, byte * size)
            both.wait()

    threads = [threading.Thread(target=write, args=each) for each in ((file, b"a"), (other, b"b"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    content = file.read_bytes()
    assert len(content) == size
    assert len(set(content)) == 1


@pytest.mark.parametrize("links", [1, 2])
def test_f_e18_set_id_bits_are_kept(kind: str, tmp_path: Path, links: int) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    if links == 2:
        os.link(file, tmp_path / "other")
    file.chmod(0o4751)
    with replacing(file) as target:
        target.write(b"new")
    assert file.stat().st_mode & 0o7777 == 0o4751


@pytest.fixture
def bound(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A small disk, and a file of it that is mounted elsewhere: only its content can be changed.

    The directory beside that has room enough.
    """
    disk, mounted = tmp_path / "disk", tmp_path / "here" / "mounted"
    disk.mkdir()
    mounted.parent.mkdir()
    mounted.touch()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a file system can't be mounted; as root it can")
    try:
        (disk / "file").write_bytes(b"old")
        subprocess.run(["mount", "--bind", disk / "file", mounted], check=True)
        try:
            yield disk, mounted
        finally:
            subprocess.run(["umount", "--lazy", mounted], check=True)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def assert_full(path: Path, content: bytes) -> None:
    with pytest.raises(OSError, match=path.name) as caught, replacing(path) as target:
        write_all(target, content)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
    assert names(path.parent) == [path.name]


def test_f_a1_a_disk_that_fills_as_a_file_grows_loses_nothing(bound: tuple[Path, Path]) -> None:
    disk, mounted = bound
    assert_full(mounted, b"new" * 1_000_000)
    assert (disk / "file").read_bytes() == b"old"
    with replacing(mounted) as target:
        target.write(b"new and longer")
    assert (disk / "file").read_bytes() == b"new and longer"


def test_f_a1_a_disk_that_fills_half_way_gives_the_old_content_back(
    bound: tuple[Path, Path],
) -> None:
    """The file has a hole, which needs room when it is written to, after its beginning."""
    disk, mounted = bound
    with mounted.open("r+b") as file:
        file.write(b"old" * 50_000)
        file.truncate(1_500_000)
    old = mounted.read_bytes()
    (disk / "filler").write_bytes(b"x" * 500_000)
    assert_full(mounted, b"n" * 1_500_000)
    assert mounted.read_bytes() == old


def test_f_e12_errors_name_the_file_that_was_meant(tmp_path: Path) -> None:
    for path in ("/proc/version", "/proc/new", "/proc/new/file"):
        with pytest.raises(PermissionError) as caught, replacing(Path(path)) as target:
            target.write(b"x")
        assert path.startswith(caught.value.filename)
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError), replacing(tmp_path / "file" / "below"):
        pass
    with pytest.raises(OSError, match=str(tmp_path)) as long, replacing(tmp_path / ("n" * 256)):
        pass
    assert long.value.errno == errno.ENAMETOOLONG


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
