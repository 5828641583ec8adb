"""Sandboxes on the wire: their fields, and the bodies that create and change them.

The field names are the control plane's, as strict clients read them.
"""

from __future__ import annotations

from typing import Annotated
from typing import Any
from typing import Literal

import msgspec
from msgspec import Meta

from toolbox.http.client_versions import since

State = Literal[
    "creating",
    "restoring",
    "destroyed",
    "destroying",
    "started",
    "stopped",
    "starting",
    "stopping",
    "error",
    "build_failed",
    "pending_build",
    "building_snapshot",
    "unknown",
    "pulling_snapshot",
    "archived",
    "archiving",
    "resizing",
    "snapshotting",
    "forking",
    "pausing",
    "paused",
    "resuming",
]
DesiredState = Literal["destroyed", "started", "stopped", "resized", "archived", "paused"]

LANGUAGE_LABEL = "code-toolbox-language"
"""The label in which clients keep the language of ``codeRun``; the TypeScript SDK fails without."""

Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Minutes = Annotated[int, Meta(ge=0, le=5_000_000)]


class SandboxVolume(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A volume in a sandbox."""

    volume_id: str
    """Its id or, while a sandbox is created, its name."""
    mount_path: str
    """An absolute path in the sandbox."""
    subpath: str | None = None
    """The only part of the volume that is there; None for all of it."""


class BuildInfo(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A declarative build."""

    dockerfile_content: str
    context_hashes: list[str] | None = None


class Sandbox(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A sandbox: the control plane's fields. Times are RFC 3339 with ``Z``.

    Fields without a default are sent always, as clients require them or read them unasked.
    """

    id: str
    name: str
    toolbox_proxy_url: Annotated[str, since(0, 148)]
    """The URL of the sandbox's own API, without ``/{id}``, which clients append. Backends leave it
    empty: it depends on the client, so the operations fill it in.
    """
    user: str
    cpu: int
    """Cores."""
    memory: int
    """GiB."""
    disk: int
    """GiB."""
    gpu: int
    created_at: str
    updated_at: str
    organization_id: str
    target: str
    state: State
    desired_state: DesiredState
    env: dict[str, str]
    labels: dict[str, str]
    public: bool
    network_block_all: bool
    kvm: Annotated[bool, since(0, 188)]
    auto_stop_interval: int
    """Minutes without activity after which it is stopped; 0 for never."""
    auto_archive_interval: int
    """Minutes in the state ``stopped`` after which it is archived."""
    auto_delete_interval: int
    """Minutes in the state ``stopped`` after which it is deleted; negative for never."""
    auto_pause_interval: Annotated[int, since(0, 188)]
    """Minutes without activity after which it is paused; 0 for never."""
    daemon_version: str
    snapshot: str | None = None
    network_allow_list: str | None = None
    domain_allow_list: Annotated[str | None, since(0, 188)] = None
    error_reason: str | None = None
    recoverable: bool = False
    last_activity_at: Annotated[str | None, since(0, 169)] = None
    auto_destroy_at: Annotated[str | None, since(0, 188)] = None
    """The end of its time to live, in any state; None without one."""
    volumes: list[SandboxVolume] = []
    warm_pool_id: Annotated[str | None, since(0, 188)] = None
    """The warm pool in which it waits, until it is taken."""
    linked_sandbox_id: Annotated[str | None, since(0, 184)] = None
    sandbox_class: Annotated[str, since(0, 184)] = ""


class CreateSandbox(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A sandbox to be created; every field is optional."""

    name: str | None = None
    snapshot: str | None = None
    """The id or name of a snapshot."""
    user: str | None = None
    env: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    public: bool | None = None
    network_block_all: bool | None = None
    network_allow_list: str | None = None
    """CIDR addresses, separated by commas."""
    domain_allow_list: str | None = None
    outbound_proxy_url: str | None = None
    otel_endpoint_override: str | None = None
    kvm: bool | None = None
    target: str | None = None
    cpu: Count | None = None
    gpu: Annotated[int, Meta(ge=0)] | None = None
    gpu_type: list[str] | str | None = None
    spot: bool | None = None
    memory: Count | None = None
    disk: Count | None = None
    auto_stop_interval: Minutes | None = None
    auto_pause_interval: Minutes | None = None
    auto_archive_interval: Minutes | None = None
    auto_delete_interval: Annotated[int, Meta(le=5_000_000)] | None = None
    ttl_minutes: Minutes | None = None
    queue_timeout: Count | None = None
    volumes: list[SandboxVolume] | None = None
    build_info: BuildInfo | None = None
    linked_sandbox: str | None = None
    """The id or name of a sandbox."""
    secrets: list[dict[str, str]] | None = None
    """Each maps a variable of the environment to the name of a secret."""


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """Changes of a sandbox's record that touch no process; UNSET leaves a field as it is."""

    labels: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    public: bool | msgspec.UnsetType = msgspec.UNSET
    auto_stop_interval: int | msgspec.UnsetType = msgspec.UNSET
    auto_pause_interval: int | msgspec.UnsetType = msgspec.UNSET
    auto_archive_interval: int | msgspec.UnsetType = msgspec.UNSET
    auto_delete_interval: int | msgspec.UnsetType = msgspec.UNSET
    auto_destroy_at: str | msgspec.UnsetType | None = msgspec.UNSET
    last_activity_at: str | msgspec.UnsetType = msgspec.UNSET

    def made(self) -> dict[str, Any]:
        """Return the changed fields by name."""
        return {
            name: value
            for name in self.__struct_fields__
            if (value := getattr(self, name)) is not msgspec.UNSET
        }


class Labels(msgspec.Struct, frozen=True):
    """All labels of a sandbox."""

    labels: dict[str, str]


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """New limits of a sandbox; None leaves one as it is."""

    cpu: Count | None = None
    memory: Count | None = None
    """GiB."""
    disk: Count | None = None
    """GiB."""


class ForkSandbox(msgspec.Struct, frozen=True):
    """The name of a fork; None for one that is made up."""

    name: str | None = None


class NewSnapshot(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A snapshot to be made of a sandbox."""

    name: str
    include_memory: bool = False


class NetworkSettings(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The network that a sandbox may reach; None leaves a setting as it is."""

    network_block_all: bool | None = None
    network_allow_list: str | None = None
    domain_allow_list: str | None = None


class SandboxSecrets(msgspec.Struct, frozen=True):
    """All secrets of a sandbox: each maps a variable of the environment to a secret's name."""

    secrets: list[dict[str, str]]


class LastActivity(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The time of the last activity, RFC 3339; None for now."""

    last_activity_at: str | None = None
