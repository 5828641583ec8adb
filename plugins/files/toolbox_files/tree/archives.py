"""Packing and unpacking archives of directories in a helper process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import msgspec

from toolbox.errors import RequestTimeout
from toolbox.errors import ToolboxError
from toolbox.linux.clock import awake
from toolbox.processes import popen
from toolbox_files.errors import InvalidArchive
from toolbox_files.errors import file_errors
from toolbox_files.errors import from_file_error
from toolbox_files.helpers.command import helper_command
from toolbox_files.models import ArchiveFormat

READ = 1024 * 1024
"""Bytes read from the helper at once."""

STALLED = 300
"""Seconds without a byte to or from the helper after which it is killed.

That a client has disconnected isn't noticed while data that it sent is still unread.
"""

GRACE = 3
"""Seconds a helper may take to exit once its pipes are closed."""

_POLL = 500
"""Milliseconds between two checks that the client is still connected."""


def _zstd_directory() -> str:
    """Return the directory of the zstd library, or ``""`` where Python has its own."""
    spec = None if sys.version_info >= (3, 14) else find_spec("backports.zstd")
    return str(Path(spec.origin).parents[2]) if spec and spec.origin else ""


class _Failure(msgspec.Struct):
    """The error that the helper reports on standard error."""

    errno: int = 0
    filename: str = ""
    message: str = ""


@contextlib.contextmanager
def _helper(*arguments: str, **pipes: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run the helper; kill it if it outlives the block by ``GRACE`` seconds."""
    command = helper_command("archive_main", *arguments, libraries=_zstd_directory())
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, **pipes}
    process = popen(command, stderr=subprocess.PIPE, bufsize=0, **options)
    try:
        yield process
    finally:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        # Without its pipes it exits, and first deletes what is incomplete.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
        process.kill()
        process.wait()
        assert process.stderr
        process.stderr.close()


def _check(process: subprocess.Popen[bytes]) -> None:
    """Wait for the helper to exit; raise the error that it reports, if any."""
    assert process.stderr
    # Before waiting: the helper would block on a full pipe.
    report = process.stderr.read()
    if process.wait() == 0:
        return
    try:
        failure = msgspec.json.decode(report, type=_Failure)
    except msgspec.DecodeError:
        raise ToolboxError(f"the archive helper exited with status {process.returncode}") from None
    if failure.errno:
        name = os.fsdecode(bytes.fromhex(failure.filename)) or None
        raise from_file_error(OSError(failure.errno, "", name))
    raise InvalidArchive(f"not a tar archive that can be unpacked here: {failure.message}")


def _wait(pipe: IO[bytes] | None, event: int) -> Iterator[bool]:
    """Yield True each time ``pipe`` is ready for ``event``, False after each ``_POLL`` without.

    Raises RequestTimeout after ``STALLED`` seconds without.
    """
    assert pipe
    poll = select.poll()
    poll.register(pipe, event)
    deadline = awake() + STALLED
    while awake() < deadline:
        if poll.poll(_POLL):
            yield True
            deadline = awake() + STALLED
        else:
            yield False
    raise RequestTimeout(f"the archive helper made no progress for {STALLED} seconds")


def pack(path: Path, kind: ArchiveFormat) -> Iterator[bytes]:
    """Yield the content of the directory ``path`` as tar, with an empty block for each idle poll.

    Raises, before the first block, FileNotFound and the like if it can't be read.
    """
    with file_errors():
        # In this process, for an error before the response begins.
        os.listdir(path)  # noqa: PTH208
    blocks = _pack(path, kind)
    next(blocks)  # Failing to start the helper is an error response, not a truncated one.
    return blocks


def _pack(path: Path, kind: ArchiveFormat) -> Iterator[bytes]:
    with _helper("pack", str(path), kind) as process:
        assert process.stdout
        # A sixteenth of the switches between the two processes; the kernel's default is 64 KiB.
        with contextlib.suppress(OSError):
            fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, READ)
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
    """An archive that is being unpacked. See :class:`toolbox_files.backend.Unpacking`."""

    def __init__(self, process: subprocess.Popen[bytes], disconnected: Callable[[], bool]) -> None:
        self._process = process
        self._disconnected = disconnected
        assert process.stdin
        # The helper may stop reading; a blocked write would miss the client's disconnect.
        os.set_blocking(process.stdin.fileno(), False)

    def write(self, data: memoryview, /) -> int:
        """Unpack all of ``data``; return its size.

        Raises InvalidArchive, RequestTimeout and the errors of writing files.
        """
        assert self._process.stdin
        rest = data
        try:
            for ready in _wait(self._process.stdin, select.POLLOUT):
                self._check_client(ready)
                rest = rest[self._process.stdin.write(rest) or 0 :] if ready else rest
                if not rest:
                    break
        except BrokenPipeError:
            _check(self._process)
            # The helper succeeded, so it had read the whole archive.
            raise InvalidArchive("data follows the end of the archive") from None
        return len(data)

    def finish(self) -> int:
        """Complete the archive; return the number of members. Raises as :meth:`write`."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        count = b""
        for ready in _wait(self._process.stdout, select.POLLIN):
            self._check_client(ready)
            block = os.read(self._process.stdout.fileno(), READ) if ready else b""
            count += block
            if ready and not block:
                break
        _check(self._process)
        return int(count)

    def _check_client(self, ready: bool) -> None:
        if not ready and self._disconnected():
            raise RequestTimeout("client disconnected; files unpacked so far are kept")


@contextlib.contextmanager
def unpacking(
    path: Path, outside_links: bool, disconnected: Callable[[], bool]
) -> Iterator[Unpacker]:
    """Unpack into the directory ``path``; files unpacked before a failure are kept.

    ``disconnected`` reports whether the client has disconnected, which stops the helper.
    """
    options = ["outside-links"] if outside_links else []
    with _helper("unpack", str(path), *options, stdin=subprocess.PIPE) as process:
        yield Unpacker(process, disconnected)
