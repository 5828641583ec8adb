"""Files that a project's ``.gitignore`` files leave out, by the rules of gitignore(5)."""

# Importing pathlib would take longer than many a search.
# ruff: noqa: PTH118, PTH120

from __future__ import annotations

import os
import re

from toolbox_files.helpers.globs import Match
from toolbox_files.helpers.globs import compile_glob

MAX_SIZE = 1024 * 1024
"""Bytes of a ``.gitignore`` that are read."""

_NAME = ".gitignore"


class _Rule:
    """One pattern."""

    def __init__(self, pattern: str, negated: bool, only_directories: bool) -> None:
        self.negated = negated
        self._only_directories = only_directories
        # A slash that isn't the last character: a path from here, not a name anywhere below.
        *above, last = pattern.removeprefix("/").split("/")
        self._anywhere = "/" not in pattern
        self._globs = [_glob(name) for name in above]
        # What is in a directory, but not itself.
        self._globs += [_anything, None] if last == "**" else [_glob(last)]

    def matches(self, names: tuple[str, ...], is_directory: bool) -> bool:
        """Whether the path ``names``, from the directory of the rule, is meant."""
        if self._only_directories and not is_directory:
            return False
        return self._match(names[-1:] if self._anywhere else names)

    def _match(self, names: tuple[str, ...]) -> bool:
        # As one matches stars: on a failure the last ** takes one name more.
        globs, place, at, star, resume = self._globs, 0, 0, -1, 0
        while at < len(names):
            glob = globs[place] if place < len(globs) else _nothing
            if glob is None:
                star, resume, place = place, at, place + 1
            elif glob(names[at]):
                place, at = place + 1, at + 1
            elif star >= 0:
                resume += 1
                place, at = star + 1, resume
            else:
                return False
        return all(each is None for each in globs[place:])


def _glob(name: str) -> Match | None:
    """None for ``**``, any number of names; a malformed glob matches nothing."""
    return None if name == "**" else compile_glob(name) or _nothing


def _anything(name: str) -> bool:
    return True


def _nothing(name: str) -> bool:
    return False


def parse(text: str) -> list[_Rule]:
    """The rules of a ``.gitignore``, the last one first: it wins."""
    rules = []
    for line in text.removeprefix("\ufeff").split("\n"):
        pattern = re.sub(r"(?<!\\) +$", "", line.removesuffix("\r"))
        if not pattern or pattern.startswith("#"):
            continue
        negated = pattern.startswith("!")
        pattern = pattern[negated:]
        only_directories = pattern.endswith("/")
        pattern = pattern.removesuffix("/")
        if pattern.strip("/"):
            rules.append(_Rule(pattern, negated, only_directories))
    return rules[::-1]


class Ignored:
    """Tells for the entries of one directory whether they are ignored.

    ``names`` is its path from the top, ``files`` are the rules that hold there, the nearest first,
    each with the length of the path of its own directory.
    """

    def __init__(self, names: tuple[str, ...], files: tuple[tuple[int, list[_Rule]], ...]) -> None:
        self._names = names
        self._files = files

    def __call__(self, name: str, is_directory: bool) -> bool:
        names = (*self._names, name)
        for start, rules in self._files:
            for rule in rules:
                if rule.matches(names[start:], is_directory):
                    return not rule.negated
        return False

    def below(self, name: str, path: str) -> Ignored:
        """The same for the directory ``name``, which is at ``path``."""
        names = (*self._names, name)
        rules = _read(os.path.join(path, _NAME))
        return Ignored(names, ((len(names), rules), *self._files) if rules else self._files)


def ignored_in(root: str) -> Ignored:
    """For the directory ``root``, with the rules of the repository that it belongs to."""
    root = os.path.realpath(root)
    top = repository(root)
    exclude = _read(os.path.join(top, ".git", "info", "exclude"))
    found = Ignored((), ((0, _read(os.path.join(top, _NAME))), (0, exclude)))
    path = top
    for name in os.path.relpath(root, top).split("/"):
        if name != ".":
            path = os.path.join(path, name)
            found = found.below(name, path)
    return found


def repository(root: str) -> str:
    """The directory with a ``.git`` that ``root`` is in, itself if there is none."""
    path = root
    while not os.path.lexists(os.path.join(path, ".git")):
        above = os.path.dirname(path)
        if above == path:
            return root
        path = above
    return path


def _read(path: str) -> list[_Rule]:
    try:
        # It may be anything, a FIFO too.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        content = os.read(fd, MAX_SIZE)
    except OSError:
        return []
    finally:
        os.close(fd)
    return parse(content.decode("utf-8", "surrogateescape"))
