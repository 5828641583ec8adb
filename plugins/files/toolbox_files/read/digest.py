"""Digests of whole files (RFC 9530)."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import BinaryIO

from toolbox_files.errors import file_errors

_WANTS_SHA256 = re.compile(r"(?:^|,)[ \t]*sha-256[ \t]*=[ \t]*(?:[1-9]|10)[ \t]*(?:,|$)")
"""A preference for SHA-256; 0 would mean "not acceptable"."""


def repr_digest(file: BinaryIO, wanted: str) -> dict[str, str]:
    """Return the header ``Repr-Digest`` of ``file``, or nothing unless ``wanted`` has SHA-256.

    ``wanted`` is the value of ``Want-Repr-Digest``. Closes the file if it raises.
    """
    if not _WANTS_SHA256.search(wanted):
        return {}
    try:
        with file_errors():
            digest = hashlib.file_digest(file, "sha256").digest()  # type: ignore[arg-type]
    # The response that would close it isn't made.
    except BaseException:
        file.close()
        raise
    return {"Repr-Digest": f"sha-256=:{base64.b64encode(digest).decode()}:"}
