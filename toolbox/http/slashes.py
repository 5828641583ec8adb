"""Paths of requests: encoded slashes, kept distinct from separators, and bytes that are no UTF-8.

Doesn't import Werkzeug.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote
from urllib.parse import unquote_to_bytes
from urllib.parse import urlsplit

from toolbox.filenames import decode_name

_SLASH = "\ufdd0"
"""The stand-in for an encoded slash while routes are matched: a noncharacter, so no path has it."""

_WSGI_SLASH = _SLASH.encode().decode("latin-1")
_ENCODED_SLASH = re.compile("%2f", re.IGNORECASE)


class EncodedSlashes:
    """WSGI middleware that keeps ``%2F`` in a path as part of a name (RFC 3986, 2.2).

    WSGI decodes the path, so the difference is lost. It is decoded again, with a stand-in for the
    encoded slash; :func:`with_slashes` turns that into a slash. Bytes that are no UTF-8, ``%FF``,
    become text as :mod:`toolbox.filenames` has it: Werkzeug would make one character of them all.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if _ENCODED_SLASH.search(environ.get("RAW_URI", "")):
            raw = str(environ["RAW_URI"]).partition("#")[0].partition("?")[0]
            path = raw if raw.startswith("/") else urlsplit(raw).path
            kept = unquote_to_bytes(_ENCODED_SLASH.sub(quote(_SLASH), path)).decode("latin-1")
            environ["PATH_INFO"] = kept.removeprefix(environ.get("SCRIPT_NAME", ""))
        environ["PATH_INFO"] = _as_text(environ["PATH_INFO"])
        return self._app(environ, start_response)


def _as_text(path: str) -> str:
    """Return a path in WSGI's form as one that is UTF-8 (PEP 3333)."""
    if path.isascii():
        return path
    raw = path.encode("latin-1")
    try:
        raw.decode()
    except UnicodeDecodeError:
        return decode_name(raw).encode().decode("latin-1")
    return path


def with_slashes(path: str) -> str:
    """Return a decoded path, or a part of one, also in WSGI's form, with its slashes decoded."""
    return path.replace(_SLASH, "/").replace(_WSGI_SLASH, "/")


def encoded(path: str) -> str:
    """Return a decoded path with its encoded slashes encoded again."""
    return path.replace(_SLASH, "%2F")
