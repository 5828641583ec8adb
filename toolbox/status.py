"""The core's own operations: is it alive, is it ready, what can it do."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Any

import msgspec

from toolbox import openapi
from toolbox.errors import Unavailable
from toolbox.group import Group
from toolbox.lifecycle import Toolbox
from toolbox.plugins import PluginReport
from toolbox.tickets import LIFETIME


class Health(msgspec.Struct, frozen=True):
    """One word about the service."""

    status: str


class Ticket(msgspec.Struct, frozen=True, rename="camel"):
    """A one-time ticket for a WebSocket, and when it ends: RFC 3339."""

    ticket: str
    expires_at: str


class Plugins(msgspec.Struct, frozen=True):
    """What is installed and what became of it."""

    plugins: list[PluginReport]


group = Group("core", backend=Toolbox, default_backend="", summary="The service itself")


@group.get("/healthz", public=True, constant=True)
def get_health(toolbox: Toolbox) -> Health:
    """Tell that the service is alive.

    Needs no token. Answers as long as requests are served at all.
    """
    return Health("ok")


@group.get("/readyz", public=True, errors=(Unavailable,))
def get_readiness(toolbox: Toolbox) -> Health:
    """Tell whether the service is ready for requests.

    Needs no token. 503 while it starts and while it stops.
    """
    toolbox.check_ready()
    return Health("ready")


@group.get("/openapi.json")
def get_openapi(toolbox: Toolbox) -> dict[str, Any]:
    """Describe every operation of this service as an OpenAPI 3.1 document."""
    return openapi.document([group, *(served.group for served in toolbox.registry.served)])


@group.post("/x/tickets", status=201)
def issue_ticket(toolbox: Toolbox) -> Ticket:
    """Issue a one-time ticket for a WebSocket that can't send the token.

    Its URL takes the ticket as ``?TOOLBOX_TICKET=``, once, within half a minute.
    """
    ticket = toolbox.auth.issue_ticket()
    end = datetime.now(UTC) + timedelta(seconds=LIFETIME)
    return Ticket(ticket, end.isoformat(timespec="milliseconds").replace("+00:00", "Z"))


@group.get("/plugins")
def list_plugins(toolbox: Toolbox) -> Plugins:
    """List the installed plugins: enabled, disabled or failed and why, and each group's backend."""
    return Plugins([_with_details(toolbox, report) for report in toolbox.registry.reports])


def _with_details(toolbox: Toolbox, report: PluginReport) -> PluginReport:
    backend = toolbox.backends.get(report.group)
    told = {name: getattr(backend, name, None) for name in ("details", "idle")}
    return msgspec.structs.replace(report, **{name: ask() for name, ask in told.items() if ask})
