"""The page's operations."""

from __future__ import annotations

import secrets

from toolbox.group import Group
from toolbox.request import RequestInfo
from toolbox.response import FileAnswer
from toolbox.response import TextAnswer
from toolbox_page.backend import PageBackend
from toolbox_page.errors import NoSuchFile
from toolbox_page.security import headers
from toolbox_page.security import missing_slash

group = Group(
    "page",
    backend=PageBackend,
    default_backend="bundled",
    summary="A page for browsers with status, terminal and API reference",
)


@group.get("/", public=True, content_type="text/html")
def get_page(backend: PageBackend, request: RequestInfo) -> TextAnswer:
    """Show the page.

    Needs no token, and tells nothing without: the page asks for it and keeps it in memory.
    """
    if location := missing_slash(request.environ):
        return TextAnswer("", status=301, headers={"Location": location})
    nonce = secrets.token_urlsafe(16)
    return TextAnswer(backend.page(nonce), "text/html; charset=utf-8", headers=headers(nonce))


@group.get("/page/{name}", public=True, errors=(NoSuchFile,))
def get_page_file(backend: PageBackend, name: str) -> FileAnswer:
    """Send a script, a style sheet or an image of the page. Needs no token."""
    return backend.file(name)
