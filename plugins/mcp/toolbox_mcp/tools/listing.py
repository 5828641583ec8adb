"""Tools that list directories and find files."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import closing
from pathlib import PurePosixPath
from typing import Annotated
from typing import Any
from typing import Literal

import msgspec
from msgspec import Meta
from toolbox_files.models import FileInfo
from toolbox_files.models import SearchOptions
from toolbox_files.names import one_root

from toolbox_mcp import content
from toolbox_mcp.tool import Call
from toolbox_mcp.tool import ToolResult
from toolbox_mcp.tools.arguments import Arguments
from toolbox_mcp.tools.arguments import OnePath
from toolbox_mcp.tools.arguments import Path
from toolbox_mcp.tools.globs import compile_path_glob
from toolbox_mcp.tools.globs import expand_braces
from toolbox_mcp.tools.reading import json_lines

DEPTH = 100
"""Levels of a tree at most."""

MAX_VISITED = 200_000
"""Entries that a tree is made of at most, those that are left out included."""

SEARCH_SECONDS = 60.0
"""Seconds that a search takes at most."""

Kind = Literal["file", "directory"]
Excluded = Annotated[
    list[str], Meta(max_length=100, description="Globs of what to leave out, such as node_modules.")
]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a directory."""

    name: str
    type: Kind
    size: int
    """Bytes."""


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """The entries of a directory."""

    entries: list[Entry]
    truncated: bool


class SortedPath(Arguments, frozen=True, kw_only=True):
    """A directory, and the order of its entries."""

    path: Path
    sort_by: Literal["name", "size"] = "name"


class TreePath(Arguments, frozen=True, kw_only=True):
    """The top of a tree."""

    path: Path
    exclude_patterns: Excluded = []


class Search(Arguments, frozen=True, kw_only=True):
    """A search for names."""

    path: Path
    pattern: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=4000,
            description='Glob for paths below path: "*.py" are those in it, "**/*.py" all.',
        ),
    ]
    exclude_patterns: Excluded = []


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The paths that match."""

    files: list[str]
    truncated: bool


class Information(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Metadata of a file or directory."""

    path: str
    type: Kind
    size: int
    modified: str
    permissions: str
    owner: str
    group: str


def kind_of(info: FileInfo) -> Kind:
    """Return the type of a file as models are shown it."""
    return "directory" if info.is_dir else "file"


def list_directory(call: Call, arguments: OnePath) -> ToolResult:
    """List a directory."""
    entries = list(call.backends["files"].list(arguments.path, 1))
    return _listed(call, entries, _short_line, "")


def list_directory_with_sizes(call: Call, arguments: SortedPath) -> ToolResult:
    """List a directory with sizes, and their sum."""
    entries: list[FileInfo] = list(call.backends["files"].list(arguments.path, 1))
    if arguments.sort_by == "size":
        entries.sort(key=lambda info: info.size, reverse=True)
    files = [info.size for info in entries if not info.is_dir]
    total = f"\n\nTotal: {len(files)} files, {len(entries) - len(files)} directories"
    size = f"\nCombined size: {content.size_text(sum(files))}"
    return _listed(call, entries, _long_line, total + size)


def _short_line(info: FileInfo) -> str:
    return f"[{'DIR' if info.is_dir else 'FILE'}] {info.name}"


def _long_line(info: FileInfo) -> str:
    size = "" if info.is_dir else content.size_text(info.size)
    return f"{_short_line(info):<50} {size:>10}".rstrip()


def _listed(
    call: Call, entries: list[FileInfo], line: Callable[[FileInfo], str], end: str
) -> ToolResult:
    shown, left_out = fitting(entries, line, call.settings.max_text)
    text = "\n".join(line(info) for info in shown) + end
    if left_out:
        text += f"\n[... {left_out} entries left out; search_files finds some of them ...]"
    listing = Listing(
        entries=[Entry(name=info.name, type=kind_of(info), size=info.size) for info in shown],
        truncated=bool(left_out),
    )
    return content.structured(listing, text)


def fitting(items: list[Any], shown: Callable[[Any], str], limit: int) -> tuple[list[Any], int]:
    """Return the first of ``items`` whose texts fit into ``limit`` bytes, and how many don't."""
    for count, item in enumerate(items):
        limit -= len(shown(item).encode("utf-8", "replace")) + 1
        if limit < 0:
            return items[:count], len(items) - count
    return items, 0


