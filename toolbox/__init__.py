"""Sandbox Toolbox: programmatic access to a sandbox over HTTP.

The core discovers plugins, reads settings, authenticates, parses and validates requests, writes
responses and errors and speaks WebSocket. It knows no API group: each group is a plugin.

Plugin authors start at :mod:`toolbox.hookspecs`.
"""

from __future__ import annotations

from pathlib import Path

import pluggy

__version__ = Path(__file__).with_name("VERSION").read_text("ascii").strip()
"""The version of the core and of every distribution of this repository."""

hookimpl = pluggy.HookimplMarker("toolbox")
"""Marks a function of a plugin as the implementation of a hook of :mod:`toolbox.hookspecs`."""
