"""The plan of a restore: what is removed, what is put in place, what gets other attributes."""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

from toolbox.trees.choice import Choice
from toolbox_checkpoints.helpers.comparing import Comparison
from toolbox_checkpoints.helpers.comparing import Kind
from toolbox_checkpoints.helpers.comparing import Side
from toolbox_checkpoints.helpers.failures import Missing
from toolbox_checkpoints.helpers.failures import Refused
from toolbox_checkpoints.helpers.manifest import Manifest
from toolbox_checkpoints.helpers.places import join
from toolbox_checkpoints.helpers.places import split
from toolbox_checkpoints.helpers.service import Service


class Plan(NamedTuple):
    """The steps of a restore, in order; each of ``remove`` and ``put`` is a tree or a file."""

    remove: list[str]
    put: list[str]
    attributes: list[str]
    """Directories, each before the one that it is in."""


def make_plan(comparison: Comparison, only: list[str]) -> Plan:
    """Return the plan that undoes all differences. Raises OSError, TreeError, Refused, Missing."""
    # All of them first: that something is kept decides about the directories above it.
    comparison.run()
    found = comparison.found
    # What stays keeps the directories that it is in.
    holding = {above for entry in found if entry.kind == "kept" for above in _above(entry.path)}
    remove: list[str] = []
    put: dict[str, None] = {}
    attributes: set[str] = set()
    whole: set[str] = set()
    for path, kind, before, _ in found:
        if split(path)[0] in whole:
            # The tree that it is in is moved as one.
            whole.add(path)
        elif kind == "kept" or not _is_wanted(comparison, path, kind, before):
            continue
        elif kind == "added":
            if path not in holding:
                remove.append(path)
                whole.add(path)
        elif kind == "type" and path in holding:
            # It would have to be in a file, or in nothing.
            raise Refused(f"{os.path.basename(path)[:80]!r} has excluded files in it")  # noqa: PTH119
        elif kind in ("mode", "times") and before and stat.S_ISDIR(before[0]):
            attributes.add(path)
        else:
            put[path] = None
            whole.add(path)
    relinked = _relinked(comparison, whole)
    put |= dict.fromkeys(path for path in relinked if path not in whole)
    _check_all_found(only, [path for path, *_ in found], comparison)
    # The times of a directory change with its entries.
    attributes |= {split(path)[0] for path in (*remove, *put)}
    shared = set(comparison.directories)
    return Plan(remove, list(put), sorted(attributes & shared, reverse=True))


def _is_wanted(comparison: Comparison, path: str, kind: Kind, before: Side) -> bool:
    """Report whether a difference is to be undone.

    On the way to a single path only directories are made that the path needs.
    """
    if comparison.is_within(path):
        return True
    return kind in ("deleted", "type") and before is not None and stat.S_ISDIR(before[0])


def _above(path: str) -> list[str]:
    """Return the paths of all directories that a path is in."""
    found = []
    while path:
        path, _ = split(path)
        found.append(path)
    return found


def _relinked(comparison: Comparison, put: set[str]) -> list[str]:
    """Return the paths of files whose hard links aren't those of the checkpoint.

    All names of a file have to be put at once, to be links to the same copy.
    """
    before: defaultdict[int, list[str]] = defaultdict(list)
    after: defaultdict[int, set[int]] = defaultdict(set)
    now: dict[str, int] = {}
    for path, a, b in comparison.pairs:
        before[a].append(path)
        now[path] = b
        if b:
            after[b].add(a)
    wanted = []
    for paths in before.values():
        inodes = {now[path] for path in paths}
        # Files that are one now and weren't, and one that has fallen apart.
        joined = any(len(after[inode]) > 1 for inode in inodes)
        torn = len(paths) > 1 and (len(inodes) > 1 or any(path in put for path in paths))
        if joined or torn:
            wanted += paths
    return wanted


def _check_all_found(only: list[str], differing: list[str], comparison: Comparison) -> None:
    """Raise Missing if a path is neither in the checkpoint nor in the tree."""
    for path in only:
        below = any(place == path or place.startswith(f"{path}/") for place in differing)
        if not below and not comparison.has(path):
            raise Missing(f"{path[-200:]} is neither in the checkpoint nor in the directory")


class Selected(Choice):
    """Copies the trees and files at some paths, and the directories on the way to them."""

    def __init__(
        self,
        paths: list[str],
        concerns: Callable[[str], bool],
        manifest: Manifest,
        service: Service,
    ) -> None:
        self._service = service
        self._concerns = concerns
        self._paths = set(paths)
        self._way = {above for path in paths for above in _above(path)}
        self._manifest = manifest
        self._inside = {""} if "" in self._paths else set()
        self._path = ""
        self._files = self._size = 0

    def restart(self) -> None:
        self._service.restart()
        self._files = self._size = 0

    def part(self) -> tuple[int, int]:
        return self._files, self._size

    def merge(self, part: tuple[int, int]) -> None:
        self._files, self._size = self._files + part[0], self._size + part[1]
        self._service.merge(self._files, self._size)

    def enter(self, names: list[str], status: os.stat_result) -> None:
        self._path = "/".join(names)
        if split(self._path)[0] in self._inside and names:
            self._inside.add(self._path)
        self._linked = frozenset(self._manifest.linked.get(self._path, ()))

    def takes(self, entry: os.DirEntry[str]) -> bool:
        path = join(self._path, entry.name)
        if not self._concerns(path):
            return False
        if path in self._paths or self._path in self._inside:
            if entry.is_dir(follow_symlinks=False):
                self._inside.add(path)
            return True
        return path in self._way

    def is_linked(self, name: str, status: os.stat_result) -> bool:
        # Not by its status: other checkpoints have names of the same file.
        return name in self._linked

    def copied(self, name: str, status: os.stat_result) -> None:
        self._files += 1
        self._size += status.st_size
        self._service.count(self._files, self._size)
