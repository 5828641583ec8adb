"""The helper program that walks trees: names by glob, lines by literal text.

A walk holds the interpreter's lock for as long as it takes, so it runs in a process of its own.
That one is to start fast: this file is run by its name and imports nothing but the standard
library. It reads one JSON object (:class:`Task`) from standard input and writes what it finds as
JSON values, one on each line. Exit status: 0, :data:`TRUNCATED_BY_LIMIT`,
:data:`TRUNCATED_BY_TIME`.

The walk goes depth first in the order of the names' bytes, doesn't follow symbolic links but the
one it starts at, and skips what it can't read.
"""

# Importing pathlib would take longer than many a search.
# ruff: noqa: PTH112, PTH116

from __future__ import annotations

import contextlib
import json
import operator
import os
import re
import signal
import stat
import sys
from collections.abc import Callable
from collections.abc import Iterator
from json.encoder import encode_basestring_ascii as quote

TRUNCATED_BY_LIMIT = 10
TRUNCATED_BY_TIME = 11

CHUNK = 1024 * 1024
"""Bytes of a file read at once."""

MAX_CONTENT = 1024 * 1024
"""Bytes of a line that are shown; the rest of a longer line is searched, but not sent."""

LOT = 32 * 1024
"""Characters of results written at once."""

RG_MEMORY = 512 * 1024 * 1024
"""Bytes of data that ripgrep may have; what it needs grows with the longest line there is."""

SNIFFED = 512
"""A NUL among that many first bytes makes a file binary."""

ESCAPE = 0x10F700
"""See :mod:`toolbox_files.names`."""

_SURROGATES = re.compile("[\udc80-\udcff]")
_ESCAPES = re.compile(f"[{chr(ESCAPE + 0x80)}-{chr(ESCAPE + 0xFF)}]")

Match = Callable[[str], bool]


class Task:
    """What to look for, and where.

    ``kind`` is ``names`` or ``lines``. ``root`` is where the walk starts, ``shown`` what it is
    called in the results, ``skip`` are names of directories that aren't entered. ``limit`` results
    are given after the first ``offset``, 0 is no limit. ``seconds`` bounds the time, 0 doesn't.
    ``rg`` is a ripgrep program to use, or empty.
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
    ) -> None:
        self.kind = kind
        self.root = os.fsdecode(name_bytes(root))
        self.shown = os.fsdecode(name_bytes(shown))
        self.pattern = pattern
        self.skip = frozenset(os.fsdecode(name_bytes(name)) for name in skip or ())
        self.offset = offset
        self.limit = limit
        self.seconds = seconds
        self.rg = rg


def name_text(name: bytes) -> str:
    """A name as clients see it; see :mod:`toolbox_files.names`."""
    text = name.decode("utf-8", "surrogateescape")
    text = _ESCAPES.sub(lambda match: _surrogates(match[0]), text)
    return _SURROGATES.sub(lambda match: chr(ord(match[0]) - 0xDC00 + ESCAPE), text)


def _surrogates(character: str) -> str:
    return character.encode("utf-8").decode("ascii", "surrogateescape")


def name_bytes(text: str) -> bytes:
    """The name that a client's text means. Raises UnicodeEncodeError for a lone surrogate."""
    escaped = _ESCAPES.sub(lambda match: chr(ord(match[0]) - ESCAPE + 0xDC00), text)
    return escaped.encode("utf-8", "surrogateescape")


# Globs


def compile_glob(pattern: str) -> Match | None:
    """Whether a whole name matches ``pattern``; None if the pattern is malformed.

    ``*`` is any run of characters, ``?`` one, ``[a-z]`` one of a set, ``[^a-z]`` and ``[!a-z]``
    one not in it, a backslash takes the special meaning from what follows it.
    """
    if re.fullmatch(r"\*[^*?\[\\]*", pattern):
        ending = pattern[1:]
        return lambda name: name.endswith(ending)
    if re.fullmatch(r"[^*?\[\\]*", pattern):
        return lambda name: name == pattern
    expression = _glob_expression(pattern)
    if expression is None:
        return None
    matches = re.compile(expression, re.DOTALL).fullmatch
    return lambda name: matches(name) is not None


def _glob_expression(pattern: str) -> str | None:
    """``pattern`` as a regular expression, None if it is malformed.

    What stands between two stars has a fixed length, so the first place where it fits is as good
    as any later one: atomic groups keep the search linear in each.
    """
    segments = [""]
    place = 0
    while place < len(pattern):
        character = pattern[place]
        place += 1
        if character == "*":
            segments.append("")
        elif character == "?":
            segments[-1] += "."
        elif character == "[":
            found = _glob_set(pattern, place)
            if found is None:
                return None
            segments[-1] += found[0]
            place = found[1]
        elif character == "\\" and place == len(pattern):
            return None
        else:
            if character == "\\":
                character = pattern[place]
                place += 1
            segments[-1] += re.escape(character)
    if len(segments) == 1:
        return segments[0]
    middle = "".join(f"(?>.*?{segment})" for segment in segments[1:-1] if segment)
    return f"{segments[0]}{middle}.*{segments[-1]}"


