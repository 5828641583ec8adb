"""Replies to the queries by which programs ask a terminal about itself.

For the profile ``automation``: there is no terminal emulator, and programs wait for a reply.
"""

from __future__ import annotations

import re
from collections.abc import Callable

MAX_QUERY = 256
"""Bytes of a query; a longer sequence is not one."""

_END = rb"(?:\x07|\x1b\\)"
_QUERY = re.compile(
    rb"\x1b\[(?P<csi>[>=?]?[\d;]*\$?[cnpqtu])"
    rb"|\x1b\](?P<color>1[0-2]);\?" + _END + rb"|\x1bP(?P<setting>[$+])q[^\x1b\x07]*" + _END
)
_MODE = re.compile(rb"(\??\d+)\$p")
_FIXED = {
    b"c": b"\x1b[?1;2c",
    b"0c": b"\x1b[?1;2c",
    b">c": b"\x1b[>0;0;0c",
    b">0c": b"\x1b[>0;0;0c",
    b"=c": b"\x1bP!|00000000\x1b\\",
    b"5n": b"\x1b[0n",
    b"6n": b"\x1b[1;1R",
    b"?6n": b"\x1b[?1;1R",
    b"?u": b"\x1b[?0u",
    b">q": b"\x1bP>|toolbox\x1b\\",
    b">0q": b"\x1bP>|toolbox\x1b\\",
}
"""Replies that never change: a VT100 with advanced video, its cursor at home, nothing else.

DA, DSR and XTVERSION of xterm's control sequences, and the keyboard protocol of kitty.
"""


class QueryResponder:
    """Finds the queries in what a program writes to its terminal.

    ``size()`` returns rows and columns.
    """

    def __init__(self, size: Callable[[], tuple[int, int]]) -> None:
        self._size = size
        self.rest = b""
        """The beginning of a query."""

    def feed(self, data: bytes) -> bytes:
        """Return the replies to the queries that end in ``data``."""
        text = self.rest + data
        replies, end = [], 0
        for query in _QUERY.finditer(text):
            replies.append(self._reply(query))
            end = query.end()
        start = max(end, len(text) - MAX_QUERY)
        begun = text.rfind(b"\x1b", start)
        # A string ends with an escape, too (ST); then the query began at the one before.
        if begun >= 0 and text[begun : begun + 2] in (b"\x1b", b"\x1b\\"):
            before = text.rfind(b"\x1b", start, begun)
            begun = before if before >= 0 else begun
        self.rest = text[begun:] if begun >= 0 else b""
        return b"".join(replies)

    def _reply(self, query: re.Match[bytes]) -> bytes:
        if color := query["color"]:
            value = b"0000/0000/0000" if color == b"11" else b"ffff/ffff/ffff"
            return b"\x1b]" + color + b";rgb:" + value + b"\x1b\\"
        if setting := query["setting"]:
            return b"\x1bP0" + (b"$r" if setting == b"$" else b"+r") + b"\x1b\\"
        sequence = query["csi"]
        if sequence == b"18t":
            return b"\x1b[8;%d;%dt" % self._size()
        if mode := _MODE.fullmatch(sequence):
            return b"\x1b[" + mode[1] + b";0$y"
        return _FIXED.get(sequence, b"")
