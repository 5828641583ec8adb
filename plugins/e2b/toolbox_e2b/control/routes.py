"""The operations of E2B's control plane."""

from __future__ import annotations

import time
from urllib.parse import quote

from toolbox.errors import BadRequest
from toolbox.errors import Conflict
from toolbox.errors import NotFound
from toolbox.errors import NotSupported
from toolbox.errors import Unavailable
from toolbox.group import Operations
from toolbox.http.connection import elsewhere
from toolbox.request import RequestInfo
from toolbox.response import JsonResponse
from toolbox_e2b.control import snapshots
from toolbox_e2b.control.control import check_seconds
from toolbox_e2b.control.listing import detail
from toolbox_e2b.control.listing import page
from toolbox_e2b.control.metrics import by_time
from toolbox_e2b.control.models import Created
from toolbox_e2b.control.models import Detail
from toolbox_e2b.control.models import ListQuery
from toolbox_e2b.control.models import Metric
from toolbox_e2b.control.models import MetricsQuery
from toolbox_e2b.control.models import NewSandbox
from toolbox_e2b.control.models import Pause
from toolbox_e2b.control.models import Refresh
from toolbox_e2b.control.models import SnapshotInfo
from toolbox_e2b.control.models import SnapshotQuery
from toolbox_e2b.control.models import SnapshotRequest
from toolbox_e2b.control.models import Timeout
from toolbox_e2b.control.models import created
from toolbox_e2b.control.protocol import HasControl
from toolbox_e2b.errors import ROOT

operations = Operations()

ALL = f"{ROOT}/sandboxes"
ALL_V2 = f"{ROOT}/v2/sandboxes"
ONE = f"{ALL}/{{sandbox_id}}"
MADE = (BadRequest, Conflict, NotFound, NotSupported, Unavailable)


@operations.post(ALL_V2, status=201, errors=MADE)
def create_e2b_sandbox(backend: HasControl, body: NewSandbox, request: RequestInfo) -> Created:
    """Create a sandbox, and wait until it has started. It is deleted after its timeout."""
    check_seconds(body.timeout)
    # The thread waits for another program, which takes seconds.
    with elsewhere(request.environ):
        sandbox = backend.control.create(body, request.is_disconnected)
    return created(sandbox, backend.control.token(sandbox), _domain(backend, request))


@operations.post(ALL, status=201, errors=MADE)
def create_e2b_sandbox_v1(backend: HasControl, body: NewSandbox, request: RequestInfo) -> Created:
    """Create a sandbox, as older clients do."""
    return create_e2b_sandbox(backend, body, request)


@operations.get(ALL_V2, returns=list[Detail], errors=(BadRequest, NotSupported))
def list_e2b_sandboxes(backend: HasControl, query: ListQuery) -> JsonResponse:
    """List sandboxes, a page at a time; ``x-next-token`` is the token of the next page."""
    shown, token = page(backend.control.sandboxes(), query)
    return JsonResponse(shown, headers={"x-next-token": token} if token else {})


@operations.get(ONE, errors=(NotFound, NotSupported))
def get_e2b_sandbox(backend: HasControl, sandbox_id: str, request: RequestInfo) -> Detail:
    """Show a sandbox."""
    sandbox = backend.control.sandbox(sandbox_id)
    return detail(sandbox, backend.control.token(sandbox), _domain(backend, request))


@operations.delete(ONE, status=204, errors=(NotFound, NotSupported))
def delete_e2b_sandbox(backend: HasControl, sandbox_id: str) -> None:
    """Delete a sandbox with its files."""
    backend.control.delete(sandbox_id)


@operations.post(f"{ONE}/timeout", status=204, errors=(NotFound, NotSupported))
def set_e2b_timeout(backend: HasControl, sandbox_id: str, body: Timeout) -> None:
    """Let a sandbox be deleted some seconds from now."""
    backend.control.set_timeout(sandbox_id, check_seconds(body.timeout))


