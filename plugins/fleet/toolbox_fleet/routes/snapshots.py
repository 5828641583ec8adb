"""Snapshots: list, create and delete."""

from __future__ import annotations

from typing import Annotated
from typing import Literal

import msgspec
from msgspec import Meta

from toolbox.group import Operations
from toolbox_fleet.backend import FleetBackend
from toolbox_fleet.backend import HasSnapshots
from toolbox_fleet.errors import InvalidValue
from toolbox_fleet.errors import NameTaken
from toolbox_fleet.errors import NoSuchResource
from toolbox_fleet.errors import Refused
from toolbox_fleet.errors import Unsupported
from toolbox_fleet.models.snapshots import CreateSnapshot
from toolbox_fleet.models.snapshots import Snapshot
from toolbox_fleet.models.snapshots import SnapshotPage
from toolbox_fleet.names import check_name
from toolbox_fleet.names import check_text
from toolbox_fleet.routes.abilities import able

operations = Operations()


class SnapshotQuery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One page of the snapshots that match."""

    page: Annotated[int, Meta(ge=1)] = 1
    limit: Annotated[int, Meta(ge=1, le=200)] = 100
    name: str = ""
    """A part of the name."""
    source_sandbox_id: str = ""
    sort: Literal["name", "state", "lastUsedAt", "createdAt"] = "lastUsedAt"
    order: Literal["asc", "desc"] = "desc"


@operations.get("/api/snapshots", errors=(Unsupported,))
def get_all_snapshots(backend: FleetBackend, query: SnapshotQuery) -> SnapshotPage:
    """List snapshots."""
    found = [one for one in able(backend, HasSnapshots).snapshots() if _matches(one, query)]
    # The id makes the order total, so that pages neither repeat nor skip.
    found.sort(key=lambda one: (_position(one, query.sort), one.id), reverse=query.order == "desc")
    first = (query.page - 1) * query.limit
    return SnapshotPage(
        items=found[first : first + query.limit],
        total=len(found),
        page=query.page,
        total_pages=-(-len(found) // query.limit),
    )


@operations.post("/api/snapshots", errors=(InvalidValue, NameTaken, Unsupported))
def create_snapshot(backend: FleetBackend, body: CreateSnapshot) -> Snapshot:
    """Create a snapshot from an image or a build."""
    check_name(body.name)
    check_text(**msgspec.structs.asdict(body))
    return able(backend, HasSnapshots).create_snapshot(body)


@operations.get("/api/snapshots/{snapshot_id}", errors=(NoSuchResource, Unsupported))
def get_snapshot(backend: FleetBackend, snapshot_id: str) -> Snapshot:
    """Return a snapshot by id or name."""
    return able(backend, HasSnapshots).snapshot(snapshot_id)


@operations.post("/api/snapshots/{snapshot_id}/activate", errors=(NoSuchResource, Unsupported))
def activate_snapshot(backend: FleetBackend, snapshot_id: str) -> Snapshot:
    """Return a snapshot, as older clients make one usable first: here each always is."""
    return able(backend, HasSnapshots).snapshot(snapshot_id)


@operations.delete("/api/snapshots/{snapshot_id}", errors=(NoSuchResource, Refused, Unsupported))
def remove_snapshot(backend: FleetBackend, snapshot_id: str) -> None:
    """Delete a snapshot; sandboxes made of it stay."""
    able(backend, HasSnapshots).delete_snapshot(snapshot_id)


def _matches(snapshot: Snapshot, query: SnapshotQuery) -> bool:
    source = query.source_sandbox_id
    return query.name.lower() in snapshot.name.lower() and (
        not source or snapshot.source_sandbox_id == source
    )


def _position(snapshot: Snapshot, field: str) -> str:
    values = {
        "name": snapshot.name,
        "state": snapshot.state,
        "lastUsedAt": snapshot.last_used_at,
        "createdAt": snapshot.created_at,
    }
    return values[field] or ""
