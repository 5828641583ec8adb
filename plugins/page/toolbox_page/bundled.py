"""The backend ``bundled``: the files in the package.

``static`` is ours; ``vendor`` has the libraries as their authors publish them, fetched by
``vendor.py`` beside the package. The large ones are there in compressed form only, as browsers
take them.
"""

from __future__ import annotations

import gzip
import os
import tempfile
import threading
from pathlib import Path

from toolbox.lifecycle import Context
from toolbox.linux.nameless import nameless_file
from toolbox.plugins import NoSettings
from toolbox.response import FileResponse
from toolbox_page.errors import NoSuchFile

PACKAGE = Path(__file__).parent

PACKED = ".gz"

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
            path.name.removesuffix(PACKED): path
            for folder in ("static", "vendor")
            for path in (PACKAGE / folder).iterdir()
            if Path(path.name.removesuffix(PACKED)).suffix in _CONTENT_TYPES
        }
        self._unpacked: dict[str, int] = {}
        self._lock = threading.Lock()

    def page(self, nonce: str) -> str:
        return self._html.replace("{nonce}", nonce)

    def file(self, name: str, *, packed: bool) -> FileResponse:
        path = self._files.get(name)
        if path is None:
            raise NoSuchFile(f"the page has no file {name!r}")
        headers = dict(_HEADERS)
        if path.suffix == PACKED:
            headers["Vary"] = "Accept-Encoding"
            if packed:
                headers["Content-Encoding"] = "gzip"
            else:
                path = self._unpack(name, path)
        kind = _CONTENT_TYPES[Path(name).suffix]
        return FileResponse(path.open("rb", buffering=0), kind, headers)

    def _unpack(self, name: str, path: Path) -> Path:
        """Return a path of the file as it was. It is made once: strangers may ask for it."""
        with self._lock:
            if name not in self._unpacked:
                content = gzip.decompress(path.read_bytes())
                self._unpacked[name] = nameless_file(content, lambda: Path(tempfile.gettempdir()))
        return Path(f"/proc/self/fd/{self._unpacked[name]}")

    def close(self) -> None:
        for fd in self._unpacked.values():
            os.close(fd)
