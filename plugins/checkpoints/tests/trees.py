"""Trees for the tests, and what is in them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any


def described(top: Path) -> dict[bytes, Any]:
    """All that a checkpoint keeps of a tree: by path kind, mode, time, content, and other names."""
    found: dict[bytes, Any] = {}
    names: dict[int, list[bytes]] = {}
    for directory, below, files in os.walk(os.fsencode(top)):
        for name in [
            b".",
            *files,
            *(one for one in below if os.path.islink(directory + b"/" + one)),
        ]:
            path = directory if name == b"." else directory + b"/" + name
            status = os.lstat(path)
            shown = os.path.relpath(path, os.fsencode(top))
            content: object = None
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                content = Path(os.fsdecode(path)).read_bytes()
                names.setdefault(status.st_ino, []).append(shown)
            found[shown] = (oct(status.st_mode), status.st_mtime_ns, content)
    links = sorted(sorted(group) for group in names.values() if len(group) > 1)
    return found | {b"links": links}


def make_tree(top: Path) -> None:
    """Fill a new directory with one of everything."""
    (top / "src" / "deep").mkdir(parents=True)
    (top / "src" / "main.py").write_text("print('one')\nprint('two')\n")
    (top / "src" / "deep" / "data.bin").write_bytes(bytes(range(256)))
    (top / "src" / "run").write_text("#!/bin/sh\n")
    (top / "src" / "run").chmod(0o750)
    (top / "link").symlink_to("src/main.py")
    (top / "dangling").symlink_to("/nowhere/at/all")
    (top / "twin").hardlink_to(top / "src" / "main.py")
    (top / "empty").mkdir(0o700)
    Path(os.fsdecode(os.fsencode(top) + b"/caf\xe9")).write_text("not UTF-8")
    with (top / "sparse").open("wb") as file:
        file.truncate(8 * 1024**2)
        file.seek(4 * 1024**2)
        file.write(b"middle")
    os.utime(top / "src" / "run", ns=(1, 1_234_567_890_123_456_789))
    os.utime(top / "link", ns=(1, 77), follow_symlinks=False)
    os.utime(top / "empty", ns=(1, 5_000_000_000))
    os.utime(top, ns=(1, 6_000_000_000))


def spoil_tree(top: Path) -> None:
    """Change, add and remove something of every kind."""
    (top / "src" / "main.py").write_text("print('one')\nprint('2')\nprint('three')")
    (top / "twin").unlink()
    (top / "twin").write_text("alone")
    (top / "src" / "run").chmod(0o644)
    (top / "src" / "deep" / "data.bin").unlink()
    (top / "src" / "deep").rmdir()
    (top / "src" / "deep").write_text("a file where a directory was")
    (top / "link").unlink()
    (top / "link").mkdir()
    (top / "link" / "inside").write_text("a directory where a link was")
    (top / "dangling").unlink()
    (top / "empty").rmdir()
    (top / "new" / "below").mkdir(parents=True)
    (top / "new" / "below" / "file").write_text("new")
    with (top / "sparse").open("r+b") as file:
        file.write(b"start")


def task(top: Path, store: Path, **options: Any) -> dict[str, Any]:
    """Return the task of a helper."""
    identity = "1" * 32
    record = {"id": identity, "path": str(top), "created": "now", "exclude": []}
    return {
        **record,
        "store": str(store),
        "checkpoint": str(store / identity),
        "previous": "",
        "budget": 2**40,
        "record": record,
        "only": [],
        **options,
    }