def _glob_set(pattern: str, place: int) -> tuple[str, int] | None:
    """The set that begins at ``place`` as an expression, and where it ends."""
    negated = pattern[place : place + 1] in ("^", "!")
    place += negated
    members: list[str] = []
    while pattern[place : place + 1] != "]" or not members:
        low = _set_member(pattern, place)
        if low is None:
            return None
        first, place = low
        last = first
        if pattern[place : place + 1] == "-":
            high = _set_member(pattern, place + 1)
            if high is None:
                return None
            last, place = high
        # Nothing is in a range that runs backwards.
        members.append(f"{re.escape(first)}-{re.escape(last)}" if first <= last else "")
    inner = "".join(members)
    if not inner:
        return (".", place + 1) if negated else ("(?!)", place + 1)
    return f"[{'^' if negated else ''}{inner}]", place + 1


def _set_member(pattern: str, place: int) -> tuple[str, int] | None:
    character = pattern[place : place + 1]
    if character in ("", "-", "]"):
        return None
    if character == "\\":
        place += 1
        character = pattern[place : place + 1]
    return (character, place + 1) if character else None


# Walking


def walk(root: str, shown: str, skip: frozenset[str]) -> Iterator[tuple[str, str, str, str]]:
    """Every entry at and below ``root``: its path, what it is called, its name and its type.

    The type is ``d``, ``f`` for a regular file, or empty.
    """
    try:
        mode = os.stat(root).st_mode
    except (OSError, ValueError):
        return
    yield root, shown, shown.rpartition("/")[2] or shown, _type(mode)
    if not stat.S_ISDIR(mode):
        return
    prefix = "" if shown == "." else shown.rstrip("/") + "/"
    levels = [(prefix, _entries(root))]
    while levels:
        prefix, entries = levels[-1]
        for entry in entries:
            name = entry.name
            kind = _entry_type(entry)
            yield entry.path, prefix + name, name, kind
            if kind == "d" and name not in skip:
                levels.append((f"{prefix}{name}/", _entries(entry.path)))
                break
        else:
            levels.pop()


def _type(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "d"
    return "f" if stat.S_ISREG(mode) else ""


def _entry_type(entry: os.DirEntry[str]) -> str:
    try:
        if entry.is_dir(follow_symlinks=False):
            return "d"
        return "f" if entry.is_file(follow_symlinks=False) else ""
    except OSError:
        return ""  # Its type isn't in the directory, and it is gone.


def sorted_entries(directory: str) -> list[os.DirEntry[str]]:
    """The entries of a directory by the bytes of their names. Raises OSError."""
    with os.scandir(directory) as entries:
        found = list(entries)
    # Characters sort like bytes where each is one.
    ascii_only = all(map(str.isascii, map(_name, found)))
    found.sort(key=_name if ascii_only else _name_bytes)
    return found


def _entries(directory: str) -> Iterator[os.DirEntry[str]]:
    try:
        return iter(sorted_entries(directory))
    except OSError:
        return iter(())


_name = operator.attrgetter("name")


def _name_bytes(entry: os.DirEntry[str]) -> bytes:
    return os.fsencode(entry.name)


def names(task: Task) -> Iterator[str]:
    """Every entry whose name matches the glob, as JSON."""
    try:
        pattern = os.fsdecode(name_bytes(task.pattern))
    except UnicodeEncodeError:
        return
    matches = compile_glob(pattern)
    if matches is None:
        return
    for _, shown, name, _ in walk(task.root, task.shown, task.skip):
        if matches(name):
            yield _quoted_name(shown)


def _quoted_name(name: str) -> str:
    return quote(name if name.isascii() else name_text(os.fsencode(name)))


# Lines


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
    found = None
    # An argument of a program holds no NUL and is limited in length (execve(2)).
    if task.rg and b"\0" not in pattern and len(pattern) < 64 * 1024 and os.path.isdir(task.root):
        found = _ask_rg(task, pattern)
    if found is not None:
        yield from found
        return
    for path, shown, _, kind in walk(task.root, task.shown, task.skip):
        if kind == "f":
            yield path, shown


def _ask_rg(task: Task, pattern: bytes) -> Iterator[tuple[str, str]] | None:
    """What ripgrep says holds the text; None if it can't be asked.

    It only saves reading the other files: which lines, and whether a file is binary, is found out
    by the same code as without it. It keeps whole lines in memory, so it is given a limit, and
    asked in vain where one is longer.
    """
    import resource
    import subprocess

    command = [task.rg, "--no-config", "--no-ignore", "--hidden", "--no-messages"]
    # As they are: no guessing of encodings, no stop at a NUL.
    command += ["--text", "--encoding=none", "--fixed-strings", "--case-sensitive"]
    command += ["--files-with-matches", "--null", "--color=never"]
    for name in task.skip:
        command.append("--glob=!**/" + re.sub(r"([\\*?\[\]{}!])", r"\\\1", name) + "/")
    root = task.root.rstrip("/") + "/"
    try:
        process = subprocess.Popen(
            [*command, "--regexp", os.fsdecode(pattern), "--", root],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return None
    with process:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(process.pid, resource.RLIMIT_DATA, (RG_MEMORY, RG_MEMORY))
            resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))
        try:
            output, _ = process.communicate()
        except BaseException:
            process.kill()
            raise
    # 0: found, 1: not found, 2: found or not, and something could not be read.
    return _sorted(output, root, task.shown) if process.returncode in (0, 1, 2) else None


