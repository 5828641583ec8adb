"""What the SDKs ask a control plane for."""

from __future__ import annotations

from typing import Annotated

import msgspec

from toolbox.clients import since


class Sandbox(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A sandbox as the SDKs know it: the fields their strict models require, and what is known."""

    id: str
    name: str
    toolbox_proxy_url: str
    """Where the sandbox's own API is, without ``/{id}``, which the SDKs append."""
    user: str
    cpu: int
    """Cores."""
    memory: int
    """GiB."""
    disk: int
    """GiB."""
    gpu: int = 0
    created_at: str
    updated_at: str
    daemon_version: str
    organization_id: str = "local"
    target: str = "local"
    state: str = "started"
    desired_state: str = "started"
    env: dict[str, str] = {}
    labels: dict[str, str] = msgspec.field(
        default_factory=lambda: {"code-toolbox-language": "python"}
    )
    """The TypeScript SDK asks for the language of ``codeRun`` here, and fails without it."""
    public: bool = False
    network_block_all: bool = False
    kvm: Annotated[bool, since(0, 188)] = False


class ToolboxProxyUrl(msgspec.Struct, frozen=True):
    """Where the sandbox's own API is, without ``/{id}``."""

    url: str


class PreviewUrl(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where a port is reached, and with which ``X-Daytona-Preview-Token``."""

    sandbox_id: str
    url: str
    token: str


class EventQuery(msgspec.Struct, frozen=True):
    """How an Engine.IO client introduces itself."""

    version: str = msgspec.field(default="", name="EIO")
    transport: str = ""
