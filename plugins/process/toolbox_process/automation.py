"""The profile ``automation``: for terminals and commands that no human looks at.

Asked for by ``TOOLBOX_PROFILE=automation`` among a job's variables or the service's own. No program
then shows its output by the page, nor does a pager that a command of bash names; and a terminal's
questions to whoever displays it are answered, as there is nobody else who would: programs wait for
these answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Mapping

PROFILE = "TOOLBOX_PROFILE"
AUTOMATION = "automation"

_UNPAGED = '() {{ command {0} "$@" | command cat; }}'
"""A function of bash: a pager whose output is no terminal shows all and waits for nothing."""

_PAGERS = ("less", "more", "most", "pager")
_FUNCTIONS = {f"BASH_FUNC_{name}%%": _UNPAGED.format(name) for name in _PAGERS}

VARIABLES = {
    **_FUNCTIONS,
    **dict.fromkeys(("PAGER", "MANPAGER", "GIT_PAGER", "GH_PAGER", "SYSTEMD_PAGER"), "cat"),
    "AWS_PAGER": "",
    # Where less is not run by bash: what fits is shown without waiting, the rest up to its end.
    "LESS": "-EFRX",
    "GIT_TERMINAL_PROMPT": "0",
    "DEBIAN_FRONTEND": "noninteractive",
}

LONGEST = 256
"""Bytes of a question at most; what is longer is none."""

_END = rb"(?:\x07|\x1b\\)"
_QUESTION = re.compile(
    rb"\x1b\[(?P<csi>[>=?]?[\d;]*\$?[cnpqtu])"
    rb"|\x1b\](?P<colour>1[0-2]);\?" + _END + rb"|\x1bP(?P<setting>[$+])q[^\x1b\x07]*" + _END
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
"""What a terminal says of itself: a VT100 with advanced video, its cursor at home, nothing else
(DA, DSR, XTVERSION of xterm's control sequences; the keyboard protocol of kitty).
"""


def applies(environment: Mapping[str, str]) -> bool:
    """Whether the profile is asked for."""
    return environment.get(PROFILE) == AUTOMATION


class Answerer:
    """Reads what a program writes to its terminal, and answers the questions in it.

    ``size()`` gives rows and columns.
    """

    def __init__(self, size: Callable[[], tuple[int, int]]) -> None:
        self._size = size
        self._rest = b""

    def read(self, data: bytes) -> bytes:
        """The answers to the questions that end in ``data``."""
        text = self._rest + data
        answers, at = [], 0
        for question in _QUESTION.finditer(text):
            answers.append(self._answer(question))
            at = question.end()
        begun = text.rfind(b"\x1b", max(at, len(text) - LONGEST))
        # The end of a string is an escape, too: what it ends has begun before.
        if begun >= 0 and text[begun : begun + 2] in (b"\x1b", b"\x1b\\"):
            before = text.rfind(b"\x1b", max(at, len(text) - LONGEST), begun)
            begun = before if before >= 0 else begun
        self._rest = text[begun:] if begun >= 0 else b""
        return b"".join(answers)

    def _answer(self, question: re.Match[bytes]) -> bytes:
        if colour := question["colour"]:
            value = b"0000/0000/0000" if colour == b"11" else b"ffff/ffff/ffff"
            return b"\x1b]" + colour + b";rgb:" + value + b"\x1b\\"
        if setting := question["setting"]:
            return b"\x1bP0" + (b"$r" if setting == b"$" else b"+r") + b"\x1b\\"
        asked = question["csi"]
        if asked == b"18t":
            return b"\x1b[8;%d;%dt" % self._size()
        if mode := _MODE.fullmatch(asked):
            return b"\x1b[" + mode[1] + b";0$y"
        return _FIXED.get(asked, b"")
