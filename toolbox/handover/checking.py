"""The check of a new version, by a process of it that loads the settings and every plugin."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path

from toolbox.handover.inheritance import CHECK
from toolbox.handover.inheritance import VARIABLE
from toolbox.handover.inheritance import program
from toolbox.linux.nameless import nameless_file

LIMIT = 120.0
"""Seconds the new version has to load everything."""

REASON = 500
"""Characters of its last line that are reported."""


class Check:
    """A running check of the program that is started in ``directory`` and gets ``listener``, a
    descriptor. Raises OSError if it can't be started.
    """

    def __init__(self, directory: str, listener: int) -> None:
        self._deadline = time.monotonic() + LIMIT
        self._output = nameless_file(b"", lambda: Path(tempfile.gettempdir()))
        try:
            self._process = subprocess.Popen(
                program(),
                cwd=directory,
                env={**os.environ, VARIABLE: f"{CHECK}{listener}"},
                pass_fds=(listener,),
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                start_new_session=True,
            )
        except OSError:
            os.close(self._output)
            raise
        self.pid = self._process.pid

    def reap(self) -> None:
        """Reap the process, which has ended."""
        self._process.poll()

    def result(self) -> str | None:
        """Return the reason why the version is refused, "" for none, or None while it runs."""
        status = self._process.poll()
        if status is None:
            if time.monotonic() > self._deadline:
                self._process.kill()
            return None
        output = os.pread(self._output, 1 << 20, 0).decode("utf-8", "replace").strip()
        os.close(self._output)
        if not status:
            return ""
        return (output.splitlines() or [f"exit status {status}"])[-1][:REASON]
