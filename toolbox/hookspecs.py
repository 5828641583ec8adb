"""The hooks a plugin may implement: the reference page for plugin authors.

A plugin is a module named by an entry point of the group ``toolbox.plugins``. It marks functions
of the names below with :data:`toolbox.hookimpl`; a marked function with a name that is not here
makes the plugin fail, with the reason shown by ``toolbox plugins`` and ``GET /plugins``.

Everything our own plugins do goes through these hooks, so whatever they can do, yours can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask import Flask

    from toolbox.group import Group
    from toolbox.lifecycle import Toolbox
    from toolbox.observing import Observer
    from toolbox.plugins import Backend

hookspec = pluggy.HookspecMarker("toolbox")


@hookspec
def toolbox_group() -> Group:  # type: ignore[empty-body]
    """Return the API group this plugin adds: its name, operations and backend Protocol."""


@hookspec
def toolbox_backends() -> Sequence[Backend]:  # type: ignore[empty-body]
    """Return the backends this plugin offers, for its own group or for another plugin's.

    A :class:`toolbox.plugins.Backend` only names its class; the class is imported when an operator
    has chosen it (``[<group>] backend = "<name>"``), or when it is the group's default.
    """


@hookspec
def toolbox_app(app: Flask, toolbox: Toolbox) -> None:
    """Change the WSGI application, once, before it serves: wrap ``app.wsgi_app``, say.

    Start no thread here: under a gunicorn that preloads, worker processes are forked afterwards.
    """


@hookspec
def toolbox_observer(toolbox: Toolbox) -> Observer | None:
    """Return what is told of every request and every WebSocket that has ended, or None.

    Called once, in the worker process, when the backends are made. What it returns gets a
    :class:`toolbox.observing.Ended` each time, on a thread that must not wait.
    """


@hookspec
def toolbox_startup(toolbox: Toolbox) -> None:
    """Start what the service needs beyond its backends, in the worker process.

    Requests are answered 503 until every implementation has returned.
    """


@hookspec
def toolbox_shutdown(toolbox: Toolbox) -> None:
    """End what :func:`toolbox_startup` began. Backends are closed afterwards by the core."""
