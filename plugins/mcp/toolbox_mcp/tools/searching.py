"""A tool that finds lines of files by a regular expression."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Annotated

import msgspec
from msgspec import Meta
from toolbox_files.page_models import MAX_BYTES
from toolbox_files.page_models import GrepMatch
from toolbox_files.page_models import GrepOptions
from toolbox_files.page_models import PageEnd

from toolbox_mcp.tool import Call
from toolbox_mcp.tool import ToolFailure
from toolbox_mcp.tools.arguments import Arguments
from toolbox_mcp.tools.arguments import Path


class SearchText(Arguments, frozen=True, kw_only=True):
    """A search for lines."""

    path: Path
    pattern: Annotated[
        str,
        Meta(min_length=1, max_length=10_000, description="Regular expression, for each line."),
    ]
    glob: Annotated[
        str, Meta(max_length=4000, description='Only files like "*.py" or "src/**/*.ts".')
    ] = ""
    ignore_case: bool = False
    context: Annotated[int, Meta(ge=0, le=20, description="Lines around each match.")] = 0
    limit: Annotated[int, Meta(ge=1, le=1000, description="Matches at most.")] = 100


def search_text(call: Call, arguments: SearchText) -> str:
    """Find lines, and return them as grep(1) prints them."""
    options = GrepOptions(
        **msgspec.structs.asdict(arguments), bytes=min(call.settings.max_text, MAX_BYTES)
    )
    blocks = []
    with closing(call.backends["files"].grep(options, None)) as results:
        for block in results:
            if call.is_abandoned():
                return ""
            blocks.append(block)
    *values, last = b"".join(blocks).split(b"\n")
    end = msgspec.json.decode(last, type=PageEnd)
    if end.error:
        raise ToolFailure(end.error)
    matches = [msgspec.json.decode(value, type=GrepMatch) for value in values]
    lines = [line for match in matches for line in _shown(match)]
    if end.truncated:
        lines.append("[... there may be more; use a narrower path, glob or pattern ...]")
    return "\n".join(lines) or "No matches found"


def _shown(match: GrepMatch) -> Iterator[str]:
    first = match.line - len(match.before)
    for number, text in enumerate(match.before, first):
        yield f"{match.file}-{number}-{text}"
    yield f"{match.file}:{match.line}:{match.content}"
    for number, text in enumerate(match.after, match.line + 1):
        yield f"{match.file}-{number}-{text}"
