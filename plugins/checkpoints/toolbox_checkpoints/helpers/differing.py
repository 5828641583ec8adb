"""The differences between a checkpoint and now, to be read: a list, and a unified diff."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toolbox.filenames import decode_name
from toolbox.trees.listing import DIRECTORY
from toolbox_checkpoints.helpers.comparing import Comparison
from toolbox_checkpoints.helpers.comparing import Difference
from toolbox_checkpoints.helpers.comparing import Side
from toolbox_checkpoints.helpers.manifest import read_manifest
from toolbox_checkpoints.helpers.places import opened
from toolbox_checkpoints.helpers.places import split
from toolbox_checkpoints.helpers.rules import Rules
from toolbox_checkpoints.helpers.service import Service

SHOWN = frozenset(("added", "deleted", "changed", "type", "mode"))

MAX_TEXT = 2 * 1024 * 1024
"""Maximum bytes of a file whose lines are compared."""

MAX_WORK = 4_000_000
"""Maximum product of the differing lines of two files: comparing them takes that much time."""

CONTEXT = 3

_SPECIAL = re.compile(r'[\x00-\x1f\x7f"\\]')
# Bytes of a quoted name that are written otherwise than by their number, in octal.
_ESCAPES = {byte: chr(byte) for byte in range(0x20, 0x7F)} | {ord('"'): '\\"', ord("\\"): "\\\\"}

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def diff(task: dict[str, Any], service: Service) -> dict[str, Any]:
    """Return the differences, at most ``files`` of them and ``bytes`` of text.

    Raises OSError, TreeError, Damaged and Cancelled.
    """
    checkpoint = Path(task["checkpoint"])
    manifest = read_manifest(checkpoint)
    with contextlib.ExitStack() as closing:
        tops = []
        for path in (checkpoint / "tree", Path(task["other"])):
            tops.append(os.open(path, DIRECTORY))
            closing.callback(os.close, tops[-1])
        rules = other = None
        if task["is_live"]:
            rules = Rules(task["exclude"], tops[1], task["store"])
        else:
            other = read_manifest(Path(task["other"]).parent)
        before, after = tops
        comparison = Comparison(before, after, manifest, rules, task["only"], service, other)
        comparison.run()
        found = [
            entry
            for entry in comparison.found
            if entry.kind in SHOWN and (not entry.is_directory or entry.kind != "changed")
            if comparison.is_within(entry.path)
        ]
        found.sort(key=lambda entry: os.fsencode(entry.path))
        shown = found[: task["files"]]
        text, cut = _text(shown, tops, task["bytes"], service)
    return {
        "files": [_file(entry) for entry in shown],
        "total": len(found),
        "diff": text,
        "truncated": cut or len(shown) < len(found),
    }


def _file(entry: Difference) -> dict[str, Any]:
    return {
        "path": decode_name(os.fsencode(entry.path)),
        "change": entry.kind,
        "before": _side(entry.before),
        "after": _side(entry.after),
    }


def _side(side: Side) -> dict[str, Any] | None:
    if side is None:
        return None
    mode, size = side
    kinds = {stat.S_IFDIR: "directory", stat.S_IFREG: "file", stat.S_IFLNK: "symlink"}
    return {
        "type": kinds.get(stat.S_IFMT(mode), "other"),
        "mode": f"{stat.S_IMODE(mode):04o}",
        "size": size,
    }


def _text(
    entries: list[Difference], tops: list[int], limit: int, service: Service
) -> tuple[str, bool]:
    """Return the unified diff of files, as much as fits into ``limit`` bytes, and if it was cut."""
    pieces: list[str] = []
    for entry in entries:
        if limit <= 0:
            return "".join(pieces), True
        piece = "".join(_lines(entry, tops, service))
        size = len(piece.encode("utf-8", "replace"))
        if size > limit:
            # Whole files only, so that the rest can be applied.
            return "".join(pieces), True
        pieces.append(piece)
        limit -= size
    return "".join(pieces), False


def _lines(entry: Difference, tops: list[int], service: Service) -> Iterator[str]:
    """Yield the diff of one file in the form that git(1) writes and patch(1) reads."""
    names = [_quoted(f"{side}/{entry.path}") for side in "ab"]
    modes = [_mode(side) for side in (entry.before, entry.after)]
    if entry.kind == "type" or modes == ["", ""]:
        return
    yield f"diff --git {names[0]} {names[1]}\n"
    if not modes[0]:
        yield f"new file mode {modes[1]}\n"
    elif not modes[1]:
        yield f"deleted file mode {modes[0]}\n"
    elif modes[0] != modes[1]:
        yield f"old mode {modes[0]}\nnew mode {modes[1]}\n"
    # The header tells all of it.
    if entry.kind == "mode":
        return
    contents = []
    for side, top in zip((entry.before, entry.after), tops, strict=True):
        contents.append(_content(entry.path, side, top))
    old, new = contents
    if old is None or new is None:
        yield f"Binary files {names[0]} and {names[1]} differ\n"
    elif old or new:
        # A tab ends a name with spaces, for others would take what follows them for a time.
        ends = ["\t" if " " in name else "" for name in names]
        yield f"--- {names[0] + ends[0] if modes[0] else '/dev/null'}\n"
        yield f"+++ {names[1] + ends[1] if modes[1] else '/dev/null'}\n"
        yield from _hunks(old, new, service)


def _quoted(path: str) -> str:
    """Return a path as git writes it: quoted as in C if it has more than text in it."""
    name = os.fsencode(path)
    try:
        if not _SPECIAL.search(text := name.decode()):
            return text
    except UnicodeDecodeError:
        pass
    return '"' + "".join(_ESCAPES.get(byte, f"\\{byte:03o}") for byte in name) + '"'


def _mode(side: Side) -> str:
    """Return the mode as git writes it, empty for what has no lines."""
    if side is None or stat.S_ISDIR(side[0]):
        return ""
    return f"{side[0]:06o}"


def _content(path: str, side: Side, top: int) -> list[str] | None:
    """Return the lines of a file, without any if it isn't there, None if it is no text."""
    if side is None:
        return []
    above, name = split(path)
    try:
        with opened(top, above) as directory:
            if stat.S_ISLNK(side[0]):
                content = os.fsencode(os.readlink(name, dir_fd=directory))
            else:
                with os.fdopen(os.open(name, _READ, dir_fd=directory), "rb") as file:
                    content = file.read(MAX_TEXT + 1)
    except FileNotFoundError:
        return []
    if len(content) > MAX_TEXT or b"\0" in content:
        return None
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    # Not by splitlines(), for which a form feed ends a line, too.
    return [line for line in text.replace("\n", "\n\0").split("\0") if line]


