"""What a backend of the group ``page`` can do."""

from __future__ import annotations

from typing import Protocol

from toolbox.response import FileAnswer


class PageBackend(Protocol):
    """Has the page and what belongs to it. All of it is public: it holds nothing of the sandbox."""

    def page(self, nonce: str) -> str:
        """The page as HTML, with ``nonce`` for the style sheets that its scripts make."""

    def file(self, name: str) -> FileAnswer:
        """A script, style sheet or image. Raises NoSuchFile."""
