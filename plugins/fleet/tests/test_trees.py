"""Copies and removals of whole trees, whatever is in them."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from toolbox_fleet.local.storage.packing import pack
from toolbox_fleet.local.storage.packing import unpack

from toolbox.trees.attributes import Owner
from toolbox.trees.errors import Cancelled
from toolbox.trees.errors import TreeError
from toolbox.trees.removing import remove_tree
from toolbox.trees.staging import Cancellation
from toolbox.trees.staging import Staging

MIB = 1024**2
LONG_NAME = "d" * 200

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do this")


def wanted() -> None:
    """A copy that nobody cancels."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    directory = tmp_path / "source"
    directory.mkdir()
    return directory


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    return Staging(tmp_path / "staging")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    directory = tmp_path / "small"
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(directory)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a file system can't be mounted here")
    yield directory
    subprocess.run(["umount", "-l", directory], check=True)


def test_a_copy_has_contents_modes_times_and_links(
    source: Path, staging: Staging, target: Path
) -> None:
    (source / "a").mkdir(0o750)
    file = source / "a" / "file"
    file.write_text("text")
    file.chmod(0o640)
    (source / "b").hardlink_to(file)
    (source / "link").symlink_to("a/file")
    (source / "dangling").symlink_to("/nowhere/at/all")
    os.mkfifo(source / "fifo", 0o622)
    os.utime(file, ns=(1, 1_234_567_890_123_456_789))
    os.utime(source / "link", ns=(1, 77), follow_symlinks=False)
    os.utime(source / "a", ns=(1, 5_000_000_000))

    staging.copy(source, target, wanted)

    copied = target / "a" / "file"
    assert copied.read_text() == "text"
    assert stat.S_IMODE(copied.stat().st_mode) == 0o640
    assert copied.stat().st_mtime_ns == 1_234_567_890_123_456_789
    assert copied.stat().st_ino == (target / "b").stat().st_ino != file.stat().st_ino
    assert copied.stat().st_nlink == 2
    assert (target / "link").readlink() == Path("a/file")
    assert (target / "link").lstat().st_mtime_ns == 77
    assert (target / "dangling").readlink() == Path("/nowhere/at/all")
    assert stat.S_ISFIFO((target / "fifo").lstat().st_mode)
    assert (target / "a").stat().st_mtime_ns == 5_000_000_000
    assert stat.S_IMODE((target / "a").stat().st_mode) == 0o750


def test_sockets_and_devices_are_left_out(source: Path, staging: Staging, target: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(source / "socket"))
    if os.geteuid() == 0:
        os.mknod(source / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    (source / "file").touch()
    staging.copy(source, target, wanted)
    assert os.listdir(target) == ["file"]


def test_extended_attributes_are_kept(source: Path, staging: Staging, target: Path) -> None:
    file = source / "file"
    file.touch()
    try:
        os.setxattr(file, "user.note", b"\0note")
        os.setxattr(source, "user.of", b"directory")
    except OSError as error:
        pytest.skip(f"no extended attributes here: {error}")
    staging.copy(source, target, wanted)
    assert os.getxattr(target / "file", "user.note") == b"\0note"
    assert os.getxattr(target, "user.of") == b"directory"


@as_root
def test_owners_are_kept_or_all_replaced(source: Path, staging: Staging, target: Path) -> None:
    for name, uid in (("a", 1234), ("b", 0)):
        (source / name).touch()
        os.chown(source / name, uid, uid)
    (source / "link").symlink_to("a")
    os.chown(source / "link", 1234, 1234, follow_symlinks=False)
    (source / "a").chmod(0o4755)

    staging.copy(source, target, wanted)
    assert [(target / name).lstat().st_uid for name in ("a", "b", "link")] == [1234, 0, 1234]
    assert stat.S_IMODE((target / "a").stat().st_mode) == 0o4755

    other = target.with_name("other")
    staging.copy(source, other, wanted, Owner(4321, 4322))
    owners = {(path.lstat().st_uid, path.lstat().st_gid) for path in [other, *other.iterdir()]}
    assert owners == {(4321, 4322)}


def test_holes_stay_holes(source: Path, staging: Staging, target: Path) -> None:
    with (source / "sparse").open("wb") as file:
        file.truncate(1024 * MIB)
        file.seek(512 * MIB)
        file.write(b"middle")
    staging.copy(source, target, wanted)
    copied = target / "sparse"
    assert copied.stat().st_size == 1024 * MIB
    assert copied.stat().st_blocks * 512 < MIB
    with copied.open("rb") as file:
        file.seek(512 * MIB)
        assert file.read(8) == b"middle\0\0"


def test_names_that_are_no_text_or_look_like_options(
    source: Path, staging: Staging, target: Path
) -> None:
    names = [b"caf\xe9", b"-rf", b"a\nb", b"*", b"x" * 255, b"\x01", b" "]
    for name in names:
        Path(os.fsdecode(os.fsencode(source) + b"/" + name)).write_bytes(name)
    staging.copy(source, target, wanted)
    assert sorted(os.listdir(os.fsencode(target))) == sorted(names)
    remove_tree(target)
    assert not target.exists()


def deepen(directory: Path, levels: int) -> None:
    """Make directories within each other, further down than a path can name."""
    top = os.open(directory, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(LONG_NAME, dir_fd=top)
        below = os.open(LONG_NAME, os.O_RDONLY, dir_fd=top)
        os.close(top)
        top = below
    for name in ("one", "two"):
        if name == "one":
            os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=top))
        else:
            os.link("one", name, src_dir_fd=top, dst_dir_fd=top)
    os.close(top)


