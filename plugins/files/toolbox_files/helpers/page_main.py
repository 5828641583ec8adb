"""The program that searches trees for a page of results: lines by expression, paths by glob.

It reads a JSON object (:class:`PageTask`) from standard input and writes the results as JSON
values, one per line, and then an object that tells how the page ended: ``truncated`` (``limit``,
``bytes``, ``time`` or empty), ``at`` (names of a path below the root and a line in that file, after
which the next page begins; null if there is none) and ``error``.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable
from collections.abc import Iterator
from json.encoder import encode_basestring as quote
from typing import Any

from toolbox.filenames import decode_name
from toolbox.filenames import encode_name
from toolbox.patterns.gitignore import ignored_in
from toolbox_files.helpers.expressions import MalformedExpression
from toolbox_files.helpers.expressions import compile_expression
from toolbox_files.helpers.expressions import needed_text
from toolbox_files.helpers.grep import Found
from toolbox_files.helpers.grep import Grep
from toolbox_files.helpers.lines import CHUNK
from toolbox_files.helpers.path_globs import MalformedGlob
from toolbox_files.helpers.path_globs import compile_path_glob
from toolbox_files.helpers.path_globs import last_name_glob
from toolbox_files.helpers.search_main import OutOfTime
from toolbox_files.helpers.search_main import Task
from toolbox_files.helpers.search_main import begin_time
from toolbox_files.helpers.search_main import end_time
from toolbox_files.helpers.walking import walk

MAX_MEMORY = 1024 * 1024 * 1024
"""Maximum bytes of data: an expression may keep a state for each character of a line."""

Place = tuple[str, int]
"""A path below the root, and a line of that file; 0 is before the first."""


class PageTask(Task):
    """A search of which one page is wanted: ``limit`` results of ``bytes`` bytes after ``after``.

    At least one result is written, however long. ``glob`` chooses files by their path below the
    root, ``type`` is ``file``, ``directory`` or ``any``. For ``context`` and ``width`` see
    :class:`toolbox_files.helpers.grep.Grep`.
    """

    def __init__(
        self,
        *,
        bytes: int,
        after: tuple[list[str], int] | None = None,
        glob: str = "",
        type: str = "any",
        literal: bool = False,
        ignore_case: bool = False,
        context: int = 0,
        width: int = 0,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.bytes = bytes
        self.after: Place | None = None
        if after is not None:
            names = [os.fsdecode(encode_name(name)) for name in after[0]]
            self.after = "/".join(names), after[1]
        self.glob = glob
        self.type = type
        self.literal = literal
        self.ignore_case = ignore_case
        self.context = context
        self.width = width
        self.at = self.after
        """The place that the search has reached."""

    def walk(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield the entries to search from ``after`` on."""
        start = tuple(self.after[0].split("/")) if self.after and self.after[0] else ()
        ignored = ignored_in(self.root) if self.gitignore else None
        return walk(self.root, self.shown, self.skip, ignored, start)

    @property
    def above(self) -> int:
        """Length of what comes before the path below the root."""
        return len(self.root.rstrip("/")) + 1


def paths(task: PageTask) -> Iterator[tuple[Place, bytes]]:
    """Yield place and JSON of each path that matches the glob."""
    matches = _matcher(task.pattern)
    wanted = {"file": ("f", ""), "directory": ("d",)}.get(task.type, ("f", "d", ""))
    above = task.above
    # The walk begins with the place itself, if it still exists.
    before = task.after[0] if task.after else ""
    for path, shown, name, kind in task.walk():
        below = path[above:]
        if kind in wanted and matches(below, name) and below != before:
            yield (below, 0), _quoted_name(shown)
        task.at = below, 0


def lines(task: PageTask) -> Iterator[tuple[Place, bytes]]:
    """Yield place and JSON of each line that matches the expression."""
    expression = compile_expression(task.pattern, task.literal, task.ignore_case)
    grep = Grep(expression, needed_text(expression), task.context, task.width)
    # Without a slash a glob is for names anywhere.
    included = _matcher(task.glob if "/" in task.glob else f"**/{task.glob}") if task.glob else None
    buffer = bytearray(CHUNK)
    above = task.above
    first, line = task.after or ("", 0)
    for path, shown, name, kind in task.walk():
        below = path[above:]
        if kind != "f" or (included and not included(below or name, name)):
            continue
        after = line if below == first else 0
        task.at = below, after
        prefix = b""
        for found in grep.matches(path, after, buffer):
            prefix = prefix or b'{"file":%b,"line":' % _quoted_name(shown)
            yield (below, found.line), prefix + _rest(found)


def _matcher(glob: str) -> Callable[[str, str], bool]:
    """Return a predicate for a path below the root and its last name. Raises MalformedGlob."""
    text = os.fsdecode(encode_name(glob))
    if (last := last_name_glob(text)) is not None:
        return lambda below, name: below != "" and last(name)
    matches = compile_path_glob(text)
    return lambda below, name: below != "" and matches(below.split("/"))


def _rest(found: Found) -> bytes:
    text = f'{found.line},"column":{found.column},"content":{quote(found.content)}'
    text += ',"cut":true' if found.cut else ""
    for name, around in (("before", found.before), ("after", found.after)):
        if around:
            text += f',"{name}":[{",".join(map(quote, around))}]'
    return f"{text}}}".encode()


def _quoted_name(name: str) -> bytes:
    return quote(name if name.isascii() else decode_name(os.fsencode(name))).encode()


def run(task: PageTask, write: Callable[[bytes], object]) -> None:
    """Write a page of results, and how it ended."""
    found: list[tuple[Place, bytes]] = []
    truncated = error = ""
    try:
        try:
            truncated = _collect(task, found)
        except (MalformedExpression, MalformedGlob) as malformed:
            error = str(malformed)
        except MemoryError:
            error = "the regular expression takes too much memory"
        end_time()
    except OutOfTime:
        end_time()
        truncated = "time"
    end = {"truncated": truncated, "at": _next(task, found, truncated), "error": error}
    write(b"".join([result + b"\n" for _, result in found]) + json.dumps(end).encode())


def _collect(task: PageTask, found: list[tuple[Place, bytes]]) -> str:
    """Add the results to ``found``; return which budget ended them."""
    size = 0
    for place, result in paths(task) if task.kind == "glob" else lines(task):
        if len(found) == task.limit:
            return "limit"
        size += len(result)
        if found and size > task.bytes:
            return "bytes"
        found.append((place, result))
    return ""


def _next(
    task: PageTask, found: list[tuple[Place, bytes]], truncated: str
) -> tuple[list[str], int] | None:
    """Return the place after which the next page begins."""
    places = [place for place, _ in found[-1:]]
    if truncated == "time" and task.at is not None:
        # The search may have come further than its last result.
        places.append(task.at)
    if not truncated or not places:
        return None
    path, line = place = max(places, key=_in_walk_order)
    # Without progress the next page would end in the same place.
    if place == task.after:
        return None
    return [decode_name(os.fsencode(name)) for name in path.split("/") if name], line


def _in_walk_order(place: Place) -> tuple[list[bytes], int]:
    return os.fsencode(place[0]).split(b"/"), place[1]


def main(arguments: list[str]) -> int:
    """Run the task on standard input; return the exit status."""
    task = PageTask(**json.loads(sys.stdin.buffer.read()))
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = MAX_MEMORY if hard == resource.RLIM_INFINITY else min(MAX_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    begin_time(task.seconds)
    run(task, sys.stdout.buffer.write)
    return 0
