"""Uploads: a file, or a directory in a zip file."""

from __future__ import annotations

import lzma
import posixpath
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO
from typing import Any

from toolbox.atomic.writing import write_all
from toolbox.errors import BadRequest
from toolbox.multipart import read_parts
from toolbox.request import Body
from toolbox_swerex.engines import FilesEngine
from toolbox_swerex.errors import RemoteError

IN_MEMORY = 1024 * 1024
"""Bytes of an upload that are kept in memory; longer ones are in a file meanwhile."""
MAX_MEMBERS = 100_000
CHUNK = 64 * 1024

TRUE = frozenset({"true", "1", "on", "yes", "t", "y"})


def receive(files: FilesEngine, body: Body) -> None:
    """Store an upload. Its target comes after its content, so that is kept first.

    Raises BadRequest for another body, RemoteError for a zip file that can't be unpacked.
    """
    fields: dict[str, str] = {}
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as content:
        has_file = False
        for part in read_parts(body):
            if part.name == "file" and not has_file:
                has_file = True
                for chunk in part:
                    content.write(chunk)
            elif part.name in ("target_path", "unzip") and part.name not in fields:
                fields[part.name] = part.text()
        target = fields.get("target_path", "")
        if not has_file or not target:
            raise BadRequest("the body needs the multipart fields 'file' and 'target_path'")
        content.seek(0)
        if fields.get("unzip", "").lower() in TRUE:
            _unpack(files, content, target)
        else:
            _store(files, content, target)


def _store(files: FilesEngine, content: IO[bytes], path: str) -> None:
    with files.writing(path) as file:
        for chunk in _chunks(content):
            # On a disk that is nearly full a write takes a part, and is no error.
            write_all(file, chunk)


def _chunks(content: IO[bytes]) -> Iterator[bytes]:
    while True:
        try:
            chunk = content.read(CHUNK)
        except (zlib.error, lzma.LZMAError, OSError) as error:
            # Of the decompressors; bz2 has no error of its own.
            raise RemoteError("zipfile.BadZipFile", f"can't be unpacked: {error}") from None
        if not chunk:
            return
        yield chunk


def _unpack(files: FilesEngine, content: Any, target: str) -> None:
    try:
        with zipfile.ZipFile(content) as archive:
            members = archive.infolist()
            if len(members) > MAX_MEMBERS:
                raise RemoteError("builtins.OSError", f"more than {MAX_MEMBERS} files")
            # All names before the first file: nothing is left half unpacked by a bad one.
            paths = [_inside(target, member.filename) for member in members]
            files.make_folder(target, "0755")
            for member, path in zip(members, paths, strict=True):
                if member.is_dir():
                    files.make_folder(path, "0755")
                else:
                    with archive.open(member) as source:
                        _store(files, source, path)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        # Among them those of encrypted and of strangely compressed members.
        raise RemoteError("zipfile.BadZipFile", f"can't be unpacked: {error}") from None


def _inside(target: str, name: str) -> str:
    parts = name.replace("\\", "/").split("/")
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise RemoteError("builtins.ValueError", f"{name[:300]!r} leads outside of the target")
    return posixpath.join(target, name)
