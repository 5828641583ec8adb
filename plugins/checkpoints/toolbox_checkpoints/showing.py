"""Checkpoints and works as clients see them."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from typing import Any

import msgspec

from toolbox_checkpoints.helper import Run
from toolbox_checkpoints.models import Checkpoint
from toolbox_checkpoints.models import Diff
from toolbox_checkpoints.models import Work
from toolbox_checkpoints.paths import to_text
from toolbox_checkpoints.store import Record

_NAMES = ("path",)
_LISTS = ("exclude", "changed")


def show_checkpoint(
    record: Record, run: Run | None = None, works: list[Run] | None = None, complete: bool = False
) -> Checkpoint:
    """Return a checkpoint as clients see it; ``run`` is its making, if it isn't complete."""
    shown = {name: record[name] for name in Checkpoint.__struct_fields__ if name in record}
    shown |= {name: to_text(shown[name]) for name in _NAMES}
    shown |= {name: [to_text(one) for one in shown[name]] for name in _LISTS if name in shown}
    if run is not None:
        shown |= {"files": run.files, "size": run.bytes}
        shown["error"] = run.error.message if run.error else None
    return Checkpoint(**shown, complete=complete, works=[show_work(work) for work in works or []])


def show_work(run: Run) -> Work:
    """Return a restore or a fork as clients see it."""
    task = run.task
    return Work(
        kind=task["kind"],
        path=to_text(task["target" if task["kind"] == "fork" else "path"]),
        complete=run.result is not None,
        started=datetime.fromtimestamp(run.started, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z"),
        files=run.files,
        bytes=run.bytes,
        error=run.error.message if run.error else None,
        **(run.result or {}),
    )


def show_diff(result: dict[str, Any]) -> Diff:
    """Return a diff as clients see it."""
    return msgspec.convert(result, Diff)
