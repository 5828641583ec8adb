"""Parsing heads of requests: plain ones here, all others in gunicorn.

A head is plain if one regular expression matches it, which is stricter than gunicorn, and if
nothing in it takes a rule to interpret. gunicorn reads all others, and refuses what is wrong: no
error is raised here. A head of ten headers takes 10 us. gunicorn takes 38, and 23 with the parser
in C, gunicorn_h1c: most is the Python around it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any
from typing import NamedTuple

from gunicorn.http.body import Body
from gunicorn.http.body import LengthReader
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser

# The grammar of RFC 9112, 3 and 5, without what is rare: names with "_", which others confuse with
# "-", and the forms of a URL that don't begin with one slash.
_PLAIN = re.compile(
    rb"([A-Z]{3,20}) (/(?!/)[!\"$->@-~]*)(\?[!\"$-~]*)? HTTP/1\.1\r\n"
    rb"((?:[!#$%&'*+.^`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*)\r\n"
)

_RULED = frozenset({"EXPECT", "TRANSFER-ENCODING"})
"""Headers that change how a request is read."""

_MOST_DIGITS = 18
"""Digits of a plain length; no body is longer."""


class _Rules(NamedTuple):
    """The settings that concern a plain request."""

    is_direct: bool
    """True without a proxy that sends a line of its own before the request."""
    most_bytes: int
    most: int
    """Headers."""
    names: frozenset[str]
    """Headers that take a rule to interpret."""


@lru_cache(8)
def _rules(cfg: Any) -> _Rules:
    """Return the rules of gunicorn's settings, each of which takes 1 us to look up."""
    return _Rules(
        cfg.proxy_protocol == "off",
        cfg.limit_request_field_size,
        cfg.limit_request_fields,
        _RULED.union(cfg.secure_scheme_headers),
    )


class PlainRequest(Request):
    """A request as gunicorn's, with :attr:`is_plain`."""

    is_plain = False
    """True if it was parsed here. Then no header is there twice."""

    def __init__(self, cfg: Any, unreader: Any, peer_addr: Any, req_number: int = 1) -> None:
        data = unreader.read()
        rules = _rules(cfg)
        if rules.is_direct and self._parse(rules, data):
            self._finish(cfg, unreader, peer_addr, req_number)
            unreader.unread(data[self._end :])
        else:
            unreader.unread(data)
            super().__init__(cfg, unreader, peer_addr, req_number)

    def _parse(self, rules: _Rules, data: bytes) -> bool:
        """Take the head of ``data``; report whether it is plain."""
        match = _PLAIN.match(data)
        # The limit of one field holds if the whole head is within it.
        if match is None or match.end() > rules.most_bytes:
            return False
        lines = match[4].decode("latin-1").split("\r\n")
        del lines[-1]
        found = {}
        for line in lines:
            name, _, value = line.partition(":")
            found[name.upper()] = value.strip(" \t")
        if rules.names.intersection(found) or len(found) != len(lines) or len(lines) > rules.most:
            return False
        length = found.get("CONTENT-LENGTH", "0")
        if not (length.isdigit() and length.isascii() and len(length) <= _MOST_DIGITS):
            return False
        self._end = match.end()
        self._length = int(length) if "CONTENT-LENGTH" in found else 0
        self.method, self.path = match[1].decode(), match[2].decode()
        self.query = (match[3] or b"").decode()[1:]
        self.uri = (match[2] + (match[3] or b"")).decode()
        self.headers = list(found.items())
        return True

    def _finish(self, cfg: Any, unreader: Any, peer_addr: Any, req_number: int) -> None:
        """Set what gunicorn would."""
        self.is_plain = True
        self.cfg = cfg
        self.unreader = unreader
        self.peer_addr = self.remote_addr = peer_addr
        self.req_number = req_number
        self.version = (1, 1)  # type: ignore[assignment]
        self.fragment = ""
        self.scheme = "http"
        self.trailers: list[Any] = []
        self.proxy_protocol_info = None
        self.must_close = False
        self.body = Body(LengthReader(unreader, self._length))


class Parser(RequestParser):
    """gunicorn's parser of a connection, which makes plain requests."""

    mesg_class = PlainRequest

    def finish_body(self, deadline: float | None = None, max_bytes: int | None = None) -> Any:
        """Drop what is left of the body of the last request; report whether that was possible."""
        message = self.mesg
        # Nothing is left of most: 0.2 us instead of 1.1, twice a request.
        if message is not None and getattr(message.body.reader, "length", 1) == 0:
            return not message.body.failed
        return super().finish_body(deadline, max_bytes)
