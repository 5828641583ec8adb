"""Telling text from binary files, for the operations that change text."""

from __future__ import annotations

from toolbox_files.errors import BinaryFile


def check_text(data: bytes) -> None:
    """Raise BinaryFile if ``data``, a file or a block of it, isn't text.

    The rule is that of grep(1): text holds no NUL. Office documents, archives, images and programs
    do; so does text in UTF-16, which couldn't be changed by bytes of UTF-8. Bytes that aren't
    UTF-8 don't matter: they may be of another encoding.
    """
    if b"\0" in data:
        raise BinaryFile("a binary file can't be changed as text")
