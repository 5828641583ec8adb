"""``Content-Disposition`` headers that every client reads back exactly (RFC 6266, RFC 8187)."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import quote

_ATTR_CHAR = "!#$&+-.^_`|~"
"""RFC 8187, 3.2.1: what stands for itself beside letters and digits."""

_REMOVED = re.compile("[\r\n\0]")
_REPLACED = re.compile("[^\x20-\x7e]")


def content_disposition(
    kind: Literal["attachment", "form-data"], name: str, field: str = ""
) -> str:
    """The header's value for the file ``name``, in the multipart field ``field`` if given.

    ``filename`` is ASCII with ``_`` for everything else: raw UTF-8 and raw Latin-1 each break one
    SDK. ``filename*`` has the whole name; it is never without ``filename``, which the streaming
    download of the Python SDK needs.
    """
    plain = _REPLACED.sub("_", _REMOVED.sub("", name))
    plain = plain.replace("\\", "\\\\").replace('"', '\\"')
    encoded = quote(name, safe=_ATTR_CHAR)
    parts: list[str] = [kind]
    if field:
        parts.append(f'name="{field}"')
    parts += [f'filename="{plain}"', f"filename*=utf-8''{encoded}"]
    return "; ".join(parts)
