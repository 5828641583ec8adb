"""Sandboxes as people read them."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable
from datetime import UTC
from datetime import datetime
from typing import Any

from toolbox_fleet.cli.sandboxes import Sandbox
from toolbox_fleet.cli.table import plain
from toolbox_fleet.cli.table import table

HEADS = ("NAME", "STATE", "AGE", "CPU", "MEMORY", "DISK", "ID", "SNAPSHOT", "LABELS", "REASON")

UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def show_list(sandboxes: Iterable[Sandbox]) -> None:
    """Print a table, as wide as the terminal at most."""
    rows = [HEADS, *(_row(one) for one in sandboxes)]
    if len(rows) == 1:
        print("no sandboxes", file=sys.stderr)  # Programs count lines of the output.
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print("\n".join(table(rows, width)))


def _row(sandbox: Sandbox) -> tuple[str, ...]:
    return (
        sandbox["name"],
        sandbox["state"],
        age(sandbox.get("createdAt") or ""),
        str(sandbox.get("cpu", "")),
        f"{sandbox.get('memory', '?')} GiB",
        f"{sandbox.get('disk', '?')} GiB",
        sandbox["id"],
        sandbox.get("snapshot") or "",
        labels(sandbox.get("labels") or {}),
        sandbox.get("errorReason") or "",
    )


def show_details(sandbox: Sandbox) -> None:
    """Print each field of a sandbox on a line. Values of its environment may be secret."""
    fields = {**sandbox, "env": sorted(sandbox.get("env") or {})}
    width = max(len(name) for name in fields)
    for name, value in fields.items():
        print(f"{name:{width}}  {_value(value)}")


def show_json(value: Any) -> None:
    """Print JSON."""
    print(json.dumps(value, indent=2))


def labels(given: dict[str, str]) -> str:
    """Return labels in one line."""
    return ", ".join(f"{name}={value}" for name, value in sorted(given.items()))


def age(created: str) -> str:
    """Return the time since ``created``, RFC 3339, in its largest unit; empty if it isn't one."""
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        return ""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    # A clock here that is behind the service's makes nothing younger than now.
    seconds = max(0, int((datetime.now(UTC) - moment).total_seconds()))
    length, unit = next((one for one in UNITS if seconds >= one[0]), UNITS[-1])
    return f"{seconds // length}{unit}"


def _value(value: Any) -> str:
    return plain(value) if isinstance(value, str) else json.dumps(value)


def complain(message: str) -> None:
    """Write an error, in one line."""
    print(f"toolbox: {plain(message)}", file=sys.stderr)
