"""The backend ``bundled``: the files in the package.

``static`` is ours; ``vendor`` has the libraries as their authors publish them, fetched by
``vendor.py`` beside the package.
"""

from __future__ import annotations

from pathlib import Path

from toolbox.lifecycle import Context
from toolbox.plugins import NoSettings
from toolbox.response import FileResponse
from toolbox_page.errors import NoSuchFile

PACKAGE = Path(__file__).parent

_CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}

_HEADERS = {
    # Validated each time, usually with a 304: versions of the page's files must not be mixed.
    "Cache-Control": "no-cache",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class BundledPage:
    """See :class:`toolbox_page.backend.PageBackend`."""

    def __init__(self, settings: NoSettings, context: Context) -> None:
        self._html = (PACKAGE / "static" / "page.html").read_text("utf-8")
        # Listed once, so a name in a URL is only ever looked up, never a path.
        self._files = {
            path.name: path
            for folder in ("static", "vendor")
            for path in (PACKAGE / folder).iterdir()
            if path.suffix in _CONTENT_TYPES
        }

    def page(self, nonce: str) -> str:
        return self._html.replace("{nonce}", nonce)

    def file(self, name: str) -> FileResponse:
        path = self._files.get(name)
        if path is None:
            raise NoSuchFile(f"the page has no file {name!r}")
        return FileResponse(path.open("rb", buffering=0), _CONTENT_TYPES[path.suffix], _HEADERS)
