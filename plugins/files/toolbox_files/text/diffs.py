"""Parsing unified diffs, with the extended headers of git (git-diff(1), "Generating patch text").

Everything is bytes: a line is what is between newlines, and a carriage return belongs to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field

from toolbox.filenames import decode_name
from toolbox_files.errors import InvalidFilePath
from toolbox_files.errors import InvalidPatch
from toolbox_files.patch_models import Operation

MAX_HUNKS = 10_000
"""Hunks of one patch at most."""

_HEADER = re.compile(rb"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@")
_NO_NEWLINE = b"\\"
_EXTENDED = re.compile(
    rb"(old mode|new mode|deleted file mode|new file mode|copy from|copy to|rename from|rename to"
    rb"|similarity index|dissimilarity index|index) (.*)"
)
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"\s*(?:\t.*)?')
"""A quoted name; after a tab, diff(1) has the time."""
_ESCAPED = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_ESCAPES = dict(zip(b"abtnvfr", b"\a\b\t\n\v\f\r", strict=True))


@dataclass
class Hunk:
    """A part of a change: the lines ``old`` become ``new``."""

    header: str
    line: int
    """The first line in the old file, from 1; of no lines, the line before."""
    old: bytes = b""
    new: bytes = b""
    size: int = 0
    """Lines of ``old``."""


@dataclass
class FileDiff:
    """The changes of one file. Names are as clients see them; an empty one is ``/dev/null``."""

    old: str = ""
    new: str = ""
    operation: Operation = "modify"
    executable: bool | None = None
    """The new mode; None if it stays."""
    hunks: list[Hunk] = field(default_factory=list)


def parse_diff(patch: bytes, strip: int | None, recount: bool) -> list[FileDiff]:
    """Return the files of a patch, in order; text around them is ignored.

    Raises InvalidPatch, InvalidFilePath.
    """
    lines = patch.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    if any(line.startswith((b"+++ ", b"diff --git ")) and line.endswith(b"\r") for line in lines):
        # Headers have none, so the whole patch got them on its way, as patch(1) takes it, too.
        lines = [line.removesuffix(b"\r") for line in lines]
    found = list(_Parser(lines, strip, recount).files())
    if not found:
        raise InvalidPatch("no file in the patch: it has no '---' and '+++' lines")
    return found


class _Parser:
    """A position in the lines of a patch."""

    def __init__(self, lines: list[bytes], strip: int | None, recount: bool) -> None:
        self._lines = lines
        self._strip = strip
        self._recount = recount
        self._at = 0
        self._hunks = 0

    def files(self) -> Iterator[FileDiff]:
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if line.startswith(b"diff --git "):
                yield self._git_file()
            elif self._is_file_header(self._at):
                found = FileDiff()
                self._names(found)
                self._read_hunks(found)
                yield found
            elif _HEADER.match(line):
                raise InvalidPatch(f"line {self._at + 1}: a hunk without '---' and '+++' lines")
            else:
                self._at += 1

    def _is_file_header(self, at: int) -> bool:
        pair = self._lines[at : at + 2]
        return len(pair) == 2 and pair[0].startswith(b"--- ") and pair[1].startswith(b"+++ ")

    def _git_file(self) -> FileDiff:
        found = FileDiff()
        names = self._lines[self._at].removeprefix(b"diff --git ")
        self._at += 1
        headers: dict[bytes, bytes] = {}
        while self._at < len(self._lines) and (match := _EXTENDED.fullmatch(self._lines[self._at])):
            headers[match[1]] = match[2]
            self._at += 1
        self._refuse_binary()
        if self._at < len(self._lines) and self._is_file_header(self._at):
            self._names(found)
        elif not {b"rename to", b"copy to"} & headers.keys():
            found.old = found.new = self._common_name(names)
        self._read_hunks(found)
        # Names in headers never have the prefixes a/ and b/.
        _apply_headers(found, headers, max(0, (self._strip or 0) - 1))
        return found

    def _refuse_binary(self) -> None:
        line = self._lines[self._at] if self._at < len(self._lines) else b""
        if line.startswith((b"GIT binary patch", b"Binary files ")):
            raise InvalidPatch(f"line {self._at + 1}: a patch of a binary file can't be applied")

    def _names(self, found: FileDiff) -> None:
        old, new = (self._lines[self._at + index][4:] for index in (0, 1))
        self._at += 2
        pair = [_name(raw) for raw in (old, new)]
        if pair == ["/dev/null", "/dev/null"]:
            raise InvalidPatch(f"line {self._at - 1}: both names are /dev/null")
        found.old, found.new = self._stripped(*pair)
        if not found.old:
            found.operation = "create"
        elif not found.new:
            found.operation = "delete"
        else:
            # Other than with git's headers, a different old name is that of a backup copy.
            found.old = found.new

    def _stripped(self, old: str, new: str) -> tuple[str, str]:
        strip = self._strip
        if strip is None:
            git = old.startswith(("a/", "/dev/null")) and new.startswith(("b/", "/dev/null"))
            strip = int(git)
        return _without(old, strip), _without(new, strip)

    def _common_name(self, names: bytes) -> str:
        """Return the one name of ``a/name b/name``, which may contain spaces."""
        if names.startswith(b'"'):
            match = re.fullmatch(rb'("(?:[^"\\]|\\.)*") ("?.*)', names)
            pair = (match[1], match[2]) if match else (names, b"")
        else:
            middle = len(names) // 2
            pair = names[:middle], names[middle + 1 :]
            if b' "' in names:
                first, _, second = names.partition(b' "')
                pair = first, b'"' + second
        old, new = self._stripped(_name(pair[0]), _name(pair[1]))
        return new if old == new else ""

    def _read_hunks(self, found: FileDiff) -> None:
        while self._at < len(self._lines) and (match := _HEADER.match(self._lines[self._at])):
            self._hunks += 1
            if self._hunks > MAX_HUNKS:
                raise InvalidPatch(f"more than {MAX_HUNKS} hunks")
            header = self._lines[self._at].decode("utf-8", "replace")
            hunk = Hunk(header, int(match[1]))
            counts = [int(match[2] or b"1"), int(match[4] or b"1")]
            self._at += 1
            _fill(hunk, self._body(counts, found.new or found.old))
            found.hunks.append(hunk)

    def _body(self, counts: list[int], name: str) -> list[bytes]:
        """Return the lines of a hunk."""
        start = self._at
        while self._at < len(self._lines) and (self._recount or counts != [0, 0]):
            line = self._lines[self._at]
            if self._recount and self._is_end(line):
                break
            marker = line[:1]
            if marker in (b" ", b"", b"-"):
                counts[0] -= 1
            if marker in (b" ", b"", b"+"):
                counts[1] -= 1
            if not self._recount and (min(counts) < 0 or marker not in b" -+\\"):
                break
            self._at += 1
        # The mark of a last line without a newline isn't counted.
        if self._lines[self._at : self._at + 1] and self._lines[self._at][:1] == _NO_NEWLINE:
            self._at += 1
        if not self._recount and (counts != [0, 0] or self._goes_on()):
            raise InvalidPatch(
                f"line {self._at + 1}: the hunk of {name} at line {start} has not as many lines as "
                "its header says (recount=true takes their number from the lines)"
            )
        body = self._lines[start : self._at]
        while self._recount and body and body[-1] == b"":
            body.pop()  # Between two files rather than context.
        return body

    def _goes_on(self) -> bool:
        """Report whether more lines than the header says would be ignored."""
        line = self._lines[self._at] if self._at < len(self._lines) else b""
        return line[:1] in (b" ", b"-", b"+") and not self._is_end(line)

    def _is_end(self, line: bytes) -> bool:
        """Report whether a line ends a hunk; ``-- `` is the signature of git-format-patch(1)."""
        known = line[:1] in (b" ", b"", b"-", b"+", b"\\")
        return not known or line == b"-- " or self._is_file_header(self._at)


def _fill(hunk: Hunk, body: list[bytes]) -> None:
    old: list[bytes] = []
    new: list[bytes] = []
    previous = b" "
    for line in body:
        # Editors and models remove the space of an empty context line.
        marker, content = (line[:1] or b" "), line[1:] + b"\n"
        if marker == _NO_NEWLINE:
            for side, markers in ((old, b" -"), (new, b" +")):
                if side and previous in markers:
                    side[-1] = side[-1].removesuffix(b"\n")
            continue
        if marker in b" -":
            old.append(content)
        if marker in b" +":
            new.append(content)
        previous = marker
    hunk.old, hunk.new, hunk.size = b"".join(old), b"".join(new), len(old)


def _apply_headers(found: FileDiff, headers: dict[bytes, bytes], strip: int) -> None:
    """Make ``found`` what the extended headers say. Raises InvalidPatch."""
    for operation in ("rename", "copy"):
        source = headers.get(operation.encode() + b" from")
        target = headers.get(operation.encode() + b" to")
        if source is not None and target is not None:
            if not (source and target):
                raise InvalidPatch(f"a {operation} without a name in the patch")
            found.operation = operation
            found.old, found.new = (_without(_name(name), strip) for name in (source, target))
    if b"new file mode" in headers:
        found.operation, found.old = "create", ""
    elif b"deleted file mode" in headers:
        found.operation, found.new = "delete", ""
    mode = headers.get(b"new file mode", headers.get(b"new mode", b""))
    for value in (mode, headers.get(b"deleted file mode", b"")):
        if value and not value.startswith(b"100"):
            raise InvalidPatch(f"{found.new or found.old}: only regular files can be patched")
    if mode:
        found.executable = mode.endswith(b"755")
    if not found.old and not found.new:
        raise InvalidPatch("a file without a name in the patch")


def _name(raw: bytes) -> str:
    """Return the name of a header line: quoted as in C, or up to a tab and a time."""
    raw = raw.removesuffix(b"\r")
    if quoted := _QUOTED.fullmatch(raw):
        return decode_name(_ESCAPED.sub(_unescaped, quoted[1]))
    return decode_name(raw.partition(b"\t")[0])


def _unescaped(match: re.Match[bytes]) -> bytes:
    code = match[1]
    if code.isdigit():
        return bytes([int(code, 8) & 0xFF])
    return bytes([_ESCAPES.get(code[0], code[0])])


def _without(name: str, strip: int) -> str:
    """Return ``name`` without ``strip`` names at its beginning; empty for ``/dev/null``."""
    if name == "/dev/null":
        return ""
    parts = name.split("/")
    if len(parts) <= strip:
        raise InvalidPatch(f"{name}: fewer than {strip + 1} names in the path")
    rest = "/".join(parts[strip:])
    if not rest:
        # Otherwise it would mean what /dev/null does.
        raise InvalidFilePath("an empty name in the patch")
    return rest
