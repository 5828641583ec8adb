"""Calls of tools: arguments in, content out, and every failure in words for the model."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Generator
from typing import Any

import msgspec

from toolbox.errors import ToolboxError
from toolbox.errors import from_os_error
from toolbox_mcp import content
from toolbox_mcp.catalog import arguments_of
from toolbox_mcp.tool import Call
from toolbox_mcp.tool import Progress
from toolbox_mcp.tool import Returned
from toolbox_mcp.tool import Tool
from toolbox_mcp.tool import ToolFailure
from toolbox_mcp.tool import ToolResult

log = logging.getLogger("toolbox")

Steps = Generator[Progress, None, dict[str, Any]]


def steps(tool: Tool, call: Call, arguments: dict[str, Any]) -> Steps:
    """Run a tool; yield its progress, and return its result as clients are sent it."""
    try:
        returned = tool.run(call, arguments_of(tool, arguments))
        if isinstance(returned, Generator):
            returned = yield from returned
        return _sent(returned)
    except msgspec.ValidationError as error:
        return failure(f"invalid arguments of {tool.name}: {error}")
    except Exception as error:
        return failure(_reason(error, tool))


def finish(running: Steps) -> dict[str, Any]:
    """Run a tool to its end, without anybody to report progress to."""
    while True:
        try:
            next(running)
        except StopIteration as end:
            result: dict[str, Any] = end.value
            return result


def failure(message: str) -> dict[str, Any]:
    """Return the result of a tool that failed."""
    return {"content": [content.text(message)], "isError": True}


def _sent(returned: Returned) -> dict[str, Any]:
    if isinstance(returned, str):
        returned = ToolResult(content=[content.text(returned)])
    found: dict[str, Any] = {"content": returned.content}
    if returned.structured is not None:
        found["structuredContent"] = returned.structured
    if returned.is_error:
        found["isError"] = True
    return found


def _reason(error: Exception, tool: Tool) -> str:
    if isinstance(error, OSError):
        error = from_os_error(error) or error
    if isinstance(error, ToolboxError):
        return error.message
    if isinstance(error, ToolFailure):
        return ToolboxError.hide(str(error))
    identifier = uuid.uuid4().hex
    log.error("tool %s failed [%s]", tool.name, identifier, exc_info=error)
    # An id instead of the message, which may hold anything.
    return f"internal error; the log has details under {identifier}"