def directory_tree(call: Call, arguments: TreePath) -> str:
    """Return a tree as JSON."""
    excluded = _excluding(arguments.exclude_patterns)
    top: list[dict[str, Any]] = []
    below = {"": top}
    left, note = call.settings.max_text, ""
    for names, info in _walk(call, arguments.path):
        parent = below.get("/".join(names[:-1]))
        # What is below something that is left out has no parent here.
        if parent is None or excluded(names):
            continue
        node: dict[str, Any] = {"name": info.name, "type": kind_of(info)}
        left -= len(msgspec.json.encode(node)) + len(names) * 4
        if left < 0:
            note = "\n[... the tree is larger; leave out parts by excludePatterns ...]"
            break
        if info.is_dir:
            node["children"] = below["/".join(names)] = []
        parent.append(node)
    return msgspec.json.format(msgspec.json.encode(top), indent=2).decode() + note


def _walk(call: Call, path: str) -> Iterator[tuple[list[str], FileInfo]]:
    """Yield the entries of a tree, with their names below ``path``; parents come first."""
    files = call.backends["files"]
    above = len(files.uploaded_file(path.rstrip("/") or "/").path.rstrip("/")) + 1
    for count, info in enumerate(files.list(path, DEPTH)):
        if count == MAX_VISITED or (count % 1000 == 0 and call.is_abandoned()):
            return
        yield info.path[above:].split("/"), info


def _excluding(patterns: list[str]) -> Callable[[list[str]], bool]:
    """Return a predicate for paths to leave out: a plain name stands for itself anywhere."""
    wanted = [form for pattern in patterns for form in _forms(pattern)]
    compiled = [compile_path_glob(form) for form in wanted]
    return lambda names: any(matches(names) for matches in compiled)


def _forms(pattern: str) -> list[str]:
    return [pattern] if "*" in pattern else [pattern, f"**/{pattern}", f"**/{pattern}/**"]


def search_files(call: Call, arguments: Search) -> ToolResult:
    """Find files and directories by a glob."""
    matches = compile_path_glob(arguments.pattern)
    excluded = _excluding(arguments.exclude_patterns)
    above = _length_above(arguments.path)
    files: list[str] = []
    left, truncated = call.settings.max_text, False
    results = call.backends["files"].search_names(_options(arguments))
    with closing(results):
        for path in json_lines(iter(results), call):
            names = path[above:].split("/")
            if not matches(names) or excluded(names):
                continue
            left -= len(path) + 1
            truncated = left < 0
            if truncated:
                break
            files.append(path)
    return _found(files, truncated or bool(results.truncated))


def _length_above(path: str) -> int:
    """Return the length of what comes before a name in the paths of a search."""
    top = str(PurePosixPath(one_root(path)))
    return 0 if top == "." else len(top.rstrip("/")) + 1


def _options(arguments: Search) -> SearchOptions:
    # The backend searches for names; the other names of the pattern are compared here.
    last = {pattern.rstrip("/").rpartition("/")[2] for pattern in expand_braces(arguments.pattern)}
    name = last.pop() if len(last) == 1 else "*"
    return SearchOptions(
        path=arguments.path,
        pattern="*" if name in ("**", "") else name,
        skip=[name for name in arguments.exclude_patterns if name and not set("*?[{/") & set(name)],
        seconds=SEARCH_SECONDS,
    )


def _found(files: list[str], truncated: bool) -> ToolResult:
    text = "\n".join(files) or "No matches found"
    if truncated:
        text += "\n[... there are more; use a narrower path or pattern ...]"
    return content.structured(Found(files=files, truncated=truncated), text)


def get_file_info(call: Call, arguments: OnePath) -> ToolResult:
    """Return metadata of a file."""
    files = call.backends["files"]
    info: FileInfo = files.info(arguments.path)
    found = Information(
        path=files.uploaded_file(arguments.path).path,
        type=kind_of(info),
        size=info.size,
        modified=info.modified_at,
        permissions=info.permissions,
        owner=info.owner,
        group=info.group,
    )
    lines = [f"{name}: {value}" for name, value in msgspec.to_builtins(found).items()]
    return content.structured(found, "\n".join(lines))
