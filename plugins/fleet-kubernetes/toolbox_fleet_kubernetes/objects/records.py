"""The record of a sandbox, which an annotation of its object keeps."""

from __future__ import annotations

import time
import uuid
from typing import Any

import msgspec
from toolbox_fleet.errors import Unsupported
from toolbox_fleet.models.sandboxes import LANGUAGE_LABEL
from toolbox_fleet.models.sandboxes import Changes
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.models.sandboxes import DesiredState
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.models.sandboxes import SandboxVolume
from toolbox_fleet.models.sandboxes import State
from toolbox_fleet.names import check_environment
from toolbox_fleet.names import check_labels
from toolbox_fleet.names import check_name
from toolbox_fleet.names import refuse_own_variables
from toolbox_fleet.times import format_time

import toolbox

USER = "daytona"
"""The user of a sandbox for which none is asked: whichever its image has."""

AUTO_STOP = 15
"""Minutes, as clients are told."""

AUTO_ARCHIVE = 7 * 24 * 60
"""Minutes."""


class Record(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The wishes of a client: all but the environment, which may be secret.

    All fields have defaults, so that any release reads what another has written.
    """

    id: str = ""
    name: str = ""
    user: str = ""
    snapshot: str | None = None
    labels: dict[str, str] = {}
    public: bool = False
    cpu: int = 1
    memory: int = 1
    disk: int = 1
    network_block_all: bool = False
    network_allow_list: str | None = None
    auto_stop_interval: int = AUTO_STOP
    auto_archive_interval: int = AUTO_ARCHIVE
    auto_delete_interval: int = -1
    auto_pause_interval: int = 0
    auto_destroy_at: str | None = None
    last_activity_at: str | None = None
    volumes: list[SandboxVolume] = []
    secrets: list[dict[str, str]] = []
    """Each maps a variable of the environment to the name of a secret."""
    linked_sandbox_id: str | None = None
    created_at: str = ""
    updated_at: str = ""


def encode(record: Record) -> str:
    """Return a record as an annotation."""
    return msgspec.json.encode(record).decode()


def decode(text: str) -> Record | None:
    """Return the record of an annotation, None if it is none."""
    try:
        return msgspec.json.decode(text, type=Record)
    except (msgspec.DecodeError, ValueError):
        return None


def refuse_unsupported(wanted: CreateSandbox) -> None:
    """Raise Unsupported for what a pod of this backend can't have."""
    if wanted.gpu:
        raise Unsupported("for a GPU, name a snapshot whose SandboxTemplate requests one")
    if wanted.kvm:
        raise Unsupported("for /dev/kvm, name a snapshot whose SandboxTemplate gives it")
    if wanted.domain_allow_list:
        raise Unsupported("NetworkPolicies know addresses only; there is networkAllowList")
    if wanted.outbound_proxy_url or wanted.otel_endpoint_override:
        raise Unsupported("set proxies and OpenTelemetry endpoints by env")


def new_record(wanted: CreateSandbox) -> Record:
    """Return the record of a sandbox about to be created. Raises InvalidValue, Unsupported."""
    refuse_unsupported(wanted)
    identity = str(uuid.uuid4())
    # As clients are told: without a name, the id is the name.
    name = wanted.name or identity
    check_name(name)
    check_environment(wanted.env or {})
    refuse_own_variables(wanted.env or {})
    # Clients that set no language expect to read one.
    labels = {LANGUAGE_LABEL: "python", **(wanted.labels or {})}
    check_labels(labels)
    now = time.time()
    ttl = wanted.ttl_minutes
    return Record(
        id=identity,
        name=name,
        user=wanted.user or USER,
        snapshot=wanted.snapshot,
        labels=labels,
        network_block_all=bool(wanted.network_block_all),
        network_allow_list=wanted.network_allow_list or None,
        auto_destroy_at=format_time(now + 60 * ttl) if ttl else None,
        secrets=wanted.secrets or [],
        linked_sandbox_id=wanted.linked_sandbox,
        created_at=format_time(now),
        updated_at=format_time(now),
        **_given(wanted),
    )


def _given(wanted: CreateSandbox) -> dict[str, Any]:
    names = ("public", "auto_stop_interval", "auto_pause_interval", "auto_archive_interval")
    pausing = {} if not wanted.auto_pause_interval else {"auto_stop_interval": 0}
    return pausing | {
        name: value
        for name in (*names, "auto_delete_interval")
        if (value := getattr(wanted, name)) is not None
    }


def changed(record: Record, changes: Changes) -> Record:
    """Return a record after a change. Raises InvalidValue."""
    made = changes.made()
    check_labels(made.get("labels", {}))
    return msgspec.structs.replace(record, **made, updated_at=format_time())


def to_sandbox(
    record: Record,
    env: dict[str, str],
    state: State,
    desired: DesiredState,
    *,
    since: str = "",
    reason: str | None = None,
) -> Sandbox:
    """Return what a client sees of a sandbox in a state, which it has ``since`` a time."""
    # Both are UTC with a Z, so that texts compare as times.
    fields = msgspec.structs.asdict(record) | {"updated_at": max(record.updated_at, since)}
    # In no response, as those of the other backends have none.
    del fields["secrets"]
    return Sandbox(
        **fields,
        toolbox_proxy_url="",
        gpu=0,
        organization_id="local",
        target="local",
        state=state,
        desired_state=desired,
        env=env,
        kvm=False,
        daemon_version=f"v{toolbox.__version__}",
        error_reason=reason,
        recoverable=state == "error",
        sandbox_class="container",
    )
