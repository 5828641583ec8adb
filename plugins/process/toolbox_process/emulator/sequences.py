"""Control sequences: output is split into tokens, each of which changes the screen.

Source: xterm's "Control Sequences" (ctlseqs), ECMA-48. Unknown sequences are left out whole.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

from toolbox_process.emulator.actions import CONTROLS
from toolbox_process.emulator.actions import CSI
from toolbox_process.emulator.actions import ESCAPES
from toolbox_process.emulator.actions import Action
from toolbox_process.emulator.actions import Numbers
from toolbox_process.emulator.screen import MAX_TITLE
from toolbox_process.emulator.screen import Screen

MAX_HELD = 4096
"""Characters of a string that has not ended (a title, an image) that are held back; the rest of a
longer one is dropped.
"""

MAX_NUMBER = 100_000

_TOKEN = re.compile(
    r"(?P<text>[^\x00-\x1f\x7f-\x9f]+)"
    r"|(?P<line>\r\n)"
    r"|(?P<color>\x1b\[[\d;:]*m)"
    r"|\x1b\[(?P<csi>[0-?]{0,256}[ -/]{0,8}[@-~])"
    r"|(?P<broken>\x1b\[[0-?]*[ -/]*)"
    r"|\x1b\](?P<osc>[^\x07\x1b\x18\x1a\x9c]*)(?:\x1b\\|[\x07\x18\x1a\x9c]|(?=\x1b|\Z))"
    r"|(?P<string>\x1b[PX^_][^\x1b\x18\x1a\x9c]*(?:\x1b\\|[\x18\x1a\x9c]|(?=\x1b|\Z)))"
    r"|\x1b(?P<escape>[ -/]*[0-OQ-WYZ\\`-~])"
    r"|(?P<control>[\x00-\x1f\x7f-\x9f])"
)
_INCOMPLETE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*|[ -/]*"
    r"|\][^\x07\x1b\x18\x1a\x9c]*\x1b?|[PX^_][^\x1b\x18\x1a\x9c]*\x1b?)?\Z"
)
_STRING_END = re.compile(r"\x1b\\?|[\x07\x18\x1a\x9c]")

# The sequences that outlast what was drawn: modes, the scroll region, titles, sets, a reset.
_LASTING = re.compile(
    rb"\x1b(?:\[(?:\?[\d;]*[hl]|[\d;]*[hlr]|!p)|\][02];[^\x07\x1b]{0,4096}(?:\x07|\x1b\\)|[()][0AB]|c)"
)


@lru_cache(maxsize=4096)
def _parse(sequence: str) -> tuple[Action, Numbers] | None:
    """Return the action of a sequence and its numbers, None for one that has no effect here."""
    mark = sequence[0] if sequence[0] in "<=>?" else ""
    body = sequence[len(mark) : -1]
    digits = body.rstrip(" !\"#$%&'()*+,-./")
    action = CSI.get(mark + body[len(digits) :] + sequence[-1])
    if action is None:
        return None
    # Cut: Python refuses to read numbers of thousands of digits.
    parts = (part.partition(":")[0][:6] for part in digits.split(";")[:32])
    return action, tuple(min(int(part), MAX_NUMBER) if part.isdecimal() else 0 for part in parts)


def _osc(screen: Screen, content: str) -> None:
    number, _, text = content.partition(";")
    if number in ("0", "2"):
        screen.title = text[:MAX_TITLE]


class Emulator:
    """Feeds a screen with a program's output."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self._in_string = False

    def feed(self, data: bytes) -> None:
        """Change the screen as ``data`` does."""
        text = self._hold(self._held + self._decoder.decode(data))
        screen, draw = self.screen, self.screen.draw
        for token in _TOKEN.finditer(text):
            match token.lastgroup:
                case "text":
                    draw(token[0])
                case "line":
                    screen.x = 0
                    screen.line_feed()
                case "csi":
                    if parsed := _parse(token["csi"]):
                        parsed[0](screen, parsed[1])
                case "control":
                    if action := CONTROLS.get(token[0]):
                        action(screen)
                case "escape":
                    if action := ESCAPES.get(token["escape"]):
                        action(screen)
                case "osc":
                    _osc(screen, token["osc"])

    def _hold(self, text: str) -> str:
        """Return ``text`` without the sequence that has not ended, which is held back."""
        self._held = ""
        if self._in_string:
            end = _STRING_END.search(text)
            if end is None:
                return ""
            self._in_string = False
            text = text[end.end() :]
        last = text.rfind("\x1b")
        if last < 0:
            return text
        # A string ends with an escape, too (ST); then the sequence began at the one before.
        begun = _INCOMPLETE.search(text, max(text.rfind("\x1b", 0, last), 0))
        if begun is None:
            return text
        held = begun[0]
        if len(held) > MAX_HELD:
            self._in_string = held[1] in "]PX^_"
        else:
            self._held = held
        return text[: begun.start()]

    def skip(self, data: bytes) -> None:
        """Take from ``data`` only what outlasts it: modes, titles, the choice of the screen."""
        self.gap()
        for token in _LASTING.finditer(data):
            self.feed(token[0])
        self.screen.forget()

    def gap(self) -> None:
        """Note that output is missing here, and that what was drawn before it may be gone."""
        self._decoder.reset()
        self._held, self._in_string = "", False
        self.screen.forget()
