"""Encoded slashes in paths, kept apart from those that part names. Imports nothing of Werkzeug."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote
from urllib.parse import unquote_to_bytes
from urllib.parse import urlsplit

_SLASH = "\ufdd0"
"""Stands for an encoded slash while routes are matched: no character, so that no path has it."""

_WSGI_SLASH = _SLASH.encode().decode("latin-1")
_ENCODED_SLASH = re.compile("%2f", re.IGNORECASE)


class EncodedSlashes:
    """WSGI middleware: ``%2F`` in a path is part of a name, and parts no names (RFC 3986, 2.2).

    WSGI decodes the path before anybody could tell, so it is decoded anew, with another character
    in its place; :func:`with_slashes` makes it a slash again.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if _ENCODED_SLASH.search(environ.get("RAW_URI", "")):
            raw = str(environ["RAW_URI"]).partition("#")[0].partition("?")[0]
            path = raw if raw.startswith("/") else urlsplit(raw).path
            kept = unquote_to_bytes(_ENCODED_SLASH.sub(quote(_SLASH), path)).decode("latin-1")
            environ["PATH_INFO"] = kept.removeprefix(environ.get("SCRIPT_NAME", ""))
        return self._app(environ, start_response)


def with_slashes(path: str) -> str:
    """A decoded path, or a part of one, with its encoded slashes decoded too. Also WSGI's form."""
    return path.replace(_SLASH, "/").replace(_WSGI_SLASH, "/")


def encoded(path: str) -> str:
    """A decoded path with its encoded slashes encoded."""
    return path.replace(_SLASH, "%2F")
