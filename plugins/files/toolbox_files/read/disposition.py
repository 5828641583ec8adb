"""``Content-Disposition`` headers that every client parses exactly (RFC 6266, RFC 8187)."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import quote

_ATTR_CHAR = "!#$&+-.^_`|~"
"""Characters beside letters and digits that aren't percent-encoded (RFC 8187, 3.2.1)."""

_ATTR_CHARS = re.compile(r"[0-9A-Za-z_.-]+")
_REMOVED = re.compile("[\r\n\0]")
_REPLACED = re.compile("[^\x20-\x7e]")


def content_disposition(
    kind: Literal["attachment", "form-data"], name: str, field: str = ""
) -> str:
    """Return the header's value for the file ``name``, in the multipart field ``field`` if given.

    ``filename`` is ASCII with ``_`` for other characters: raw UTF-8 and raw Latin-1 each break one
    SDK. ``filename*`` has the exact name; ``filename`` is always sent too, since the streaming
    download of the Python SDK needs it.
    """
    if _ATTR_CHARS.fullmatch(name) and not field:
        return f"{kind}; filename=\"{name}\"; filename*=utf-8''{name}"  # Most names need no change.
    # Line breaks would end the header.
    plain = _REPLACED.sub("_", _REMOVED.sub("", name))
    # RFC 9110, 5.6.4: quoted-pair.
    plain = plain.replace("\\", "\\\\").replace('"', '\\"')
    encoded = quote(name, safe=_ATTR_CHAR)
    parts: list[str] = [kind]
    if field:
        parts.append(f'name="{field}"')
    parts += [f'filename="{plain}"', f"filename*=utf-8''{encoded}"]
    return "; ".join(parts)
