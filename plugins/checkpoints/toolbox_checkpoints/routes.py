"""The operations of the group ``checkpoints``, an extension of the Daytona Toolbox API."""

from __future__ import annotations

from toolbox.errors import Forbidden
from toolbox.errors import InvalidBody
from toolbox.group import Group
from toolbox.request import RequestInfo
from toolbox.response import JsonResponse
from toolbox_checkpoints.backend import CheckpointsBackend
from toolbox_checkpoints.errors import CheckpointConflict
from toolbox_checkpoints.errors import CheckpointDamaged
from toolbox_checkpoints.errors import CheckpointNotFound
from toolbox_checkpoints.errors import CheckpointPathNotFound
from toolbox_checkpoints.errors import CheckpointsFull
from toolbox_checkpoints.errors import InvalidCheckpointPath
from toolbox_checkpoints.errors import TooManyWorks
from toolbox_checkpoints.models import Checkpoint
from toolbox_checkpoints.models import CheckpointList
from toolbox_checkpoints.models import CreateRequest
from toolbox_checkpoints.models import Diff
from toolbox_checkpoints.models import DiffQuery
from toolbox_checkpoints.models import ForkRequest
from toolbox_checkpoints.models import GetQuery
from toolbox_checkpoints.models import RestoreRequest
from toolbox_checkpoints.models import WaitQuery
from toolbox_checkpoints.models import Work

group = Group(
    "checkpoints",
    backend=CheckpointsBackend,
    default_backend="local",
    summary="Directories as they were, to compare, restore and fork",
)

WORK_ERRORS = (
    InvalidCheckpointPath,
    Forbidden,
    CheckpointPathNotFound,
    CheckpointConflict,
    TooManyWorks,
    CheckpointsFull,
)
"""Errors of everything that copies."""

KEPT_ERRORS = (CheckpointNotFound, CheckpointDamaged)
"""Errors of everything that reads a checkpoint."""


@group.post(
    "/x/checkpoints",
    status=201,
    other_statuses=(202,),
    returns=Checkpoint,
    errors=(InvalidBody, *WORK_ERRORS),
)
def create_checkpoint(
    backend: CheckpointsBackend, body: CreateRequest, query: WaitQuery, request: RequestInfo
) -> JsonResponse:
    """Make a checkpoint of a directory.

    Content, modes, times, owners, extended attributes, symbolic and hard links and holes are kept.
    What other checkpoints of the directory have, and blocks where the file system can share them,
    take no room. Left out are what ``exclude`` matches, other file systems, sockets, FIFOs and
    devices. The status is 202 if it isn't complete after ``wait`` seconds.
    """
    made = backend.create(body, query.wait, request.is_disconnected)
    return JsonResponse(made, 201 if made.complete else 202)


@group.get("/x/checkpoints")
def list_checkpoints(backend: CheckpointsBackend) -> CheckpointList:
    """List the checkpoints."""
    return CheckpointList(checkpoints=backend.all())


@group.get("/x/checkpoints/{checkpoint_id}", errors=(CheckpointNotFound,))
def get_checkpoint(
    backend: CheckpointsBackend, checkpoint_id: str, query: GetQuery, request: RequestInfo
) -> Checkpoint:
    """Show a checkpoint, after ``wait`` seconds at most if something is going on with it."""
    return backend.get(checkpoint_id, query.wait, request.is_disconnected)


@group.get("/x/checkpoints/{checkpoint_id}/diff", errors=(*KEPT_ERRORS, *WORK_ERRORS))
def diff_checkpoint(
    backend: CheckpointsBackend, checkpoint_id: str, query: DiffQuery, request: RequestInfo
) -> Diff:
    """Compare a checkpoint with its directory as it is now, or with another checkpoint."""
    return backend.diff(checkpoint_id, query, request.is_disconnected)


@group.post(
    "/x/checkpoints/{checkpoint_id}/restore",
    other_statuses=(202,),
    returns=Work,
    errors=(InvalidBody, *KEPT_ERRORS, *WORK_ERRORS),
)
def restore_checkpoint(
    backend: CheckpointsBackend,
    checkpoint_id: str,
    body: RestoreRequest | None,
    query: WaitQuery,
    request: RequestInfo,
) -> JsonResponse:
    """Make the directory of a checkpoint, or some paths in it, what they were.

    Only what differs is touched: it is copied first, then all of it is renamed into place. If that
    fails, or the service is killed, it is undone or finished at the next start. What the
    checkpoint leaves out stays.
    """
    paths = body.paths if body else []
    work = backend.restore(checkpoint_id, paths, query.wait, request.is_disconnected)
    return JsonResponse(work, 200 if work.complete else 202)


@group.post(
    "/x/checkpoints/{checkpoint_id}/fork",
    other_statuses=(202,),
    returns=Work,
    errors=(InvalidBody, *KEPT_ERRORS, *WORK_ERRORS),
)
def fork_checkpoint(
    backend: CheckpointsBackend,
    checkpoint_id: str,
    body: ForkRequest,
    query: WaitQuery,
    request: RequestInfo,
) -> JsonResponse:
    """Copy a checkpoint to a directory that doesn't exist, or is empty."""
    work = backend.fork(checkpoint_id, body.path, query.wait, request.is_disconnected)
    return JsonResponse(work, 200 if work.complete else 202)


@group.delete(
    "/x/checkpoints/{checkpoint_id}",
    status=204,
    errors=(CheckpointNotFound, CheckpointConflict),
)
def delete_checkpoint(backend: CheckpointsBackend, checkpoint_id: str) -> None:
    """Delete a checkpoint; if it isn't complete, its making ends."""
    backend.delete(checkpoint_id)
