"""The configuration of the control plane, as its clients ask for it."""

from __future__ import annotations

from typing import Annotated
from typing import Any

import msgspec

from toolbox.http.client_versions import since


class Oidc(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The identity provider. Clients require the fields; there is none, so they are empty."""

    issuer: str = ""
    client_id: str = ""
    audience: str = ""
    provider: Annotated[str, since(0, 188)] = ""


class Configuration(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Facts about the control plane. Services that it lacks (analytics, billing) are left out."""

    version: str
    oidc: Oidc = Oidc()
    linked_accounts_enabled: bool = False
    announcements: dict[str, Any] = {}
    proxy_template_url: str
    """The URL of a port of a sandbox, with ``{{sandboxId}}`` and ``{{PORT}}``."""
    proxy_toolbox_url: str
    default_snapshot: str = ""
    dashboard_url: str
    max_auto_archive_interval: int
    # The wire's spelling.
    maintanance_mode: bool = False
    environment: str = "local"


class BuildLogsUrl(msgspec.Struct, frozen=True):
    """The URL of the log of an image build."""

    url: str


class StorageAccess(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Credentials with which a client uploads the context of a build to object storage."""

    access_key: str
    secret: str
    session_token: str
    storage_url: str
    organization_id: str
    bucket: str
    region: Annotated[str, since(0, 188)]
