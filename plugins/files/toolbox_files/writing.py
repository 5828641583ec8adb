"""Writing whole files by :mod:`toolbox.writing`, with the errors of this group."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from toolbox import writing
from toolbox.writing import Check
from toolbox.writing import no_check
from toolbox_files.errors import file_errors


@contextlib.contextmanager
def replacing(path: Path, check: Check = no_check) -> Iterator[BinaryIO]:
    """A file to write the new content of ``path`` to; see :func:`toolbox.writing.replacing`.

    Raises InvalidFilePath, FileAccessDenied, InsufficientStorage and whatever else the file system
    answers.
    """
    with file_errors(path), writing.replacing(path, check) as file:
        yield file
