"""The hooks a plugin may implement: the reference page for plugin authors.

A plugin is a module named by an entry point of the group ``toolbox.plugins``. It marks functions
with the names below with :data:`toolbox.hookimpl`. A marked function with another name makes the
plugin fail; ``toolbox plugins`` and ``GET /plugins`` show the reason.

Our own plugins use these hooks only, so yours can do everything that ours do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask import Flask

    from toolbox.auth import Authenticator
    from toolbox.group import Group
    from toolbox.lifecycle import Toolbox
    from toolbox.observing import Observer
    from toolbox.plugins import BackendSpec
    from toolbox.plugins import CommandSpec
    from toolbox.settings import Values

hookspec = pluggy.HookspecMarker("toolbox")


@hookspec
def toolbox_group() -> Group:  # type: ignore[empty-body]
    """Return the API group that this plugin adds: its name, operations and backend Protocol."""


@hookspec
def toolbox_backends() -> Sequence[BackendSpec]:  # type: ignore[empty-body]
    """Return the backends that this plugin offers, for its own group or for another plugin's.

    A :class:`toolbox.plugins.BackendSpec` only names its class. The class is imported if an
    operator chose it (``[<group>] backend = "<name>"``), or if it is the group's default.
    """


@hookspec
def toolbox_commands() -> Sequence[CommandSpec]:  # type: ignore[empty-body]
    """Return the subcommands of ``toolbox`` that this plugin adds.

    A :class:`toolbox.plugins.CommandSpec` only names its function. Called outside of the service,
    when somebody uses a command that is none of the core's or asks for help; so import nothing
    heavy here.
    """


@hookspec(firstresult=True)
def toolbox_authenticator(built_in: Authenticator, values: Values) -> Authenticator | None:
    """Return the authenticator of the service, which determines who sent a request.

    Called once, with ``[auth] mode = "plugin"`` only, in the worker process and by ``toolbox config
    --check``. ``built_in`` is that of the token, to which yours may delegate requests.
    ``values.section(("<plugin>",), YourSettings)`` are the plugin's settings. The service doesn't
    start if the hook raises, or if no plugin or more than one offers an authenticator.
    """


@hookspec
def toolbox_app(app: Flask, toolbox: Toolbox) -> None:
    """Change the WSGI application before it serves; for example, wrap ``app.wsgi_app``.

    Start no threads here: a gunicorn that preloads forks its workers afterwards.
    """


@hookspec
def toolbox_observer(toolbox: Toolbox) -> Observer | None:
    """Return an observer of every finished request and every closed WebSocket, or None.

    Called once, in the worker process, when the backends exist. The observer is called with each
    :class:`toolbox.observing.RequestRecord`, on a thread that must not block.
    """


@hookspec
def toolbox_startup(toolbox: Toolbox) -> None:
    """Start what the service needs beyond its backends, in the worker process.

    Requests get 503 until every implementation has returned.
    """


@hookspec
def toolbox_shutdown(toolbox: Toolbox) -> None:
    """Stop what :func:`toolbox_startup` started. The core closes the backends afterwards."""
