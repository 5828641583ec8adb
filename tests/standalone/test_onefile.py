"""The standalone build as a single file, which unpacks itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from toolbox.testing import DEADLINE

from .making import by_hand
from .making import files
from .making import needs_bwrap
from .making import run
from .making import said
from .making import size
from .making import until

pytestmark = [pytest.mark.timeout(900), needs_bwrap]


@by_hand
def test_a_single_file_unpacks_itself_once(
    program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    starts = set()
    for _ in range(2):
        shown = run(program, "plugins", XDG_CACHE_HOME=str(tmp_path))
        assert shown.returncode == 0, shown.stderr
        (directory,) = (tmp_path / "toolbox").iterdir()
        starts.add((directory.stat().st_ino, (directory / "toolbox/bin").stat().st_ctime_ns))
    assert len(starts) == 1
    with capsys.disabled():
        print(f"\nstandalone, minimal: {said(directory, program)}")
    assert size(directory) <= 30e6
    assert size(program) <= 10e6
    # Many starts at once, too.
    together = [
        subprocess.Popen(
            [program, "--help"],
            env={"TOOLBOX_UNPACK": str(tmp_path / "other")},
            stdout=subprocess.DEVNULL,
        )
        for _ in range(3)
    ]
    assert [start.wait(DEADLINE) for start in together] == [0, 0, 0]
    assert [path.name for path in (tmp_path / "other").iterdir()] == [directory.name]


@by_hand
def test_a_single_file_says_why_it_can_not_unpack_itself(program: Path, tmp_path: Path) -> None:
    (tmp_path / "foreign").mkdir(mode=0o777)
    (tmp_path / "foreign").chmod(0o777)
    reasons = {
        "/proc/toolbox": "No such file or directory",
        "relative": "not an absolute path",
        str(tmp_path / "foreign"): "others may write to it",
    }
    for directory, reason in reasons.items():
        refused = run(program, "plugins", TOOLBOX_UNPACK=directory)
        assert refused.returncode == 127
        assert f"  {directory}: {reason}\n" in refused.stderr
    # A root file system that can't be written to, nor has it a home.
    root = tmp_path / "root"
    for name in ("dev", "proc", "var/tmp", "program"):
        (root / name).mkdir(parents=True)
    options: list[str | Path] = ["--ro-bind", root, "/", "--dev", "/dev", "--proc", "/proc"]
    options += ["--clearenv", "--ro-bind", program.parent, "/program"]
    refused = run("bwrap", *options, "/program/toolbox", "plugins")
    assert refused.returncode == 127
    assert "  /var/tmp/toolbox-0: Read-only file system\n" in refused.stderr
    cut = tmp_path / "cut"
    cut.write_bytes(program.read_bytes()[:-100])
    cut.chmod(0o755)
    refused = run(cut, "plugins")
    assert (refused.returncode, "not all of it is here" in refused.stderr) == (127, True)


@by_hand
def test_a_single_file_that_was_removed_in_part_is_unpacked_again(
    program: Path, tmp_path: Path
) -> None:
    place = {"TOOLBOX_UNPACK": str(tmp_path / "place")}
    assert run(program, "plugins", **place).returncode == 0
    (directory,) = (tmp_path / "place").iterdir()
    whole = {path.relative_to(directory): path.stat().st_size for path in files(directory)}
    (removed,) = directory.rglob("toolbox_files/__init__.py*")
    (emptied,) = directory.rglob("json/decoder.pyc")
    for damage in (removed.unlink, lambda: emptied.write_bytes(b"")):
        damage()
        shown = run(program, "plugins", **place)
        assert (shown.returncode, "failed" in shown.stdout) == (0, False), shown.stderr
        assert [path.name for path in (tmp_path / "place").iterdir()] == [directory.name]
        assert {path.relative_to(directory): path.stat().st_size for path in files(directory)} == (
            whole
        )


@by_hand
@pytest.mark.skipif(
    shutil.which("systemd-tmpfiles") is None, reason="needs systemd-tmpfiles (package systemd)"
)
def test_systemd_leaves_a_single_file_s_tree_alone(program: Path, tmp_path: Path) -> None:
    assert run(program, "--help", TOOLBOX_UNPACK=str(tmp_path / "place")).returncode == 0
    there = files(tmp_path / "place")
    (tmp_path / "place" / "old").touch()
    rules = tmp_path / "rules.conf"
    rules.write_text(f"e {tmp_path}/place - - - 0\n")
    done = run("systemd-tmpfiles", "--clean", rules)
    assert (done.returncode, files(tmp_path / "place")) == (0, there), done.stderr


@by_hand
def test_what_a_killed_start_has_left_is_removed(program: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    first = subprocess.Popen([program, "--help"], env={"TOOLBOX_UNPACK": str(place)})
    until(lambda: any(place.glob(".unpack-*/*")), "the first file")
    first.kill()
    first.wait(DEADLINE)
    assert [path.name[:8] for path in place.iterdir()] == [".unpack-"]
    assert run(program, "--help", TOOLBOX_UNPACK=str(place)).returncode == 0
    assert [path.name[:8] for path in place.iterdir()] == ["toolbox-"]


@by_hand
def test_a_full_disk_is_named_and_keeps_nothing(program: Path) -> None:
    mount = ("--dev-bind", "/", "/", "--size", "9000000", "--tmpfs", "/mnt", "--chdir", "/mnt")
    script = 'TOOLBOX_UNPACK=/mnt/place "$0" --help; echo "status $?"; ls -A place'
    done = run("bwrap", *mount, "sh", "-c", script, program)
    assert "  /mnt/place: No space left on device\n" in done.stderr
    assert done.stdout == "status 127\n"


@by_hand
@pytest.mark.skipif(os.geteuid() != 0, reason="makes directories of another user")
def test_no_other_user_s_directory_says_what_runs(program: Path, tmp_path: Path) -> None:
    theirs, mine, link = tmp_path / "theirs", tmp_path / "mine", tmp_path / "link"
    theirs.mkdir()
    os.chown(theirs, 12345, 12345)
    mine.mkdir(mode=0o700)
    link.symlink_to(mine)
    os.lchown(link, 12345, 12345)
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    reasons = {
        theirs: "others may write to it",
        theirs / "below": "others may replace it",
        tmp_path / "open" / "below": "others may replace it",
        link: "a link of another user",
    }
    for directory, reason in reasons.items():
        refused = run(program, "--help", TOOLBOX_UNPACK=str(directory))
        assert refused.returncode == 127
        assert f"  {directory}: {reason}\n" in refused.stderr
    # As in /tmp: nobody else can rename what is there.
    (tmp_path / "open").chmod(0o1777)
    assert run(program, "--help", TOOLBOX_UNPACK=str(tmp_path / "open/below")).returncode == 0
