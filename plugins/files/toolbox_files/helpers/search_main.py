"""The program that searches trees: names by glob, lines by literal text.

It reads a JSON object (:class:`Task`) from standard input and writes the results as JSON values,
one per line. Exit status: 0, :data:`TRUNCATED_BY_LIMIT`, :data:`TRUNCATED_BY_TIME`.
"""

# Importing pathlib would take longer than many searches.
# ruff: noqa: PTH112

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from collections.abc import Iterator
from json.encoder import encode_basestring_ascii as quote

from toolbox.filenames import decode_name
from toolbox.filenames import encode_name
from toolbox.patterns.gitignore import ignored_in
from toolbox.patterns.globs import compile_glob
from toolbox_files.helpers.lines import CHUNK
from toolbox_files.helpers.lines import matching_lines
from toolbox_files.helpers.walking import walk

TRUNCATED_BY_LIMIT = 10
TRUNCATED_BY_TIME = 11

_AGAIN = 1.0
"""Seconds between two signals that the time is up."""

BATCH = 32 * 1024
"""Characters of results written at once."""


class Task:
    """A search.

    ``kind`` is ``names`` or ``lines``. ``root`` is the start of the walk, ``shown`` its name in the
    results, ``skip`` names of directories that aren't entered. Up to ``limit`` results are written
    after the first ``offset``; 0 is no limit. ``seconds`` bounds the time, 0 doesn't. ``gitignore``
    omits files that ``.gitignore`` files ignore, and the content of ``.git``. ``rg`` is a ripgrep
    program to use, or empty.
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
        self.root = os.fsdecode(encode_name(root))
        self.shown = os.fsdecode(encode_name(shown))
        self.pattern = pattern
        # Git never looks into its own directory either.
        names = [*(skip or ()), *([".git"] if gitignore else ())]
        self.skip = frozenset(os.fsdecode(encode_name(name)) for name in names)
        self.offset = offset
        self.limit = limit
        self.seconds = seconds
        self.rg = rg
        self.gitignore = gitignore

    def walk(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield the entries to search, see :func:`toolbox_files.helpers.walking.walk`."""
        if not self.gitignore:
            return walk(self.root, self.shown, self.skip)
        return walk(self.root, self.shown, self.skip, ignored_in(self.root))


def names(task: Task) -> Iterator[str]:
    """Yield every entry whose name matches the glob, as JSON."""
    try:
        pattern = os.fsdecode(encode_name(task.pattern))
    except UnicodeEncodeError:
        return
    matches = compile_glob(pattern)
    if matches is None:
        return
    for _, shown, name, _ in task.walk():
        if matches(name):
            yield _quoted_name(shown)


def _quoted_name(name: str) -> str:
    return quote(name if name.isascii() else decode_name(os.fsencode(name)))


def lines(task: Task) -> Iterator[str]:
    """Yield every line that contains the text, as JSON: file, number and content."""
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
    """Yield path and shown name of the regular files to read, in order."""
    # Ripgrep interprets .gitignore files differently than git does.
    if task.rg and not task.gitignore and os.path.isdir(task.root):
        # Imported late: not every search needs its imports.
        from toolbox_files.helpers.ripgrep import files_with_text

        found = files_with_text(task.rg, task.root, task.shown, pattern, task.skip)
        if found is not None:
            yield from found
            return
    for path, shown, _, kind in task.walk():
        if kind == "f":
            yield path, shown


def run(task: Task, write: Callable[[bytes], object]) -> int:
    """Write the results of ``task``; return the exit status."""
    results = names(task) if task.kind == "names" else lines(task)
    last = task.offset + task.limit if task.limit else sys.maxsize
    batch: list[str] = []
    size = status = 0
    try:
        for count, result in enumerate(results):
            if count >= last:
                status = TRUNCATED_BY_LIMIT
                break
            if count >= task.offset:
                batch.append(result)
                size += len(result)
            if size > BATCH:
                data = ("\n".join(batch) + "\n").encode()
                # Before it is written: the time may be up right after that.
                batch, size = [], 0
                write(data)
        end_time()
    except OutOfTime:
        end_time()
        status = TRUNCATED_BY_TIME
    if batch:
        write(("\n".join(batch) + "\n").encode())
    return status


class OutOfTime(Exception):
    """The task's time is up. Not an OSError, which would be taken for an unreadable file."""


def _out_of_time(number: int, frame: object) -> None:
    raise OutOfTime


def begin_time(seconds: float) -> None:
    """Raise OutOfTime in ``seconds``, 0 for never."""
    if seconds:
        signal.signal(signal.SIGALRM, _out_of_time)
        # Again until it is heard: Python drops what is raised while it closes a generator.
        signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)


def end_time() -> None:
    """Raise OutOfTime no more. It may raise it once, if the time is up right now."""
    if signal.getsignal(signal.SIGALRM) is _out_of_time:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)


def _write(data: bytes) -> None:
    """Write all of ``data`` to standard output, even if the time is up during it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    sys.stdout.buffer.write(data)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])


def main(arguments: list[str]) -> int:
    """Run the task on standard input; return the exit status."""
    task = Task(**json.loads(sys.stdin.buffer.read()))
    begin_time(task.seconds)
    return run(task, _write)
