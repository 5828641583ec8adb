"""The core's own operations: liveness, readiness, activity, API description, tickets, plugins."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Any

import msgspec

from toolbox.activity import ActivityReport
from toolbox.application import openapi
from toolbox.auth.tickets import LIFETIME
from toolbox.errors import Unavailable
from toolbox.group import Group
from toolbox.http.environ import USER
from toolbox.lifecycle import Toolbox
from toolbox.plugins import PluginReport
from toolbox.plugins.capabilities import HasDetails
from toolbox.request import RequestInfo


class Health(msgspec.Struct, frozen=True):
    """The state of the service, in one word."""

    status: str


class Ticket(msgspec.Struct, frozen=True, rename="camel"):
    """A one-time ticket for a WebSocket, and its expiry time as RFC 3339."""

    ticket: str
    expires_at: str


class Plugins(msgspec.Struct, frozen=True):
    """The installed plugins and their state."""

    plugins: list[PluginReport]


group = Group("core", backend=Toolbox, default_backend="", summary="The service itself")


@group.get("/healthz", public=True, constant=True)
def get_health(toolbox: Toolbox) -> Health:
    """Report that the service is alive.

    Needs no token. Succeeds as long as requests are served at all.
    """
    return Health("ok")


@group.get("/readyz", public=True, errors=(Unavailable,))
def get_readiness(toolbox: Toolbox) -> Health:
    """Report whether the service is ready for requests.

    Needs no token. 503 while the service starts or stops.
    """
    toolbox.check_ready()
    return Health("ready")


@group.get("/openapi.json")
def get_openapi(toolbox: Toolbox) -> dict[str, Any]:
    """Describe every operation of this service as an OpenAPI 3.1 document."""
    groups = [group, *toolbox.groups()]
    return openapi.document(groups, toolbox.auth.authenticator.schemes)


@group.post("/x/tickets", status=201)
def issue_ticket(toolbox: Toolbox, request: RequestInfo) -> Ticket:
    """Issue a one-time ticket for a WebSocket that can't send the token.

    Its URL takes the ticket as ``?TOOLBOX_TICKET=``, once, within half a minute.
    """
    ticket = toolbox.auth.issue_ticket(request.environ.get(USER, ""))
    end = datetime.now(UTC) + timedelta(seconds=LIFETIME)
    return Ticket(ticket, end.isoformat(timespec="milliseconds").replace("+00:00", "Z"))


@group.get("/x/activity", monitoring=True)
def get_activity(toolbox: Toolbox) -> ActivityReport:
    """Report whether somebody needs the service, and since when nobody does.

    Requests, messages of WebSockets, and jobs count. Health checks, metrics, requests for this
    report and refused ones don't, nor do shells, interpreters and language servers that wait for
    input, or open WebSockets without messages.
    """
    return toolbox.report_activity()


@group.get("/plugins")
def list_plugins(toolbox: Toolbox) -> Plugins:
    """List the installed plugins: enabled, disabled or failed and why, and each group's backend."""
    return Plugins([_with_details(toolbox, report) for report in toolbox.registry.reports])


def _with_details(toolbox: Toolbox, report: PluginReport) -> PluginReport:
    backend = toolbox.backends.get(report.group)
    if not isinstance(backend, HasDetails):
        return report
    return msgspec.structs.replace(report, details=backend.details())
