"""The requests and responses of reading and searching by pages, with budgets that fit a model."""

from __future__ import annotations

from typing import Annotated
from typing import Literal

import msgspec
from msgspec import Meta

from toolbox_files.models import RequiredText

MAX_BYTES = 8 * 1024 * 1024
"""Bytes of one page at most: it is held in memory."""

MAX_WIDTH = 100_000
"""Characters of a line at most; more are cut."""

Budget = Annotated[
    int,
    Meta(
        ge=1,
        le=MAX_BYTES,
        description="Bytes of a page at most, as JSON; it has at least one result, however long.",
    ),
]
Seconds = Annotated[
    float, Meta(gt=0, le=600, description="Maximum duration of the search for one page.")
]
Cursor = Annotated[
    str,
    Meta(
        description="The `cursor` of the page before, with the same query: this page goes on after "
        "it. Files that changed since neither repeat nor hide results in other files."
    ),
]
Truncated = Literal["", "limit", "bytes", "time"]
"""The budget that ended a page; empty if everything is in it."""


class PageOptions(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A search of a tree, or of one file, by pages."""

    path: RequiredText
    pattern: Annotated[str, Meta(min_length=1, max_length=10_000)]
    gitignore: Annotated[
        bool,
        Meta(
            description="Omit what .gitignore files and .git/info/exclude ignore, and the content "
            "of .git."
        ),
    ] = True
    skip: Annotated[
        list[RequiredText],
        Meta(description="Names of directories that are not entered, such as node_modules."),
    ] = []
    bytes: Budget = 65536
    seconds: Seconds = 30
    cursor: Cursor = ""


class GrepOptions(PageOptions, frozen=True, kw_only=True):
    """A search for lines that match a regular expression of Python's ``re``."""

    literal: Annotated[bool, Meta(description="The pattern is the text itself.")] = False
    ignore_case: bool = False
    glob: Annotated[
        str,
        Meta(
            max_length=4000,
            description="Only files whose path below `path` matches: `src/**/*.{ts,tsx}`; "
            "without a slash, whose name does: `*.py`.",
        ),
    ] = ""
    context: Annotated[
        int, Meta(ge=0, le=100, description="Lines before and after each line that matches.")
    ] = 0
    width: Annotated[int, Meta(ge=1, le=MAX_WIDTH, description="Characters of a line at most.")] = (
        500
    )
    limit: Annotated[int, Meta(ge=1, le=100_000, description="Matches of a page at most.")] = 100


class GlobOptions(PageOptions, frozen=True, kw_only=True):
    """A search for files by a glob for their whole path below ``path``."""

    type: Literal["file", "directory", "any"] = "file"
    limit: Annotated[int, Meta(ge=1, le=100_000, description="Paths of a page at most.")] = 1000


class GrepMatch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line that matches."""

    file: str
    line: int
    """Counted from 1."""
    column: int
    """Character of the line, from 1, where the match begins."""
    content: str
    """Without its line ending; bytes that are not UTF-8 as U+FFFD."""
    cut: bool = False
    """The line is longer than ``width``; ``content`` is the part with the match."""
    before: list[str] = []
    """Lines right before it that no other match has shown."""
    after: list[str] = []
    """Lines right after it, up to the next match."""


class GrepPage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A page of matches, in the order of the paths' bytes."""

    matches: list[GrepMatch]
    truncated: Truncated
    cursor: str = ""
    """For the next page; absent if there is none, or if a page of ``time`` made no progress."""


class GlobPage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A page of paths, in the order of their bytes."""

    files: list[str]
    truncated: Truncated
    cursor: str = ""
    """For the next page; absent if there is none."""


class TreePlace(msgspec.Struct, frozen=True, array_like=True):
    """A place in the order of a search: a path, by its names, and a line of that file."""

    names: list[str]
    line: int = 0


class PageEnd(msgspec.Struct, frozen=True):
    """The last value of a page from a backend: how it ended, and the place of the next one."""

    truncated: Truncated
    at: TreePlace | None
    error: str = ""
    """The reason why there are no results, such as a malformed pattern."""


class LinesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a text file."""

    path: RequiredText
    offset: Annotated[int, Meta(ge=1, description="The first line, counted from 1.")] = 1
    limit: Annotated[int, Meta(ge=1, le=1_000_000, description="Lines of a page at most.")] = 2000
    width: Annotated[int, Meta(ge=1, le=MAX_WIDTH, description="Characters of a line at most.")] = (
        2000
    )
    bytes: Budget = 262144
    seconds: Seconds = 30
    cursor: Annotated[
        str,
        Meta(
            description="The `cursor` of the page before, instead of `offset`: quicker in a large "
            "file, and the same in one that has changed."
        ),
    ] = ""


class NumberedLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of a file."""

    line: int
    """Counted from 1."""
    content: str
    """Without its line ending; bytes that are not UTF-8 as U+FFFD."""
    cut: bool = False
    """The line is longer than ``width``; ``content`` is its beginning."""


class LinesPage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Lines of a file."""

    lines: list[NumberedLine]
    truncated: Truncated
    crlf: bool = False
    """Each of these lines that ends, ends with CR LF."""
    total: int | None = None
    """Lines of the whole file; absent if counting them would take long."""
    final_newline: bool | None = None
    """True if the file ends with a newline; present if its last line is in this page."""
    cursor: str = ""
    """For the next page; absent if there is none."""
