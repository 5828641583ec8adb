"""The page's operations."""

from __future__ import annotations

import secrets

from werkzeug.http import parse_accept_header

from toolbox.group import Group
from toolbox.request import RequestInfo
from toolbox.response import FileResponse
from toolbox.response import TextResponse
from toolbox_page.backend import PageBackend
from toolbox_page.errors import NoSuchFile
from toolbox_page.security import headers
from toolbox_page.security import missing_slash

group = Group(
    "page",
    backend=PageBackend,
    default_backend="bundled",
    summary="A page for browsers: status, terminal, desktop, files, jobs",
)


@group.get("/", public=True, content_type="text/html")
def get_page(backend: PageBackend, request: RequestInfo) -> TextResponse:
    """Show the page.

    Needs no token, and shows nothing without: the page asks for it and keeps it in memory.
    """
    if location := missing_slash(request.environ):
        return TextResponse("", status=301, headers={"Location": location})
    # 128 bits, the least that CSP Level 3 recommends.
    nonce = secrets.token_urlsafe(16)
    return TextResponse(backend.page(nonce), "text/html; charset=utf-8", headers=headers(nonce))


@group.get("/page/{name}", public=True, errors=(NoSuchFile,))
def get_page_file(backend: PageBackend, request: RequestInfo, name: str) -> FileResponse:
    """Return a script, a style sheet or an image of the page. Needs no token."""
    accepted = parse_accept_header(request.headers.get("Accept-Encoding"))
    return backend.file(name, packed=accepted.quality("gzip") > 0)
