"""The record of a new sandbox, made of a client's wishes."""

from __future__ import annotations

import time
import uuid

import toolbox
from toolbox_fleet.errors import Unsupported
from toolbox_fleet.local.records import Record
from toolbox_fleet.local.running.service import new_secret
from toolbox_fleet.local.settings import LocalSettings
from toolbox_fleet.models.sandboxes import LANGUAGE_LABEL
from toolbox_fleet.models.sandboxes import CreateSandbox
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.names import check_environment
from toolbox_fleet.names import check_labels
from toolbox_fleet.names import check_name
from toolbox_fleet.names import refuse_own_variables
from toolbox_fleet.times import format_time

NO_ALLOW_LISTS = (
    "allow lists take a firewall for each sandbox, which this backend lacks; networkBlockAll blocks"
    " the whole network"
)


def refuse_unsupported(wanted: CreateSandbox) -> None:
    """Raise Unsupported for what only a container engine or a hypervisor can do."""
    if wanted.gpu:
        raise Unsupported("sandboxes of this backend have no GPU of their own; leave gpu out")
    if wanted.kvm:
        raise Unsupported("sandboxes of this backend have no /dev/kvm of their own")
    if wanted.network_allow_list or wanted.domain_allow_list:
        raise Unsupported(NO_ALLOW_LISTS)
    if wanted.outbound_proxy_url or wanted.otel_endpoint_override:
        raise Unsupported("set proxies and OpenTelemetry endpoints by env")


def new_record(wanted: CreateSandbox, settings: LocalSettings, user: str) -> Record:
    """Return the record of a sandbox about to be created.

    Raises InvalidValue, Unsupported.
    """
    refuse_unsupported(wanted)
    identity = str(uuid.uuid4())
    # As clients are told: without a name, the id is the name.
    name = wanted.name or identity
    check_name(name)
    env = wanted.env or {}
    check_environment(env)
    refuse_own_variables(env)
    # Clients that set no language expect to read one.
    labels = {LANGUAGE_LABEL: "python", **(wanted.labels or {})}
    check_labels(labels)
    return Record(
        sandbox=_sandbox(wanted, settings, user, identity, name, env, labels),
        token=new_secret(),
        signing_key=new_secret(),
        secrets=wanted.secrets or [],
    )


def _sandbox(
    wanted: CreateSandbox,
    settings: LocalSettings,
    user: str,
    identity: str,
    name: str,
    env: dict[str, str],
    labels: dict[str, str],
) -> Sandbox:
    now = format_time()
    return Sandbox(
        id=identity,
        name=name,
        toolbox_proxy_url="",
        user=user,
        cpu=wanted.cpu or settings.cpu,
        memory=wanted.memory or settings.memory,
        disk=wanted.disk or settings.disk,
        gpu=0,
        created_at=now,
        updated_at=now,
        organization_id="local",
        target="local",
        state="creating",
        desired_state="started",
        env=env,
        labels=labels,
        public=bool(wanted.public),
        network_block_all=bool(wanted.network_block_all),
        kvm=False,
        auto_stop_interval=_or(wanted.auto_stop_interval, settings.auto_stop_interval),
        auto_archive_interval=_or(wanted.auto_archive_interval, settings.auto_archive_interval),
        auto_delete_interval=_or(wanted.auto_delete_interval, settings.auto_delete_interval),
        auto_pause_interval=wanted.auto_pause_interval or 0,
        auto_destroy_at=_end(wanted.ttl_minutes),
        daemon_version=f"v{toolbox.__version__}",
        last_activity_at=now,
        volumes=wanted.volumes or [],
        # All are on this machine and share its loopback network: nothing else is to be done.
        linked_sandbox_id=wanted.linked_sandbox,
        sandbox_class="container",
    )


def _or(given: int | None, default: int) -> int:
    return default if given is None else given


def _end(minutes: int | None) -> str | None:
    return format_time(time.time() + 60 * minutes) if minutes else None