@operations.post(f"{ONE}/refreshes", status=204, errors=(NotFound, NotSupported))
def refresh_e2b_sandbox(backend: HasControl, sandbox_id: str, body: Refresh | None) -> None:
    """Let a sandbox live some seconds longer, at least."""
    wanted = body or Refresh()
    backend.control.set_timeout(sandbox_id, check_seconds(wanted.duration), extend=True)


@operations.post(f"{ONE}/pause", status=204, errors=MADE)
def pause_e2b_sandbox(
    backend: HasControl, sandbox_id: str, body: Pause | None, request: RequestInfo
) -> None:
    """Pause a sandbox: with its memory, if that is possible, or else with its files alone."""
    memory = body.memory if body is not None else None
    with elsewhere(request.environ):
        backend.control.pause(sandbox_id, memory, request.is_disconnected)


@operations.post(f"{ALL_V2}/{{sandbox_id}}/connect", errors=MADE)
def connect_to_e2b_sandbox(
    backend: HasControl, sandbox_id: str, body: Timeout | None, request: RequestInfo
) -> Created:
    """Let a sandbox run, if it is paused, and extend its life."""
    seconds = check_seconds((body or Timeout()).timeout)
    with elsewhere(request.environ):
        sandbox = backend.control.resume(sandbox_id, seconds, request.is_disconnected)
    return created(sandbox, backend.control.token(sandbox), _domain(backend, request))


@operations.post(f"{ONE}/connect", errors=MADE)
def connect_to_e2b_sandbox_v1(
    backend: HasControl, sandbox_id: str, body: Timeout | None, request: RequestInfo
) -> Created:
    """Let a sandbox run, as older clients do."""
    return connect_to_e2b_sandbox(backend, sandbox_id, body, request)


@operations.post(f"{ONE}/resume", status=201, errors=MADE)
def resume_e2b_sandbox(
    backend: HasControl, sandbox_id: str, body: Timeout | None, request: RequestInfo
) -> Created:
    """Let a paused sandbox run."""
    return connect_to_e2b_sandbox(backend, sandbox_id, body, request)


@operations.post(f"{ONE}/snapshots", status=201, errors=MADE)
def snapshot_e2b_sandbox(
    backend: HasControl, sandbox_id: str, body: SnapshotRequest | None, request: RequestInfo
) -> SnapshotInfo:
    """Make a snapshot of a sandbox's files, and wait for it."""
    wanted = body or SnapshotRequest()
    with elsewhere(request.environ):
        return snapshots.take(backend.control, sandbox_id, wanted, request.is_disconnected)


@operations.get(f"{ROOT}/snapshots", returns=list[SnapshotInfo], errors=(NotSupported,))
def list_e2b_snapshots(backend: HasControl, query: SnapshotQuery) -> JsonResponse:
    """List the snapshots of sandboxes, a page at a time."""
    shown, token = snapshots.page(backend.control, query)
    return JsonResponse(shown, headers={"x-next-token": quote(token)} if token else {})


@operations.delete(f"{ROOT}/templates/{{snapshot}}", status=204, errors=(NotFound, NotSupported))
def delete_e2b_snapshot(backend: HasControl, snapshot: str) -> None:
    """Remove a snapshot; sandboxes made of it stay."""
    snapshots.delete(backend.control, snapshot)


@operations.get(f"{ONE}/metrics", errors=(NotFound, NotSupported))
def get_e2b_metrics(backend: HasControl, sandbox_id: str, query: MetricsQuery) -> list[Metric]:
    """Return the resources that a sandbox used."""
    end = query.end if query.end is not None else time.time()
    # An hour, if nothing else is asked for: the records are many.
    start = query.start if query.start is not None else end - 3600
    return by_time(backend.control.metrics(sandbox_id, start, end))


def _domain(backend: HasControl, request: RequestInfo) -> str:
    return backend.domain_for(request.headers.get("Host", ""))
