"""Sandboxes in lists: fewer fields than a sandbox that was asked for, as upstream's lists have.

Without the environment: it may hold secrets, and who lists has named none of the sandboxes.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from toolbox.http.client_versions import since
from toolbox_fleet.models.sandboxes import DesiredState
from toolbox_fleet.models.sandboxes import Sandbox
from toolbox_fleet.models.sandboxes import State


class ListedSandbox(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A sandbox in a list; the fields are those of :class:`Sandbox`."""

    id: str
    organization_id: str
    name: str
    target: str
    sandbox_class: str = ""
    state: State
    desired_state: DesiredState
    snapshot: str | None = None
    user: str
    error_reason: str | None = None
    recoverable: bool = False
    public: bool
    network_block_all: Annotated[bool, since(0, 188)]
    network_allow_list: Annotated[str | None, since(0, 188)] = None
    domain_allow_list: Annotated[str | None, since(0, 188)] = None
    cpu: int
    gpu: int
    memory: int
    disk: int
    labels: dict[str, str]
    auto_stop_interval: int
    auto_pause_interval: Annotated[int, since(0, 188)]
    auto_archive_interval: int
    auto_delete_interval: int
    auto_destroy_at: Annotated[str | None, since(0, 188)] = None
    created_at: str
    updated_at: str
    last_activity_at: str | None = None
    daemon_version: str
    warm_pool_id: Annotated[str | None, since(0, 188)] = None
    toolbox_proxy_url: str


def listed(sandbox: Sandbox) -> ListedSandbox:
    """Return what a list has of a sandbox."""
    fields = ListedSandbox.__struct_fields__
    return ListedSandbox(**{name: getattr(sandbox, name) for name in fields})
