"""Snapshots of sandboxes, which are templates for E2B's clients."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any
from urllib.parse import unquote

from toolbox.errors import NotSupported
from toolbox.errors import Unavailable
from toolbox_e2b.control.control import Control
from toolbox_e2b.control.models import SnapshotInfo
from toolbox_e2b.control.models import SnapshotQuery
from toolbox_e2b.control.models import SnapshotRequest

if TYPE_CHECKING:
    from toolbox_fleet.models.snapshots import Snapshot


def take(
    control: Control, key: str, wanted: SnapshotRequest, is_disconnected: Callable[[], bool]
) -> SnapshotInfo:
    """Make a snapshot of a sandbox, and wait for it. Raises what the group ``fleet`` raises."""
    fleet = _able(control)
    from toolbox_fleet.models.sandboxes import NewSnapshot
    from toolbox_fleet.names import check_name

    sandbox = control.sandbox(key)
    name = check_name(wanted.name or f"snapshot-{uuid.uuid4()}")
    fleet.take_snapshot(sandbox.id, NewSnapshot(name=name, include_memory=bool(wanted.memory)))
    control.settled(sandbox.id, is_disconnected)
    made = fleet.snapshot(name)
    if made.state != "active":
        # The sandbox is as before, but what was made of it can't be used.
        raise Unavailable(f"the snapshot failed: {made.error_reason or made.state}")
    return _info(made)


def page(control: Control, query: SnapshotQuery) -> tuple[list[SnapshotInfo], str]:
    """Return a page of snapshots of sandboxes, and the token of the next, empty after the last."""
    found = sorted(
        (each for each in _able(control).snapshots() if _fits(each, query)),
        key=lambda snapshot: str(snapshot.name),
    )
    # A header holds ASCII only, so the token is the name with escapes.
    shown = [each for each in found if each.name > unquote(query.next_token)]
    rest = len(shown) > query.limit
    infos = [_info(each) for each in shown[: query.limit]]
    return infos, shown[query.limit - 1].name if rest else ""


def delete(control: Control, key: str) -> None:
    """Remove a snapshot; sandboxes made of it stay. Raises NotFound."""
    _able(control).delete_snapshot(key)


def _able(control: Control) -> Any:
    # An ability that not every backend has.
    if not hasattr(control.fleet, "take_snapshot"):
        raise NotSupported("this control plane keeps no snapshots")
    return control.fleet


def _fits(snapshot: Snapshot, query: SnapshotQuery) -> bool:
    # Those that were made of an image are no snapshots for clients of E2B.
    if snapshot.source_sandbox_id is None or snapshot.state != "active":
        return False
    if query.name and query.name != snapshot.name:
        return False
    return not query.sandbox or query.sandbox == snapshot.source_sandbox_id


def _info(snapshot: Snapshot) -> SnapshotInfo:
    return SnapshotInfo(id=snapshot.name, names=[snapshot.name])
