"""Running the helper program that searches.

Results pass through block by block and are never all in memory. Closing the iterator kills the
helper, so a client that disconnects ends its search.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Generator
from collections.abc import Iterator
from pathlib import Path
from pathlib import PurePosixPath
from typing import Any

import msgspec

from toolbox.errors import ToolboxError
from toolbox.processes import popen
from toolbox_files.errors import InvalidFilePath
from toolbox_files.helpers import search_main
from toolbox_files.helpers.command import helper_command
from toolbox_files.models import SearchOptions
from toolbox_files.names import one_root
from toolbox_files.names import to_path
from toolbox_files.names import to_text
from toolbox_files.page_models import PageOptions
from toolbox_files.page_models import TreePlace

READ = 64 * 1024
"""Bytes read from the helper at once."""

_POLL = 500
"""Milliseconds without a result after which an empty block is yielded."""


def find_ripgrep() -> str:
    """Return the path of ripgrep, on PATH or beside Python as wheels install it, or ``""``."""
    beside = Path(sys.executable).with_name("rg")
    return shutil.which("rg") or (str(beside) if beside.exists() else "")


def search(kind: str, options: SearchOptions, base: Path, rg: str) -> SearchProcess:
    """Start a search of everything, for names or lines. A path that doesn't exist is empty."""
    task = {
        "kind": kind,
        **_place(options.path, base),
        "pattern": options.pattern,
        "skip": options.skip,
        "offset": options.offset,
        "limit": options.limit,
        "seconds": options.seconds,
        "rg": rg,
        "gitignore": options.gitignore,
    }
    return SearchProcess("search_main", task)


def search_page(
    kind: str, options: PageOptions, base: Path, after: TreePlace | None
) -> SearchProcess:
    """Start a search for a page, which begins after ``after``. Raises OSError, InvalidFilePath."""
    root = to_path(options.path, base)
    mode = root.stat().st_mode
    if stat.S_ISDIR(mode):
        os.scandir(root).close()  # Raises if it can't be read.
    elif not stat.S_ISREG(mode):
        raise InvalidFilePath(f"not a regular file or directory: {options.path}")
    task = msgspec.structs.asdict(options)
    del task["path"], task["cursor"]
    task |= {"kind": kind, **_place(options.path, base), "after": after}
    return SearchProcess("page_main", task)


def _place(path: str, base: Path) -> dict[str, str]:
    return {
        "root": to_text(str(to_path(path, base))),
        "shown": str(PurePosixPath(one_root(path))),
    }


class SearchProcess:
    """A run of a helper with ``task``. See :class:`toolbox_files.backend.SearchResults`."""

    def __init__(self, helper: str, task: dict[str, Any]) -> None:
        self.truncated = ""
        """``limit`` or ``time`` if that bound ended the search; set after the iteration."""
        self._helper = helper
        self._blocks = self._run(msgspec.json.encode(task))
        # Starts the helper now: failing to start it is an error response, not a truncated one.
        self._first = next(self._blocks)

    def __iter__(self) -> Iterator[bytes]:
        yield self._first
        yield from self._blocks

    def close(self) -> None:
        """Kill the helper if it is still running."""
        self._blocks.close()

    def _run(self, task: bytes) -> Generator[bytes, None, None]:
        process = popen(helper_command(self._helper), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin and process.stdout
        try:
            with process.stdin as stdin:
                stdin.write(task)
            yield b""
            output = select.poll()
            output.register(process.stdout, select.POLLIN)
            # Raw reads with poll(2): a buffered read would wait for a full block.
            while True:
                if not output.poll(_POLL):
                    yield b""
                elif block := os.read(process.stdout.fileno(), READ):
                    yield block
                else:
                    break
            self._finish(process.wait())
        finally:
            if process.poll() is None:
                # The whole process group: ripgrep may be running too.
                os.killpg(process.pid, signal.SIGKILL)
            process.stdout.close()
            process.wait()

    def _finish(self, status: int) -> None:
        if status == search_main.TRUNCATED_BY_LIMIT:
            self.truncated = "limit"
        elif status == search_main.TRUNCATED_BY_TIME:
            self.truncated = "time"
        elif status:
            raise ToolboxError(f"the search helper exited with status {status}")