def _hunks(old: list[str], new: list[str], service: Service) -> Iterator[str]:
    service.check()
    # What is equal at both ends needs no search; of the rest, each line may be compared with each.
    shorter = min(len(old), len(new))
    start = next((at for at in range(shorter) if old[at] != new[at]), shorter)
    end = 0
    while end < shorter - start and old[-1 - end] == new[-1 - end]:
        end += 1
    lead = max(0, start - CONTEXT)
    tail = max(0, end - CONTEXT)
    a, b = old[lead : len(old) - tail], new[lead : len(new) - tail]
    differing = (len(old) - start - end) * (len(new) - start - end)
    if differing > MAX_WORK:
        # One hunk that replaces all of it: correct, if not the shortest.
        groups = [[("equal", 0, start - lead, 0, start - lead)]]
        ends = len(a) - (end - tail), len(b) - (end - tail)
        groups[0].append(("replace", start - lead, ends[0], start - lead, ends[1]))
        groups[0].append(("equal", ends[0], len(a), ends[1], len(b)))
    else:
        matcher = difflib.SequenceMatcher(None, a, b, autojunk=False)
        groups = list(matcher.get_grouped_opcodes(CONTEXT))
    for group in groups:
        yield from _hunk(group, a, b, lead)


def _hunk(
    group: list[tuple[str, int, int, int, int]], old: list[str], new: list[str], lead: int
) -> Iterator[str]:
    first, last = group[0], group[-1]
    yield f"@@ -{_range(first[1], last[2], lead)} +{_range(first[3], last[4], lead)} @@\n"
    for tag, i1, i2, j1, j2 in group:
        if tag == "equal":
            yield from _marked(" ", old[i1:i2])
        else:
            yield from _marked("-", old[i1:i2])
            yield from _marked("+", new[j1:j2])


def _range(start: int, end: int, lead: int) -> str:
    count = end - start
    # An empty range begins at the line before it (diff -u).
    begin = start + lead + (1 if count else 0)
    return f"{begin}" if count == 1 else f"{begin},{count}"


def _marked(mark: str, lines: list[str]) -> Iterator[str]:
    for line in lines:
        yield (
            f"{mark}{line}"
            if line.endswith("\n")
            else f"{mark}{line}\n\\ No newline at end of file\n"
        )
