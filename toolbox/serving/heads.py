"""Heads of requests (RFC 9112, 2.1): when they are complete, and when they are too large.

A connection gets a thread only after that, so that the parser, which blocks until a head is
complete, never has to wait.
"""

from __future__ import annotations

import re

import msgspec

from toolbox.errors import BadRequest
from toolbox.errors import HeadersTooLarge
from toolbox.errors import UriTooLong

END = b"\r\n\r\n"
BARE_LF = re.compile(rb"(?<!\r)\n")
TOKEN_OR_CR = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z\r]")
REST_OF_LINE = 64
"""Bytes of a request line beside the URL: method, version and blanks."""


class HeadLimits(msgspec.Struct, frozen=True):
    """Bytes of the URL and of the whole head."""

    url: int
    head: int


def is_complete(data: bytes | bytearray, limits: HeadLimits, seen: int = 0) -> bool:
    """Report whether a parser that has ``data`` needs no more; the first ``seen`` bytes were
    checked before.

    Raises BadRequest if it isn't HTTP, UriTooLong and HeadersTooLarge.
    """
    if not data:
        return False
    if not seen and not TOKEN_OR_CR.match(data):
        raise BadRequest(_not_http(data))
    begin = 2 if data.startswith(b"\r\n") else 0  # One empty line may precede (RFC 9112, 2.2).
    end = data.find(END, max(begin, seen - 3))
    _check_url(data, begin, limits)
    if (end if end >= 0 else len(data)) > limits.head:
        raise HeadersTooLarge(f"URL and headers are over {limits.head} bytes (server.max_head)")
    # Without the CR the parser refuses the head as soon as it sees that line.
    return end >= 0 or BARE_LF.search(data, max(0, seen - 1)) is not None


def _check_url(data: bytes | bytearray, begin: int, limits: HeadLimits) -> None:
    most = limits.url + REST_OF_LINE
    if len(data) - begin > most and data.find(b"\n", begin, begin + most) < 0:
        raise UriTooLong(f"the URL is over {limits.url} bytes (server.max_url)")


def _not_http(data: bytes | bytearray) -> str:
    if data.startswith(b"\x16\x03"):
        return "this port speaks HTTP, not TLS"
    return "this port speaks HTTP"
