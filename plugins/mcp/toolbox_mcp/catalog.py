"""The tools on offer: those of the groups that are served and of plugins, within the settings."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any
from typing import cast

import msgspec
from pluggy import PluginManager

from toolbox.request import prepare
from toolbox_mcp.schemas import schema_of
from toolbox_mcp.settings import McpSettings
from toolbox_mcp.tool import Tool

log = logging.getLogger("toolbox")

MODULES = {
    "files": ("toolbox_mcp.tools.files",),
    "process": (
        "toolbox_mcp.tools.shell",
        "toolbox_mcp.tools.services",
        "toolbox_mcp.tools.terminals",
    ),
    "git": ("toolbox_mcp.tools.git",),
    "computeruse": ("toolbox_mcp.tools.desktop",),
}
"""The modules of the tools of each group. They import the group's, so only where that is served."""


class Catalog:
    """The tools by name, and their descriptions as clients are shown them."""

    def __init__(
        self, backends: Mapping[str, Any], settings: McpSettings, plugins: PluginManager
    ) -> None:
        self.tools: dict[str, Tool] = {}
        for tool in [*own_tools(backends), *plugin_tools(plugins)]:
            if tool.name in self.tools:
                log.error("tool %s is offered twice; the first one is used", tool.name)
            elif is_wanted(tool, settings):
                # msgspec must have seen a struct before several threads decode it.
                prepare(tool.arguments)
                self.tools[tool.name] = tool
        self.described = [describe(tool) for tool in self.tools.values()]


def own_tools(backends: Mapping[str, Any]) -> Iterator[Tool]:
    """Yield our tools for the groups that are served."""
    for group, modules in MODULES.items():
        if group in backends:
            for module in modules:
                yield from importlib.import_module(module).TOOLS


def plugin_tools(plugins: PluginManager) -> list[Tool]:
    """Return the tools of other plugins."""
    found: list[Tool] = []
    for hook in plugins.hook.toolbox_mcp_tools.get_hookimpls():
        try:
            found += _checked(cast(Any, hook.function()))
        except Exception as error:
            # Whatever a third party's module raises: its tools are missing, not the others.
            log.error("tools of plugin %s: %s", hook.plugin_name, error, exc_info=error)
    return found


def _checked(tools: Iterable[Tool]) -> list[Tool]:
    found = list(tools)
    for tool in found:
        if not isinstance(tool, Tool):
            raise TypeError(f"{tool!r} is not a Tool")
        describe(tool)  # Raises for types that have no schema.
    return found


def is_wanted(tool: Tool, settings: McpSettings) -> bool:
    """Report whether the settings allow a tool."""
    if settings.read_only and not tool.read_only:
        return False
    if any(fnmatchcase(tool.name, pattern) for pattern in settings.deny):
        return False
    return not settings.tools or any(fnmatchcase(tool.name, name) for name in settings.tools)


def describe(tool: Tool) -> dict[str, Any]:
    """Return a tool as clients are shown it."""
    found = {
        "name": tool.name,
        "description": tool.description,
        "inputSchema": _with_properties(schema_of(tool.arguments)),
        "annotations": annotations_of(tool),
    }
    return {**found, "outputSchema": schema_of(tool.result)} if tool.result else found


def _with_properties(schema: dict[str, Any]) -> dict[str, Any]:
    # Some model APIs refuse a schema without them.
    return {"properties": {}, **schema}


def annotations_of(tool: Tool) -> dict[str, bool]:
    """Return the hints for clients that ask before they call some tools."""
    found = {"readOnlyHint": tool.read_only, "openWorldHint": tool.open_world}
    if not tool.read_only:  # The others have no meaning without changes.
        found["destructiveHint"] = tool.destructive
        found["idempotentHint"] = tool.idempotent
    return found


def arguments_of(tool: Tool, arguments: dict[str, Any]) -> msgspec.Struct:
    """Return the arguments of a call. Raises msgspec.ValidationError, which names the field."""
    # Models leave out an optional argument by null, too.
    given = {key: value for key, value in arguments.items() if value is not None}
    return msgspec.convert(given, tool.arguments)
