"""Starting the helper program that searches, and passing on what it finds.

Results are never all in memory here: they go to the client as they come, and a client that goes
away ends the helper.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from collections.abc import Iterator
from pathlib import Path
from pathlib import PurePosixPath

import msgspec

from toolbox.errors import ToolboxError
from toolbox.processes import popen
from toolbox.response import JSON
from toolbox.response import StreamAnswer
from toolbox_files.backend import Findings
from toolbox_files.helper_process import helper_command
from toolbox_files.helpers import scan
from toolbox_files.models import SearchOptions
from toolbox_files.names import to_path
from toolbox_files.names import to_text

log = logging.getLogger("toolbox.files")

READ = 64 * 1024


def find_ripgrep() -> str:
    """The ripgrep program: on PATH, or where a wheel installs it; empty for none."""
    beside = Path(sys.executable).with_name("rg")
    return shutil.which("rg") or (str(beside) if beside.exists() else "")


class Search:
    """One run of the helper: iterate over blocks of JSON values, each with a newline after it."""

    def __init__(self, kind: str, options: SearchOptions, base: Path, rg: str) -> None:
        self.truncated = ""
        """``limit`` or ``time``, if that ended the search; known when the iteration is over."""
        task = {
            "kind": kind,
            "root": to_text(str(to_path(options.path, base))),
            "shown": str(PurePosixPath(options.path)),
            "pattern": options.pattern,
            "skip": options.skip,
            "offset": options.offset,
            "limit": options.limit,
            "seconds": options.seconds,
            "rg": rg,
        }
        self._blocks = self._run(msgspec.json.encode(task))
        # So that a helper that can't be started is an error answer, not a cut one.
        self._first = next(self._blocks)

    def __iter__(self) -> Iterator[bytes]:
        yield self._first
        yield from self._blocks

    def close(self) -> None:
        """End the helper, if it still runs."""
        self._blocks.close()

    def _run(self, task: bytes) -> Generator[bytes, None, None]:
        process = popen(helper_command("scan"), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin and process.stdout
        try:
            with process.stdin as stdin:
                stdin.write(task)
            yield b""
            while block := os.read(process.stdout.fileno(), READ):
                yield block
            self._finish(process.wait())
        finally:
            if process.poll() is None:
                # Its group: ripgrep may be running below it.
                os.killpg(process.pid, signal.SIGKILL)
            process.stdout.close()
            process.wait()

    def _finish(self, status: int) -> None:
        if status == scan.TRUNCATED_BY_LIMIT:
            self.truncated = "limit"
        elif status == scan.TRUNCATED_BY_TIME:
            self.truncated = "time"
        elif status:
            raise ToolboxError(f"the search helper ended with status {status}")


def json_answer(found: Findings, options: SearchOptions, before: str, after: str) -> StreamAnswer:
    """The values found as one JSON array between ``before`` and ``after``.

    Bounded searches are made to the end first, so that a header can tell what cut them short.
    """
    chunks = _array(found, before.encode() + b"[", b"]" + after.encode())
    headers = {}
    if options.limit or options.seconds:
        chunks = iter([b"".join(chunks)])
        headers = {"X-Truncated": found.truncated} if found.truncated else {}
    return StreamAnswer(chunks, JSON, headers=headers)


def _array(found: Findings, start: bytes, end: bytes) -> Iterator[bytes]:
    try:
        yield start
        separator = b""
        for block in found:
            if block:
                # JSON holds no raw newline, so each one ends a value.
                yield separator + block.removesuffix(b"\n").replace(b"\n", b",")
                separator = b"," if block.endswith(b"\n") else b""
        yield end
    finally:
        found.close()
