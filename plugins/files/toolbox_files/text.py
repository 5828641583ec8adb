"""Telling texts from binary files, for whatever changes texts."""

from __future__ import annotations

from toolbox_files.errors import BinaryFile


def check_text(data: bytes) -> None:
    """Raise BinaryFile if ``data``, all of a file or a block of it, is of no text.

    As grep(1) knows it: text holds no NUL. Office documents, archives, images and programs do;
    text in UTF-16 does, too, and couldn't be changed by bytes of UTF-8. Bytes that are not UTF-8
    are no sign: they may be of another encoding.
    """
    if b"\0" in data:
        raise BinaryFile("a binary file is not changed as a text")
