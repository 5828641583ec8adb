"""The id of a request, under which the log, the response and the records refer to it."""

from __future__ import annotations

from flask import request

from toolbox.http.environ import REQUEST_ID
from toolbox.identifiers import new_id

MAX_LENGTH = 128
"""Characters of an id that a client may choose."""


def request_id() -> str:
    """Return the id that the client sent, if it can be a header's value, or a new one."""
    environ = request.environ
    known: str | None = environ.get(REQUEST_ID)
    if known is None:
        sent = environ.get("HTTP_X_REQUEST_ID", "")
        usable = 0 < len(sent) <= MAX_LENGTH and sent.isascii() and sent.isprintable()
        known = environ[REQUEST_ID] = sent if usable else new_id()
    return known
