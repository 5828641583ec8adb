"""Globs for whole paths, whose errors models are shown."""

from __future__ import annotations

from toolbox_files.helpers import path_globs
from toolbox_files.helpers.path_globs import Matches

from toolbox_mcp.tool import ToolFailure


def compile_path_glob(pattern: str) -> Matches:
    """Return a predicate for the names of relative paths. Raises ToolFailure."""
    try:
        return path_globs.compile_path_glob(pattern)
    except path_globs.MalformedGlob as error:
        raise ToolFailure(str(error)) from None


def expand_braces(pattern: str) -> list[str]:
    """Return the patterns without braces that a pattern stands for. Raises ToolFailure."""
    try:
        return path_globs.expand_braces(pattern)
    except path_globs.MalformedGlob as error:
        raise ToolFailure(str(error)) from None
