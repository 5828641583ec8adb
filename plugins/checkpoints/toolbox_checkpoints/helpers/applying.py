"""Steps of a restore that are done by renaming, and can be undone or finished at any time.

A staging directory in the restored one has ``new``, a tree with everything that is to be put in
place, and ``old``, which takes what was there, named by the number of the step. The two tell how
far each step has come, so a step that is done again does only what is left of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterable
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from toolbox.trees.attributes import copy_attributes
from toolbox.trees.halving import in_halves
from toolbox.trees.listing import DIRECTORY
from toolbox.trees.listing import entries_in
from toolbox_checkpoints.helpers.places import Descent
from toolbox_checkpoints.helpers.places import exists
from toolbox_checkpoints.helpers.places import opened
from toolbox_checkpoints.helpers.places import split
from toolbox_checkpoints.helpers.planning import Plan

PLAN = "plan.json"

TOGETHER = 100
"""Files that are removed in one go."""

Step = tuple[int, tuple[str, bool]]
"""Number and path, and whether something is put there; else what is there is removed."""


class Application:
    """A plan, its staging directory, and the open directory ``top`` that it changes."""

    def __init__(self, top: int, staging: Path, plan: Plan) -> None:
        self._top = top
        self._staging = staging
        self._plan = plan
        self._steps = [
            *((path, False) for path in plan.remove),
            *((path, True) for path in plan.put),
        ]

    def commit(self) -> None:
        """Write the plan: from now on, whoever finds it finishes it. Raises OSError."""
        file = self._staging / PLAN
        with file.with_suffix(".new").open("x", encoding="ascii") as opened_file:
            json.dump(self._plan, opened_file)
            opened_file.flush()
            os.fsync(opened_file.fileno())
        file.with_suffix(".new").rename(file)

    def apply(self, tree: Path | None) -> None:
        """Do what is left of all steps. Raises OSError.

        ``tree`` has the attributes of directories, None if it is gone.
        """
        with self._rooms() as (top, old), Descent(top) as new:
            taken = {entry.name for entry in entries_in(old)}
            # By directories, each opened once: most steps have one in common with the last.
            by_directory = groupby(enumerate(self._steps), lambda step: split(step[1][0])[0])
            groups = [(above, list(steps)) for above, steps in by_directory]

            def do(units: Iterable[int]) -> None:
                for number in units:
                    self._do_all(*groups[number], new, old, taken)

            # In any order: no step is in the tree of another one.
            in_halves(len(groups), do)
        if tree is not None:
            set_attributes(self._top, tree, self._plan.attributes)
        self._finish()

    def undo(self) -> None:
        """Undo what was done of all steps, the last one first. Raises OSError."""
        with self._rooms() as (new, old):
            for number, (path, put) in reversed(list(enumerate(self._steps))):
                # Of a directory that somebody else has removed since there is nothing to save.
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    self._undo(number, path, put, new, old)
        self._finish()

    def _finish(self) -> None:
        # Without it, nothing is left that anybody has to finish.
        (self._staging / PLAN).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _rooms(self) -> Iterator[tuple[int, int]]:
        (self._staging / "old").mkdir(exist_ok=True)
        with contextlib.ExitStack() as closing:
            rooms = []
            for name in ("new", "old"):
                rooms.append(os.open(self._staging / name, DIRECTORY))
                closing.callback(os.close, rooms[-1])
            yield rooms[0], rooms[1]

    def _do_all(
        self, above: str, steps: list[Step], new: Descent, old: int, taken: set[str]
    ) -> None:
        puts = any(put for _, (_, put) in steps)
        with contextlib.ExitStack() as closing:
            try:
                place = closing.enter_context(self._opened(above))
            except FileNotFoundError:
                # What was to be removed is gone, with its directory.
                if puts:
                    raise
                return
            source = new.open(above) if puts else -1
            # Both looked at once for all: it would be half of the calls for each file.
            waiting = {entry.name: entry for entry in entries_in(source)} if puts else {}
            for number, (path, put) in steps:
                name = split(path)[1]
                is_taken = str(number) in taken
                if not put and not is_taken:
                    with contextlib.suppress(FileNotFoundError):
                        _rename(name, place, str(number), old)
                elif put and (entry := waiting.get(name)):
                    if not is_taken:
                        is_directory = entry.is_dir(follow_symlinks=False)
                        _take(name, place, str(number), old, is_directory=is_directory)
                    _rename(name, source, name, place)

    def _undo(self, number: int, path: str, put: bool, new: int, old: int) -> None:
        above, name = split(path)
        taken = str(number)
        with self._opened(above) as place:
            if put:
                with opened(new, above) as source:
                    if not exists(name, source):
                        _rename(name, place, name, source)
            if exists(taken, old):
                _rename(taken, old, name, place)
                # rename(2) does nothing for two names of the same file.
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(taken, dir_fd=old)

    @contextlib.contextmanager
    def _opened(self, path: str) -> Iterator[int]:
        with opened(self._top, path) as place:
            _permit(place)
            yield place


def _take(name: str, place: int, taken: str, old: int, *, is_directory: bool) -> None:
    """Give what is in the way of a file or a directory a name in ``old``, if anything is."""
    # A file also keeps its own name until that is replaced: there is always one of both. Not a
    # directory, nor where there are no links or it is another's (proc_sys_fs(5)).
    if not is_directory and _is_linked(name, place, taken, old):
        return
    with contextlib.suppress(FileNotFoundError):
        _rename(name, place, taken, old)


def _is_linked(name: str, place: int, taken: str, old: int) -> bool:
    try:
        os.link(name, taken, src_dir_fd=place, dst_dir_fd=old, follow_symlinks=False)
    except OSError:
        return False
    return True


def _is_directory(name: str, place: int) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=place, follow_symlinks=False).st_mode)


def _rename(name: str, place: int, target: str, to: int) -> None:
    try:
        os.rename(name, target, src_dir_fd=place, dst_dir_fd=to)
    except PermissionError:
        # A directory gets another parent, for which its own mode must permit a change (rename(2)).
        if not _is_directory(name, place):
            raise
        with opened(place, name) as directory:
            mode = os.fstat(directory).st_mode
            _permit(directory)
            os.rename(name, target, src_dir_fd=place, dst_dir_fd=to)
            os.fchmod(directory, stat.S_IMODE(mode))


def _permit(directory: int) -> None:
    """Let the owner of an open directory change it."""
    mode = os.fstat(directory).st_mode
    if os.geteuid() and mode & stat.S_IRWXU != stat.S_IRWXU:
        with contextlib.suppress(PermissionError):
            os.fchmod(directory, stat.S_IMODE(mode) | stat.S_IRWXU)


def remove_old(staging: Path) -> None:
    """Remove the files that were replaced: there may be as many as were copied. Those that can't be
    are left, as are directories.
    """
    try:
        old = os.open(staging / "old", DIRECTORY)
    except FileNotFoundError:
        return
    names = [entry.name for entry in entries_in(old) if not entry.is_dir(follow_symlinks=False)]
    parts = [names[start : start + TOGETHER] for start in range(0, len(names), TOGETHER)]

    def remove(units: Iterable[int]) -> None:
        for number in units:
            for name in parts[number]:
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=old)

    try:
        in_halves(len(parts), remove)
    finally:
        os.close(old)


def read_plan(staging: Path) -> Plan | None:
    """Return the plan that was committed, or None if there is none.

    It lies where programs of the sandbox may write: one that leads out of the tree is none.
    """
    try:
        plan = Plan(*json.loads((staging / PLAN).read_bytes()))
        inside = all(".." not in path.split("/") for paths in plan for path in paths)
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return plan if inside else None


def set_attributes(top: int, tree: Path, paths: list[str]) -> None:
    """Give directories below ``top`` the attributes that they have in ``tree``. Raises OSError."""
    source = os.open(tree, DIRECTORY)
    try:
        with Descent(source) as kept:
            for path in paths:
                with (
                    contextlib.suppress(FileNotFoundError, NotADirectoryError),
                    opened(top, path) as new,
                ):
                    old = kept.open(path)
                    copy_attributes(old, new, os.fstat(old))
    finally:
        os.close(source)
