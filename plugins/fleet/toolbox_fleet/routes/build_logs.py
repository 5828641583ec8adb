"""The logs of image builds: of those that sandboxes wait for, and of snapshots."""

from __future__ import annotations

import msgspec

from toolbox.group import Operations
from toolbox.request import RequestInfo
from toolbox.response import StreamResponse
from toolbox_fleet.access.address import root_url
from toolbox_fleet.backend import FleetBackend
from toolbox_fleet.backend import HasBuildLogs
from toolbox_fleet.backend import HasSnapshots
from toolbox_fleet.errors import InvalidHost
from toolbox_fleet.errors import NoSuchResource
from toolbox_fleet.errors import NoSuchSandbox
from toolbox_fleet.errors import Unsupported
from toolbox_fleet.models.configuration import BuildLogsUrl
from toolbox_fleet.routes.abilities import able

operations = Operations()

SANDBOX = "/api/sandbox/{sandbox_id}"
SNAPSHOT = "/api/snapshots/{snapshot_id}"
TEXT = "text/plain; charset=utf-8"
ERRORS = (NoSuchResource, NoSuchSandbox, Unsupported)


class LogQuery(msgspec.Struct, frozen=True):
    """The wish for what a running build still writes."""

    follow: bool = False


@operations.get(f"{SANDBOX}/build-logs-url", errors=(InvalidHost, *ERRORS))
def get_build_logs_url(
    backend: FleetBackend, sandbox_id: str, request: RequestInfo
) -> BuildLogsUrl:
    """Return the URL of the log of a sandbox's image build."""
    sandbox = backend.sandbox(sandbox_id)
    # Before a URL is handed out that would only respond with an error.
    able(backend, HasBuildLogs).build_log(sandbox.id, follow=False)
    return BuildLogsUrl(f"{root_url(request)}/api/sandbox/{sandbox.id}/build-logs")


@operations.get(f"{SANDBOX}/build-logs", errors=ERRORS, content_type="text/plain")
def get_build_logs(backend: FleetBackend, sandbox_id: str, query: LogQuery) -> StreamResponse:
    """Return the log of a sandbox's image build."""
    sandbox = backend.sandbox(sandbox_id)
    log = able(backend, HasBuildLogs).build_log(sandbox.id, query.follow)
    return StreamResponse(log, TEXT)


@operations.get(f"{SNAPSHOT}/build-logs-url", errors=(InvalidHost, NoSuchResource, Unsupported))
def get_snapshot_build_logs_url(
    backend: FleetBackend, snapshot_id: str, request: RequestInfo
) -> BuildLogsUrl:
    """Return the URL of the log of a snapshot's build."""
    snapshot = able(backend, HasSnapshots).snapshot(snapshot_id)
    able(backend, HasBuildLogs).snapshot_build_log(snapshot.id, follow=False)
    return BuildLogsUrl(f"{root_url(request)}/api/snapshots/{snapshot.id}/build-logs")


@operations.get(
    f"{SNAPSHOT}/build-logs", errors=(NoSuchResource, Unsupported), content_type="text/plain"
)
def get_snapshot_build_logs(
    backend: FleetBackend, snapshot_id: str, query: LogQuery
) -> StreamResponse:
    """Return the log of a snapshot's build."""
    log = able(backend, HasBuildLogs).snapshot_build_log(snapshot_id, query.follow)
    return StreamResponse(log, TEXT)
