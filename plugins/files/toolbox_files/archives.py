"""Directories as archives, packed and unpacked by a helper process."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import msgspec

from toolbox.errors import ToolboxError
from toolbox.processes import popen
from toolbox_files.errors import InvalidArchive
from toolbox_files.errors import file_errors
from toolbox_files.errors import from_file_error
from toolbox_files.helper_process import helper_command
from toolbox_files.models import ArchiveFormat

READ = 1024 * 1024


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
def _helper(*arguments: str, **pipes: int) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """The running helper and the file with its errors; what is left of it is killed."""
    command = helper_command("tarring", *arguments, libraries=_zstd_directory())
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


def pack(path: Path, kind: ArchiveFormat) -> Iterator[bytes]:
    """The content of the directory ``path`` as tar. Raises OSError if it can't be read."""
    with file_errors():
        os.listdir(path)  # noqa: PTH208
    return _pack(path, kind)


def _pack(path: Path, kind: ArchiveFormat) -> Iterator[bytes]:
    with _helper("pack", str(path), kind, stdout=subprocess.PIPE) as (process, errors):
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
