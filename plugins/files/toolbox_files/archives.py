"""Directories as archives, packed and unpacked by a helper process."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import msgspec

from toolbox.errors import RequestTimeout
from toolbox.errors import ToolboxError
from toolbox.processes import popen
from toolbox_files.errors import InvalidArchive
from toolbox_files.errors import file_errors
from toolbox_files.errors import from_file_error
from toolbox_files.helper_process import helper_command
from toolbox_files.models import ArchiveFormat

READ = 1024 * 1024

STALLED = 300
"""Seconds without a byte to or from the helper after which it is ended. That a client has gone is
not seen while what it has sent waits to be read.
"""

GRACE = 3
"""Seconds a helper whose pipes are closed may take to end."""

_MOMENT = 500
"""Milliseconds until it is asked whether the client still waits."""


def _zstd_directory() -> str:
    """Where the zstd library is installed, empty if it is Python's own."""
    spec = None if sys.version_info >= (3, 14) else find_spec("backports.zstd")
    return str(Path(spec.origin).parents[2]) if spec and spec.origin else ""


class _Failure(msgspec.Struct):
    """What the helper says of its failure."""

    errno: int = 0
    filename: str = ""
    message: str = ""


@contextlib.contextmanager
def _helper(*arguments: str, **pipes: int) -> Iterator[subprocess.Popen[bytes]]:
    """The running helper; what is left of it is killed."""
    command = helper_command("tarring", *arguments, libraries=_zstd_directory())
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, **pipes}
    process = popen(command, stderr=subprocess.PIPE, bufsize=0, **options)
    try:
        yield process
    finally:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        # Without its pipes it ends, and takes away what isn't complete.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
        process.kill()
        process.wait()
        assert process.stderr
        process.stderr.close()


def _check(process: subprocess.Popen[bytes]) -> None:
    """Wait for the helper, which has closed its other pipes. Raises what it failed with."""
    assert process.stderr
    told = process.stderr.read()
    if process.wait() == 0:
        return
    try:
        failure = msgspec.json.decode(told, type=_Failure)
    except msgspec.DecodeError:
        raise ToolboxError(f"the archive helper ended with {process.returncode}") from None
    if failure.errno:
        name = os.fsdecode(bytes.fromhex(failure.filename)) or None
        raise from_file_error(OSError(failure.errno, "", name))
    raise InvalidArchive(f"not a tar archive that can be unpacked here: {failure.message}")


def _wait(pipe: IO[bytes] | None, event: int) -> Iterator[bool]:
    """Whether ``event`` is there, again and again: False for each moment without. Raises
    RequestTimeout if it never comes.
    """
    assert pipe
    poll = select.poll()
    poll.register(pipe, event)
    until = time.monotonic() + STALLED
    while time.monotonic() < until:
        if poll.poll(_MOMENT):
            yield True
            until = time.monotonic() + STALLED
        else:
            yield False
    raise RequestTimeout(f"the archive helper has done nothing for {STALLED} seconds")


def pack(path: Path, kind: ArchiveFormat) -> Iterator[bytes]:
    """The content of the directory ``path`` as tar; an empty block for each moment without news.

    Raises OSError if it can't be read.
    """
    with file_errors():
        os.listdir(path)  # noqa: PTH208
    blocks = _pack(path, kind)
    next(blocks)  # A helper that can't be started is an error answer, not a cut one.
    return blocks


def _pack(path: Path, kind: ArchiveFormat) -> Iterator[bytes]:
    with _helper("pack", str(path), kind) as process:
        assert process.stdout
        yield b""
        for ready in _wait(process.stdout, select.POLLIN):
            if not ready:
                yield b""
            elif block := os.read(process.stdout.fileno(), READ):
                yield block
            else:
                break
        _check(process)


class Unpacker:
    """An archive on its way into a directory."""

    def __init__(self, process: subprocess.Popen[bytes], gone: Callable[[], bool]) -> None:
        self._process = process
        self._gone = gone
        assert process.stdin
        os.set_blocking(process.stdin.fileno(), False)

    def write(self, data: memoryview, /) -> int:
        """Take more of it, all of ``data``. Raises InvalidArchive, RequestTimeout, and what the
        file system answers.
        """
        assert self._process.stdin
        rest = data
        try:
            for ready in _wait(self._process.stdin, select.POLLOUT):
                self._look(ready)
                rest = rest[self._process.stdin.write(rest) or 0 :] if ready else rest
                if not rest:
                    break
        except BrokenPipeError:
            _check(self._process)
            raise InvalidArchive("there is more after the end of the archive") from None
        return len(data)

    def finish(self) -> int:
        """That was all; the count of members. Raises as :meth:`write`."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        count = b""
        for ready in _wait(self._process.stdout, select.POLLIN):
            self._look(ready)
            block = os.read(self._process.stdout.fileno(), READ) if ready else b""
            count += block
            if ready and not block:
                break
        _check(self._process)
        return int(count)

    def _look(self, busy: bool) -> None:
        """A moment has passed: does anybody wait?"""
        if not busy and self._gone():
            raise RequestTimeout("the client has gone; what was unpacked stays")


@contextlib.contextmanager
def unpacking(path: Path, outside_links: bool, gone: Callable[[], bool]) -> Iterator[Unpacker]:
    """Unpack into the directory ``path``. What is unpacked when it fails stays.

    ``gone`` tells whether nobody waits any more, which ends it.
    """
    options = ["outside-links"] if outside_links else []
    with _helper("unpack", str(path), *options, stdin=subprocess.PIPE) as process:
        yield Unpacker(process, gone)
