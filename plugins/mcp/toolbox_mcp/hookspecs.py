"""The hook of the group ``mcp``: tools of other plugins.

Mark the function with ``toolbox.hookimpl(optionalhook=True)``: without the group ``mcp`` the hook
does not exist, and the plugin works without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolbox_mcp.tool import Tool

hookspec = pluggy.HookspecMarker("toolbox")


@hookspec
def toolbox_mcp_tools() -> Sequence[Tool]:  # type: ignore[empty-body]
    """Return the tools that this plugin adds. Called once, before the first list of tools.

    Tools whose names are taken, and those of a plugin that raises, are left out; the log has why.
    """
