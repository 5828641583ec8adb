"""Files that a project's ``.gitignore`` files ignore, by the rules of gitignore(5)."""

# Importing pathlib would take longer than many searches.
# ruff: noqa: PTH118, PTH120

from __future__ import annotations

import os
import re

from toolbox.patterns.globs import Match
from toolbox.patterns.globs import compile_glob

MAX_SIZE = 1024 * 1024
"""Maximum bytes read of a ``.gitignore``."""

_NAME = ".gitignore"


class _Rule:
    """A pattern."""

    def __init__(self, pattern: str, negated: bool, only_directories: bool) -> None:
        self.negated = negated
        self._only_directories = only_directories
        # With a slash before its end, a pattern is a path from here, else a name anywhere below.
        *above, last = pattern.removeprefix("/").split("/")
        self._anywhere = "/" not in pattern
        self._globs = [_glob(name) for name in above]
        # A trailing ** matches everything in a directory, but not the directory itself.
        self._globs += [_anything, None] if last == "**" else [_glob(last)]

    def matches(self, names: tuple[str, ...], is_directory: bool) -> bool:
        """Report whether the path ``names``, relative to the rule's directory, matches."""
        if self._only_directories and not is_directory:
            return False
        return self._match(names[-1:] if self._anywhere else names)

    def _match(self, names: tuple[str, ...]) -> bool:
        # The usual greedy matching of wildcards: on a mismatch the last ** takes one more name.
        globs, position, index, star, resume = self._globs, 0, 0, -1, 0
        while index < len(names):
            glob = globs[position] if position < len(globs) else _nothing
            if glob is None:
                star, resume, position = position, index, position + 1
            elif glob(names[index]):
                position, index = position + 1, index + 1
            elif star >= 0:
                resume += 1
                position, index = star + 1, resume
            else:
                return False
        return all(glob is None for glob in globs[position:])


def _glob(name: str) -> Match | None:
    """Return None for ``**``, any number of names; a malformed glob matches nothing."""
    return None if name == "**" else compile_glob(name) or _nothing


def _anything(name: str) -> bool:
    return True


def _nothing(name: str) -> bool:
    return False


def parse(text: str) -> list[_Rule]:
    """Return the rules of a ``.gitignore``, the last one first: it takes precedence."""
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
    """A predicate for the entries of one directory: whether they are ignored.

    ``names`` is the directory's path from the top. ``files`` are the rules that apply, the nearest
    first, each with the length of the path of its directory.
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
        """Return the predicate for the subdirectory ``name``, at ``path``."""
        names = (*self._names, name)
        rules = _read(os.path.join(path, _NAME))
        return Ignored(names, ((len(names), rules), *self._files) if rules else self._files)


def ignored_in(root: str) -> Ignored:
    """Return the predicate for ``root``, with the rules of the repository that contains it."""
    root = os.path.realpath(root)
    top = repository(root)
    exclude = _read(os.path.join(_git_directory(top), "info", "exclude"))
    found = Ignored((), ((0, _read(os.path.join(top, _NAME))), (0, exclude)))
    path = top
    for name in os.path.relpath(root, top).split("/"):
        if name != ".":
            path = os.path.join(path, name)
            found = found.below(name, path)
    return found


def _git_directory(top: str) -> str:
    """Return the directory that a repository's working trees share (gitrepository-layout(5))."""
    directory = os.path.join(top, ".git")
    for name, start in (("", b"gitdir: "), ("commondir", b"")):
        # In another working tree, .git is a file with the path of its own directory.
        content = _content(os.path.join(directory, name) if name else directory)
        if content.startswith(start) and content.strip():
            path = os.fsdecode(content.removeprefix(start).strip())
            directory = os.path.join(directory if name else top, path)
    return directory


def repository(root: str) -> str:
    """Return the top of the repository that contains ``root``, or ``root`` if none does."""
    path = root
    while not os.path.lexists(os.path.join(path, ".git")):
        above = os.path.dirname(path)
        if above == path:
            return root
        path = above
    return path


def _read(path: str) -> list[_Rule]:
    return parse(_content(path).decode("utf-8", "surrogateescape"))


def _content(path: str) -> bytes:
    """Return the beginning of a file; nothing if it can't be read."""
    try:
        # It may be anything, even a FIFO, which must not block.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(fd, MAX_SIZE)
    except OSError:
        return b""
    finally:
        os.close(fd)
