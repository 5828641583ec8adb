"""Operations by a user other than root, as the service's user usually is."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can change its user")

PROGRAM = """
import errno
import os
import sys
from pathlib import Path
from toolbox.errors import ToolboxError
from toolbox_files.tree.deleting import delete
from toolbox_files.tree.directories import make_folder
from toolbox_files.tree.permissions import set_permissions
from toolbox_files.errors import file_errors
from toolbox_files.read.listing import list_directory
from toolbox_files.read.regular_file import open_regular
from toolbox.atomic.writing import replacing

here = Path(sys.argv[1])
# After the imports: where they are installed others may not read.
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)


def write(name):
    with replacing(here / name) as file:
        file.write(b"new")


def refuse_renames():
    def refuse(*names, **directories):
        raise OSError(errno.EBUSY, "")

    os.replace = refuse


try:
    with file_errors():
        {statement}
except ToolboxError as error:
    print(error.status, error.code)
"""


@pytest.fixture
def here() -> Iterator[Path]:
    """A directory that everybody may write; Pytest's own are closed."""
    with tempfile.TemporaryDirectory(prefix="toolbox-test-") as directory:
        path = Path(directory)
        path.chmod(0o777)
        yield path


def run(here: Path, statement: str) -> str:
    command = [sys.executable, "-c", PROGRAM.format(statement=statement), str(here)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


DENIED = "403 FILE_ACCESS_DENIED"


def test_a_file_of_another_keeps_its_owner(here: Path) -> None:
    """Replacing it is possible in a writable directory, but would change its owner."""
    (here / "file").write_bytes(b"old and long")
    (here / "file").chmod(0o666)
    assert run(here, 'write("file")') == ""
    assert (here / "file").read_bytes() == b"new"
    assert (here / "file").stat().st_uid == 0


def test_a_file_that_may_not_be_written_is_not_replaced(here: Path) -> None:
    """Although the directory would let it."""
    (here / "file").write_bytes(b"old")
    (here / "file").chmod(0o644)
    assert run(here, 'write("file")') == DENIED
    assert (here / "file").read_bytes() == b"old"


def test_what_is_closed_is_denied(here: Path) -> None:
    (here / "closed").mkdir(0o700)
    (here / "secret").touch(0o600)
    (here / "open").mkdir(0o755)
    (here / "open" / "file").touch(0o644)
    assert run(here, 'list(list_directory(here / "closed", 1))') == DENIED
    assert run(here, 'open_regular(here / "secret")') == DENIED
    assert run(here, 'open_regular(here / "closed" / "file")') == DENIED
    assert run(here, 'write("closed/file")') == DENIED
    assert run(here, 'make_folder(here / "open" / "new", 0o755)') == DENIED
    assert run(here, 'delete(here / "open" / "file", "open/file", False)') == DENIED
    assert run(here, 'delete(here / "open", "open", True)') == DENIED
    assert run(here, 'set_permissions(here / "open", "777", "", "")') == DENIED
    assert run(here, 'set_permissions(here / "open", "", "65534", "")') == DENIED
    assert (here / "open" / "file").exists()


def test_closed_directories_are_listed_but_not_entered(here: Path) -> None:
    (here / "closed" / "below").mkdir(parents=True)
    (here / "closed").chmod(0o700)
    (here / "file").touch()
    assert run(here, "print([each.name for each in list_directory(here, 3)])") == (
        "['closed', 'file']"
    )


def test_a_file_that_nobody_may_read_is_written_in_place(here: Path) -> None:
    """Where a rename fails, as over a mount point: the new content has the closed mode by then."""
    (here / "file").write_bytes(b"old")
    os.chown(here / "file", 65534, 65534)
    (here / "file").chmod(0o200)
    assert run(here, 'refuse_renames() or write("file")') == ""
    assert (here / "file").read_bytes() == b"new"
    assert (here / "file").stat().st_mode & 0o777 == 0o200
    assert [path.name for path in here.iterdir()] == ["file"]
