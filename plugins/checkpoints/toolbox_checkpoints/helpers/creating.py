"""Making a checkpoint: a copy of a tree that is known to be of one moment, or else of what not."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
from pathlib import Path
from typing import Any

from toolbox.trees.copying import TreeCopy
from toolbox.trees.errors import TreeError
from toolbox.trees.listing import DIRECTORY
from toolbox.trees.removing import remove_tree
from toolbox_checkpoints.helpers.failures import Damaged
from toolbox_checkpoints.helpers.failures import Unreadable
from toolbox_checkpoints.helpers.manifest import MANIFEST
from toolbox_checkpoints.helpers.manifest import Manifest
from toolbox_checkpoints.helpers.manifest import read_manifest
from toolbox_checkpoints.helpers.places import locked
from toolbox_checkpoints.helpers.recording import AHEAD
from toolbox_checkpoints.helpers.recording import Previous
from toolbox_checkpoints.helpers.recording import Recorder
from toolbox_checkpoints.helpers.rules import Rules
from toolbox_checkpoints.helpers.service import Service

ATTEMPTS = 3
"""Copies that are made, at most, of a tree that changes meanwhile; the later ones share with the
former what didn't.
"""

MAX_CHANGED = 1000
"""Paths of changed files that are named, at most."""


def create(task: dict[str, Any], service: Service) -> dict[str, Any]:
    """Make a checkpoint; return its record.

    Raises OSError, TreeError and Cancelled; nothing is left then.
    """
    store = Path(task["store"])
    making = store / ".making" / task["id"]
    making.parent.mkdir(mode=0o700, exist_ok=True)
    making.mkdir(mode=0o700)
    with locked(making) as free:
        try:
            if not free:
                raise TreeError("another service has swept the checkpoints; try again")
            record = _create(task, service, making)
            making.rename(store / task["id"])
        except BaseException:
            remove_tree(making)
            raise
    return record


def _create(task: dict[str, Any], service: Service, making: Path) -> dict[str, Any]:
    old = Path(task["store"], task["previous"] or "none")
    try:
        known = read_manifest(old)
    except Damaged:
        # Nothing is shared with it, that is all.
        known = Manifest(-1)
    previous = Previous(str(old / "tree"), known, {})
    top = os.open(task["path"], DIRECTORY)
    try:
        copied, changed = _copy_until_still(task, service, making, top, previous)
    finally:
        os.close(top)
    recorded = copied.recorded
    copied.manifest().write(making / MANIFEST)
    record = {
        **task["record"],
        "files": recorded.files,
        "directories": len(recorded.entered),
        "size": recorded.size,
        "stored": sum(recorded.stored.values()),
        "skipped": recorded.skipped,
        "consistent": not changed,
        "changed": changed[:MAX_CHANGED],
        "changed_count": len(changed),
    }
    write_record(making / "record.json", record)
    return record


def _copy_until_still(
    task: dict[str, Any], service: Service, making: Path, top: int, previous: Previous
) -> tuple[Recorder, list[str]]:
    """Copy to ``tree`` in ``making``, again while files change; return those that did at last."""
    rules = Rules(task["exclude"], top, task["store"])
    tree = making / "tree"
    for attempt in range(ATTEMPTS):
        copy = Recorder(rules, previous, service, task["budget"])
        failure = None
        try:
            TreeCopy(Path(task["path"]), tree, service.check, choice=copy, halves=True).run()
        except TreeError as error:
            # A directory was moved away, or replaced, while it was copied.
            if not error.args[0].startswith("the directory was changed"):
                raise
            failure = error
        except PermissionError as error:
            raise _denied(task["path"], error) from error
        changed = ["."] if failure else sorted(set(copy.changed(top)))
        if previous.tree.startswith(f"{making}/"):
            # Only what was copied now takes room; what is shared was counted before.
            remove_tree(Path(previous.tree))
        if not changed:
            break
        if attempt + 1 == ATTEMPTS:
            if failure:
                raise failure
            break
        # Unchanged files are shared with it; the changed ones are copied anew, when the clock of
        # files has gone on: a change at the same tick as the last one would not be seen.
        earlier = making / f"attempt-{attempt}"
        tree.rename(earlier)
        previous = Previous(str(earlier), copy.manifest(), copy.recorded.stored)
        time.sleep(max(0, min(copy.recorded.settles - time.time_ns(), AHEAD)) / 1e9)
    return copy, changed


def _denied(top: str, error: PermissionError) -> Exception:
    """Return the failure for something in the tree, ``error`` itself for what is ours."""
    name = error.filename
    if error.errno != errno.EACCES or not isinstance(name, str) or name.startswith("/"):
        return error
    reason = os.strerror(errno.EACCES)
    return Unreadable(f"{top}/{name}: {reason}; exclude leaves out what can't be read")


def write_record(file: Path, record: dict[str, Any]) -> None:
    """Write a record, whole or not at all. Raises OSError."""
    new = file.with_name(f"{file.name}.new")
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    with new.open("x", encoding="ascii") as opened_file:
        json.dump(record, opened_file)
        opened_file.flush()
        os.fsync(opened_file.fileno())
    new.rename(file)
