"""Sandboxes: create, find, start, stop and delete."""

from __future__ import annotations

import msgspec

from toolbox.group import Operations
from toolbox.request import RequestInfo
from toolbox_fleet.backend import CanArchive
from toolbox_fleet.backend import CanFork
from toolbox_fleet.backend import CanPause
from toolbox_fleet.backend import CanRecover
from toolbox_fleet.backend import CanResize
from toolbox_fleet.backend import FleetBackend
from toolbox_fleet.backend import HasSnapshots
from toolbox_fleet.errors import InvalidHost
from toolbox_fleet.errors import InvalidValue
from toolbox_fleet.errors import NameTaken
from toolbox_fleet.errors import NoCapacity
from toolbox_fleet.errors import NoSuchResource
from toolbox_fleet.errors import NoSuchSandbox
from toolbox_fleet.errors import Refused
from toolbox_fleet.errors import Unsupported
from toolbox_fleet.errors import WrongState
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.models.sandboxes import ForkSandbox
from toolbox_fleet.models.sandboxes import NewSnapshot
from toolbox_fleet.models.sandboxes import Resources
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.names import check_name
from toolbox_fleet.plane import plane_of
from toolbox_fleet.routes.abilities import able
from toolbox_fleet.routes.creating import checked
from toolbox_fleet.routes.creating import with_linked
from toolbox_fleet.routes.listing import CursorPage
from toolbox_fleet.routes.listing import CursorQuery
from toolbox_fleet.routes.listing import NumberedPage
from toolbox_fleet.routes.listing import PageQuery
from toolbox_fleet.routes.listing import after_cursor
from toolbox_fleet.routes.listing import numbered
from toolbox_fleet.routes.presenting import present
from toolbox_fleet.routes.presenting import present_all

operations = Operations()

ONE = "/api/sandbox/{sandbox_id}"

# The errors of operations that find a sandbox, that change its state, and that make one.
FOUND = (InvalidHost, NoSuchSandbox)
CHANGED = (*FOUND, WrongState, Refused)
MADE = (InvalidHost, InvalidValue, NameTaken, NoCapacity, NoSuchResource, Refused, Unsupported)


class StopQuery(msgspec.Struct, frozen=True):
    """The wish to end processes at once."""

    force: bool = False


class RecoverQuery(msgspec.Struct, frozen=True, rename="camel"):
    """The wish to leave a recovered sandbox stopped."""

    skip_start: bool = False


@operations.post("/api/sandbox", errors=(*MADE, NoSuchSandbox))
def create_sandbox(backend: FleetBackend, body: CreateSandbox, request: RequestInfo) -> Sandbox:
    """Create a sandbox and start it.

    The response comes at once; the sandbox is ready in the state ``started``.
    """
    if body.auto_pause_interval:
        able(backend, CanPause)
    wanted = with_linked(backend, checked(body))
    counts = plane_of(backend).counts
    made = counts.create(lambda: backend.create(wanted), backend.sandbox)
    return present(backend, made, request)


@operations.get("/api/sandbox", errors=(InvalidHost, InvalidValue))
def list_sandboxes(backend: FleetBackend, query: CursorQuery, request: RequestInfo) -> CursorPage:
    """List sandboxes, a page at a time."""
    page = after_cursor(backend.sandboxes(), query)
    return msgspec.structs.replace(page, items=present_all(backend, page.items, request))


@operations.get("/api/sandbox/paginated", errors=(InvalidHost, InvalidValue))
def list_sandboxes_by_page(
    backend: FleetBackend, query: PageQuery, request: RequestInfo
) -> NumberedPage:
    """List sandboxes by the number of the page, as older clients do."""
    page = numbered(backend.sandboxes(), query)
    return msgspec.structs.replace(page, items=present_all(backend, page.items, request))


@operations.get(ONE, errors=FOUND)
def get_sandbox(backend: FleetBackend, sandbox_id: str, request: RequestInfo) -> Sandbox:
    """Return a sandbox by id or name."""
    return present(backend, backend.sandbox(sandbox_id), request)


@operations.delete(ONE, errors=CHANGED)
def delete_sandbox(backend: FleetBackend, sandbox_id: str, request: RequestInfo) -> Sandbox:
    """Delete a sandbox with its files, in any state."""
    return present(backend, backend.delete(sandbox_id), request)


@operations.post(f"{ONE}/start", errors=(*CHANGED, NoCapacity))
def start_sandbox(backend: FleetBackend, sandbox_id: str, request: RequestInfo) -> Sandbox:
    """Start a stopped or archived sandbox, or resume a paused one."""
    return present(backend, backend.start(sandbox_id), request)


@operations.post(f"{ONE}/stop", errors=CHANGED)
def stop_sandbox(
    backend: FleetBackend, sandbox_id: str, query: StopQuery, request: RequestInfo
) -> Sandbox:
    """End all processes of a sandbox; its files stay."""
    return present(backend, backend.stop(sandbox_id, query.force), request)


@operations.post(f"{ONE}/pause", errors=(*CHANGED, Unsupported))
def pause_sandbox(backend: FleetBackend, sandbox_id: str, request: RequestInfo) -> Sandbox:
    """Suspend a sandbox with its processes in memory."""
    return present(backend, able(backend, CanPause).pause(sandbox_id), request)


@operations.post(f"{ONE}/archive", errors=(*CHANGED, Unsupported))
def archive_sandbox(backend: FleetBackend, sandbox_id: str, request: RequestInfo) -> Sandbox:
    """Move a stopped sandbox to cheaper storage."""
    return present(backend, able(backend, CanArchive).archive(sandbox_id), request)


@operations.post(f"{ONE}/recover", errors=(*CHANGED, Unsupported))
def recover_sandbox(
    backend: FleetBackend, sandbox_id: str, query: RecoverQuery, request: RequestInfo
) -> Sandbox:
    """Bring a sandbox back from the state ``error``."""
    recovered = able(backend, CanRecover).recover(sandbox_id, query.skip_start)
    return present(backend, recovered, request)


@operations.post(f"{ONE}/resize", errors=(*CHANGED, InvalidValue, Unsupported))
def resize_sandbox(
    backend: FleetBackend, sandbox_id: str, body: Resources, request: RequestInfo
) -> Sandbox:
    """Set new limits of a sandbox."""
    return present(backend, able(backend, CanResize).resize(sandbox_id, body), request)


@operations.post(f"{ONE}/fork", errors=(*MADE, NoSuchSandbox, WrongState))
def fork_sandbox(
    backend: FleetBackend, sandbox_id: str, body: ForkSandbox, request: RequestInfo
) -> Sandbox:
    """Create a copy of a sandbox."""
    name = check_name(body.name) if body.name else None
    return present(backend, able(backend, CanFork).fork(sandbox_id, name), request)


@operations.post(f"{ONE}/snapshot", errors=(*MADE, NoSuchSandbox, WrongState))
def create_sandbox_snapshot(
    backend: FleetBackend, sandbox_id: str, body: NewSnapshot, request: RequestInfo
) -> Sandbox:
    """Make a snapshot of a sandbox."""
    check_name(body.name)
    return present(backend, able(backend, HasSnapshots).take_snapshot(sandbox_id, body), request)
