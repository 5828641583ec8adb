"""The program that searches trees: names by glob, lines by literal text.

It reads one JSON object (:class:`Task`) from standard input and writes what it finds as JSON
values, one on each line. Exit status: 0, :data:`TRUNCATED_BY_LIMIT`, :data:`TRUNCATED_BY_TIME`.
"""

# Importing pathlib would take longer than many a search.
# ruff: noqa: PTH112

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from collections.abc import Iterator
from json.encoder import encode_basestring_ascii as quote

from toolbox_files.helpers.gitignore import ignored_in
from toolbox_files.helpers.globs import compile_glob
from toolbox_files.helpers.lines import CHUNK
from toolbox_files.helpers.lines import matching_lines
from toolbox_files.helpers.nametext import name_bytes
from toolbox_files.helpers.nametext import name_text
from toolbox_files.helpers.walking import walk

TRUNCATED_BY_LIMIT = 10
TRUNCATED_BY_TIME = 11

LOT = 32 * 1024
"""Characters of results written at once."""


class Task:
    """What to look for, and where.

    ``kind`` is ``names`` or ``lines``. ``root`` is where the walk starts, ``shown`` what it is
    called in the results, ``skip`` are names of directories that aren't entered. ``limit`` results
    are given after the first ``offset``, 0 is no limit. ``seconds`` bounds the time, 0 doesn't.
    ``gitignore`` leaves out what ``.gitignore`` files do, and what is in ``.git``. ``rg`` is a
    ripgrep program to use, or empty.
    """

    def __init__(
        self,
        kind: str,
        root: str,
        shown: str,
        pattern: str,
        skip: list[str] | None = None,
        offset: int = 0,
        limit: int = 0,
        seconds: float = 0,
        rg: str = "",
        gitignore: bool = False,
    ) -> None:
        self.kind = kind
        self.root = os.fsdecode(name_bytes(root))
        self.shown = os.fsdecode(name_bytes(shown))
        self.pattern = pattern
        # Git itself never looks into its own directory.
        names = [*(skip or ()), *([".git"] if gitignore else ())]
        self.skip = frozenset(os.fsdecode(name_bytes(name)) for name in names)
        self.offset = offset
        self.limit = limit
        self.seconds = seconds
        self.rg = rg
        self.gitignore = gitignore

    def walk(self) -> Iterator[tuple[str, str, str, str]]:
        """All there is to look at, see :func:`toolbox_files.helpers.walking.walk`."""
        if not self.gitignore:
            return walk(self.root, self.shown, self.skip)
        return walk(self.root, self.shown, self.skip, ignored_in(self.root))


def names(task: Task) -> Iterator[str]:
    """Every entry whose name matches the glob, as JSON."""
    try:
        pattern = os.fsdecode(name_bytes(task.pattern))
    except UnicodeEncodeError:
        return
    matches = compile_glob(pattern)
    if matches is None:
        return
    for _, shown, name, _ in task.walk():
        if matches(name):
            yield _quoted_name(shown)


def _quoted_name(name: str) -> str:
    return quote(name if name.isascii() else name_text(os.fsencode(name)))


def lines(task: Task) -> Iterator[str]:
    """Every line that holds the text, as JSON: its file, its number and the line."""
    pattern = task.pattern.encode("utf-8", "surrogatepass")
    if b"\n" in pattern or not pattern:
        return
    buffer = bytearray(CHUNK)
    for path, shown in candidates(task, pattern):
        prefix = ""
        for number, content in matching_lines(path, pattern, buffer):
            prefix = prefix or f'{{"file":{_quoted_name(shown)},"line":'
            yield f'{prefix}{number},"content":{quote(content.decode("utf-8", "replace"))}}}'


def candidates(task: Task, pattern: bytes) -> Iterator[tuple[str, str]]:
    """The regular files worth reading, in order: their paths and what they are called."""
    # It reads .gitignore files in another way than git does.
    if task.rg and not task.gitignore and os.path.isdir(task.root):
        # Imported late: not every search needs what it imports.
        from toolbox_files.helpers.ripgrep import files_with_text

        found = files_with_text(task.rg, task.root, task.shown, pattern, task.skip)
        if found is not None:
            yield from found
            return
    for path, shown, _, kind in task.walk():
        if kind == "f":
            yield path, shown


def run(task: Task, write: Callable[[bytes], object]) -> int:
    """Write the results of ``task``; the exit status."""
    results = names(task) if task.kind == "names" else lines(task)
    last = task.offset + task.limit if task.limit else sys.maxsize
    lot: list[str] = []
    size = status = 0
    try:
        for count, result in enumerate(results):
            if count >= last:
                status = TRUNCATED_BY_LIMIT
                break
            if count >= task.offset:
                lot.append(result)
                size += len(result)
            if size > LOT:
                write(("\n".join(lot) + "\n").encode())
                lot, size = [], 0
    except OutOfTime:
        status = TRUNCATED_BY_TIME
    if lot:
        write(("\n".join(lot) + "\n").encode())
    return status


class OutOfTime(Exception):
    """The task's seconds are over. No OSError, which would be taken for an unreadable file."""


def _out_of_time(number: int, frame: object) -> None:
    raise OutOfTime


def _write(data: bytes) -> None:
    """Write to standard output, all of it even if the time is over meanwhile."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    sys.stdout.buffer.write(data)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])


def main(arguments: list[str]) -> int:
    """Do the task on standard input."""
    task = Task(**json.loads(sys.stdin.buffer.read()))
    if task.seconds:
        signal.signal(signal.SIGALRM, _out_of_time)
        signal.setitimer(signal.ITIMER_REAL, task.seconds)
    status = run(task, _write)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    return status
