"""Actions on several sandboxes."""

from __future__ import annotations

import argparse
import time

from toolbox_fleet.cli import showing
from toolbox_fleet.cli.client import FAILED
from toolbox_fleet.cli.client import MISTAKE
from toolbox_fleet.cli.client import CommandError
from toolbox_fleet.cli.options import ACTIONS
from toolbox_fleet.cli.sandboxes import Sandbox
from toolbox_fleet.cli.sandboxes import Sandboxes
from toolbox_fleet.cli.table import plain


class Work:
    """One action on several sandboxes: begun on all of them, then waited for."""

    def __init__(self, options: argparse.Namespace, sandboxes: Sandboxes) -> None:
        self.options = options
        self.sandboxes = sandboxes
        self.status = 0
        self._begun: dict[str, Sandbox] = {}

    def begin(self, chosen: dict[str, Sandbox | CommandError]) -> None:
        query = {"force": "true"} if getattr(self.options, "force", False) else {}
        for key, sandbox in chosen.items():
            try:
                if isinstance(sandbox, CommandError):
                    raise sandbox
                self._begun[key] = self.sandboxes.act(sandbox, self.options.action, **query)
            except CommandError as error:
                self._failed(key, error)

    def end(self) -> None:
        deadline = time.monotonic() + self.options.timeout
        state = ACTIONS[self.options.action].state
        results = []
        for key, sandbox in self._begun.items():
            try:
                if not self.options.no_wait:
                    sandbox = self.sandboxes.wait(sandbox, state, deadline)
            except CommandError as error:
                self._failed(key, error)
                continue
            results.append(sandbox)
            if not self.options.json:
                print(plain(f"{sandbox['name']}: {sandbox['state']}"), flush=True)
        if self.options.json:
            showing.show_json(results)

    def _failed(self, key: str, error: CommandError) -> None:
        if error.status == MISTAKE:
            raise error
        showing.complain(f"{key}: {error}")
        self.status = FAILED
