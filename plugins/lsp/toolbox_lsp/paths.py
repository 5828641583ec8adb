"""Conversion of paths and ``file:`` URIs of clients and servers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes

from toolbox_lsp.errors import DocumentUnreadable
from toolbox_lsp.errors import ProjectInvalid

SCHEME = "file://"


def project_location(text: str, work_dir: Path) -> Path:
    """Return the real path of a project, which may no longer exist. Raises ProjectInvalid."""
    if "\0" in text:
        raise ProjectInvalid("the path of the project contains a NUL byte")
    return resolved(work_dir / text.removeprefix(SCHEME))


def project_path(text: str, work_dir: Path) -> Path:
    """Return the real path of an existing project. Raises ProjectInvalid."""
    path = project_location(text, work_dir)
    if not path.is_dir():
        raise ProjectInvalid(f"the project {text} is not a directory")
    return path


def document_path(uri: str, project: Path, work_dir: Path) -> Path:
    """Return the path of the file that a client calls ``uri``.

    The SDKs put ``file://`` before the path they were given, even a relative one, and encode
    nothing; others send proper URIs. So the text is tried unchanged first, then decoded; in both
    cases an existing file below ``work_dir`` precedes one below ``project``. A file that doesn't
    exist is taken to be in the project. Raises DocumentUnreadable.
    """
    # Path methods would raise ValueError.
    if "\0" in uri or "%00" in uri:
        raise DocumentUnreadable("the path of the document contains a NUL byte")
    text = uri.removeprefix(SCHEME)
    for path in _interpretations(text, project, work_dir):
        if path.exists():
            return resolved(path)
    return resolved(project / text)


def _interpretations(text: str, project: Path, work_dir: Path) -> Iterator[Path]:
    decoded = os.fsdecode(unquote_to_bytes(text))
    # Unchanged first: a real name may contain a percent sign.
    for name in dict.fromkeys((text, decoded)):
        yield work_dir / name
        yield project / name


def resolved(path: Path) -> Path:
    """Return ``path`` absolute, without links, dots and double slashes."""
    return Path(os.path.realpath(path))


def uri_path(uri: str) -> Path | None:
    """Return the path in a server's URI, or None if it isn't a ``file:`` URI."""
    if not uri.startswith(SCHEME + "/"):
        return None
    return Path(os.fsdecode(unquote_to_bytes(uri.removeprefix(SCHEME))))