def test_a_tree_deeper_than_any_path(source: Path, staging: Staging, target: Path) -> None:
    deepen(source, 100)
    work = staging.copy(source, target, wanted)
    assert work.entries == 102
    remove_tree(source)
    remove_tree(target)
    assert not source.exists()
    assert not target.exists()


def test_links_lead_to_no_file_outside(
    source: Path, staging: Staging, target: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (source / "directory").symlink_to(outside)
    (source / "file").symlink_to(outside / "secret")
    staging.copy(source, target, wanted)
    assert (target / "directory").is_symlink()
    assert (target / "file").is_symlink()
    remove_tree(source)
    remove_tree(target)
    assert (outside / "secret").read_text() == "secret"


def test_other_file_systems_are_neither_copied_nor_emptied(
    source: Path, staging: Staging, target: Path, small_disk: Path
) -> None:
    (small_disk / "other").write_text("of somebody else")
    mounted = source / "mounted"
    mounted.mkdir()
    subprocess.run(["mount", "--bind", small_disk, mounted], check=True)
    try:
        staging.copy(source, target, wanted)
        assert list((target / "mounted").iterdir()) == []
        with pytest.raises(TreeError, match="another file system"):
            remove_tree(source)
        assert (small_disk / "other").read_text() == "of somebody else"
    finally:
        subprocess.run(["umount", "-l", mounted], check=True)


def test_a_full_disk_leaves_nothing_behind(source: Path, small_disk: Path) -> None:
    for number in range(8):
        (source / f"{number}").write_bytes(b"x" * MIB)
    staging = Staging(small_disk / "staging")
    with pytest.raises(TreeError, match=r"^can't copy the files: no space left on the device$"):
        staging.copy(source, small_disk / "target", wanted)
    assert os.listdir(small_disk) == ["staging"]
    assert os.listdir(small_disk / "staging") == []


def test_a_copy_that_is_cancelled_leaves_nothing_behind(
    source: Path, staging: Staging, target: Path, tmp_path: Path
) -> None:
    for number in range(50):
        (source / f"{number}").touch()
    cancellation = Cancellation()
    seen = 0

    def check() -> None:
        nonlocal seen
        seen += 1
        if seen == 25:
            cancellation.cancel()
        cancellation.check()

    with pytest.raises(Cancelled):
        staging.copy(source, target, check)
    assert sorted(os.listdir(tmp_path)) == ["source", "staging"]
    assert os.listdir(tmp_path / "staging") == []


def test_a_copy_is_not_there_until_it_is_complete(
    source: Path, staging: Staging, target: Path
) -> None:
    (source / "file").touch()
    there: list[bool] = []
    staging.copy(source, target, lambda: there.append(target.exists()))
    assert there == [False]
    assert target.exists()


def test_nothing_is_replaced(source: Path, staging: Staging, target: Path) -> None:
    (target / "own").mkdir(parents=True)
    with pytest.raises(TreeError, match="not empty"):
        staging.copy(source, target, wanted)
    assert os.listdir(target) == ["own"]


def test_a_killed_copy_is_swept(source: Path, staging: Staging, tmp_path: Path) -> None:
    left = tmp_path / "staging" / "left"
    (left / "closed").mkdir(parents=True)
    (left / "closed" / "file").touch()
    (left / "closed").chmod(0)
    (tmp_path / "staging" / "file").touch()
    staging.sweep()
    assert list((tmp_path / "staging").iterdir()) == []


def test_a_directory_that_is_moved_away_ends_the_copy(
    source: Path, staging: Staging, target: Path, tmp_path: Path
) -> None:
    (source / "a" / "b" / "c").mkdir(parents=True)
    (source / "a" / "b" / "c" / "file").touch()

    def move() -> None:
        if (source / "a" / "b").exists() and (source / "a" / "b" / "c" / "file").exists():
            (source / "a" / "b").rename(tmp_path / "moved")

    with pytest.raises(TreeError, match="was changed"):
        staging.copy(source, target, lambda: move() if _depth(tmp_path) else None)
    assert not target.exists()


def _depth(tmp_path: Path) -> bool:
    """Report whether the copy has reached the innermost directory."""
    return any((tmp_path / "staging").glob("*/a/b/c"))


def test_a_packed_tree_is_unpacked_as_it_was(source: Path, target: Path, tmp_path: Path) -> None:
    (source / "file").write_text("text")
    (source / "other").hardlink_to(source / "file")
    (source / "link").symlink_to("/etc/passwd")
    (source / "file").chmod(0o640)
    pack(source, tmp_path / "archive", wanted)
    unpack(tmp_path / "archive", target, wanted)
    assert (target / "other").read_text() == "text"
    assert stat.S_IMODE((target / "file").stat().st_mode) == 0o640
    assert (target / "file").stat().st_nlink == 2
    assert (target / "link").readlink() == Path("/etc/passwd")
    (tmp_path / "archive").write_bytes(b"no archive")
    with pytest.raises(TreeError):
        unpack(tmp_path / "archive", tmp_path / "third", wanted)


def test_many_copies_at_once(source: Path, staging: Staging, tmp_path: Path) -> None:
    for number in range(200):
        (source / f"{number}").write_text(f"{number}")
    targets = [tmp_path / f"target{number}" for number in range(8)]
    threads = [
        threading.Thread(target=staging.copy, args=(source, target, wanted)) for target in targets
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {len(list(target.iterdir())) for target in targets} == {200}


def test_a_file_system_without_clones_and_ranges(
    source: Path, staging: Staging, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> int:
        raise OSError(errno.EXDEV, "")

    # Kernels before 5.19 refuse between file systems; here none does.
    monkeypatch.setattr(os, "copy_file_range", refused)
    content = os.urandom(3 * MIB + 17)
    (source / "file").write_bytes(content)
    staging.copy(source, target, wanted)
    assert (target / "file").read_bytes() == content
