"""The entry of the command."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

from toolbox_fleet.cli import showing
from toolbox_fleet.cli.acting import Work
from toolbox_fleet.cli.client import FAILED
from toolbox_fleet.cli.client import MISTAKE
from toolbox_fleet.cli.client import Client
from toolbox_fleet.cli.client import CommandError
from toolbox_fleet.cli.options import parse
from toolbox_fleet.cli.sandboxes import Sandbox
from toolbox_fleet.cli.sandboxes import Sandboxes
from toolbox_fleet.cli.sandboxes import each
from toolbox_fleet.cli.showing import complain


def main(arguments: list[str]) -> int:
    """Run the command; return its exit status."""
    options = parse(arguments)
    try:
        sandboxes = Sandboxes(Client(options.url, _token(options.token_file)))
        return _run(options, sandboxes)
    except CommandError as error:
        complain(str(error))
        return error.status
    except KeyboardInterrupt:
        return 128 + 2  # As a shell reports SIGINT.


def _token(file: str | None) -> str:
    if file is None:
        token = os.environ.get("TOOLBOX_TOKEN", "").strip()
    else:
        try:
            token = Path(file).read_text("utf-8").partition("\n")[0].strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise CommandError(f"--token-file {file}: {reason}", MISTAKE) from None
    if not token.isascii() or not token.isprintable():
        raise CommandError("the token has characters that no token can have", MISTAKE)
    return token


def _run(options: argparse.Namespace, sandboxes: Sandboxes) -> int:
    if options.action == "list":
        return _list(options, sandboxes)
    if options.action == "show":
        return _show(options, sandboxes)
    if options.action == "create":
        return _create(options, sandboxes)
    return _act(options, sandboxes)


def _list(options: argparse.Namespace, sandboxes: Sandboxes) -> int:
    filters = {"states": options.state} if options.state else {}
    found = sandboxes.labeled(dict(options.label), **filters)
    if options.json:
        showing.show_json(found)
    else:
        showing.show_list(found)
    return 0


def _show(options: argparse.Namespace, sandboxes: Sandboxes) -> int:
    found: list[Sandbox] = []
    status = 0
    for key, result in each(options.sandbox, sandboxes.find):
        if isinstance(result, CommandError):
            complain(f"{key}: {result}")
            status = FAILED
        else:
            found.append(result)
    if options.json:
        showing.show_json(found)
        return status
    for one in found:
        showing.show_details(one)
    return status


def _create(options: argparse.Namespace, sandboxes: Sandboxes) -> int:
    wanted: dict[str, Any] = {
        "name": options.name,
        "snapshot": options.snapshot,
        "labels": dict(options.label) or None,
        "env": dict(options.env) or None,
        "cpu": options.cpu,
        "memory": options.memory,
        "disk": options.disk,
        "autoStopInterval": options.autostop,
    }
    given = {name: value for name, value in wanted.items() if value is not None}
    created = sandboxes.create(given)
    if not options.json:
        print(created["id"], flush=True)  # Before the wait: it exists, however that ends.
    if not options.no_wait:
        created = sandboxes.wait(created, "started", time.monotonic() + options.timeout)
    if options.json:
        showing.show_json(created)
    return 0


def _act(options: argparse.Namespace, sandboxes: Sandboxes) -> int:
    if options.sandbox:
        # A sandbox that is named twice is still one.
        chosen: dict[str, Sandbox | CommandError] = dict(each(options.sandbox, sandboxes.find))
    else:
        chosen = {one["id"]: one for one in sandboxes.labeled(dict(options.label))}
    work = Work(options, sandboxes)
    work.begin(chosen)
    work.end()
    return work.status
