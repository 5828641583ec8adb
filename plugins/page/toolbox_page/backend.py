"""The Protocol of a backend of the group ``page``."""

from __future__ import annotations

from typing import Protocol

from toolbox.response import FileResponse


class PageBackend(Protocol):
    """The page and its files. All of it is public: it contains nothing of the sandbox."""

    def page(self, nonce: str) -> str:
        """Return the page as HTML, with ``nonce`` for the style sheets that its scripts make."""

    def file(self, name: str, *, packed: bool) -> FileResponse:
        """Return a script, style sheet or image; compressed by gzip only if ``packed``. Raises
        NoSuchFile.
        """
