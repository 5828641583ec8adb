"""Sandbox Toolbox: programmatic access to a sandbox over HTTP.

The core discovers plugins, reads settings, authenticates, parses and validates requests, writes
answers and errors and speaks WebSocket. It knows no API group: each group is a plugin.

Plugin authors start at :mod:`toolbox.hookspecs`.
"""

from __future__ import annotations

import pluggy

__version__ = "0.1.0"

hookimpl = pluggy.HookimplMarker("toolbox")
"""Marks a function of a plugin as the implementation of a hook of :mod:`toolbox.hookspecs`."""