def _sorted(output: bytes, root: str, shown: str) -> Iterator[tuple[str, str]]:
    prefix = "" if shown == "." else shown.rstrip("/") + "/"
    # A separator sorts before everything else, as if it ended the name.
    for path in sorted(output.split(b"\0")[:-1], key=lambda each: each.replace(b"/", b"\0")):
        text = os.fsdecode(path)
        yield text, prefix + text[len(root) :]


def matching_lines(path: str, pattern: bytes, buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Number and content of each line that holds ``pattern``, without its line ending.

    Nothing for a binary file or one that can't be read. Takes little memory, however long the
    file or its lines: at most MAX_CONTENT bytes of a line are given.
    """
    try:
        # It may be a FIFO by now: don't wait for its other end.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        size = os.readv(fd, [buffer])
        if buffer.find(b"\0", 0, min(size, SNIFFED)) >= 0:
            return
        if size < len(buffer) and buffer.find(pattern, 0, size) < 0:
            if not os.readv(fd, [memoryview(buffer)[size:]]):
                return  # The common case: a small file without it.
            os.lseek(fd, size, os.SEEK_SET)
        yield from _scan_lines(fd, bytes(memoryview(buffer)[:size]), pattern)
    except OSError:
        return
    finally:
        os.close(fd)


def _scan_lines(fd: int, block: bytes, pattern: bytes) -> Iterator[tuple[int, bytes]]:
    number = 1
    line = _LongLine(pattern)
    while block:
        first, newline, rest = block.partition(b"\n")
        line.add(first)
        if newline:
            if line.matches():
                yield number, line.content()
            number += 1
            line = _LongLine(pattern)
            # The lines that are whole in this block, at once; then the beginning of the last.
            whole = rest.rfind(b"\n") + 1
            for found, content in _whole_lines(rest, whole, pattern):
                yield number + found, content
            number += rest.count(b"\n", 0, whole)
            line.add(rest[whole:])
        block = os.read(fd, CHUNK)
    if line.matches():
        yield number, line.content()


def _whole_lines(data: bytes, end: int, pattern: bytes) -> Iterator[tuple[int, bytes]]:
    """Number from 0 and content of the lines in ``data[:end]``, which ends with a line."""
    number = counted = place = 0
    while (place := data.find(pattern, place, end)) >= 0:
        number += data.count(b"\n", counted, place)
        start = data.rfind(b"\n", 0, place) + 1
        counted = data.index(b"\n", place)
        content = _without_return(data[start:counted])
        if pattern in content:
            yield number, content[:MAX_CONTENT]
        place = counted


class _LongLine:
    """A line that comes in pieces."""

    def __init__(self, pattern: bytes) -> None:
        self._pattern = pattern
        self._shown = bytearray()
        self._tail = b""
        self._found = False
        self._length = 0

    def add(self, piece: bytes) -> None:
        data = self._tail + piece
        # A match that ends with the line's carriage return is none: the return may be stripped.
        limit = len(data) - (self._pattern.endswith(b"\r") and data.endswith(self._pattern))
        self._found = self._found or data.find(self._pattern, 0, limit) >= 0
        self._tail = data[max(0, len(data) - len(self._pattern)) :]
        if len(self._shown) <= MAX_CONTENT:
            self._shown += piece[: MAX_CONTENT + 1 - len(self._shown)]
        self._length += len(piece)

    def matches(self) -> bool:
        return self._found

    def content(self) -> bytes:
        shown = bytes(self._shown)
        if len(shown) == self._length:
            shown = _without_return(shown)
        return shown[:MAX_CONTENT]


def _without_return(line: bytes) -> bytes:
    return line[:-1] if line.endswith(b"\r") else line


# The program


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


def main() -> int:
    """Do the task on standard input."""
    task = Task(**json.loads(sys.stdin.buffer.read()))
    if task.seconds:
        signal.signal(signal.SIGALRM, _out_of_time)
        signal.setitimer(signal.ITIMER_REAL, task.seconds)
    status = run(task, _write)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    return status


if __name__ == "__main__":
    sys.exit(main())
