"""The id of a request, under which the log, the response and the records refer to it."""

from __future__ import annotations

import uuid

from flask import g
from flask import request

from toolbox.http.environ import REQUEST_ID

MAX_LENGTH = 128
"""Characters of an id that a client may choose."""


def request_id() -> str:
    """Return the id that the client sent, if it can be a header's value, or a new one."""
    if "request_id" not in g:
        sent = request.headers.get("X-Request-Id", "")
        usable = 0 < len(sent) <= MAX_LENGTH and sent.isascii() and sent.isprintable()
        g.request_id = sent if usable else str(uuid.uuid4())
        request.environ[REQUEST_ID] = g.request_id
    return str(g.request_id)
