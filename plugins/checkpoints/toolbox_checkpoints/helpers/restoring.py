"""Restoring a directory in place, and forking a checkpoint into another directory.

Both work in a staging directory where the files are to be. A note in the directory of all
checkpoints names it until it is gone, so that the next start finds what a killed helper has left.
"""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toolbox.trees.copying import LINKS
from toolbox.trees.copying import TreeCopy
from toolbox.trees.errors import Cancelled
from toolbox.trees.errors import TreeError
from toolbox.trees.listing import DIRECTORY
from toolbox.trees.removing import remove_tree
from toolbox_checkpoints.helpers.applying import Application
from toolbox_checkpoints.helpers.applying import read_plan
from toolbox_checkpoints.helpers.applying import remove_old
from toolbox_checkpoints.helpers.applying import set_attributes
from toolbox_checkpoints.helpers.comparing import Comparison
from toolbox_checkpoints.helpers.failures import Damaged
from toolbox_checkpoints.helpers.failures import Refused
from toolbox_checkpoints.helpers.manifest import read_manifest
from toolbox_checkpoints.helpers.places import locked
from toolbox_checkpoints.helpers.planning import Selected
from toolbox_checkpoints.helpers.planning import make_plan
from toolbox_checkpoints.helpers.rules import Rules
from toolbox_checkpoints.helpers.service import Service

ATTEMPTS = 3
"""Restores that are tried while others move directories away beneath them."""

NOTES = ".work"
"""The directory of the notes."""


def restore(task: dict[str, Any], service: Service) -> dict[str, Any]:
    """Make the directory of a checkpoint what it was; return what was done.

    Raises OSError, TreeError, Cancelled and Refused: then nothing has changed.
    """
    path = Path(task["path"])
    made = not os.path.lexists(path)
    if made:
        path.mkdir(parents=True, mode=0o700)
    try:
        top = os.open(path, DIRECTORY)
    except OSError as error:
        raise Refused("the directory of the checkpoint is now something else") from error
    try:
        for attempt in range(ATTEMPTS):
            try:
                return _restore(task, service, top, path)
            except (FileNotFoundError, NotADirectoryError, TreeError) as error:
                # Renamed or removed by somebody else since it was looked at.
                if isinstance(error, Cancelled | Refused | Damaged) or attempt + 1 == ATTEMPTS:
                    raise
        raise AssertionError
    except BaseException:
        if made:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise
    finally:
        os.close(top)


def _restore(task: dict[str, Any], service: Service, top: int, path: Path) -> dict[str, Any]:
    checkpoint = Path(task["checkpoint"])
    tree = checkpoint / "tree"
    manifest = read_manifest(checkpoint)
    rules = Rules(task["exclude"], top, task["store"])
    source = os.open(tree, DIRECTORY)
    try:
        comparison = Comparison(source, top, manifest, rules, task["only"], service)
        plan = make_plan(comparison, task["only"])
    finally:
        os.close(source)
    status = os.fstat(top)
    if plan.remove or plan.put:
        with _staging(Path(task["store"]), path, top, "restore") as staging:
            staging.mkdir(mode=0o700)
            chosen = Selected(plan.put, comparison.concerns, manifest, service)
            TreeCopy(tree, staging / "new", service.check, choice=chosen, halves=True).run()
            _apply(Application(top, staging, plan), tree)
        # The staging directory was an entry of the top.
        os.utime(top, ns=(status.st_atime_ns, status.st_mtime_ns))
        plan = plan._replace(attributes=[path for path in plan.attributes if not path])
    set_attributes(top, tree, plan.attributes)
    return {"written": len(plan.put), "removed": len(plan.remove)}


def _apply(application: Application, tree: Path) -> None:
    application.commit()
    try:
        application.apply(tree)
    except BaseException:
        application.undo()
        raise


def fork(task: dict[str, Any], service: Service) -> dict[str, Any]:
    """Copy a checkpoint to a directory that doesn't exist, or is empty; return what was done.

    Raises OSError, TreeError, Damaged and Cancelled; nothing is left then.
    """
    checkpoint = Path(task["checkpoint"])
    target = Path(task["target"])
    manifest = read_manifest(checkpoint)
    everything = Selected([""], lambda path: True, manifest, service)
    parent = os.open(target.parent, DIRECTORY)
    try:
        with _staging(Path(task["store"]), target.parent, parent, "fork") as staging:
            tree = checkpoint / "tree"
            copy = TreeCopy(tree, staging, service.check, choice=everything, halves=True)
            copy.run()
            if copy.entries < sum(map(len, manifest.names.values())):
                raise Damaged("the checkpoint is damaged: files are missing")
            # rename(2) replaces an empty directory, and nothing else.
            staging.rename(staging.with_name(target.name))
    finally:
        os.close(parent)
    return {"written": copy.entries, "removed": 0}


@contextlib.contextmanager
def _staging(store: Path, where: Path, directory: int, kind: str) -> Iterator[Path]:
    """Give a path for a staging directory in an open one, which is ``where``.

    Nothing is left of it after the block, except of changes that could be neither finished nor
    undone: the next sweep tries that again.
    """
    name = f".toolbox-{kind}-{uuid.uuid4().hex}"
    (store / NOTES).mkdir(mode=0o700, exist_ok=True)
    note = store / NOTES / name
    try:
        note.write_text(json.dumps(os.fspath(where)), "ascii")
    except OSError:
        note.unlink(missing_ok=True)
        raise
    # Not by its path: somebody could put a link there.
    staging = Path(f"/proc/self/fd/{directory}") / name
    with locked(note) as free:
        if not free:
            raise TreeError("another service has swept the checkpoints; try again")
        try:
            yield staging
        finally:
            if read_plan(staging) is None:
                remove_old(staging)
                remove_tree(staging)
                note.unlink()


def finish(note: Path) -> None:
    """Finish what a killed helper has left, by its note, and remove that.

    Raises OSError and TreeError.
    """
    try:
        staging = Path(json.loads(note.read_bytes()), note.name)
    except ValueError:
        # A disk was full, or a helper killed, before anything was staged.
        note.unlink()
        return
    plan = read_plan(staging)
    if plan is not None:
        top = os.open(staging.parent, DIRECTORY)
        application = Application(top, staging, plan)
        # Forward first: everything that it needs is there, and most of it may be done.
        try:
            # Without attributes of directories: the checkpoint may be gone, but the files are here.
            application.apply(None)
        except OSError:
            application.undo()
        finally:
            os.close(top)
    remove_tree(staging)
    # A fork is staged as the copy itself.
    remove_tree(staging.with_name(staging.name + LINKS))
    note.unlink()
