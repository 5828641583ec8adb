"""Paths and ``file:`` URIs: what clients send, what servers get, what servers answer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes

from toolbox_lsp.errors import DocumentUnreadable
from toolbox_lsp.errors import ProjectInvalid

SCHEME = "file://"


def project_place(text: str, work_dir: Path) -> Path:
    """Where a project is or was, the same for every spelling. Raises ProjectInvalid."""
    if "\0" in text:
        raise ProjectInvalid("the path of the project has a NUL in it")
    return resolved(work_dir / text.removeprefix(SCHEME))


def project_path(text: str, work_dir: Path) -> Path:
    """The directory of a project, as :func:`project_place`. Raises ProjectInvalid."""
    path = project_place(text, work_dir)
    if not path.is_dir():
        raise ProjectInvalid(f"the project {text} is not a directory")
    return path


def document_path(uri: str, project: Path, work_dir: Path) -> Path:
    """The file a client means by ``uri``.

    The SDKs put ``file://`` before the path they were given, be it relative, and encode nothing;
    others send proper URIs. So it is read as it stands first, then decoded; either way an existing
    file below ``work_dir`` goes before one below ``project``. A file that is nowhere is taken to
    be in the project.
    """
    if "\0" in uri or "%00" in uri:
        raise DocumentUnreadable("the path of the document has a NUL in it")
    text = uri.removeprefix(SCHEME)
    for path in _readings(text, project, work_dir):
        if path.exists():
            return resolved(path)
    return resolved(project / text)


def _readings(text: str, project: Path, work_dir: Path) -> Iterator[Path]:
    decoded = os.fsdecode(unquote_to_bytes(text))
    for name in dict.fromkeys((text, decoded)):
        yield work_dir / name
        yield project / name


def resolved(path: Path) -> Path:
    """Absolute, without links, dots and double slashes."""
    return Path(os.path.realpath(path))


def uri_path(uri: str) -> Path | None:
    """The path in a server's URI, however it is encoded; None if it is not a file's."""
    if not uri.startswith(SCHEME + "/"):
        return None
    return Path(os.fsdecode(unquote_to_bytes(uri.removeprefix(SCHEME))))
