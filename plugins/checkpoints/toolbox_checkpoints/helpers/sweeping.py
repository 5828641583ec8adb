"""Finishing and removing what is left: of killed helpers, and of deleted checkpoints."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from toolbox.trees.errors import TreeError
from toolbox.trees.removing import remove_tree
from toolbox_checkpoints.helpers.creating import write_record
from toolbox_checkpoints.helpers.places import locked
from toolbox_checkpoints.helpers.restoring import NOTES
from toolbox_checkpoints.helpers.restoring import finish
from toolbox_checkpoints.helpers.service import Service


def sweep(task: dict[str, Any], service: Service) -> dict[str, Any]:
    """Sweep the directory of all checkpoints; return what could not be, each with its reason.

    With ``begun`` only restores and forks are finished: work can begin after that.
    """
    store = Path(task["store"])
    works: list[tuple[str, Callable[[Path], object]]] = [(NOTES, finish)]
    if not task["begun"]:
        works += [(".making", remove_tree), (".trash", partial(_remove, store))]
    failed = []
    for directory, work in works:
        for path in _in(store / directory):
            # What somebody is at work on is locked.
            with locked(path) as free:
                try:
                    if free:
                        work(path)
                except (OSError, TreeError, ValueError) as error:
                    failed.append(f"{path.name}: {error}")
    return {"failed": failed}


def _in(directory: Path) -> list[Path]:
    return sorted(directory.iterdir()) if directory.is_dir() else []


def _remove(store: Path, gone: Path) -> None:
    """Remove a deleted checkpoint. What others share with it counts as theirs from now on."""
    # Names of the same file in other checkpoints stay, and with them its bytes.
    freed = remove_tree(gone / "tree", counts=True)
    with contextlib.suppress(OSError, ValueError, KeyError):
        record = json.loads((gone / "record.json").read_bytes())
        heir = _next(store, record)
        if heir and record["stored"] > freed:
            heir["stored"] += record["stored"] - freed
            write_record(store / heir["id"] / "record.json", heir)
    remove_tree(gone)


def _next(store: Path, record: dict[str, Any]) -> dict[str, Any] | None:
    """Return the record of the checkpoint that was made of the same directory after another."""
    later = []
    for path in _in(store):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            other = json.loads((path / "record.json").read_bytes())
            if other["path"] == record["path"] and other["created"] > record["created"]:
                later.append(other)
    return min(later, key=lambda other: str(other["created"]), default=None)
