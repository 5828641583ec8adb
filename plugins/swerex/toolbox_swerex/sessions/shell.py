"""A bash on a terminal, which says where each command has ended.

It prints an invisible mark before each prompt: the number of the last command that was sent, and
its exit code. So neither the prompt's text nor the output can be taken for an end.
"""

from __future__ import annotations

import base64
import re
import secrets
import textwrap
import uuid
from collections.abc import Callable
from collections.abc import Sequence
from typing import NamedTuple

from toolbox.linux.clock import awake
from toolbox_swerex.engines import CreateTerminal
from toolbox_swerex.engines import Terminals
from toolbox_swerex.sessions.patterns import Match
from toolbox_swerex.sessions.reader import Reader

START = 60.0
"""Seconds for bash to start."""
FOREVER = float("inf")
INTERRUPT, SUSPEND = b"\x03", b"\x1a"

_LINE = 1000
"""Characters of a line; a terminal takes 4,095 (termios(3))."""

IsDisconnected = Callable[[], bool]


def _new() -> tuple[str, str, int]:
    return f"swerex-{uuid.uuid4()}", secrets.token_hex(8), 0


class Prompt(NamedTuple):
    """A prompt that was reached: the output before it, and the exit code of the last command."""

    output: bytes
    exit_code: int


class Standing(NamedTuple):
    """A bash that goes on after an upgrade: its terminal, what its marks begin with, and the number
    of the last command.
    """

    terminal: str
    token: str
    number: int


class Shell:
    """One bash, a new one if there is no ``standing``. All methods raise ShellEnded and NotInTime,
    and are called by one thread.
    """

    def __init__(
        self, terminals: Terminals, directory: str, standing: Standing | None = None
    ) -> None:
        """Raises what the group ``process`` does if there is no such terminal any more."""
        self._terminals = terminals
        self._id, self._token, self._number = standing or _new()
        # Of the usual size: programs that fill the width would write lines as long as a wide one.
        self.terminal = (
            terminals.connect(self._id)
            if standing
            else terminals.create(CreateTerminal(id=self._id, cwd=directory))
        )
        self._reader = Reader(self.terminal, 0)

    def standing(self) -> Standing:
        """Return what another one goes on with. Output that is waited for isn't part of it: each
        action begins with what is written after it.
        """
        return Standing(self._id, self._token, self._number)

    def start(self, is_disconnected: IsDisconnected) -> None:
        """Replace the user's shell, whichever that is, by a bash that doesn't edit its lines."""
        # It doesn't keep PS1 in the environment: files that are sourced often change it.
        mark = f"\\033]7;{self._token};%s;%s\\007"
        prompt = f"printf '\\''{mark}'\\'' \"$__swerex_number\" \"$?\"; PS1= PS2= PS0="
        # Readline would complete tabs, and echo what it reads itself.
        self._write("stty -echo; exec env bash --noediting -i\n")
        self._number += 1
        self._write(
            f"stty -echo; PROMPT_COMMAND='{prompt}'; PS1= PS2= PS0=; "
            f"__swerex_number={self._number}\n"
        )
        self._until(awake() + START, is_disconnected)

    def run(self, command: str) -> int:
        """Begin to run a command of any number of lines; return its number."""
        self._number += 1
        end = f"SWEREX{self._token}"
        # In one word that no shell changes, in lines that a terminal takes: so a command of many
        # lines has one prompt, at its end.
        encoded = base64.b64encode(command.encode("utf-8", "surrogateescape")).decode()
        lines = "\n".join(textwrap.wrap(encoded, _LINE))
        self._reader.skip()
        self._write(
            f"__swerex_number={self._number}; eval \"$(base64 -d <<'{end}'\n{lines}\n{end}\n)\"\n"
        )
        return self._number

    def send(self, data: bytes) -> None:
        """Send input to whatever reads it."""
        self._reader.skip()
        self.terminal.write(data)

    def wait(
        self,
        expected: Sequence[re.Pattern[bytes]],
        deadline: float,
        is_disconnected: IsDisconnected,
        number: int | None = None,
    ) -> tuple[bytes, Match]:
        """Return the output up to one of ``expected`` or a prompt, and the match.

        The last pattern is the prompt's: that after the command ``number``, or else any. Its only
        group is the exit code.
        """
        digits = rb"\d+" if number is None else b"%d" % number
        mark = re.compile(rb"\x1b\]7;%s;%s;(\d+)\x07" % (self._token.encode(), digits))
        return self._reader.until([*expected, mark], deadline, is_disconnected)

    def settle(self, deadline: float, is_disconnected: IsDisconnected) -> Prompt:
        """Reach a prompt of our own after whatever was interrupted, without echo."""
        # Programs that were killed leave their terminal as it was for them.
        self.run("stty -echo")
        return self._until(deadline, is_disconnected)

    def _until(self, deadline: float, is_disconnected: IsDisconnected) -> Prompt:
        output, match = self.wait((), deadline, is_disconnected, self._number)
        return Prompt(output, int(match.groups[0]))

    def _write(self, text: str) -> None:
        self.terminal.write(text.encode())

    def close(self) -> None:
        """End the shell and everything it has started."""
        self._terminals.delete(self._id)
