"""Sandboxes of a service: find those that are named, act on them, and wait for the end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from urllib.parse import urlencode

from toolbox_fleet.cli.client import MISTAKE
from toolbox_fleet.cli.client import Client
from toolbox_fleet.cli.client import CommandError
from toolbox_fleet.cli.client import NoSuchPath

Sandbox = dict[str, Any]

ROOT = "/api/sandbox"

PAGE = 200
"""Sandboxes asked for at a time, the most that the service sends."""

POLL = 0.2
"""Seconds between two looks at a sandbox that is about to change."""

SHORTEST = 4
"""Characters of an id that stand for the whole, at least."""

ENDED = ("error", "build_failed", "destroyed")
"""States that a sandbox doesn't leave by itself."""


class Sandboxes:
    """The sandboxes of one service."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def matching(self, **filters: Any) -> list[Sandbox]:
        """Return those that match, the newest first. ``filters`` are the query's."""
        found: list[Sandbox] = []
        query = {"limit": PAGE, **filters}
        while True:
            try:
                page = self._client.call("GET", f"{ROOT}?{urlencode(query, doseq=True)}")
            except NoSuchPath:
                raise self._no_group() from None
            if not isinstance(page, dict) or not isinstance(page.get("items"), list):
                raise self._no_group()
            found += page["items"]
            if not page.get("nextCursor"):
                return found
            query["cursor"] = page["nextCursor"]

    def _no_group(self) -> CommandError:
        message = f"the service at {self._client.url} does not serve the group fleet"
        return CommandError(message, MISTAKE)

    def labeled(self, labels: dict[str, str], **filters: Any) -> list[Sandbox]:
        """Return those that match and have all labels."""
        if labels:
            filters["labels"] = json.dumps(labels)
        return self.matching(**filters)

    def find(self, key: str) -> Sandbox:
        """Return the sandbox with a name, an id, or the beginning of an id. Raises CommandError."""
        try:
            found = self._client.call("GET", _path(key))
            # Operations of lists have paths like those of sandboxes.
            if isinstance(found, dict) and "id" in found:
                return found
        except NoSuchPath:
            pass
        likely = self.matching(id=key) if len(key) >= SHORTEST else []
        if len(likely) > 1:
            raise CommandError(f"{len(likely)} sandboxes have ids that begin so")
        if not likely:
            # An old service without the group responds 404, too.
            self.matching(limit=1, name=key)
            raise CommandError("sandbox not found: none has this id or name")
        return likely[0]

    def create(self, wanted: dict[str, Any]) -> Sandbox:
        """Create a sandbox, which then starts."""
        try:
            created: Sandbox = self._client.call("POST", ROOT, wanted)
        except NoSuchPath as error:
            self.matching(limit=1)
            raise CommandError(str(error)) from None
        return created

    def act(self, sandbox: Sandbox, action: str, **query: str) -> Sandbox:
        """Start an action; return the sandbox as it is then."""
        path = _path(sandbox["id"])
        if action == "delete":
            changed = self._client.call("DELETE", path)
        else:
            suffix = f"?{urlencode(query)}" if query else ""
            changed = self._client.call("POST", f"{path}/{action}{suffix}")
        return changed if isinstance(changed, dict) else sandbox

    def wait(self, sandbox: Sandbox, state: str, deadline: float) -> Sandbox:
        """Wait until a sandbox is in ``state``; return it. Raises CommandError."""
        while sandbox["state"] != state:
            if sandbox["state"] in ENDED:
                reason = sandbox.get("errorReason") or sandbox["state"]
                raise CommandError(f"not {state}: {reason}")
            if time.monotonic() > deadline:
                raise CommandError(f"still {sandbox['state']}, not {state}")
            time.sleep(POLL)
            try:
                sandbox = self._client.call("GET", _path(sandbox["id"]))
            except NoSuchPath:
                sandbox = {**sandbox, "state": "destroyed"}
        return sandbox


def each(
    keys: Iterable[str], work: Callable[[str], Sandbox]
) -> Iterator[tuple[str, Sandbox | CommandError]]:
    """Yield the result of ``work`` for each key, or its error. Raises errors that would be the same
    for all.
    """
    for key in keys:
        try:
            yield key, work(key)
        except CommandError as error:
            if error.status == MISTAKE:
                raise
            yield key, error


def _path(key: str) -> str:
    return f"{ROOT}/{quote(key, safe='')}"
