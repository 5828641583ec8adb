"""The operations of services, an extension of the Daytona Toolbox API."""

from __future__ import annotations

from toolbox.errors import BadRequest
from toolbox.errors import Conflict
from toolbox.errors import InsufficientStorage
from toolbox.errors import InvalidBody
from toolbox.errors import Unavailable
from toolbox.group import Operations
from toolbox.request import RequestInfo
from toolbox.response import JsonResponse
from toolbox_process.definition import Definition
from toolbox_process.definition import ServiceName
from toolbox_process.errors import ServiceNotFound
from toolbox_process.errors import TooManyWaiting
from toolbox_process.services.models import LogQuery
from toolbox_process.services.models import ReadyQuery
from toolbox_process.services.models import ServiceInfo
from toolbox_process.services.models import ServiceList
from toolbox_process.services.models import ServiceLog
from toolbox_process.services.protocol import HasServices
from toolbox_process.services.responses import read_log
from toolbox_process.services.socket import ServiceFollower

operations = Operations()

ERRORS = (BadRequest, ServiceNotFound)
"""Errors of every operation on one service."""

CHANGING = (*ERRORS, InsufficientStorage, Unavailable)
"""Errors of those that end programs, and store what is to run."""


@operations.get("/x/services")
def list_services(backend: HasServices) -> ServiceList:
    """List the services, by name."""
    return ServiceList(services=[service.info() for service in backend.services.list()])


@operations.put(
    "/x/services/{name}",
    returns=ServiceInfo,
    other_statuses=(201,),
    errors=(BadRequest, InvalidBody, Conflict, InsufficientStorage, Unavailable),
)
def put_service(backend: HasServices, name: ServiceName, body: Definition) -> JsonResponse:
    """Define a service and start it.

    The same definition again changes nothing; another one restarts the service. It comes back after
    a restart of this API's own service.
    """
    service, is_new = backend.services.put(name, body)
    return JsonResponse(service.info(), 201 if is_new else 200)


@operations.get("/x/services/{name}", errors=ERRORS)
def get_service(backend: HasServices, name: ServiceName) -> ServiceInfo:
    """Show a service."""
    return backend.services.get(name).info()


@operations.post("/x/services/{name}/start", errors=CHANGING)
def start_service(backend: HasServices, name: ServiceName) -> ServiceInfo:
    """Start a service, unless it runs."""
    return backend.services.start(name).info()


@operations.post("/x/services/{name}/stop", errors=CHANGING)
def stop_service(backend: HasServices, name: ServiceName) -> ServiceInfo:
    """End a service and everything it has started, until it is started again."""
    return backend.services.stop(name).info()


@operations.post("/x/services/{name}/restart", errors=CHANGING)
def restart_service(backend: HasServices, name: ServiceName) -> ServiceInfo:
    """End a service and everything it has started, and start it again."""
    return backend.services.restart(name).info()


@operations.get("/x/services/{name}/wait", errors=(*ERRORS, TooManyWaiting))
def wait_for_service(
    backend: HasServices, name: ServiceName, query: ReadyQuery, request: RequestInfo
) -> ServiceInfo:
    """Wait until a service is ``ready``, or is ``stopped`` or has failed.

    The response comes sooner if it has failed or was stopped; ``state`` tells.
    """
    is_ready = query.awaited == "ready"
    service = backend.services.wait(name, is_ready, query.timeout, request.is_disconnected)
    return service.info()


@operations.get("/x/services/{name}/logs", errors=ERRORS)
def get_service_logs(backend: HasServices, name: ServiceName, query: LogQuery) -> ServiceLog:
    """Read a service's output over all its runs, from an offset or from near its end on."""
    return read_log(backend.services.get(name).spool, query)


@operations.websocket("/x/services/{name}/logs", errors=ERRORS)
def follow_service_logs(
    backend: HasServices, name: ServiceName, query: LogQuery
) -> ServiceFollower:
    """Follow a service's output: JSON texts, each a Piece, or a ServiceInfo when its state has
    changed.
    """
    return ServiceFollower(backend.services.get(name), query)


@operations.delete("/x/services/{name}", status=204, errors=(*CHANGING, Conflict))
def delete_service(backend: HasServices, name: ServiceName) -> None:
    """End a service and everything it has started, and forget it with its output."""
    backend.services.delete(name)
