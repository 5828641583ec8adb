"""Directories as archives, packed and unpacked by a helper process."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec

from toolbox.errors import ToolboxError
from toolbox.processes import popen
from toolbox_files.errors import InvalidArchive
from toolbox_files.errors import file_errors
from toolbox_files.errors import from_file_error
from toolbox_files.helper_process import helper_command

READ = 1024 * 1024


class _Failure(msgspec.Struct):
    """What the helper says of its failure."""

    errno: int = 0
    filename: str = ""
    message: str = ""


@contextlib.contextmanager
def _helper(*arguments: str, **pipes: int) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """The running helper and the file with its errors; what is left of it is killed."""
    command = helper_command("tarring", *arguments)
    with tempfile.TemporaryFile() as errors:
        process = popen(command, stderr=errors, **{"stdin": subprocess.DEVNULL, **pipes})
        try:
            yield process, errors
        finally:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()
            process.wait()


def _check(process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
    """Wait for the helper. Raises what it failed with."""
    if process.wait() == 0:
        return
    errors.seek(0)
    try:
        failure = msgspec.json.decode(errors.read(), type=_Failure)
    except msgspec.DecodeError:
        raise ToolboxError(f"the archive helper ended with {process.returncode}") from None
    if failure.errno:
        name = os.fsdecode(bytes.fromhex(failure.filename)) or None
        raise from_file_error(OSError(failure.errno, "", name))
    raise InvalidArchive(f"not a tar archive that can be unpacked here: {failure.message}")


def pack(path: Path, compress: bool) -> Iterator[bytes]:
    """The content of the directory ``path`` as tar. Raises OSError if it can't be read."""
    with file_errors():
        os.listdir(path)  # noqa: PTH208
    return _pack(path, compress)


def _pack(path: Path, compress: bool) -> Iterator[bytes]:
    kind = ["gz"] if compress else []
    with _helper("pack", str(path), *kind, stdout=subprocess.PIPE) as (process, errors):
        assert process.stdout
        while block := os.read(process.stdout.fileno(), READ):
            yield block
        _check(process, errors)


class Unpacker:
    """An archive on its way into a directory."""

    def __init__(self, process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
        self._process = process
        self._errors = errors

    def write(self, data: memoryview, /) -> int:
        """Take more of it, all of ``data``. Raises InvalidArchive, and what the file system
        answers.
        """
        assert self._process.stdin
        try:
            return self._process.stdin.write(data)
        except BrokenPipeError:
            _check(self._process, self._errors)
            raise InvalidArchive("there is more after the end of the archive") from None

    def finish(self) -> int:
        """That was all; the count of members. Raises as :meth:`write`."""
        assert self._process.stdin and self._process.stdout
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        count = self._process.stdout.read()
        _check(self._process, self._errors)
        return int(count)


@contextlib.contextmanager
def unpacking(path: Path) -> Iterator[Unpacker]:
    """Unpack into the directory ``path``. What is unpacked when it fails stays."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with _helper("unpack", str(path), **pipes) as (process, errors):
        yield Unpacker(process, errors)
