"""The check of a sandbox to be created, before a backend sees it."""

from __future__ import annotations

import msgspec

from toolbox_fleet.backend import FleetBackend
from toolbox_fleet.errors import InvalidValue
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.models.sandboxes import SandboxVolume
from toolbox_fleet.names import check_environment
from toolbox_fleet.names import check_labels
from toolbox_fleet.names import check_name
from toolbox_fleet.names import check_text

MAX_VOLUMES = 64
"""Volumes of a sandbox."""


def checked(wanted: CreateSandbox) -> CreateSandbox:
    """Return ``wanted`` without what means nothing. Raises InvalidValue.

    An empty name or snapshot is none: clients fill their structs with empty texts.
    """
    if wanted.name:
        check_name(wanted.name)
    check_labels(wanted.labels or {})
    check_environment(wanted.env or {})
    check_text(**{name: getattr(wanted, name) for name in wanted.__struct_fields__})
    _check_intervals(wanted)
    _check_volumes(wanted.volumes or [])
    for secret in wanted.secrets or []:
        check_environment(secret)
    return msgspec.structs.replace(
        wanted,
        name=wanted.name or None,
        snapshot=wanted.snapshot or None,
        user=wanted.user or None,
        linked_sandbox=wanted.linked_sandbox or None,
    )


def with_linked(backend: FleetBackend, wanted: CreateSandbox) -> CreateSandbox:
    """Return ``wanted`` with the id of the sandbox that it is to be linked to.

    Raises NoSuchSandbox, InvalidValue.
    """
    if wanted.linked_sandbox is None:
        return wanted
    linked = backend.sandbox(wanted.linked_sandbox)
    if linked.linked_sandbox_id:
        raise InvalidValue("linkedSandbox is itself linked to another sandbox")
    # Its name may be another's later.
    return msgspec.structs.replace(wanted, linked_sandbox=linked.id)


def _check_intervals(wanted: CreateSandbox) -> None:
    if wanted.auto_stop_interval and wanted.auto_pause_interval:
        raise InvalidValue("only one of autoStopInterval and autoPauseInterval may be set")
    if wanted.auto_pause_interval and wanted.auto_delete_interval == 0:
        raise InvalidValue("an ephemeral sandbox (autoDeleteInterval 0) can't have an auto-pause")


def _check_volumes(volumes: list[SandboxVolume]) -> None:
    if len(volumes) > MAX_VOLUMES:
        raise InvalidValue(f"a sandbox has at most {MAX_VOLUMES} volumes")
    paths = [volume.mount_path.rstrip("/") for volume in volumes]
    for volume, path in zip(volumes, paths, strict=True):
        check_text(mountPath=path, subpath=volume.subpath, volumeId=volume.volume_id)
        if not path.startswith("/") or ".." in path.split("/"):
            raise InvalidValue("mountPath must be an absolute path without .., and not /")
        if ".." in (volume.subpath or "").split("/"):
            raise InvalidValue("subpath must not contain ..")
    if len(set(paths)) != len(paths):
        raise InvalidValue("two volumes have the same mountPath")
