"""Running the cases of a table, and the scorecard."""

from __future__ import annotations

import http.client
import secrets
import time
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from wsproto.utilities import ProtocolError

from toolbox.conformance.cases import Call
from toolbox.conformance.cases import Case
from toolbox.conformance.cases import Step
from toolbox.conformance.cases import Table
from toolbox.conformance.cases import Talk
from toolbox.conformance.cases import filled
from toolbox.conformance.client import Client
from toolbox.conformance.client import Response
from toolbox.conformance.matching import mismatch

PAUSE = 0.05
"""Seconds between two requests for what takes a moment on the server."""


class Result(NamedTuple):
    """The result of a case: what was wrong, or nothing. ``skipped`` says why it was not tried."""

    name: str
    wrong: str = ""
    skipped: str = ""


class Scorecard:
    """The results of all tables."""

    def __init__(self) -> None:
        self._results: dict[str, Sequence[Result]] = {}

    def add(self, table: str, results: Sequence[Result]) -> None:
        """Add the results of a table."""
        self._results[table] = results

    @property
    def total(self) -> int:
        """The number of cases that were tried."""
        return sum(not one.skipped for results in self._results.values() for one in results)

    @property
    def failed(self) -> int:
        """The number of cases that failed."""
        return sum(bool(one.wrong) for results in self._results.values() for one in results)

    def text(self, dialect: str) -> str:
        """Return the scorecard, for people."""
        lines = []
        for table, results in self._results.items():
            tried = [one for one in results if not one.skipped]
            passed = sum(not one.wrong for one in tried)
            lines.append(f"{dialect} {table:14} {passed:3} of {len(tried):3}")
            lines += [f"  FAILED   {one.name}: {one.wrong}" for one in tried if one.wrong]
            lines += [f"  skipped  {one.name}: {one.skipped}" for one in results if one.skipped]
        lines.append(f"{self.total - self.failed} of {self.total} cases passed")
        return "".join(f"{line}\n" for line in lines)


def run_table(client: Client, table: Table) -> list[Result]:
    """Run all cases of a table. Raises Unreachable."""
    results = []
    for case in table.cases:
        if case.needs_token and not client.token:
            results.append(Result(case.name, skipped="no token was given"))
        else:
            results.append(Result(case.name, wrong=_run(client, table, case)))
    return results


def _run(client: Client, table: Table, case: Case) -> str:
    names = {"id": f"conformance-{secrets.token_hex(6)}"}
    names["dir"] = filled(table.directory, names)
    try:
        for number, step in enumerate(case.steps, 1):
            if wrong := _step(client, table, step, names):
                return f"step {number}, {_title(step, names)}: {wrong}"
        return ""
    finally:
        # Also after a failure; what it finds nothing to remove is no fault of the server.
        for step in table.cleanup:
            _step(client, table, step, names)


def _step(client: Client, table: Table, step: Step, names: dict[str, str]) -> str:
    """Return what is wrong with a step, or nothing; adds the names that it keeps."""
    try:
        if isinstance(step, Talk):
            texts = (filled(text, names) for text in (step.path, step.send, step.sees, step.after))
            return client.talk(Talk(*texts), table.token_header)
        return _call(client, table, step, names)
    # Whatever a broken server does is a result; only without any connection there is none.
    except (OSError, ValueError, http.client.HTTPException, ProtocolError) as error:
        return f"{type(error).__name__}: {error}"


def _call(client: Client, table: Table, call: Call, names: dict[str, str]) -> str:
    sent = Call(**filled({name: getattr(call, name) for name in Call.__annotations__}, names))
    if sent.made is not None:
        sent = sent.made(sent, client.token)
    deadline = time.monotonic() + client.timeout
    while True:
        response = client.send(sent, table.token_header)
        wrong = _compare(sent, response)
        if not wrong or not call.until or time.monotonic() > deadline:
            break
        time.sleep(PAUSE)
    if not wrong:
        names.update({name: str(_at(response.json(), key)) for name, key in call.keep.items()})
    return wrong


def _at(value: Any, key: str) -> Any:
    for name in key.split("."):
        if not isinstance(value, dict) or name not in value:
            raise ValueError(f"the response lacks {key!r}")
        value = value[name]
    return value


def _compare(call: Call, response: Response) -> str:
    statuses = call.status if isinstance(call.status, tuple) else (call.status,)
    if response.status not in statuses:
        expected = " or ".join(map(str, statuses))
        return f"status {response.status}, not {expected}: {response.content[:300]!r}"
    if call.content is not None and response.content != call.content:
        return f"the content is {response.content[:100]!r}, not {call.content[:100]!r}"
    return "" if call.has is None else mismatch(call.has, response.json())


def _title(step: Step, names: dict[str, str]) -> str:
    path = filled(step.path, names)
    return f"{step.method} {path}" if isinstance(step, Call) else f"WebSocket {path}"
