"""Uploads: a raw body for one file, or a multipart body with any number."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from collections.abc import Iterator

from toolbox.atomic.writing import write_all
from toolbox.multipart import read_parts
from toolbox.request import Body
from toolbox_e2b.engines import FilesEngine
from toolbox_e2b.errors import Compressed
from toolbox_e2b.errors import InvalidArgument
from toolbox_e2b.filesystem.entries import METADATA

Block = bytes | memoryview

INFLATED = 1024 * 1024
"""Bytes that are decompressed at once."""


def receive(
    files: FilesEngine, body: Body, path: str, encoding: str, metadata: dict[str, str]
) -> list[str]:
    """Write the files of an upload; return their paths.

    Raises InvalidArgument, Compressed, and what reading and writing raise.
    """
    # New clients send files that they stream raw, and older ones everything as a form.
    if not body.is_multipart():
        if not path:
            raise InvalidArgument("the query parameter path is missing")
        _write(files, path, _decoded(body, encoding), metadata)
        return [path]
    if encoding not in ("", "identity"):
        raise Compressed("a compressed body must not be multipart/form-data")
    written: list[str] = []
    for part in read_parts(body):
        # Other fields are skipped, as multipart/form-data allows.
        if part.name != "file":
            continue
        # Without a path in the URL each part has its own, as its file name.
        target = path or part.filename or ""
        if not target:
            raise InvalidArgument("a file has no name, and there is no query parameter path")
        if path and written:
            raise InvalidArgument("there are several files for one path")
        _write(files, target, part, metadata)
        written.append(target)
    if not written:
        raise InvalidArgument("the multipart field 'file' is missing")
    return written


def _write(
    files: FilesEngine, path: str, blocks: Iterable[Block], metadata: dict[str, str]
) -> None:
    with files.writing(path) as file:
        for block in blocks:
            write_all(file, memoryview(block))
    # After the file has its name: attributes belong to the new file, not to the one it replaces.
    if metadata:
        files.set_attributes(path, METADATA, metadata)


def _decoded(body: Body, encoding: str) -> Iterator[Block]:
    if encoding in ("", "identity"):
        return iter(body)
    if encoding == "gzip":
        return _inflated(body)
    raise Compressed(f"the content encoding {encoding[:64]!r} is not supported")


def _inflated(body: Body) -> Iterator[bytes]:
    """Yield the content of a gzip body, in bounded pieces however well it was compressed."""
    # 16 is for the header of gzip in place of zlib's own.
    inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        for data in body:
            rest = data
            while rest and not inflater.eof:
                yield inflater.decompress(rest, INFLATED)
                rest = inflater.unconsumed_tail
    except zlib.error as error:
        raise InvalidArgument(f"the body is not gzip: {error}") from None
    if not inflater.eof:
        raise InvalidArgument("the gzip body is incomplete")
