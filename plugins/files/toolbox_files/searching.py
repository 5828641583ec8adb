"""Starting the helper program that searches, and passing on what it finds.

Results are never all in memory here: they go to the client as they come, or to a temporary file,
and a client that goes away ends the helper.
"""

from __future__ import annotations

import errno
import logging
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Iterator
from pathlib import Path
from pathlib import PurePosixPath
from typing import IO

import msgspec

from toolbox.errors import RequestTimeout
from toolbox.errors import ToolboxError
from toolbox.processes import popen
from toolbox.response import JSON
from toolbox.response import StreamAnswer
from toolbox_files.backend import Findings
from toolbox_files.helper_process import helper_command
from toolbox_files.helpers import scan
from toolbox_files.models import SearchOptions
from toolbox_files.names import one_root
from toolbox_files.names import to_path
from toolbox_files.names import to_text

log = logging.getLogger("toolbox.files")

READ = 64 * 1024

IN_MEMORY = 1024 * 1024
"""Bytes of a bounded search's results that are kept in memory."""

_PATIENCE = 500
"""Milliseconds without a result until it is asked whether the client still waits."""


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
            "shown": str(PurePosixPath(one_root(options.path))),
            "pattern": options.pattern,
            "skip": options.skip,
            "offset": options.offset,
            "limit": options.limit,
            "seconds": options.seconds,
            "rg": rg,
            "gitignore": options.gitignore,
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
            output = select.poll()
            output.register(process.stdout, select.POLLIN)
            while True:
                if not output.poll(_PATIENCE):
                    yield b""
                elif block := os.read(process.stdout.fileno(), READ):
                    yield block
                else:
                    break
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


def json_answer(
    found: Findings,
    options: SearchOptions,
    gone: Callable[[], bool],
    before: str = "",
    after: str = "",
) -> StreamAnswer:
    """The values found as one JSON array between ``before`` and ``after``.

    Bounded searches are made to the end first, so that a header can tell what cut them short.
    ``gone`` tells whether nobody waits any more, which ends the search.
    """
    chunks = _array(found, gone, before.encode() + b"[", b"]" + after.encode())
    headers = {}
    if options.limit or options.seconds:
        chunks = _stored(chunks)
        headers = {"X-Truncated": found.truncated} if found.truncated else {}
    return StreamAnswer(chunks, JSON, headers=headers)


def _array(found: Findings, gone: Callable[[], bool], start: bytes, end: bytes) -> Iterator[bytes]:
    try:
        yield start
        separator = b""
        for block in found:
            if block:
                # JSON holds no raw newline, so each one ends a value.
                yield separator + block.removesuffix(b"\n").replace(b"\n", b",")
                separator = b"," if block.endswith(b"\n") else b""
            elif gone():
                # As if it had been written to; an end would make the answer look whole.
                raise BrokenPipeError(errno.EPIPE, "the client has gone; the search was ended")
        yield end
    finally:
        found.close()


def _stored(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same, when all of them are there."""
    spool = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115
    try:
        for chunk in chunks:
            spool.write(chunk)
    except BrokenPipeError as error:
        raise RequestTimeout(str(error.strerror)) from None
    spool.seek(0)
    return _content(spool)


def _content(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while block := file.read(IN_MEMORY):
            yield block
